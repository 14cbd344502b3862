"""Add artefacts of the object and of the finished image: chemical shift, flow, metal, zippers, wrap-around."""

from __future__ import annotations

import torch
from torch.nn import functional

from ..config import AppearanceConfig
from ..synthetic.tissues import Tissue
from .random_numbers import Chance


def shift_fat(image: torch.Tensor, fat: torch.Tensor, chosen: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Shift the fat signal of some images by 0.5-2 px along rows or columns (chemical shift).

    Parameters
    ----------
    image : Tensor, shape (n, rows, columns)
    fat : Tensor, shape (m, rows, columns)
        Fat signal of the m chosen images.
    chosen : int Tensor, shape (m,)
    chance : Chance
    """
    m, rows, columns = fat.shape
    distance = chance.uniform(0.5, 2.0, m) * torch.where(chance.uniform(0, 1, m) < 0.5, 1.0, -1.0)
    head_feet = chance.uniform(0, 1, m) < 0.7
    theta = torch.zeros((m, 2, 3), device=fat.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    theta[:, 0, 2] = torch.where(head_feet, 0.0, distance * 2 / columns)
    theta[:, 1, 2] = torch.where(head_feet, distance * 2 / rows, 0.0)
    grid = functional.affine_grid(theta, [m, 1, rows, columns], align_corners=False)
    moved = functional.grid_sample(fat[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    image = image.clone()
    image[chosen] += moved - fat
    return image


def void_flow(image: torch.Tensor, tissue: torch.Tensor, config: AppearanceConfig, chance: Chance) -> torch.Tensor:
    """Add dark flow voids to the cerebrospinal fluid of some images."""
    chosen = chance.happens(config.flow_void, len(image))
    if not len(chosen):
        return image
    m, (rows, columns) = len(chosen), image.shape[1:]
    coarse = chance.field(m, 1, rows // 14 + 2, columns // 6 + 2)
    blobs = functional.interpolate(coarse, size=(rows, columns), mode="bilinear", align_corners=False)[:, 0]
    strength = chance.uniform(0.2, 0.9, m, 1, 1)
    void = strength * torch.sigmoid((blobs - chance.uniform(-0.2, 0.9, m, 1, 1)) * 6)
    image = image.clone()
    image[chosen] *= 1 - void * (tissue[chosen] == Tissue.CSF)
    return image


def bloom_metal(image: torch.Tensor, tissue: torch.Tensor, chance: Chance) -> torch.Tensor:
    """Add a void around metal, larger than the metal itself, with a bright rim on one side."""
    metal = (tissue == Tissue.METAL).float()
    chosen = metal.flatten(1).any(1).nonzero().flatten()
    if not len(chosen):
        return image
    n = len(image)  # drawn for all images: metal may lie in some slices of a scan only
    spread = functional.avg_pool2d(metal[chosen, None], 9, 1, 4)
    spread = functional.avg_pool2d(spread, 7, 1, 3)[:, 0]
    level = chance.uniform(0.03, 0.25, n, 1, 1)[chosen]
    void = torch.sigmoid((spread - level) * 40)
    rim = torch.sigmoid((torch.roll(spread, 3, 1) - level) * 40) * (1 - void)
    image = image.clone()
    bright = chance.uniform(0, 1.5, n, 1, 1)[chosen] * image[chosen].amax((1, 2), keepdim=True)
    image[chosen] = image[chosen] * (1 - void) + rim * bright
    return image


def add_rarities(image: torch.Tensor, config: AppearanceConfig, chance: Chance) -> torch.Tensor:
    """Add a zipper line or wrapped-around anatomy to a few finished images."""
    n, side, own = len(image), image.shape[-1], chance.own
    image = image.clone()
    for i in chance.happens(config.zipper, n).tolist():
        line = int(own.integers(0, side, 1))
        strength = float(own.uniform(0.3, 1.2, 1))
        dots = (own.field(side) > 0).float() * image[i].amax() * strength
        row = image[i, line] if float(own.uniform(0, 1, 1)) < 0.5 else image[i, :, line]
        row += dots
    for i in chance.happens(config.wrap, n).tolist():
        shift = int(own.integers(side // 4, 3 * side // 4, 1))
        image[i] += torch.roll(image[i], shift, 0) * float(own.uniform(0.1, 0.5, 1))
    return image
