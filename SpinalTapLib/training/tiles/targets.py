"""Draw the training targets of the part network."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from ...detection.networks import HOME_UNIT_PX, N_CORNERS, N_HEATMAPS, VECTOR_UNIT_PX
from ...spine.structures import N_STRUCTURES, Structure
from .placement import SUPERSAMPLING

SIGMA_OF_HEIGHT = 0.09
"""Standard deviation of a peak, as a fraction of the body height: small bodies have narrow peaks."""

SIGMA_PX = (1.3, 2.4)
"""Smallest and largest sd, px: narrower peaks fall between pixels, wider ones merge corners 1 mm apart."""

VECTOR_REACH = 2.2
"""Vectors are supervised within this many sigmas of a corner, where its peak may be found."""

_PATCH_PX = 8  # peaks are drawn within this distance: 3.3 sigmas of the widest


@dataclass(frozen=True)
class Targets:
    """Training targets of n tiles.

    Attributes
    ----------
    heatmaps : Tensor, shape (n, 5, rows, columns)
        Peaks of height one at corners (`vertebra.CORNERS` order) and centroids.
    vectors : Tensor, shape (n, 4, 2, rows, columns)
        For each corner the (row, column) offset from the pixel to the centroid of its vertebra, in units of
        `networks.VECTOR_UNIT_PX`.
    vector_weight : Tensor, shape (n, 4, rows, columns)
        One where the vectors are supervised, zero elsewhere.
    structure : Tensor, shape (n, n_structures, rows, columns)
        Fraction of each `Structure` in the voxel, over the thickness of the slice; the fractions sum to one.
    homes : Tensor, shape (n, 2, rows, columns)
        On arches, the (row, column) offset from the pixel to the centre of the body of the same vertebra, projected
        onto the plane, in units of `networks.HOME_UNIT_PX`; NaN elsewhere and where unknown.
    """

    heatmaps: torch.Tensor
    vectors: torch.Tensor
    vector_weight: torch.Tensor
    structure: torch.Tensor
    homes: torch.Tensor

    def to(self, device: torch.device | str) -> Targets:
        """Return the targets on another device."""
        return Targets(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))

    def pin_memory(self) -> Targets:
        """Return the targets in page-locked memory."""
        return Targets(*(getattr(self, f.name).pin_memory() for f in fields(self)))


def draw_targets(
    points: torch.Tensor, structure: torch.Tensor, inside: torch.Tensor, owner: torch.Tensor | None = None
) -> Targets:
    """Draw the targets of a batch.

    Parameters
    ----------
    points : Tensor, shape (n, vertebrae, 5, 2)
        (row, column) of the four corners and the centroid of each vertebra, px; NaN if not in the plane.
    structure : uint8 Tensor, shape (planes, 2 * rows, 2 * columns)
        `Structure` of each subpixel, on one or more planes across the slice of each tile.
    inside : bool Tensor, shape (n, rows, columns)
        False in black padding, where there are no targets.
    owner : int64 Tensor, shape (planes,), optional
        The tile of each plane; by default one plane per tile.
    """
    heatmaps, vectors, weight = _parts(points, inside)
    owner = torch.arange(len(inside), device=inside.device) if owner is None else owner
    n, rows, columns = inside.shape
    unknown = torch.full((n, 2, rows, columns), float("nan"), device=inside.device)
    return Targets(heatmaps, vectors, weight, _shares(structure, inside, owner), unknown)


def draw_homes(
    structure: torch.Tensor, instance: torch.Tensor, centres: torch.Tensor, inside: torch.Tensor
) -> torch.Tensor:
    """Draw the offsets from arches to their bodies, `Targets.homes`.

    Parameters
    ----------
    structure, instance : uint8 Tensor, shape (n, rows, columns)
        `Structure` and 1 + index of the vertebra of each pixel, on the central plane of the slice.
    centres : Tensor, shape (n, vertebrae, 2)
        (row, column) of the centre of every body, px.
    inside : bool Tensor, shape (n, rows, columns)
        False in black padding.
    """
    n, rows, columns = structure.shape
    arch = (structure == Structure.ARCH) & (instance > 0) & inside
    index = (instance.long() - 1).clamp(min=0, max=centres.shape[1] - 1)
    tile = torch.arange(n, device=structure.device)[:, None, None]
    line = [torch.arange(length, device=structure.device, dtype=centres.dtype) for length in (rows, columns)]
    pixel = torch.stack(torch.meshgrid(*line, indexing="ij"), -1)
    offset = (centres[tile, index] - pixel) / HOME_UNIT_PX
    return torch.where(arch[..., None], offset, float("nan")).permute(0, 3, 1, 2)


def body_sigma(points: torch.Tensor) -> torch.Tensor:
    """Return the sd, px, of the peaks of each vertebra, shape (n, vertebrae), from points (n, vertebrae, 5, 2)."""
    front = (points[..., 0, :] - points[..., 3, :]).norm(dim=-1)
    back = (points[..., 1, :] - points[..., 2, :]).norm(dim=-1)
    return (SIGMA_OF_HEIGHT * (front + back) / 2).nan_to_num(SIGMA_PX[0]).clamp(*SIGMA_PX)


def _visible(points: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return which points are in the acquired part of the tile, bool (n, vertebrae, 5)."""
    n, rows, columns = inside.shape
    pixel = points.nan_to_num(-9.0).round().long()
    on_tile = ((pixel >= 0) & (pixel < torch.tensor((rows, columns), device=points.device))).all(-1)
    row, column = pixel[..., 0].clamp(0, rows - 1), pixel[..., 1].clamp(0, columns - 1)
    tile = torch.arange(n, device=points.device)[:, None, None]
    return on_tile & inside[tile, row, column]


