"""Tracks, the corners of a vertebra in every slice, and windows, the boxes of voxels around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..spine.quadrilaterals import depth, height

MAX_SHEAR = 1.0
"""Largest tilt of a vertebra's left-right axis against the slice normal, mm per mm (45 degrees)."""
_BASELINE = 2
"""Least distance, in slices, between which slopes are measured; those of adjacent slices are mostly noise."""


def soft_step(distance_px: np.ndarray) -> np.ndarray:
    """Return the fraction, 0-1, of a pixel on the positive side of an edge, from its signed distance to the edge."""
    return np.clip(distance_px + 0.5, 0, 1)


@dataclass(frozen=True, eq=False)
class Window:
    """A box of voxels of the working volume; it may extend beyond the volume.

    Attributes
    ----------
    first : int
        Working slice of the window's slice 0.
    corner : ndarray of int, shape (2,)
        (row, column) of the window's pixel (0, 0) in the working volume.
    shape : tuple of int
        Slices, rows, columns.
    """

    first: int
    corner: np.ndarray
    shape: tuple[int, int, int]

    def shows(self, index: int) -> bool:
        """Return whether the window includes working slice `index`."""
        return self.first <= index < self.first + self.shape[0]

    def of_image(self, size: Sequence[int]) -> tuple[slice, slice]:
        """Return the window's part of an image of a given size, (rows, columns), as slices of the image."""
        low = np.clip(self.corner, 0, size)
        high = np.clip(self.corner + self.shape[1:], 0, size)
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))

    def of_itself(self, size: Sequence[int]) -> tuple[slice, slice]:
        """Return the part of the window inside an image of a given size, as slices of the window."""
        rows, columns = self.of_image(size)
        down, across = (int(c) for c in self.corner)
        return slice(rows.start - down, rows.stop - down), slice(columns.start - across, columns.stop - across)


