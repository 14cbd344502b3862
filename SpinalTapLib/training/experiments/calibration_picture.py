"""Plot the calibration: the fraction of correct vertebrae by confidence and by score."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .calibration import CalibrationStudy
from .level_odds import OddsStudy

_log = logging.getLogger(__name__)


def write_picture(study: CalibrationStudy, picture: str | Path) -> Path | None:
    """Plot the fraction of correct vertebrae by confidence, and by score together with the fitted curve.

    Returns
    -------
    Path or None
        The picture; None, with a message in the log, if matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        _log.warning("No picture was drawn: it needs matplotlib (pip install 'SpinalTapLib[train]').")
        return None
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw(left, [(j.confidence, j.right) for j in study.judged], "confidence given")
    left.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--", label="perfectly calibrated")
    _draw(right, [(j.score, j.right) for j in study.fitted], "the detector's own score")
    x = np.linspace(0, 1, 101)
    right.plot(x, [study.calibration(v) for v in x], color="#0072b2", label="fitted curve")
    for axes in (left, right):
        axes.set_ylabel("share that is right")
        axes.legend(frameon=False, loc="lower right")
    try:
        figure.savefig(picture, dpi=130)
    except OSError as error:
        raise ValueError(f"Could not write the picture {picture}: {error.strerror}.") from error
    return Path(picture)


def write_odds(study: OddsStudy, picture: str | Path) -> Path | None:
    """Plot the fraction of correct names by their stated probability; result as for `write_picture`."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        _log.warning("No picture was drawn: it needs matplotlib (pip install 'SpinalTapLib[train]').")
        return None
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, count, mean, right in study.table():
        if count:
            axes.scatter(mean, right, s=12 + count / 3, color="#d55e00", alpha=0.75, linewidth=0)
            axes.annotate(f"{name}\n{count}", (mean, right), fontsize=7, ha="left", va="top")
    axes.plot([0.5, 1], [0.5, 1], color="#888888", linewidth=1, linestyle="--", label="perfectly calibrated")
    axes.set(xlim=(0.48, 1.04), ylim=(0.3, 1.04), xlabel="stated probability of a name", ylabel="share that is right")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    try:
        figure.savefig(picture, dpi=130)
    except OSError as error:
        raise ValueError(f"Could not write the picture {picture}: {error.strerror}.") from error
    return Path(picture)


def _draw(axes: Any, pairs: Sequence[tuple[float, bool]], name: str) -> None:
    """Plot the fraction of correct vertebrae in each tenth; the size of a point shows their number."""
    x, y = (np.array(values, float) for values in zip(*pairs)) if pairs else (np.zeros(0), np.zeros(0))
    place = np.minimum((x * 10).astype(int), 9)
    for k in np.unique(place):
        mine = place == k
        axes.scatter(x[mine].mean(), y[mine].mean(), s=12 + 3 * mine.sum(), color="#d55e00", alpha=0.75, linewidth=0)
        axes.annotate(str(mine.sum()), (x[mine].mean(), y[mine].mean()), fontsize=7, ha="center", va="center")
    axes.set(xlim=(0, 1.04), ylim=(-0.04, 1.08), xlabel=name)
    axes.grid(alpha=0.3)
