"""Sample images between their pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


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
