"""Draw the comparison with other networks, and the growth of time and memory with the size of a scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .peers import PeerTiming
from .scaling import AXES, ScaledRun, straightness

_COLOURS = ("#0072b2", "#d55e00", "#009e73")


def write_peers(timings: Sequence[PeerTiming], picture: str | Path) -> Path:
    """Draw the seconds of each network as bars.

    Raises
    ------
    ValueError
        If matplotlib is not installed, or the picture cannot be written.
    """
    figure = _figure((7.2, 1.1 + 0.55 * len(timings)))
    axes = figure.subplots()
    names, colours = [timing.name for timing in timings], [_COLOURS[0], *("#999999" for _ in timings[1:])]
    bars = axes.barh(names, [timing.seconds for timing in timings], color=colours)
    axes.bar_label(bars, [f"{timing.seconds:.3g} s" for timing in timings], padding=4)
    axes.set(xscale="log", xlabel="seconds for the networks of one scan")
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    return _saved(figure, picture)


def write_scaling(runs: Sequence[ScaledRun], picture: str | Path) -> Path:
    """Draw processor time and peak memory over the area of all slices, with straight lines; errors as `write_peers`."""
    figure = _figure((9, 4.2))
    for axes, words, value in zip(
        figure.subplots(1, 2),
        ("processor time, s", "peak memory, MB"),
        (lambda run: run.cost.processor_s, lambda run: run.cost.peak_mb),
    ):
        for axis, colour in zip(AXES, _COLOURS):
            own = [run for run in runs if run.axis == axis]
            x, y = [run.size for run in own], [value(run) for run in own]
            slope, start, _ = straightness(x, y)
            axes.scatter(x, y, color=colour, label=f"fewer {axis}")
            axes.plot(x, [start + slope * size for size in x], color=colour, linewidth=1)
        axes.set(xlabel="area of all slices, cm²", ylabel=words, xlim=(0, None), ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return _saved(figure, picture)


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(
            "The picture cannot be drawn without matplotlib; install pip install 'SpinalTapLib[benchmark]'."
        ) from error
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _saved(figure: Any, picture: str | Path) -> Path:
    try:
        figure.savefig(picture, dpi=130)
    except OSError as error:
        raise ValueError(f"Could not write the picture {picture}: {error.strerror}.") from error
    return Path(picture)