def _parts(points: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return heatmaps, vectors and weights of the vectors, drawn in patches around the points."""
    n, rows, columns = inside.shape
    device = points.device
    tile, vertebra, part = _visible(points, inside).nonzero(as_tuple=True)
    here = points[tile, vertebra, part]
    sigma = body_sigma(points)[tile, vertebra]
    line = torch.arange(-_PATCH_PX, _PATCH_PX + 1, device=device)
    offset = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).view(-1, 2)
    pixel = here.round().long()[:, None] + offset
    good = ((pixel >= 0) & (pixel < torch.tensor((rows, columns), device=device))).all(-1)
    squared = (pixel - here[:, None]).square().sum(-1)
    flat = ((tile * N_HEATMAPS + part)[:, None] * rows + pixel[..., 0]) * columns + pixel[..., 1]
    heatmaps = torch.zeros(n * N_HEATMAPS * rows * columns, device=device)
    peak = torch.exp(-squared / (2 * sigma[:, None].square()))
    heatmaps.scatter_reduce_(0, flat[good], peak[good], "amax")

    near = good & (squared <= (VECTOR_REACH * sigma[:, None]).square()) & (part < N_CORNERS)[:, None]
    to_centre = (points[tile, vertebra, N_CORNERS][:, None] - pixel) / VECTOR_UNIT_PX
    position = ((tile * N_CORNERS + part)[:, None] * rows + pixel[..., 0]) * columns + pixel[..., 1]
    field = torch.zeros(n * N_CORNERS, 2, rows * columns, device=device)
    weight = torch.zeros(n * N_CORNERS * rows * columns, device=device)
    map_index, place = position[near] // (rows * columns), position[near] % (rows * columns)
    field[map_index, :, place] = to_centre[near]
    weight[position[near]] = 1.0
    shape = (n, N_CORNERS, rows, columns)
    heatmaps = heatmaps.view(n, N_HEATMAPS, rows, columns) * inside[:, None]
    return heatmaps, field.view(n, N_CORNERS, 2, rows, columns), weight.view(shape) * inside[:, None]


def _shares(structure: torch.Tensor, inside: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """Return the fraction of each structure in each voxel; padding is background."""
    n, rows, columns = inside.shape
    count = torch.zeros((n * N_STRUCTURES, rows, columns), device=inside.device)
    one = torch.ones((1, rows, columns), device=inside.device)
    first = owner * N_STRUCTURES
    for i in range(SUPERSAMPLING):
        for j in range(SUPERSAMPLING):
            found = structure[:, i::SUPERSAMPLING, j::SUPERSAMPLING] * inside[owner] + first[:, None, None]
            for plane in found:  # one at a time: the planes of a tile write to the same elements
                count.scatter_add_(0, plane[None], one)
    samples = torch.bincount(owner, minlength=n) * SUPERSAMPLING**2
    return count.view(n, N_STRUCTURES, rows, columns) / samples[:, None, None, None]
