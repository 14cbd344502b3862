"""Place tiles on a canvas, and crop the labels that they need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..config import PlacementConfig
from ..synthetic.tissues import Tissue

if TYPE_CHECKING:
    from ..synthetic.drawing import Canvas

SUPERSAMPLING = 2
"""Label samples per tile pixel along each axis; their mean is the in-plane partial volume."""

_WHOLE = 0.85  # fraction of tiles kept within their canvas as far as possible

_ELASTIC_MARGIN_PX = 12  # canvas pixels kept around a crop for the elastic field


@dataclass(frozen=True)
class LabelCrop:
    """Labels of the area of one tile.

    Attributes
    ----------
    tissue : ndarray of uint8, shape (planes, rows, columns)
    structures : ndarray of uint8, shape (planes, rows, columns)
    instance : ndarray of uint8, shape (rows, columns)
        Of the central plane.
    corners : ndarray of float32, shape (n, 5, 2)
        (row, column) of four corners and the centroid, px of this crop; NaN if the body is not in the plane.
    centres : ndarray of float32, shape (n, 2)
        (row, column) of the centre of every body, projected onto the plane, px of this crop.
    matrix : ndarray of float32, shape (2, 3)
        (row, column, 1) in tile px -> (row, column) in crop px.
    neighbours : tuple of LabelCrop or None
        The same area of the slices on the right and on the left.
    distances_mm : tuple of float
        Distances to these slices; 0 if missing.
    """

    tissue: np.ndarray
    structures: np.ndarray
    instance: np.ndarray
    corners: np.ndarray
    centres: np.ndarray
    matrix: np.ndarray
    neighbours: tuple[LabelCrop | None, LabelCrop | None] = (None, None)
    distances_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def structure(self) -> np.ndarray:
        """`Structure` values of the central plane, shape (rows, columns)."""
        return self.structures[len(self.structures) // 2]


def draw_crop(canvas: Canvas, rng: np.random.Generator, config: PlacementConfig) -> LabelCrop:
    """Place a tile on a canvas at random, preferring the areas set in the config, and crop its labels."""
    crop = cut(canvas, tile_matrix(_centre(canvas, rng, config), canvas.pixel_mm, rng, config), config.tile_px)
    return crop if crop.neighbours == (None, None) else _with_some_neighbours(crop, rng, config)


def _with_some_neighbours(crop: LabelCrop, rng: np.random.Generator, config: PlacementConfig) -> LabelCrop:
    """Remove one or both neighbours at random, and swap right and left in half of the crops."""
    sides = list(zip(crop.neighbours, crop.distances_mm))
    draw = rng.random()
    missing = (True, True) if draw < config.alone else (rng.random() < config.one_sided, False)
    sides = [(None, 0.0) if gone else side for side, gone in zip(sides, missing)]
    if rng.random() < 0.5:
        sides.reverse()
    (right, left), (right_mm, left_mm) = zip(*sides)
    return replace(crop, neighbours=(right, left), distances_mm=(right_mm, left_mm))


def _centre(canvas: Canvas, rng: np.random.Generator, config: PlacementConfig) -> np.ndarray:
    """Return the canvas position (row, column) of a tile's centre."""
    seen = np.flatnonzero(np.isfinite(canvas.corners_px[:, 4, 0]))
    shares = (config.near_sacrum, config.near_dens, config.along_spine)
    low, high = seen[seen <= 2], seen[seen >= len(canvas.corners_px) - 3]
    places = (low, high, seen, np.zeros(0, int))
    offered = [share * (len(place) > 0) for share, place in zip(shares, places)]
    weights = np.array([*offered, max(1 - sum(shares), 1e-9)])  # areas that the canvas does not show get no weight
    chosen = places[int(rng.choice(4, p=weights / weights.sum()))]
    if not len(chosen):
        return _inside(canvas, _anywhere(canvas, rng), rng, config)
    vertebra = canvas.corners_px[rng.choice(chosen), 4]
    return _inside(canvas, vertebra + rng.normal(0, config.jitter_mm / canvas.pixel_mm, 2), rng, config)


