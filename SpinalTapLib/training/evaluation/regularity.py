"""Measure the regularity of a 3-D shape: the volume that an opening removes and a closing adds."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BALL_MM = 4.0
"""Radius of the ball of opening and closing, mm. Thinner parts count as spurs, narrower gaps as bites; the corners of a
regular body lose a little as well."""


def irregularity(mask: np.ndarray, radius: float) -> tuple[float, float]:
    """Return the shares of a shape's volume that an opening removes and a closing adds.

    Parameters
    ----------
    mask : ndarray of bool, shape (slices, rows, columns)
        The shape on an isotropic grid. Where it touches the first or last slice it is continued beyond it: the
        image cut it there.
    radius : float
        Of the ball, in voxels.

    Returns
    -------
    removed, filled : float
        Shares of the shape's volume; NaN for an empty mask.
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
    """Return the distance of every voxel to the nearest one outside of a mask; far where there is none."""
    if mask.all():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(mask)
