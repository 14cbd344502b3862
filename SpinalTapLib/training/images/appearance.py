"""Render MR images from labels, in batches, on CPU or GPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...detection.tiling import normalise_tiles
from ..config import AppearanceConfig
from ..synthetic.tissues import N_TISSUES
from ..tiles.label_batch import LabelBatch
from ..tiles.placement import SUPERSAMPLING
from ..tiles.warp import Warp, halved
from .acquisition import acquire
from .artefacts import add_rarities, bloom_metal, shift_fat, void_flow
from .contrast import Contrast, draw_contrast
from .random_numbers import Chance
from .shading import draw_shading
from .texture import apply_bodies, apply_texture


@dataclass(frozen=True)
class View:
    """Labels in view, sampled on the central plane of each of the m images of a batch.

    Attributes
    ----------
    tissue : int32 Tensor, shape (m, side, side)
    instance : uint8 Tensor, shape (m, 2 * side, 2 * side)
    points : Tensor, shape (m, vertebrae, 5, 2)
        (row, column), px, NaN where unknown.
    inside : bool Tensor, shape (m, side, side)
        False in the black padding beyond the acquired image.
    """

    tissue: torch.Tensor
    instance: torch.Tensor
    points: torch.Tensor
    inside: torch.Tensor


def render(batch: LabelBatch, warp: Warp, view: View, config: AppearanceConfig, chance: Chance) -> torch.Tensor:
    """Return the images of all tiles, (images, side, side), normalised as at inference (`tiling.normalise_tiles`).

    The slices of a tile belong to one scan: they share contrast, shading and artefacts, but not noise.
    """
    contrast = draw_contrast(config.kind_weights, chance, len(batch)).repeated(batch.slices)
    chance = chance.shared(batch.slices)
    image = _object(batch, warp, contrast, config, chance)
    image = acquired(image, view.tissue, view.instance, view.points, batch.slices, config, chance)
    return normalise_tiles(_displayed(image, view.inside, config, chance, batch.slices))


def render_planes(
    tissue: torch.Tensor, instance: torch.Tensor, points: torch.Tensor, config: AppearanceConfig,
    weights: list[float], chance: Chance,
) -> torch.Tensor:  # fmt: skip
    """Return the images of parallel planes of one scan, as displayed.

    Parameters
    ----------
    tissue : int32 Tensor, shape (k, side, side)
        `Tissue` value of each pixel.
    instance : uint8 Tensor, shape (k, side, side)
        0, or the number of the body.
    points : Tensor, shape (vertebrae, 5, 2)
        (row, column) of corners and centroids, px, NaN where unknown.
    config : AppearanceConfig
    weights : list of float
        Weights of the kinds of sequence, in the order of `sequences.SEQUENCES`.
    chance : Chance

    Returns
    -------
    Tensor, shape (k, side, side)
    """
    k = len(tissue)
    contrast = draw_contrast(weights, chance, 1)
    chance = chance.shared(k)
    image = contrast.mean[0][tissue]
    fine = instance.repeat_interleave(SUPERSAMPLING, 1).repeat_interleave(SUPERSAMPLING, 2)
    image = acquired(image, tissue, fine, points[None].expand(k, -1, -1, -1), k, config, chance)
    return _displayed(image, torch.ones_like(image, dtype=torch.bool), config, chance, k)


def acquired(
    image: torch.Tensor, tissue: torch.Tensor, instance: torch.Tensor, points: torch.Tensor, slices: int,
    config: AppearanceConfig, chance: Chance,
) -> torch.Tensor:  # fmt: skip
    """Return objects (n, side, side) as a scanner shows them: texture, artefacts, shading, resolution and noise."""
    image = apply_texture(image, tissue, chance, config.texture)
    image = apply_bodies(image, instance, chance, config.texture)
    image = void_flow(image, tissue, config, chance)
    image = bloom_metal(image, tissue, chance)
    image = image * draw_shading(points, image.shape[-1], config, chance)
    reference = _reference(image, instance)[::slices].repeat_interleave(slices)
    image = acquire(image, reference, config, chance)
    return add_rarities(image, config, chance)


def _object(
    batch: LabelBatch, warp: Warp, contrast: Contrast, config: AppearanceConfig, chance: Chance
) -> torch.Tensor:
    """Return the mean signal of each pixel over planes and subpixels, with fat displaced by chemical shift."""
    n = len(batch.base)
    base, tile = batch.plane_base, batch.plane_image
    if config.partial_volume < 1:
        middle = torch.ones(n, dtype=torch.bool, device=base.device)
        middle[chance.happens(config.partial_volume, n)] = False
        keep = ~middle[tile] | (base == batch.middle_base[tile])
        base, tile = base[keep], tile[keep]
    count = torch.zeros(n, device=base.device).index_add_(0, tile, torch.ones(len(tile), device=base.device))
    labels = batch.tissue.index_select(0, (warp.index.flatten(1)[tile] + base[:, None]).flatten())
    where = labels.view(len(tile), -1).int()
    shifted = chance.happens(config.chemical_shift, n)

    def average(table: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
        offset = (tile[planes] * N_TISSUES).int()[:, None]
        fine = table.flatten().index_select(0, (where[planes] + offset).flatten())
        side = warp.index.shape[-1]
        coarse = halved(fine.view(-1, side, side))
        total = torch.zeros((n, *coarse.shape[1:]), device=coarse.device).index_add_(0, tile[planes], coarse)
        return total / count[:, None, None]

    image = average(contrast.mean, torch.arange(len(tile), device=tile.device))
    if len(shifted):
        planes = torch.isin(tile, shifted).nonzero().flatten()
        fat = average(contrast.mean * contrast.fat, planes)[shifted]
        image = shift_fat(image, fat, shifted, chance)
    return image


def _reference(image: torch.Tensor, instance: torch.Tensor) -> torch.Tensor:
    """Return the mean signal of the bodies, or of the whole tile without bodies, shape (n,)."""
    body = (instance[:, ::SUPERSAMPLING, ::SUPERSAMPLING] > 0).float()
    count = body.sum((1, 2))
    mean = (image * body).sum((1, 2)) / count.clamp(min=1)
    return torch.where(count > 50, mean, image.mean((1, 2))).clamp(min=1e-3)


def _displayed(
    image: torch.Tensor, inside: torch.Tensor, config: AppearanceConfig, chance: Chance, slices: int
) -> torch.Tensor:
    """Return images after gamma, inversion, a clipped display range and black padding."""
    n = len(image)
    top = image.view(n // slices, -1).amax(1).clamp(min=1e-6).repeat_interleave(slices)[:, None, None]
    image = image / top
    chosen = chance.happens(config.gamma, n)
    image[chosen] = image[chosen].pow(chance.lognormal(0.35, len(chosen))[:, None, None])
    chosen = chance.happens(config.inversion, n)
    image[chosen] = 1 - image[chosen]
    chosen = chance.happens(config.clip, n)
    if len(chosen):
        flat = image[chosen].flatten(1)
        rank = int(chance.integers(int(0.93 * flat.shape[1]), flat.shape[1], slices)[0])
        image[chosen] = torch.minimum(image[chosen], flat.kthvalue(rank, dim=1).values[:, None, None])
    return torch.where(inside, image, 0.0)
