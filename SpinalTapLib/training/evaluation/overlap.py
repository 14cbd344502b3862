"""Compare two masks: Dice coefficient and average symmetric surface distance."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Dice coefficient, 0-1, of two masks of the same shape; NaN if both are empty."""
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else float("nan")


def surface_distance_mm(first: np.ndarray, second: np.ndarray, spacing_mm: np.ndarray) -> float:
    """Return the average symmetric surface distance of two masks, mm.

    Parameters
    ----------
    first, second : ndarray of bool
        Two masks of the same shape, in any number of dimensions.
    spacing_mm : ndarray, shape (dimensions,)
        Spacing along each axis.

    Returns
    -------
    float
        Mean distance from the surface elements of each mask to the nearest surface element of the other (Heimann et
        al., IEEE TMI 28:1251, 2009); NaN if a mask is empty. A surface element is an element of the mask with a face
        neighbour outside the mask or outside the array.
    """
    if not first.any() or not second.any():
        return float("nan")
    box = _box(first | second)
    surfaces = [_surface(mask[box]) for mask in (first, second)]
    sums = [
        ndimage.distance_transform_edt(~other, sampling=spacing_mm)[one].sum()
        for one, other in (surfaces, surfaces[::-1])
    ]
    return float(sum(sums) / sum(np.count_nonzero(surface) for surface in surfaces))


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the bounding box of a non-empty mask."""
    axes = range(mask.ndim)
    spans = (np.flatnonzero(mask.any(tuple(other for other in axes if other != axis))) for axis in axes)
    return tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
