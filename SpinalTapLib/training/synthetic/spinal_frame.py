"""Curvilinear coordinates along the spine: level, lateral distance and posterior distance of each pixel.

Soft tissues (canal, cord, muscles, vessels) follow the spine and are therefore painted in these coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from .random_spine import SyntheticSpine

COARSE = 4
"""The coordinates are smooth: they are computed at every fourth pixel and interpolated."""


@dataclass(frozen=True)
class Grid:
    """Sagittal pixel grid: constant x, rows from superior to inferior, columns from anterior to posterior; LPS, mm."""

    x_mm: float
    y0_mm: float
    z0_mm: float
    rows: int
    columns: int
    pixel_mm: float

    def points(self, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Return the pixel centres, shape (rows, columns, 3), LPS, mm."""
        z = self.z0_mm - self.pixel_mm * np.arange(self.rows, dtype=np.float32)[rows]
        y = self.y0_mm + self.pixel_mm * np.arange(self.columns, dtype=np.float32)[columns]
        out = np.empty((len(z), len(y), 3), np.float32)
        out[..., 0], out[..., 1], out[..., 2] = self.x_mm, y[None, :], z[:, None]
        return out

    def columns_of(self, columns: slice) -> Grid:
        """Return the grid of a range of columns."""
        start = self.y0_mm + columns.start * self.pixel_mm
        return Grid(self.x_mm, start, self.z0_mm, self.rows, columns.stop - columns.start, self.pixel_mm)

    def window(self, centre: np.ndarray, reach_mm: float) -> tuple[slice, slice] | None:
        """Return the window of pixels within `reach_mm` of a point (3,), LPS, mm; None if it is empty."""
        row, col = (self.z0_mm - centre[2]) / self.pixel_mm, (centre[1] - self.y0_mm) / self.pixel_mm
        reach = reach_mm / self.pixel_mm
        r0, r1 = max(int(row - reach), 0), min(int(row + reach) + 2, self.rows)
        c0, c1 = max(int(col - reach), 0), min(int(col + reach) + 2, self.columns)
        return (slice(r0, r1), slice(c0, c1)) if r0 < r1 and c0 < c1 else None


@dataclass(frozen=True)
class SpinalFrame:
    """Coordinates of each pixel of a grid.

    Attributes
    ----------
    level : ndarray, shape (rows, columns)
        0 at the centre of S1, 1 at the centre of L5, and so on; negative in the sacrum below S1.
    side, back : ndarray, shape (rows, columns)
        Distance to the left of and behind the line through the centres of the bodies, mm.
    """

    level: np.ndarray
    side: np.ndarray
    back: np.ndarray

    def along(self, levels: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Interpolate `values`, given at `levels`, at every pixel."""
        return np.interp(self.level, levels, values).astype(np.float32)


def references(spine: SyntheticSpine) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return levels (k,), points (k, 3) and axes (k, 3, 3) along the spine, from the coccyx to the skull."""
    levels, points, axes = [], [], []
    for k, body in reversed(list(enumerate(spine.sacrum))):
        levels.append(-1.0 - k)
        points.append(body.centre)
        axes.append(body.axes)
    for i, body in enumerate(spine.vertebrae):
        for step in (-0.5, 0.5) if i else (0.0, 0.5):
            levels.append(i + 0.84 * step)
            points.append(body.centre + step * body.height * body.axes[:, 2])
            axes.append(body.axes)
    top = spine.vertebrae[-1]
    for k, rise in enumerate((30.0, 70.0, 120.0)):
        levels.append(len(spine.vertebrae) + float(k))
        points.append(top.centre + rise * top.axes[:, 2] * 0.6 + np.array([0, 0, 0.4 * rise]))
        axes.append(top.axes)
    return np.array(levels), np.array(points), np.array(axes)


def spinal_frame(spine: SyntheticSpine, grid: Grid) -> SpinalFrame:
    """Compute the coordinates of all pixels of a grid."""
    levels, points, axes = (a.astype(np.float32) for a in references(spine))
    rows = np.arange(0, grid.rows + COARSE, COARSE)
    columns = np.arange(0, grid.columns + COARSE, COARSE)
    big = Grid(grid.x_mm, grid.y0_mm, grid.z0_mm, rows[-1] + 1, columns[-1] + 1, grid.pixel_mm)
    p = big.points(slice(None, None, COARSE), slice(None, None, COARSE)).reshape(-1, 3)
    heights = p @ axes[:, :, 2].T - (points * axes[:, :, 2]).sum(1)  # height above each reference, (pixels, references)
    below = np.clip((heights >= 0).sum(1) - 1, 0, len(levels) - 2)
    g = np.arange(len(p))
    a, b = heights[g, below], heights[g, below + 1]
    f = np.clip(a / np.where(np.abs(a - b) < 1e-3, 1e-3, a - b), -1.5, 2.5)
    f = np.where((below > 0) & (below < len(levels) - 2), np.clip(f, 0, 1), f)

    def mix(column: int) -> np.ndarray:
        low = ((p - points[below]) * axes[below, :, column]).sum(1)
        high = ((p - points[below + 1]) * axes[below + 1, :, column]).sum(1)
        return low * (1 - f) + high * f

    fields = (levels[below] * (1 - f) + levels[below + 1] * f, mix(0), mix(1))
    shape = (len(rows), len(columns))
    smooth = (ndimage.gaussian_filter(field.reshape(shape), 0.7) for field in fields)
    return SpinalFrame(*(enlarged(field, grid.rows, grid.columns, COARSE) for field in smooth))


def enlarged(coarse: np.ndarray, rows: int, columns: int, step: int) -> np.ndarray:
    """Interpolate a field given at every `step`-th pixel linearly to rows x columns, float32."""
    across = _linear_weights(columns, coarse.shape[1], step)
    return _linear_weights(rows, len(coarse), step) @ coarse.astype(np.float32) @ across.T


@lru_cache(maxsize=64)
def _linear_weights(count: int, known: int, step: int) -> np.ndarray:
    """Return interpolation weights, shape (count, known); the last known value extends to the end."""
    place = np.minimum(np.arange(count) / step, known - 1)
    low = np.minimum(place.astype(int), max(known - 2, 0))
    weights = np.zeros((count, known), np.float32)
    weights[np.arange(count), low] = 1 - (place - low)
    weights[np.arange(count), np.minimum(low + 1, known - 1)] += place - low
    return weights


def waves(rng: np.random.Generator, points: np.ndarray, length_mm: float, count: int = 6) -> np.ndarray:
    """Return smooth random noise at points, shape (..., 3), mm: a sum of cosine waves with about unit variance."""
    k = rng.normal(0, 1, (count, 3)) * (2 * np.pi / length_mm) * rng.uniform(0.5, 1.5, (count, 1))
    phase = rng.uniform(0, 2 * np.pi, count)
    return np.cos(points @ k.T.astype(np.float32) + phase.astype(np.float32)).sum(-1) * np.sqrt(2 / count)
