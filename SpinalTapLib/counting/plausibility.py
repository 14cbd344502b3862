"""Check that named vertebrae can be those of a person: up is up, the sizes are in order, the sacrum is tilted.

The networks judge one vertebra at a time. In a picture that lies on its side, upside down or mirrored from front to
back they may still be wrong together, and only the column as a whole shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..scans.sampling import bilinear
from ..scans.volume import SagittalVolume
from .rungs import rung_from_points

GREATEST_LEAN = 60.0
"""Largest angle, degrees, between the line from the lowest to the highest vertebra and the rows' own direction: spines
with severe scoliosis or kyphosis have up to about 40."""

LEAST_FOR_SIZES = 6
"""Least number of vertebrae from which the order of their sizes is judged."""

GREATEST_GROWTH = 1.25
"""Largest ratio of the mean size (root of height times depth) of the three highest to that of the three lowest
vertebrae. It is below 1 in people, as vertebrae grow from the neck to the sacrum; a single crushed or cut one is the
reason for the margin."""

LEAST_SACRAL_TILT = -5.0
"""Least angle, degrees, by which S1 is tilted forward against the second vertebra above it. In 9 of SPIDER's slices it
was 48 to 60; a picture that is mirrored from front to back has the opposite sign. An angle around zero, whose sign may
be that of an error of rounding or of the corners, speaks for neither."""

LEAST_SIGNAL = 0.3
"""Least brightness of the middle of a body, as a share of the median of all bodies, above the darkest hundredth of its
slice. Beside metal there is next to none; in 101 of SPIDER's slices the darkest body had 0.61."""


def objection(names: Sequence[str | None], corners: np.ndarray, down: np.ndarray, back: np.ndarray) -> str:
    """Return why the names of a column cannot be right, in a sentence, or an empty string.

    Parameters
    ----------
    names : sequence of str or None
        From the bottom up; None for a vertebra without a name.
    corners : ndarray, shape (n, 4, 3)
        Corners in the order of `vertebra.CORNERS`, LPS, mm.
    down, back : ndarray, shape (3,)
        Unit vectors of the rows' and the columns' direction (superior to inferior, anterior to posterior), LPS.
    """
    named = [i for i, name in enumerate(names) if name is not None]
    if lean(corners[named], down) > GREATEST_LEAN:
        return _sentence("the vertebrae that were found do not lie one above the other")
    sizes = _sizes(corners[named])
    if len(named) >= LEAST_FOR_SIZES and sizes[-3:].mean() > GREATEST_GROWTH * sizes[:3].mean():
        return _sentence("the vertebrae become larger from the bottom up, as in an image that is upside down")
    if "S1" in names:
        s1 = names.index("S1")
        tilts = _tilts(corners, down, back)
        if s1 + 2 < len(names) and tilts[s1] - tilts[s1 + 2] < LEAST_SACRAL_TILT:
            return _sentence("the sacrum is tilted backwards, as in an image that is mirrored from front to back")
    return ""


def lean(corners: np.ndarray, down: np.ndarray) -> float:
    """Return the angle, degrees, between the line from the lowest to the highest body and the way up.

    Parameters
    ----------
    corners, down
        As for `objection`; the angle is 0 for fewer than two bodies.
    """
    if len(corners) < 2:
        return 0.0
    way = corners[-1].mean(0) - corners[0].mean(0)
    return float(np.degrees(np.arccos(np.clip(-(way @ down) / max(float(np.linalg.norm(way)), 1e-6), -1, 1))))


def without_signal(corners: np.ndarray, volume: SagittalVolume) -> frozenset[int]:
    """Return which bodies lie in a signal void, as beside metal.

    Parameters
    ----------
    corners : ndarray, shape (n, 4, 3)
        Corners in the order of `vertebra.CORNERS`, LPS, mm.
    volume : SagittalVolume
        The working volume.
    """
    if len(corners) < 3:
        return frozenset()
    steps = np.linspace(-0.3, 0.3, 7)  # the middle of a body, in its sizes
    own = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)
    bright = []
    for points in corners:
        rung = rung_from_points(volume, points)
        plane = volume.array[int(np.clip(round(rung.slice), 0, len(volume.array) - 1))]
        bright.append(float(bilinear(plane, rung.to_image(own)).mean() - np.quantile(plane, 0.01)))
    return frozenset(np.flatnonzero(np.array(bright) < LEAST_SIGNAL * np.median(bright)).tolist())


def objection_of_signal(names: Sequence[str | None], dark: Collection[int]) -> str:
    """Return a sentence if the end from which the levels are counted lies in a signal void, or an empty string.

    Parameters
    ----------
    names
        As for `objection`.
    dark : collection of int
        Bodies in a void; see `without_signal`.
    """
    end = next((name for name in ("S1", "C2") if name in names), None)
    if end is None or names.index(end) not in dark:
        return ""
    return _sentence(f"the scan shows no signal (metal?) where {end} would be")


def _sentence(what: str) -> str:
    return (
        f"The levels are not named, because {what}; check the scan's orientation. If it is right, choose a vertebra "
        "whose level you know and name it."
    )


def _sizes(corners: np.ndarray) -> np.ndarray:
    """Return the root of mean height times mean depth of each vertebra, mm, shape (n,)."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # upper, posterior, lower, anterior
    return np.sqrt((sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])) / 2


def _tilts(corners: np.ndarray, down: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Return how far each vertebra leans forward, degrees, shape (n,)."""
    up = corners[:, :2].mean(1) - corners[:, 2:].mean(1)
    return np.degrees(np.arctan2(-(up @ back), -(up @ down)))
