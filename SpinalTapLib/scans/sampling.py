"""Sample images between their pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

_ON_GRID = 1e-6
"""Distance, in voxels, up to which a point counts as lying on a voxel centre: more than rounding errors."""


def bilinear(images: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the values of images at points between their pixels.

    Parameters
    ----------
    images : ndarray, shape (rows, columns) or (n, rows, columns)
    points : ndarray, shape (..., 2)
        (row, column), px; pixel centres are whole numbers. Outside the image, the nearest pixel is used.

    Returns
    -------
    ndarray of float, shape (...) or (n, ...)
    """
    at = np.moveaxis(np.asarray(points, float), -1, 0)
    if images.ndim == 2:
        return ndimage.map_coordinates(images, at, output=float, order=1, mode="nearest", prefilter=False)
    return np.stack([bilinear(image, points) for image in images])


def on_parallel_grid(
    array: np.ndarray,
    start: Sequence[float] | np.ndarray,
    step: Sequence[float] | np.ndarray,
    shape: Sequence[int],
    outside: float | None = None,
) -> np.ndarray:
    """Return an array, linearly interpolated, on a grid with axes parallel to its own.

    It is interpolated along one axis after the other, which takes a fraction of the time of a general transform.

    Parameters
    ----------
    array : ndarray, n axes, float
    start : sequence of n float
        Index in `array` of the first point of the new grid.
    step : sequence of n float
        Distances of the new grid's points, in voxels of `array`.
    shape : sequence of n int
        Shape of the new grid.
    outside : float, optional
        Value outside the centres of the array's outermost voxels; the nearest voxel's value if omitted.

    Returns
    -------
    ndarray of that shape, with the type of `array`
    """
    out, beyond = array, []
    for axis, count in enumerate(shape):
        at = start[axis] + step[axis] * np.arange(count)
        last = array.shape[axis] - 1
        beyond.append((at < -_ON_GRID) | (at > last + _ON_GRID))
        at = np.clip(at, 0, last)
        at = np.where(np.abs(at - np.rint(at)) < _ON_GRID, np.rint(at), at)
        low = np.floor(at).astype(int)
        share = (at - low).astype(array.dtype)
        below = out.take(low, axis)
        if share.any():
            above = out.take(np.minimum(low + 1, last), axis)
            above -= below
            above *= share.reshape([-1 if i == axis else 1 for i in range(array.ndim)])
            below += above
        out = below
    if outside is not None:
        for axis, away in enumerate(beyond):
            if away.any():
                np.moveaxis(out, axis, 0)[away] = outside
    return out
