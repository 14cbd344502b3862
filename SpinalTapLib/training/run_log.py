"""Write and read the log of a training run, and draw its curves."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import reason

_PANELS = (("total",), ("heatmap",), ("vector", "home"), ("entropy", "dice"), ("learning_rate",), ("seconds_a_step",))
_MEASURED = (("missed", "twice", "false_a_slice"), ("overlap",))
_LOGARITHMIC = ("total", "heatmap", "vector", "home")

VALIDATION_NAME = "validation.jsonl"
"""File beside the log with the measurements on real slices during training."""

_log = logging.getLogger(__name__)


class LossSums:
    """Losses summed since the last line of the log, on the device, so that the GPU need not be synchronised."""

    def __init__(self) -> None:
        self._losses: dict[str, torch.Tensor] = {}
        self._count = 0
        self._began = time.monotonic()

    def add(self, losses: Mapping[str, torch.Tensor]) -> None:
        """Add the losses of one step."""
        for name, value in losses.items():
            self._losses[name] = self._losses[name] + value if name in self._losses else value
        self._count += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each loss over the steps."""
        return {name: float(value) / self._count for name, value in self._losses.items()}

    @property
    def seconds_a_step(self) -> float:
        """Mean wall-clock seconds per step."""
        return (time.monotonic() - self._began) / max(self._count, 1)


def append_line(path: Path, line: Mapping[str, float]) -> None:
    """Append a line to a log. A failure, such as a full disk, is only logged: it must not end the training."""
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        _log.warning("Could not write to %s: %s.", path, reason(error))


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Return the columns of a training log (``log.jsonl``).

    A resumed run starts from its last checkpoint and repeats the steps after it: the earlier lines of these steps are
    dropped.

    Raises
    ------
    ValueError
        If the file cannot be read or a line is not valid.
    """
    file = Path(path)
    lines: list[dict[str, float]] = []
    try:
        for text in file.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            while lines and lines[-1]["step"] >= line["step"]:
                lines.pop()
            lines.append(line)
    except OSError as error:
        raise ValueError(f"Cannot read the training log {file}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not a training log: {error}.") from error
    names = lines[0].keys() if lines else ()
    return {name: [line[name] for line in lines if name in line] for name in names}


def write_curves(log: str | Path, picture: str | Path) -> Path | None:
    """Plot losses, learning rate, speed and validation measurements of a run against its steps.

    Returns
    -------
    Path or None
        The picture; None, with a message in the log, if matplotlib is not installed.

    Raises
    ------
    ValueError
        If the log cannot be read, or the picture cannot be written.
    """
    drawn: list[tuple[dict[str, list[float]], tuple[str, ...]]] = [(read_log(log), names) for names in _PANELS]
    measured = Path(log).with_name(VALIDATION_NAME)
    if measured.exists():
        drawn += [(read_log(measured), names) for names in _MEASURED]
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        _log.info("No curves were drawn: this needs matplotlib (pip install 'SpinalTapLib[train]').")
        return None
    across = len(drawn) // 2
    figure = Figure(figsize=(11 * across / 3, 6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (columns, names) in zip(figure.subplots(2, across, squeeze=False).T.flat, drawn):
        for name in names:
            values = columns.get(name, [])
            axes.plot(columns.get("step", [])[: len(values)], values, label=name.replace("_", " "), linewidth=1)
        axes.set_yscale("log" if names[0] in _LOGARITHMIC else "linear")
        axes.set_xlabel("step")
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    try:
        figure.savefig(picture, dpi=110)
    except OSError as error:
        raise ValueError(f"Could not write the curves {picture}: {error.strerror}.") from error
    return Path(picture)
