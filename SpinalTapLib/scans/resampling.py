"""Resample a scan to the working volume, the resolution of the detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from .volume import SagittalVolume

WORKING_PIXEL_MM = 1.0
"""Pixel size that the networks are trained at: a lumbar body is about 27 pixels high, a cervical one 13."""
MIN_SLICE_MM = 2.0
"""Least slice distance; thinner slices are averaged, because the networks were trained on 2-D acquisitions with their
higher signal-to-noise ratio."""

_SLACK = 0.025
"""Fraction by which slices may be thinner than the minimum without averaging, such as 1.98 mm instead of 2 mm."""


def working_volume(
    volume: SagittalVolume, pixel_mm: float = WORKING_PIXEL_MM, min_slice_mm: float = MIN_SLICE_MM
) -> SagittalVolume:
    """Resample a volume to square pixels in the sagittal plane, and average slices that are too thin.

    Parameters
    ----------
    volume : SagittalVolume
        A scan of any resolution.
    pixel_mm : float
        Edge of the new pixels, mm.
    min_slice_mm : float
        Least slice distance, mm; thinner slices are averaged to about this distance.

    Returns
    -------
    SagittalVolume
        The same orientation, name and warnings; every point keeps its LPS position. Its `source` is None, or that of
        `volume` if no resampling was needed.

    Raises
    ------
    ValueError
        If a requested resolution is not above zero.

    Notes
    -----
    The new slices divide the whole width of the old ones evenly; an old slice on the border of two new ones counts in
    part in each. Thus the same anatomy stored with other slices gives nearly the same working volume. In the plane,
    the new grid is centred on the old one. Pixels are weighted with a cubic kernel (Keys, IEEE Trans ASSP 29(6), 1981),
    which is widened for downsampling to avoid aliasing.
    """
    if not (pixel_mm > 0 and min_slice_mm > 0):
        raise ValueError(
            f"The working resolution must be above zero; got {pixel_mm} mm pixels, {min_slice_mm} mm slices."
        )
    slice_mm, row_mm, column_mm = volume.spacing_mm
    old_slices = len(volume.array)
    slices = min(old_slices, max(1, int(old_slices * slice_mm / (min_slice_mm * (1 - _SLACK)))))
    step = old_slices / slices
    rows, first_row, row_step = _axis(volume.array.shape[1], row_mm, pixel_mm)
    columns, first_column, column_step = _axis(volume.array.shape[2], column_mm, pixel_mm)
    if step == row_step == column_step == 1:
        return volume
    down = _weights(volume.array.shape[1], rows, first_row, row_step)
    across = _weights(volume.array.shape[2], columns, first_column, column_step)
    array = np.empty((slices, rows, columns), np.float32)
    for index in range(slices):
        mean = _mean_slice(volume.array, index * step, (index + 1) * step)
        array[index] = (across @ (down @ mean).T).T
    # New index to old index: scale and shift along each axis.
    change = np.diag([step, row_step, column_step, 1.0])
    change[:3, 3] = (step - 1) / 2, first_row, first_column
    return replace(volume, array=array, matrix=volume.matrix @ change, source=None)


def _mean_slice(array: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return the mean of the slices between two positions, in slices from the outer edge of the first one."""
    first, last = int(start + 1e-6), int(np.ceil(end - 1e-6))
    if last - first == 1:
        return array[first]
    edges = np.arange(first, last + 1)
    weights = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return np.tensordot((weights / weights.sum()).astype(np.float32), array[first:last], 1)


def _axis(count: int, spacing_mm: float, pixel_mm: float) -> tuple[int, float, float]:
    """Return the new pixel count, the old index of new pixel 0, and the step, for two grids with a common centre."""
    step = pixel_mm / spacing_mm
    if abs(step - 1) * count < 1e-3:  # less than a thousandth of a pixel over the whole image
        return count, 0.0, 1.0
    new_count = max(1, round(count / step))
    return new_count, (count - 1) / 2 - step * (new_count - 1) / 2, step


def _weights(count: int, new_count: int, first: float, step: float) -> csr_matrix:
    """Return the weights of old pixels in new ones, (new_count, count); edge pixels are repeated beyond the edge."""
    width = max(step, 1.0)
    centres = first + step * np.arange(new_count)
    reach = int(np.ceil(2 * width))
    old = np.floor(centres).astype(int)[:, None] + np.arange(-reach, reach + 2)
    weights = _keys((old - centres[:, None]) / width)
    weights /= weights.sum(1, keepdims=True)
    new = np.repeat(np.arange(new_count), old.shape[1])
    entries = (weights.ravel().astype(np.float32), (new, np.clip(old, 0, count - 1).ravel()))
    matrix = csr_matrix(entries, shape=(new_count, count))
    matrix.eliminate_zeros()
    return matrix


def _keys(distance: np.ndarray) -> np.ndarray:
    """Return Keys' cubic convolution kernel with a = -1/2 at a distance in pixels."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
