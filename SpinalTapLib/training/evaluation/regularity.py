"""Measure the regularity of a 3-D shape: the volume that an opening removes and a closing adds."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BALL_MM = 4.0
"""Radius of the structuring ball, mm. Thinner parts count as spurs, narrower gaps as notches; a regular body loses a
little volume at its corners."""


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


def _distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance from every voxel to the nearest voxel outside the mask; infinite if there is none."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(mask)
