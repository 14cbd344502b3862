"""Part maps as a perfect network would give them, drawn from quadrilaterals. Shared by several tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from SpinalTapLib.detection.part_maps import PartMaps
from SpinalTapLib.spine import quadrilaterals as quads
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

SHAPE = (220, 120)
SIGMA_OF_HEIGHT, SIGMA_RANGE = 0.09, (1.3, 2.4)


def box(
    row: float, column: float, height: float = 26.0, depth: float = 34.0, tilt_degrees: float = 0.0
) -> np.ndarray:
    """Return the corners, (4, 2), of a rectangle; a positive tilt turns its upper side forwards (to the left)."""
    half = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * [height / 2, depth / 2]
    angle = np.deg2rad(tilt_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return half @ turn.T + [row, column]


def column_of_boxes(n: int = 5, top: float = 30.0, pitch: float = 36.0, column: float = 60.0) -> np.ndarray:
    """Return an upright spine, (n, 4, 2), from the top down."""
    return np.stack([box(top + i * pitch, column) for i in range(n)])


def draw(
    corners: np.ndarray,
    shape: tuple[int, int] = SHAPE,
    *,
    noise: float = 0.0,
    seed: int = 0,
    hide: Sequence[tuple[int, int]] = (),
    classes: Sequence[int] | None = None,
) -> PartMaps:
    """Return the part maps of bodies, (n, 4, 2).

    Parameters
    ----------
    noise : float
        Standard deviation of what is added to the heatmaps; the vectors get 16 times as much.
    hide : sequence of (body, part)
        Parts (0-3 corners, 4 centroid) that the network misses.
    classes : sequence of int, optional
        Mask class of each body.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    points = np.stack((rows, columns), axis=-1).astype(float)
    heatmaps, vectors = np.zeros((5, *shape)), np.zeros((4, 2, *shape))
    nearest = np.full((4, *shape), np.inf)
    probabilities = np.zeros((N_STRUCTURES, *shape))
    for i, body in enumerate(corners):
        centroid = body.mean(0)
        sigma = np.clip(SIGMA_OF_HEIGHT * quads.height(body), *SIGMA_RANGE)
        for part, position in enumerate([*body, centroid]):
            square = ((points - position) ** 2).sum(-1)
            if (i, part) not in hide:
                heatmaps[part] = np.maximum(heatmaps[part], np.exp(-square / (2 * sigma**2)))
            if part < 4:
                closer = square < nearest[part]
                vectors[part] = np.where(closer, np.moveaxis(centroid - points, -1, 0), vectors[part])
                nearest[part] = np.minimum(nearest[part], square)
        inside = quads.contains(body, points.reshape(-1, 2)).reshape(shape)
        probabilities[Structure.BODY if classes is None else classes[i]][inside] = 0.95
    probabilities[Structure.BACKGROUND] = 1 - probabilities.sum(0)
    heatmaps += rng.normal(0, noise, heatmaps.shape)
    vectors += rng.normal(0, 16 * noise, vectors.shape)
    return PartMaps(heatmaps.astype(np.float32), vectors.astype(np.float32), probabilities.astype(np.float32))


def add_peak(maps: PartMaps, part: int, position: tuple[float, float], height: float = 0.9, sigma: float = 1.8) -> None:
    """Add a spurious peak, in place."""
    rows, columns = np.mgrid[: maps.heatmaps.shape[1], : maps.heatmaps.shape[2]]
    hill = height * np.exp(-((rows - position[0]) ** 2 + (columns - position[1]) ** 2) / (2 * sigma**2))
    np.maximum(maps.heatmaps[part], hill, out=maps.heatmaps[part])
