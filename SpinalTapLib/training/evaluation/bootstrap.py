"""Bootstrap confidence intervals of figures, resampled by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
_LEVEL = 95.0


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % confidence interval; all NaN if there is nothing to count.

    Attributes
    ----------
    value : float
        The figure.
    low, high : float
        Interval; NaN for fewer than two subjects.
    count : float
        Denominator of the ratio.
    """

    value: float
    low: float
    high: float
    count: float

    def words(self, decimals: int) -> str:
        """Return the figure and its interval, such as ``"0.987 (0.975-0.996)"``."""
        if np.isnan(self.value):
            return "–"
        figure = f"{self.value:.{decimals}f}"
        return figure if np.isnan(self.low) else f"{figure} ({self.low:.{decimals}f}–{self.high:.{decimals}f})"


def ratio(
    parts: Sequence[float], wholes: Sequence[float], subjects: Sequence[str], resamples: int = RESAMPLES
) -> Estimate:
    """Return the ratio of two sums over cases, with its percentile bootstrap interval over subjects.

    Parameters
    ----------
    parts, wholes : sequence of float, length n
        Numerator and denominator of each case. With summed distances and their number, the ratio is a mean.
    subjects : sequence of str, length n
        Subject of each case; all cases of a subject are drawn together.
    resamples : int
        Number of bootstrap samples, drawn with a fixed seed.
    """
    names = sorted(set(subjects))
    of = np.array([names.index(subject) for subject in subjects], dtype=int)
    sums = np.array([np.bincount(of, np.asarray(values, dtype=float), len(names)) for values in (parts, wholes)])
    part, whole = sums.sum(1) if names else (0.0, 0.0)
    if whole == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    low = high = float("nan")
    if len(names) > 1:
        drawn = np.random.default_rng(0).integers(0, len(names), (resamples, len(names)))
        top, bottom = sums[0][drawn].sum(1), sums[1][drawn].sum(1)
        ratios = top[bottom > 0] / bottom[bottom > 0]
        low, high = (float(x) for x in np.percentile(ratios, (50 - _LEVEL / 2, 50 + _LEVEL / 2)))
    return Estimate(float(part / whole), low, high, float(whole))
