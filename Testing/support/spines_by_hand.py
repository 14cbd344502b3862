"""Spines made of boxes, for tests: corners, label map and volume agree by construction."""

from __future__ import annotations

import numpy as np

from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.vertebra import Spine, Vertebra


def box_corners(
    centre: tuple[float, float, float], height: float = 26.0, depth: float = 34.0, tilt_deg: float = 0.0
) -> np.ndarray:
    """Return the corners (4, 3), LPS mm, of an upright rectangle, leaning forward by `tilt_deg`."""
    y, z = depth / 2, height / 2
    flat = np.array([(0, -y, z), (0, y, z), (0, y, -z), (0, -y, -z)], dtype=float)
    c, s = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    turn = np.array([(1, 0, 0), (0, c, -s), (0, s, c)])  # posterior turns towards superior: the front drops
    return flat @ turn.T + centre


def vertebra(name: str | None, corners: np.ndarray, confidence: float = 0.95, **more: object) -> Vertebra:
    """Return a vertebra with those corners; without a name its label value is 101."""
    value = levels.level(name).value if name else levels.unanchored_value(0)
    values = {"label_value": value, **more}
    return Vertebra(name, confidence=confidence, centroid_lps_mm=corners.mean(0), corners_lps_mm=corners, **values)


def column(names: tuple[str, ...], pitch: float = 36.0, **box: float) -> tuple[Vertebra, ...]:
    """Return boxes one above the other, from the bottom up, the lowest at the origin."""
    return tuple(vertebra(name, box_corners((0, 0, i * pitch), **box)) for i, name in enumerate(names))


def moved(item: Vertebra, rotation: np.ndarray, shift: np.ndarray) -> Vertebra:
    """Return the vertebra turned and then shifted."""
    from dataclasses import replace

    return replace(
        item,
        centroid_lps_mm=item.centroid_lps_mm @ rotation.T + shift,
        corners_lps_mm=item.corners_lps_mm @ rotation.T + shift,
    )


def rotation_about(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Return the matrix, shape (3, 3), of a rotation (Rodrigues)."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    k = np.array([(0, -z, y), (z, 0, -x), (-y, x, 0)])
    a = np.radians(degrees)
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * k @ k


def painted(
    vertebrae: tuple[Vertebra, ...],
    spacing_mm: tuple[float, float, float] = (4.0, 1.0, 1.0),
    margin_mm: float = 30.0,
    half_width_mm: float = 20.0,
) -> tuple[SagittalVolume, np.ndarray]:
    """Return a volume about the vertebrae and its label map: each quadrilateral, as wide as a body."""
    corners = np.concatenate([v.corners_lps_mm for v in vertebrae])
    low, high = corners.min(0) - margin_mm, corners.max(0) + margin_mm
    shape = tuple(int(n) for n in np.ceil((high - low)[[0, 2, 1]] / spacing_mm))
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1
    matrix[:3, 3] = low[0], low[1], high[2]
    labels = np.zeros(shape, np.uint16)
    volume = SagittalVolume(np.zeros(shape, np.float32), matrix, name="boxes")
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    points = volume.to_lps(index)
    for item in vertebrae:
        inside = np.abs(points[..., 0] - item.centroid_lps_mm[0]) <= half_width_mm
        for a, b in zip(item.corners_lps_mm, np.roll(item.corners_lps_mm, -1, axis=0)):
            edge, offset = (b - a)[1:], points[..., 1:] - a[1:]
            inside &= edge[0] * offset[..., 1] - edge[1] * offset[..., 0] <= 0
        labels[inside] = item.label_value
    array = (300 * (labels > 0) + 100 + 0.01 * index.sum(-1)).astype(np.float32)
    return SagittalVolume(array, matrix, name="boxes"), labels


def spine_of(vertebrae: tuple[Vertebra, ...], labels: np.ndarray | None = None, **more: object) -> Spine:
    """Return a spine counted from S1."""
    values = {"anchor": "S1", "model": {"name": "parts", "sha256": "0" * 64}, **more}
    return Spine(vertebrae, label_map=labels, **values)
