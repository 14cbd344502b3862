"""Detections of rounded boxes whose true shape is known, as a perfect network would give them. Shared by several tests.

World: LPS, mm. A box is a body without hollows, so that every distance and volume is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

_PLANES = 5  # over the thickness of a slice


@dataclass(frozen=True, eq=False)
class Box:
    """A rounded box: centre, full width (left-right), depth and height, radius of its edges, mm; roll to the side."""

    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    width: float = 44.0
    depth: float = 32.0
    height: float = 26.0
    radius: float = 4.0
    roll_degrees: float = 0.0
    structure: int = Structure.BODY

    @property
    def axes(self) -> np.ndarray:
        """Unit axes as columns: left, posterior, up."""
        a = np.deg2rad(self.roll_degrees)
        return np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Return the exact signed distance, mm, positive inside, of points (..., 3)."""
        half = np.array([self.width, self.depth, self.height]) / 2 - self.radius
        q = np.abs((points - np.array(self.centre)) @ self.axes) - half
        outside = np.linalg.norm(np.maximum(q, 0), axis=-1)
        return self.radius - outside - np.minimum(q.max(-1), 0)

    @property
    def volume(self) -> float:
        """Exact volume, mm³: a box, slabs on its sides, quarter rounds on its edges, a ball from its corners."""
        a, b, c = (n - 2 * self.radius for n in (self.width, self.depth, self.height))
        r = self.radius
        return a * b * c + 2 * r * (a * b + b * c + c * a) + np.pi * r**2 * (a + b + c) + 4 / 3 * np.pi * r**3

    def corners(self, x: float) -> np.ndarray | None:
        """Return (y, z) of the four corners in the plane at `x`, shape (4, 2), or None past 0.45 of the width."""
        a = self.axes
        u = (x - self.centre[0]) / a[0, 0]
        if abs(u) > 0.45 * self.width:
            return None
        middle = np.array([self.centre[1], self.centre[2] + u * a[2, 0]])
        up = self.height / 2 / a[2, 2]
        signs = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]])
        return middle + signs * [self.depth / 2, up]


def stack_matrix(boxes: Sequence[Box], slice_mm: float, pixel_mm: float, room: float = 14.0, start: float = 0.3):
    """Return the shape and the matrix of a stack that holds the boxes with room around them."""
    centres = np.array([box.centre for box in boxes])
    reach = np.array([[box.width, box.depth, box.height] for box in boxes]).max(0) / 2 + room
    low, high = centres.min(0) - reach, centres.max(0) + reach
    shape = tuple(int((high[a] - low[a]) / step) + 1 for a, step in ((0, slice_mm), (2, pixel_mm), (1, pixel_mm)))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[slice_mm, 0, 0], [0, 0, pixel_mm], [0, -pixel_mm, 0]])
    matrix[:3, 3] = low[0] + start * slice_mm, low[1], high[2]
    return shape, matrix


def detect(
    boxes: Sequence[Box], slice_mm: float = 4.0, pixel_mm: float = 1.0, *, jitter: float = 0.3, start: float = 0.3
) -> tuple[Detections, list[SimpleNamespace], SagittalVolume]:
    """Return detections of the boxes in a stack, their candidates (in the order given), and the stack itself."""
    shape, matrix = stack_matrix(boxes, slice_mm, pixel_mm, start=start)
    volume = SagittalVolume(np.zeros(shape, np.float32), matrix)
    probabilities = np.zeros((shape[0], N_STRUCTURES, *shape[1:]), np.float32)
    rng = np.random.default_rng(0)
    candidates = []
    for box in boxes:
        probabilities[:, box.structure] = np.maximum(probabilities[:, box.structure], share(box, volume))
        members = []
        for index in range(shape[0]):
            x = float(volume.to_lps(np.array([index, 0, 0]))[0])
            corners = box.corners(x)
            if corners is not None:
                lps = np.column_stack([np.full(4, x), corners])
                pixels = volume.to_index(lps)[:, 1:] + rng.normal(0, jitter, (4, 2))
                members.append(SimpleNamespace(slice=index, corners=pixels))
        candidates.append(SimpleNamespace(members=tuple(members)))
    probabilities[:, Structure.BACKGROUND] = 1 - probabilities[:, 1:].max(1)
    return Detections(volume, (), probabilities.astype(np.float16)), candidates, volume


def share(box: Box, volume: SagittalVolume) -> np.ndarray:
    """Return the share of every voxel that a box fills: exact across the slices, to a pixel's blur within them."""
    pixel = float(volume.spacing_mm[1])
    reach = np.linalg.norm([box.width, box.depth, box.height]) / 2 + 2
    corners = volume.to_index(np.array(box.centre) + reach * np.array([[-1, -1, 1], [1, 1, -1]]))
    low = np.clip(np.floor(corners.min(0)).astype(int), 0, volume.array.shape)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, low, volume.array.shape)
    index = np.stack(np.meshgrid(*(np.arange(a, b, dtype=float) for a, b in zip(low, high)), indexing="ij"), -1)
    part = np.zeros(index.shape[:3])
    for offset in (np.arange(_PLANES) + 0.5) / _PLANES - 0.5:
        part += np.clip(box.distance(volume.to_lps(index + [offset, 0, 0])) / pixel + 0.5, 0, 1)
    out = np.zeros(volume.array.shape)
    out[tuple(slice(a, b) for a, b in zip(low, high))] = part / _PLANES
    return out


def spine(count: int = 3, pitch: float = 34.0, **shape: float) -> list[Box]:
    """Return an upright spine of boxes, from the bottom up."""
    return [Box(centre=(0.0, 0.0, i * pitch), **shape) for i in range(count)]
