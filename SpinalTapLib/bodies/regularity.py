"""Measure the regularity of a 3-D shape: the volume that an opening removes and a closing adds."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

MOST_REMOVED, MOST_FILLED = 0.08, 0.02
"""Largest fractions of the volume that an opening removes from, and a closing adds to, a regular body."""
CHECK_REMOVED, CHECK_FILLED = 0.072, 0.014
"""The same limits for `is_regular`, lower because the figures of one shape differ between grids, most at the image's
sides."""
BALL_MM = 4.0
"""Radius of the structuring ball, mm. Thinner parts count as spurs, narrower gaps as notches; a regular body loses a
little volume at its corners."""
SMALL_SHARE = 0.135
"""Largest radius of the ball, as a share of the cube root of the volume: `BALL_MM` for a body of 30 mm. A ball of
4 mm takes 13 % from a regular T3, whose corners are as sharp as those of a lumbar body."""


def ball_mm(volume_mm3: float) -> float:
    """Return the radius of the ball, mm, for a body of a volume, mm³: `BALL_MM`, or less for a small body."""
    return min(BALL_MM, SMALL_SHARE * float(np.cbrt(volume_mm3)))


def irregularity(mask: np.ndarray, radius: float) -> tuple[float, float]:
    """Return the fractions of a shape's volume that an opening removes and a closing adds.

    Parameters
    ----------
    mask : ndarray of bool, shape (slices, rows, columns)
        The shape on an isotropic grid. At the first and last slice it is extended beyond the array, because the image
        ends there and not the body.
    radius : float
        Radius of the ball, voxels.

    Returns
    -------
    removed, filled : float
        Fractions of the shape's volume; NaN for an empty mask.
    """
    volume = np.count_nonzero(mask)
    if not volume:
        return float("nan"), float("nan")
    reach = int(np.ceil(radius)) + 2
    wider = np.pad(mask, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    inside = np.pad(wider, ((0, 0), (reach, reach), (reach, reach)))
    own = slice(reach, -reach), slice(reach, -reach), slice(reach, -reach)
    core = _distance(inside) > radius
    opened = (_distance(~core) <= radius) & inside if core.any() else core
    closed = _distance(_distance(~inside) <= radius) > radius
    removed = volume - np.count_nonzero(opened[own])
    filled = np.count_nonzero(closed[own] & ~mask)
    return removed / volume, filled / volume


def is_regular(field: np.ndarray, steps_mm: np.ndarray) -> bool:
    """Return whether an opening and a closing change a shape by `CHECK_REMOVED` and `CHECK_FILLED` at most.

    The radius is that of `ball_mm`.

    Parameters
    ----------
    field : ndarray, shape (planes, rows, columns)
        Distance to the wall, mm, positive inside. If the image cuts the shape, its side is the first or last plane.
    steps_mm : ndarray, shape (3,)
        Voxel size, mm, about the same along the three axes.
    """
    mask = field[1:] + field[:-1] > 0  # between the planes, as a plane in the image's side is half inside
    if not mask.any():
        return False
    box = [slice(max(int(i.min()) - 1, 0), int(i.max()) + 2) for i in np.nonzero(mask)]
    step_mm = float(np.mean(steps_mm))
    radius_mm = ball_mm(float(np.count_nonzero(mask)) * step_mm**3)
    removed, filled = irregularity(mask[tuple(box)], radius_mm / step_mm)
    return bool(removed <= CHECK_REMOVED and filled <= CHECK_FILLED)


def _distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance from every voxel to the nearest voxel outside the mask; infinite if there is none."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(mask)