@dataclass(frozen=True, eq=False)
class Track:
    """One vertebra's quadrilateral in every slice of a window.

    Attributes
    ----------
    window : Window
        Encloses the vertebra with a margin; its outermost slices lie beyond the vertebra.
    quads : ndarray, shape (slices, 4, 2)
        Corners in each of the window's slices, (row, column) of the image, px: detected, interpolated or extrapolated.
    seen : tuple of int
        Working slices in which corners were detected, ascending.
    shear : ndarray, shape (2,)
        Movement of the vertebra from one slice to the next, (row, column), px: the tilt of its left-right axis.
    side : int
        Number of slices that the vertebra may extend beyond the outermost ones with detected corners.
    pixel_mm : float
        Pixel size, mm.
    """

    window: Window
    quads: np.ndarray
    seen: tuple[int, ...]
    shear: np.ndarray
    side: int
    pixel_mm: float

    @property
    def middle(self) -> int:
        """The middle one of the working slices with detected corners."""
        return self.seen[len(self.seen) // 2]

    @cached_property
    def distances(self) -> np.ndarray:
        """Signed distances of the window's voxels to the quadrilaterals, px, negative inside, shape of the window."""
        return np.stack([polygon_distance(quad - self.window.corner, self.window.shape[1:]) for quad in self.quads])

    def distance(self, index: int) -> np.ndarray:
        """Return the signed distances in working slice `index`, shape (rows, columns)."""
        return self.distances[index - self.window.first]

    def taller(self, extra_mm: float) -> Track:
        """Return the track with its window extended upwards by `extra_mm`."""
        extra = int(np.ceil(extra_mm / self.pixel_mm))
        count, rows, columns = self.window.shape
        window = Window(self.window.first, self.window.corner - [extra, 0], (count, rows + extra, columns))
        return replace(self, window=window)


def polygon_distance(corners: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return signed distances to a polygon, px, negative inside, shape `size`; corners (n, 2) are (row, column)."""
    points = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij"), -1).astype(np.float32)
    nearest = np.full(tuple(size), np.inf, np.float32)
    inside = np.zeros(tuple(size), bool)
    for a, b in zip(corners.astype(np.float32), np.roll(corners, -1, axis=0).astype(np.float32)):
        edge, offset = b - a, points - a
        along = np.clip(offset @ edge / max(float(edge @ edge), 1e-6), 0, 1)
        gap = offset - along[..., None] * edge
        nearest = np.minimum(nearest, np.einsum("rci,rci->rc", gap, gap))
        crosses = (a[0] > points[..., 0]) != (b[0] > points[..., 0])
        at = a[1] + edge[1] * (points[..., 0] - a[0]) / (edge[0] if edge[0] else 1.0)
        inside ^= crosses & (points[..., 1] < at)
    return np.where(inside, -1, 1) * np.sqrt(nearest)


def tracks_of(
    groups: Sequence[Sequence[Any]],
    shape: Sequence[int],
    spacing_mm: np.ndarray,
    *,
    reach_mm: float,
    side_mm: float,
) -> tuple[Track | None, ...]:
    """Return each vertebra's track through a working volume; None for a vertebra without members.

    Parameters
    ----------
    groups : sequence of sequences
        Each vertebra's members: objects with ``slice`` and ``corners``.
    shape : (slices, rows, columns)
        Shape of the working volume.
    spacing_mm : ndarray, shape (3,)
        Distances of slices, rows and columns of the working volume, mm.
    reach_mm : float
        Margin around the corners within the slice plane.
    side_mm : float
        Margin beyond the outermost slices with corners, for a vertebra without tilt.
    """
    found = [{int(m.slice): np.asarray(m.corners, float) for m in sorted(g, key=lambda m: m.slice)} for g in groups]
    shears = [_shear(quads) for quads in found]
    known = [s for s in shears if s is not None]
    usual = np.median(known, axis=0) if known else np.zeros(2)
    limit = MAX_SHEAR * spacing_mm[0] / spacing_mm[1]
    return tuple(
        _track(quads, np.clip(usual if shear is None else shear, -limit, limit), shape, spacing_mm, reach_mm, side_mm)
        for quads, shear in zip(found, shears)
    )


def _shear(quads: dict[int, np.ndarray]) -> np.ndarray | None:
    """Return the median movement of the corners from slice to slice, px, shape (2,); None with too few slices."""
    slices = np.array(list(quads))
    one, two = np.nonzero(slices[None, :] - slices[:, None] >= _BASELINE)
    if not len(one):
        return None
    middles = np.array([corners.mean(0) for corners in quads.values()])
    return np.median((middles[two] - middles[one]) / (slices[two] - slices[one])[:, None], axis=0)


def _track(
    found: dict[int, np.ndarray], shear: np.ndarray, shape: Sequence[int], spacing_mm: np.ndarray,
    reach_mm: float, side_mm: float,
) -> Track | None:  # fmt: skip
    if not found:
        return None
    side = _side(found, shear, spacing_mm, side_mm)
    first, last = max(min(found) - side - 1, -1), min(max(found) + side + 1, shape[0])
    quads = np.stack([_corners_at(found, index, shear) for index in range(first, last + 1)])
    room = reach_mm / spacing_mm[1] + 2
    low = np.floor(quads.min((0, 1)) - room).astype(int)
    rows, columns = np.ceil(quads.max((0, 1)) + room).astype(int) + 1 - low
    window = Window(first, low, (len(quads), int(rows), int(columns)))
    return Track(window, quads, tuple(found), shear, side, float(spacing_mm[1]))


def _side(found: dict[int, np.ndarray], shear: np.ndarray, spacing_mm: np.ndarray, side_mm: float) -> int:
    """Return the number of slices that a vertebra may extend beyond its outermost corners; it grows with the tilt."""
    corners = found[sorted(found)[len(found) // 2]]
    size = np.array([height(corners), depth(corners)])
    lean_mm = float(np.abs(shear) @ size) / spacing_mm[0] * spacing_mm[1] ** 2
    return int(np.ceil((side_mm + lean_mm) / spacing_mm[0]))


def _corners_at(found: dict[int, np.ndarray], index: int, shear: np.ndarray) -> np.ndarray:
    """Return the corners, (4, 2), in a slice: detected, interpolated, or extrapolated along the shear."""
    below = max((k for k in found if k <= index), default=None)
    above = min((k for k in found if k >= index), default=None)
    if below is None or above is None:
        nearest = above if below is None else below
        assert nearest is not None
        return found[nearest] + shear * (index - nearest)
    if below == above:
        return found[index]
    part = (index - below) / (above - below)
    return found[below] * (1 - part) + found[above] * part
