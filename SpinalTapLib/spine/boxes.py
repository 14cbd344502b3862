"""Create and place boxes around vertebrae: the S1 box, boxes that pin a level, and boxes for missed vertebrae."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .vertebra import SeedBox, Spine, Vertebra

ROOM = 1.3
"""Edges of a box as a multiple of the body's: the box holds the whole body, but not the centres of its neighbours."""

FIRST_SIZE_MM = (45.0, 42.0, 36.0)
"""Left-right, anterior-posterior and vertical size of the first box, mm: large enough for S1 of a tall adult."""

FIRST_HEIGHT = 0.15
"""Height of the first box above the lower end of the volume, as a fraction of the volume's height: the top of the
sacrum in most lumbar scans."""

WIDE_GAP = 1.5
"""Factor of the median distance of neighbouring centroids beyond which a vertebra is taken to be missing."""


def box_around(vertebra: Vertebra, level: str) -> SeedBox:
    """Return a box that marks `level`: around a body, along the body's axes (left, posterior, superior)."""
    corners = vertebra.corners_lps_mm
    superior = vertebra.up
    posterior = corners[1:3].mean(0) - corners[[0, 3]].mean(0)
    posterior = posterior - superior * (posterior @ superior)
    posterior = posterior / max(float(np.linalg.norm(posterior)), 1e-9)
    axes = np.column_stack([np.cross(posterior, superior), posterior, superior])
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):  # the corners are degenerate
        axes = np.eye(3)
    depth, height = max(vertebra.depth_mm, 10.0), max(vertebra.height_mm, 8.0)
    size = np.array([1.2 * depth, depth, height]) * ROOM  # bodies are about 20 % wider than deep
    return SeedBox(np.asarray(vertebra.centroid_lps_mm, float), size, axes, level)


def corners_of(box: SeedBox) -> np.ndarray:
    """Return the corners of a box's central sagittal rectangle, shape (4, 3), in the order of `CORNERS`, LPS, mm."""
    half = np.asarray(box.size_mm, float) / 2
    across, up = (int(np.abs(box.axes[row]).argmax()) for row in (1, 2))  # closest to posterior, superior
    signs = np.array([[-1, 1], [1, 1], [1, -1], [-1, -1]])
    sides = [box.axes[:, k] * np.sign(box.axes[row, k]) * half[k] for row, k in ((1, across), (2, up))]
    return np.asarray(box.center_lps_mm, float) + signs @ np.array(sides)


def first_box(bounds_lps_mm: np.ndarray) -> SeedBox:
    """Return the first box for a volume without a result.

    Parameters
    ----------
    bounds_lps_mm : ndarray, shape (3, 2)
        Lower and upper bound of the volume along each axis, LPS, mm.
    """
    low, high = np.asarray(bounds_lps_mm, float).T
    centre = (low + high) / 2
    centre[2] = low[2] + FIRST_HEIGHT * (high[2] - low[2])
    return SeedBox(centre, np.minimum(FIRST_SIZE_MM, np.maximum(high - low, 1.0)))


def box_for_missed(spine: Spine, matrix: np.ndarray, shape: tuple[int, ...]) -> SeedBox:
    """Return a box at the most likely place of a missed vertebra: in the widest gap, or above the top if none is wide.

    Parameters
    ----------
    spine : Spine
        With at least one vertebra.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the scan to LPS, mm.
    shape : tuple of int
        (slices, rows, columns) of the scan; the box lies inside it.
    """
    return _inside(_box_for_missed(spine), matrix, shape)


def _inside(box: SeedBox, matrix: np.ndarray, shape: tuple[int, ...]) -> SeedBox:
    """Return a box moved by the shortest way into a scan; across the slices only its centre must lie inside."""
    to_index = np.linalg.inv(matrix)
    half = np.abs(to_index[:3, :3] @ box.axes) @ (np.asarray(box.size_mm, float) / 2)
    half[0] = 0.5
    last = np.array(shape[:3]) - 1.0
    low, high = half - 0.5, last + 0.5 - half
    low, high = np.where(low > high, last / 2, low), np.where(low > high, last / 2, high)
    index = np.clip(to_index[:3, :3] @ box.center_lps_mm + to_index[:3, 3], low, high)
    return replace(box, center_lps_mm=matrix[:3, :3] @ index + matrix[:3, 3])


def _box_for_missed(spine: Spine) -> SeedBox:
    vertebrae = spine.vertebrae
    centres = np.array([vertebra.centroid_lps_mm for vertebra in vertebrae])
    like = vertebrae[-1]
    if len(vertebrae) < 2:
        return replace(box_around(like, "S1"), center_lps_mm=centres[-1] + like.up * 1.3 * like.height_mm)
    steps = np.diff(centres, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    widest = int(lengths.argmax())
    if lengths[widest] > WIDE_GAP * np.median(lengths):
        return replace(box_around(vertebrae[widest], "S1"), center_lps_mm=centres[widest] + steps[widest] / 2)
    return replace(box_around(like, "S1"), center_lps_mm=centres[-1] + steps[-1])


def box_of(spine: Spine) -> tuple[SeedBox | None, bool]:
    """Return the S1 box of a spine, or None, and whether the user placed it."""
    if spine.seed is not None and spine.seed.level == "S1":
        return spine.seed, True
    lowest = next((vertebra for vertebra in spine.vertebrae if vertebra.level == "S1"), None)
    return (box_around(lowest, "S1"), False) if lowest is not None else (None, False)


def vertebra_in(spine: Spine, box: SeedBox) -> Vertebra | None:
    """Return the vertebra whose centroid lies in a box, the nearest to the box's centre if several do, or None."""
    inside = [
        (float(np.linalg.norm(offset)), i)
        for i, offset in enumerate(v.centroid_lps_mm - box.center_lps_mm for v in spine.vertebrae)
        if (np.abs(offset @ box.axes) <= np.asarray(box.size_mm) / 2).all()
    ]
    return spine.vertebrae[min(inside)[1]] if inside else None
