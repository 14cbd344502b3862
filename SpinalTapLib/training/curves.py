"""The log of a training run, and its curves as a picture."""

from __future__ import annotations

import json
import logging
from pathlib import Path

_PANELS = (("total",), ("heatmap",), ("vector",), ("entropy", "dice"), ("learning_rate",), ("seconds_a_step",))
_LOGARITHMIC = ("total", "heatmap", "vector")

_log = logging.getLogger(__name__)


def read_log(path: str | Path) -> dict[str, list[float]]:
    """Return the columns of a training log (``log.jsonl``).

    A resumed run goes back to its last checkpoint: of lines with the same step, the last one counts, and lines of
    steps that were taken again are dropped.

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
    """Draw the losses, the learning rate and the speed of a run against its steps.

    Returns
    -------
    Path or None
        The picture; None, with a hint in the log, where matplotlib is not installed.

    Raises
    ------
    ValueError
        If the log cannot be read, or the picture can't be written.
    """
    columns = read_log(log)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        _log.info("No curves were drawn: they need matplotlib (pip install 'SpinalTapLib[train]').")
        return None
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, names in zip(figure.subplots(2, 3).flat, _PANELS):
        for name in names:
            axes.plot(columns.get("step", []), columns.get(name, []), label=name.replace("_", " "), linewidth=1)
        axes.set_yscale("log" if names[0] in _LOGARITHMIC else "linear")
        axes.set_xlabel("step")
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    try:
        figure.savefig(picture, dpi=110)
    except OSError as error:
        raise ValueError(f"Could not write the curves {picture}: {error.strerror}.") from error
    return Path(picture)
