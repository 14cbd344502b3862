"""Sample the two views of the spine, side and front, along surfaces that follow its bends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import affine_transform, gaussian_filter
from skimage.measure import find_contours

from ..scans.volume import SagittalVolume
from ..spine.vertebra import Vertebra

# Lateral range of the centroids up to which a spine is shown on a single slice as acquired (at least one slice).
_STRAIGHT_MM = 5.0
# Blur of a mask before its outline is traced: removes the steps of 1 mm pixels and 4 mm slices, preserves the shape.
_BLUR_MM = 1.0
_BLUR_VOXELS = 0.35
_EVERY = 3  # only every third point of an outline, which has more than one a pixel, is kept: it is smooth
_PAD = 3  # voxels of background around a mask, so that its outline is closed and the blur is not cut off
_MAX_FRONT_MM = 60.0  # half of the largest width of the front view: isotropic scans are wider than any spine
_BESIDE_MM = (75.0, 70.0)  # width shown anterior and posterior to the bodies
_HALF_PERCENT = (0.5, 99.5)  # percentiles of the grey values shown as black and white


@dataclass(frozen=True, eq=False)
class Section:
    """A picture of the volume along the spine, with square pixels.

    Attributes
    ----------
    image : ndarray, shape (rows, columns), float32
        Grey values of the volume.
    pixels_per_mm : float
        Scale.
    flat : str
        The volume's axis along the picture's columns: ``"column"`` (side view) or ``"slice"`` (front view).
    curved : bool
        Whether the surface is curved; if not, the picture is one slice as acquired.
    """

    image: np.ndarray
    pixels_per_mm: float
    flat: str
    curved: bool
    _volume: SagittalVolume
    _surface: _Surface
    _start: np.ndarray  # (2,): position of the picture's pixel (0, 0) in the flat array
    _step: np.ndarray  # (2,): pixels of the flat array per pixel of the picture

    def position_of(self, points_lps_mm: np.ndarray) -> np.ndarray:
        """Return (row, column) in the picture, px, shape (..., 2), of points in LPS mm, shape (..., 3)."""
        across = 2 if self.flat == "column" else 0
        return (self._volume.to_index(points_lps_mm)[..., [1, across]] - self._start) / self._step

    def outlines(self, labels: np.ndarray, value: int) -> list[np.ndarray]:
        """Return the outlines of a label value on the section.

        Parameters
        ----------
        labels : ndarray, shape (slice, row, column)
            Label map on the volume's grid.
        value : int
            The label value.

        Returns
        -------
        list of ndarray, shape (n, 2)
            Closed lines in the picture, (row, column), px, the longest first.
        """
        mask = self._surface.sample(labels, value)
        if not mask.any():
            return []
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        low = np.array([rows[0], columns[0]]) - _PAD
        cut = np.pad(mask, _PAD)[rows[0] : rows[-1] + 2 * _PAD + 1, columns[0] : columns[-1] + 2 * _PAD + 1]
        fine, zoom = _enlarged(cut, self._step)
        smooth = gaussian_filter(fine, np.maximum(_BLUR_MM * self.pixels_per_mm, _BLUR_VOXELS / self._step))
        found = (np.concatenate([line[:-1:_EVERY], line[-1:]]) for line in find_contours(smooth, 0.5))
        lines = [(line * zoom + low - self._start) / self._step for line in found]
        return sorted(lines, key=len, reverse=True)


@dataclass(frozen=True, eq=False)
class _Surface:
    """A surface through the volume: for each row, the position of its slice (side view) or column (front view)."""

    place: np.ndarray  # (rows,), fractional slice or column
    axis: int  # axis of `place` in the volume: 0 for slices, 2 for columns

    def sample(self, array: np.ndarray, value: int | None = None) -> np.ndarray:
        """Interpolate the array (or the mask of `value`) on the surface; return shape (rows, columns or slices)."""
        array = np.moveaxis(array, self.axis, 0)  # (across, rows, flat) or (across, slices, rows)
        if self.axis == 2:
            array = array.swapaxes(1, 2)
        below = np.clip(np.floor(self.place).astype(int), 0, len(array) - 1)
        above = np.minimum(below + 1, len(array) - 1)
        part = (self.place - below)[:, None].astype(np.float32)
        rows = np.arange(array.shape[1])
        first, second = array[below, rows], array[above, rows]
        if value is not None:
            first, second = first == value, second == value
        return (1 - part) * first + part * second


def _enlarged(mask: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask enlarged to about the picture's resolution, and the size of a new pixel in old pixels, (2,)."""
    shape = [max(round((n - 1) / s) + 1, n) for n, s in zip(mask.shape, step)]
    zoom = np.array([(n - 1) / (m - 1) for n, m in zip(mask.shape, shape)])
    return affine_transform(mask.astype(np.float32), zoom, output_shape=tuple(shape), order=1), zoom


