"""Deform tiles: map each sample of a tile to a label of its crop, and points of the crop into the tile."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from ..images.random_numbers import Chance
from .label_batch import LabelBatch
from .placement import SUPERSAMPLING

_NODE_PX = 4  # spacing of the nodes of the map, tile px; linear between them
_CONTROL_PX = 75  # the elastic field has tile // this + 3 control points per side: 56 px apart in tiles of 224
_INVERSION_STEPS = 6  # fixed-point steps; the field changes distances by less than half, so 6 leave < 0.05 px


@dataclass(frozen=True)
class Warp:
    """Sampling map of a batch of tiles.

    Attributes
    ----------
    index : int64 Tensor, shape (n, 2 * tile, 2 * tile)
        For each supersampled pixel, the offset of its label in the crop of the tile.
    points : Tensor, shape (n, vertebrae, 5, 2)
        (row, column) of corners and centroid in tile px; NaN where unknown.
    centres : Tensor, shape (n, vertebrae, 2)
        (row, column) of the centre of every body in tile px, on whichever slice it is.
    """

    index: torch.Tensor
    points: torch.Tensor
    centres: torch.Tensor


def draw_warp(batch: LabelBatch, chance: Chance, tile_px: int, elastic_px: float) -> Warp:
    """Draw an elastic field for each tile and combine it with its affine map.

    Parameters
    ----------
    batch : LabelBatch
    chance : Chance
    tile_px : int
        Side of the tile.
    elastic_px : float
        Two standard deviations of the displacement in the most strongly deformed tiles, tile px.
    """
    grid, low, high = _nodes(tile_px, chance.device)
    field = _elastic(len(batch), grid.shape[-1], tile_px, elastic_px, chance)
    nodes = grid + field
    linear, offset = batch.matrix[:, :, :2], batch.matrix[:, :, 2]
    mapped = torch.einsum("nij,njrc->nirc", linear, nodes) + offset[:, :, None, None]
    side = tile_px * SUPERSAMPLING
    dense = functional.interpolate(mapped, size=(side, side), mode="bilinear", align_corners=True)
    limit = (batch.shape - 1)[:, :, None]
    rows = dense[:, 0].round_().flatten(1).clamp_(min=0).minimum(limit[:, 0])
    columns = dense[:, 1].round_().flatten(1).clamp_(min=0).minimum(limit[:, 1])
    index = rows.mul_(batch.shape[:, 1:]).add_(columns).long().view(-1, side, side)
    points = torch.cat((batch.corners, batch.centres[:, :, None]), 2)
    places = _inverted(points, batch.matrix, field, low, high)
    return Warp(index, places[:, :, :-1], places[:, :, -1])


def halved(fine: torch.Tensor) -> torch.Tensor:
    """Return the mean of each 2 x 2 block, (..., 2 * rows, 2 * columns) -> (..., rows, columns).

    Six times as fast on CPUs as `avg_pool2d`, which does not vectorise along rows.
    """
    *front, rows, columns = fine.shape
    pairs = fine.reshape(*front, rows // 2, 2, columns)
    row = pairs[..., 0, :] + pairs[..., 1, :]
    row = row.view(*front, rows // 2, columns // 2, 2)
    return (row[..., 0] + row[..., 1]).mul_(0.25)


def _nodes(tile_px: int, device: torch.device) -> tuple[torch.Tensor, float, float]:
    """Return a coarse grid of tile positions (2, g, g) from the first to the last sample, and its bounds."""
    low = -0.5 + 0.5 / SUPERSAMPLING
    high = tile_px - 1 - low
    line = torch.linspace(low, high, tile_px // _NODE_PX + 1, device=device)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))
    return grid, low, high


def _elastic(n: int, nodes: int, tile_px: int, elastic_px: float, chance: Chance) -> torch.Tensor:
    """Return smooth displacements (n, 2, nodes, nodes) in tile px."""
    controls = tile_px // _CONTROL_PX + 3
    sd = chance.uniform(0, elastic_px / 2, n, 1, 1, 1)
    coarse = chance.field(n, 2, controls, controls) * sd
    return functional.interpolate(coarse, size=(nodes, nodes), mode="bicubic", align_corners=True)


def _inverted(
    points: torch.Tensor, matrix: torch.Tensor, field: torch.Tensor, low: float, high: float
) -> torch.Tensor:
    """Map points from crop px to tile px: solve ``linear (t + d(t)) + offset = point`` for t."""
    flat = points.flatten(1, 2) - matrix[:, None, :, 2]
    inside = torch.linalg.solve(matrix[:, :, :2], flat.transpose(1, 2)).transpose(1, 2)
    position = inside
    for _ in range(_INVERSION_STEPS):
        unit = ((position - low) / (high - low) * 2 - 1).nan_to_num(0.0)
        here = functional.grid_sample(field, unit.flip(-1)[:, None], padding_mode="border", align_corners=True)
        position = inside - here[:, :, 0].transpose(1, 2)
    return position.view_as(points)