def _anywhere(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Return a random position, preferably not in air."""
    for _ in range(4):
        centre = rng.uniform(0, 1, 2) * canvas.structure.shape
        row, column = centre.astype(int)
        if canvas.tissue[len(canvas.tissue) // 2, row, column] != Tissue.AIR:
            break
    return centre


def _inside(canvas: Canvas, centre: np.ndarray, rng: np.random.Generator, config: PlacementConfig) -> np.ndarray:
    """Move the centre of most tiles inwards, so that they do not extend far beyond the canvas."""
    half = 0.45 * config.tile_px * config.pixel_mm / canvas.pixel_mm
    limit = np.maximum(np.array(canvas.structure.shape) - half, half)
    return np.clip(centre, half, limit) if rng.random() < _WHOLE else centre


def tile_matrix(
    centre: np.ndarray, canvas_mm: float, rng: np.random.Generator, config: PlacementConfig
) -> np.ndarray:
    """Return a random affine, shape (2, 3), from tile px to canvas px that maps the centre of the tile to `centre`.

    It never mirrors the tile, so that the network can rely on the orientation.
    """
    wide = rng.random() < config.wide_scale
    scale = rng.uniform(0.75, 1.35) if wide else np.exp(rng.normal(0, config.scale_sd))
    wide = rng.random() < config.wide_rotation
    angle = np.radians(rng.uniform(-30, 30) if wide else rng.normal(0, config.rotation_sd_deg))
    cos, sin = np.cos(angle), np.sin(angle)
    shear = np.array([[1.0, 0.0], [rng.normal(0, config.shear_sd), 1.0]])
    stretch = np.exp(rng.normal(0, config.scale_sd / 3))
    linear = np.array([[cos, -sin], [sin, cos]]) @ shear @ np.diag([stretch, 1 / stretch])
    linear *= scale * config.pixel_mm / canvas_mm
    middle = np.full(2, (config.tile_px - 1) / 2)
    return np.concatenate((linear, (centre - linear @ middle)[:, None]), axis=1).astype(np.float32)


def cut(canvas: Canvas, matrix: np.ndarray, tile_px: int) -> LabelCrop:
    """Crop the labels that a tile needs; the area beyond the canvas is air."""
    edge = np.array([-0.5, tile_px - 0.5])
    outline = np.array([(r, c, 1.0) for r in edge for c in edge]) @ matrix.T
    low = np.floor(outline.min(0)).astype(int) - _ELASTIC_MARGIN_PX
    high = np.ceil(outline.max(0)).astype(int) + _ELASTIC_MARGIN_PX + 1
    shifted = matrix.copy()
    shifted[:, 2] -= low
    crop = _window_of(canvas, low, high, shifted)
    right, left = (None if side is None else _window_of(side, low, high, shifted) for side in canvas.neighbours)
    right_mm, left_mm = (0.0 if side is None else canvas.distance_mm for side in (right, left))
    return replace(crop, neighbours=(right, left), distances_mm=(right_mm, left_mm))


def _window_of(canvas: Canvas, low: np.ndarray, high: np.ndarray, matrix: np.ndarray) -> LabelCrop:
    return LabelCrop(
        _window(canvas.tissue, low, high),
        _window(canvas.structures, low, high),
        _window(canvas.instance, low, high),
        (canvas.corners_px - low).astype(np.float32),
        (canvas.centres_px - low).astype(np.float32),
        matrix,
    )


def _window(array: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return ``array[..., low:high]`` along the last two axes, with zeros outside the array."""
    shape = np.array(array.shape[-2:])
    result = np.zeros((*array.shape[:-2], *(high - low)), array.dtype)
    first, last = np.clip(low, 0, shape), np.clip(high, 0, shape)
    if (last > first).all():
        (r0, c0), (r1, c1) = first - low, last - low
        result[..., r0:r1, c0:c1] = array[..., first[0] : last[0], first[1] : last[1]]
    return result