def side_section(volume: SagittalVolume, vertebrae: Sequence[Vertebra], pixels_per_mm: float) -> Section:
    """Return the mid-sagittal view: one slice as acquired, or, if the spine bends laterally, a curved surface.

    The surface passes through the centroids and is flattened laterally only: rows and columns keep their positions.
    """
    place = _place_along(volume, vertebrae, 0)
    columns = _columns_shown(volume, vertebrae)
    return _section(volume, place, 0, columns, pixels_per_mm)


def front_section(volume: SagittalVolume, vertebrae: Sequence[Vertebra], pixels_per_mm: float) -> Section:
    """Return the front view, with the patient's right on the left, on a surface through the centroids."""
    place = _place_along(volume, vertebrae, 2)
    middle = (len(volume.array) - 1) / 2
    if vertebrae:
        middle = float(np.median(volume.to_index(np.array([v.centroid_lps_mm for v in vertebrae]))[:, 0]))
    reach = _MAX_FRONT_MM / volume.spacing_mm[0]
    slices = max(0.0, middle - reach), min(len(volume.array) - 1.0, middle + reach)
    return _section(volume, place, 2, slices, pixels_per_mm)


def window(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return grey values as brightness, 0-255, black at `low` and white at `high`."""
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255


def spine_window(volume: SagittalVolume, vertebrae: Sequence[Vertebra]) -> tuple[float, float]:
    """Return the grey values shown as black and white: percentiles around the bodies, without subcutaneous fat."""
    array = volume.array
    if vertebrae:
        corners = volume.to_index(np.concatenate([v.corners_lps_mm for v in vertebrae]))
        margin = 40.0 / volume.spacing_mm[1:]
        low = np.maximum(np.floor(corners.min(0)[1:] - margin).astype(int), 0)
        high = np.ceil(corners.max(0)[1:] + margin).astype(int) + 1
        middle = int(np.clip(np.median(corners[:, 0]).round(), 0, len(array) - 1))
        array = array[middle, low[0] : high[0], low[1] : high[1]]
    shown = array[array > array.min()] if array.size else volume.array
    return tuple(np.percentile(shown if shown.size else volume.array, _HALF_PERCENT))  # type: ignore[return-value]


def _place_along(volume: SagittalVolume, vertebrae: Sequence[Vertebra], axis: int) -> np.ndarray:
    """Return the slice (axis 0) or column (axis 2) of a smooth line through the centroids, for each row, (rows,)."""
    rows = np.arange(volume.array.shape[1], dtype=float)
    last = volume.array.shape[axis] - 1
    if not vertebrae:
        return np.full(len(rows), last // 2, dtype=float)
    index = volume.to_index(np.array([v.centroid_lps_mm for v in vertebrae]))
    at, place = _increasing(index[:, 1], index[:, axis])
    if axis == 0 and np.ptp(place) < max(1.0, _STRAIGHT_MM / volume.spacing_mm[0]):
        return np.full(len(rows), float(np.clip(round(float(np.median(place))), 0, last)))
    line = PchipInterpolator(at, place)(np.clip(rows, at[0], at[-1])) if len(at) > 1 else np.full(len(rows), place[0])
    return np.clip(line, 0, last)


def _increasing(at: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and values sorted by position, without those within 1 row of the one before."""
    order = np.argsort(at)
    at, values = at[order], values[order]
    keep = np.concatenate([[True], np.diff(at) > 1])
    return at[keep], values[keep]


def _columns_shown(volume: SagittalVolume, vertebrae: Iterable[Vertebra]) -> tuple[float, float]:
    last = volume.array.shape[2] - 1.0
    corners = [v.corners_lps_mm for v in vertebrae]
    if not corners:
        return 0.0, last
    columns = volume.to_index(np.concatenate(corners))[:, 2]
    before, behind = (distance / volume.spacing_mm[2] for distance in _BESIDE_MM)
    return max(0.0, float(columns.min()) - before), min(last, float(columns.max()) + behind)


def _section(
    volume: SagittalVolume, place: np.ndarray, axis: int, shown: tuple[float, float], pixels_per_mm: float
) -> Section:
    """Return the section of a surface, resampled to square pixels: all rows, and the columns (or slices) `shown`."""
    surface = _Surface(place, axis)
    flat = surface.sample(volume.array)
    spacing = volume.spacing_mm[[1, 2 if axis == 0 else 0]]
    step = 1 / (pixels_per_mm * spacing)
    start = np.array([-0.5, shown[0] - 0.5]) + step / 2
    size = np.maximum(np.round((np.array([len(flat), shown[1] - shown[0] + 1])) / step).astype(int), 1)
    soft = gaussian_filter(flat, np.where(step > 1, 0.4 * step, 0))  # avoids aliasing if the picture is coarser
    image = affine_transform(soft, step, start, tuple(size), order=3, mode="nearest")
    return Section(
        image, pixels_per_mm, "slice" if axis else "column", bool(np.ptp(place) > 0), volume, surface, start, step
    )
