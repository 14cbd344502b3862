"""Draw texture: grain, mottling and streaks in tissues, and differences between vertebrae."""

from __future__ import annotations

import torch
from torch.nn import functional

from ..synthetic.tissues import N_TISSUES, Tissue
from ..tiles.warp import halved
from .random_numbers import Chance

_STREAKED = {Tissue.MUSCLE: 0.35, Tissue.MUSCLE_FAT: 0.35, Tissue.FAT: 0.15, Tissue.ROOTS: 0.25, Tissue.LIGAMENT: 0.3}
"""Tissues with fibres or septa, and the largest relative sd of their streaks."""

_PATCHY = {
    Tissue.MARROW: 0.16, Tissue.SACRAL_MARROW: 0.16, Tissue.POSTERIOR_MARROW: 0.22, Tissue.LESION: 0.25,
    Tissue.HAEMANGIOMA: 0.3, Tissue.MODIC_1: 0.2, Tissue.MODIC_3: 0.25, Tissue.NUCLEUS: 0.2, Tissue.NUCLEUS_DRY: 0.3,
    Tissue.ANNULUS_INNER: 0.25, Tissue.MUSCLE: 0.2, Tissue.ORGAN_A: 0.2, Tissue.ORGAN_B: 0.3, Tissue.ORGAN_C: 0.35,
    Tissue.VESSEL: 0.4, Tissue.GAS: 0.5, Tissue.LUNG: 0.5, Tissue.HEART: 0.3, Tissue.BRAIN: 0.15, Tissue.CSF: 0.06,
    Tissue.FAT: 0.12, Tissue.SKULL: 0.4, Tissue.FLUID: 0.05,
}  # fmt: skip
"""Largest relative sd of low-frequency mottling."""

_OTHERS_PATCHY = 0.15
_LARGEST_GRAIN = 0.07  # relative sd of pixel noise inside a tissue
_MAX_BODIES = 256  # `instance` is a byte


def apply_texture(image: torch.Tensor, tissue: torch.Tensor, chance: Chance, strength: float = 1.0) -> torch.Tensor:
    """Add texture that depends on the tissue.

    Parameters
    ----------
    image : Tensor, shape (n, rows, columns)
    tissue : int Tensor, shape (n, rows, columns)
        `Tissue` value of each pixel.
    chance : Chance
    strength : float
        Relative strength; 1 is as in real scans.
    """
    n, rows, columns = image.shape
    tile = torch.arange(n, device=image.device)[:, None, None] * N_TISSUES
    where = (tissue + tile).flatten()

    def amplitude(largest: dict[Tissue, float], other: float) -> torch.Tensor:
        top = torch.full((N_TISSUES,), other)
        for key, value in largest.items():
            top[key] = value
        table = top.to(image.device) * chance.uniform(0, 1, n, N_TISSUES) * chance.uniform(0.2, 1, n, 1) * strength
        return table.flatten().index_select(0, where).view_as(image)

    grain = amplitude({}, _LARGEST_GRAIN) * chance.field(n, rows, columns)
    mottle = amplitude(_PATCHY, _OTHERS_PATCHY) * _mottle(n, rows, columns, chance)
    streaks = amplitude(_STREAKED, 0.0) * _streaks(n, rows, columns, chance)
    return image * (1 + grain + mottle + streaks).clamp_(0.0, 2.5)


def apply_bodies(
    image: torch.Tensor, instance: torch.Tensor, chance: Chance, strength: float = 1.0
) -> torch.Tensor:
    """Make each vertebral body slightly brighter or darker than its neighbours.

    Parameters
    ----------
    image : Tensor, shape (n, rows, columns)
    instance : uint8 Tensor, shape (n, 2 * rows, 2 * columns)
        0, or the number of the body.
    chance : Chance
    strength : float
        Relative strength; 1 is as in real scans.
    """
    n = len(image)
    factor = (chance.normal(1.0, n, _MAX_BODIES) * chance.uniform(0.02, 0.09, n, 1) * strength).exp()
    factor[:, 0] = 1
    where = instance.flatten(1).int() + torch.arange(n, device=image.device, dtype=torch.int32)[:, None] * _MAX_BODIES
    full = factor.flatten().index_select(0, where.flatten()).view(instance.shape)
    return image * halved(full)


def _mottle(n: int, rows: int, columns: int, chance: Chance) -> torch.Tensor:
    """Return noise with structures of 3 to 16 px, mixed differently in each tile; sd about one."""
    total = torch.zeros((n, rows, columns), device=chance.device)
    weights = chance.uniform(0.1, 1, n, 3)
    weights = weights / weights.square().sum(1, keepdim=True).sqrt()
    for k, cell in enumerate((3, 7, 16)):
        coarse = chance.field(n, 1, rows // cell + 2, columns // cell + 2)
        smooth = functional.interpolate(coarse, size=(rows, columns), mode="bilinear", align_corners=False)
        total += smooth[:, 0] * (weights[:, k, None, None] * 1.5)  # 1.5: bilinear interpolation shrinks the sd
    return total


def _streaks(n: int, rows: int, columns: int, chance: Chance) -> torch.Tensor:
    """Return noise elongated along the body axis, tilted by up to about 30 degrees; sd about one."""
    tall, wide = rows // 24 + 3, columns // 2 + 3
    coarse = chance.field(n, 1, tall, wide)
    angle = chance.normal(0.3, n)
    zero = torch.zeros_like(angle)
    theta = torch.stack((torch.stack((0.7 + zero, angle, zero), 1), torch.stack((zero, 0.7 + zero, zero), 1)), 1)
    grid = functional.affine_grid(theta, [n, 1, rows, columns], align_corners=False)
    return functional.grid_sample(coarse, grid, padding_mode="reflection", align_corners=False)[:, 0] * 1.4
