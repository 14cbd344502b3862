"""Losses of the part network: L2 for heatmaps and vectors, cross-entropy and Dice for the mask."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch.nn import functional

from ..detection.networks import N_CORNERS, split_output
from ..spine.structures import Structure
from .config import LossConfig
from .tiles.targets import Targets

CLASS_WEIGHTS = tuple(2.0 if structure in (Structure.S1, Structure.C2) else 1.0 for structure in Structure)
"""Weights of the mask classes in the cross-entropy. S1 and C2 count double: they are rare, and levels are counted from
them. Background counts as much as bone: with a lower weight, a thick slice that is less than half bone at a body's side
is classified as bone."""


@dataclass(frozen=True)
class Losses:
    """Terms of the loss, each a scalar tensor; `total` is their weighted sum."""

    total: torch.Tensor
    heatmap: torch.Tensor
    vector: torch.Tensor
    entropy: torch.Tensor
    dice: torch.Tensor
    home: torch.Tensor

    def numbers(self) -> dict[str, float]:
        """Return the terms as plain numbers."""
        return {f.name: float(getattr(self, f.name).detach()) for f in fields(self)}


def part_losses(output: torch.Tensor, targets: Targets, config: LossConfig) -> Losses:
    """Return the losses of a batch.

    Parameters
    ----------
    output : Tensor, shape (n, 21 or 23, rows, columns)
        Output of the network, in any precision; the losses are computed in single precision.
    targets : Targets
    config : LossConfig
    """
    heatmaps, vectors, logits, homes = split_output(output.float())
    heatmap = heatmap_loss(heatmaps, targets.heatmaps, config.heatmap_peak)
    vector = vector_loss(vectors, targets.vectors, targets.vector_weight)
    log_probability = logits.log_softmax(1)
    entropy = entropy_loss(log_probability, targets.structure)
    dice = dice_loss(log_probability.exp(), targets.structure)
    home = heatmap.new_zeros(()) if homes is None else home_loss(homes, targets.homes)
    total = config.heatmap * heatmap + config.vector * vector + config.mask * (entropy + dice) + config.home * home
    return Losses(total, heatmap, vector, entropy, dice, home)


def heatmap_loss(heatmaps: torch.Tensor, target: torch.Tensor, peak: float) -> torch.Tensor:
    """Return the mean over pixels and channels of squared difference x (1 + peak x target).

    For corner channels, the target in the weight is the maximum over all four corners, so that a peak of the wrong kind
    costs as much as a missing one. With the absolute difference, a network that cannot yet distinguish upper from lower
    corners minimises its loss by predicting no peak; with a lower weight on wrong kinds, by predicting both for good.
    With the squared difference, it predicts each peak at its probability, and any better distinction lowers the loss.
    """
    corners = target[:, :N_CORNERS].amax(1, keepdim=True).expand(-1, N_CORNERS, -1, -1)
    weight = 1 + peak * torch.cat((corners, target[:, N_CORNERS:]), 1)
    return ((heatmaps - target).square() * weight).mean()


def vector_loss(vectors: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the mean squared length of the error, in squared vector units, over the supervised pixels."""
    squared = (vectors - target).square().sum(2)
    return (squared * weight).sum() / weight.sum().clamp(min=1)


def home_loss(homes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the mean error of the offsets from arches to their bodies, in units of `networks.HOME_UNIT_PX`.

    Huber loss with delta 0.25: a few offsets that point to a neighbouring vertebra do not dominate it.
    """
    known = target.isfinite().all(1)
    if not known.any():
        return homes.sum() * 0
    wrong = (homes - target.nan_to_num()).permute(0, 2, 3, 1)[known]
    return functional.huber_loss(wrong.norm(dim=1), wrong.new_zeros(len(wrong)), delta=0.25)


def entropy_loss(log_probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy with soft targets, averaged with `CLASS_WEIGHTS`."""
    weight = torch.tensor(CLASS_WEIGHTS, device=target.device)[None, :, None, None]
    weighted = target * weight
    return -(weighted * log_probability).sum() / weighted.sum().clamp(min=1e-6)


def dice_loss(probability: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return one minus the mean soft Dice of the classes present in the batch, without the background.

    The Dice of a class is computed over the whole batch, 2 sum(p t) / (sum(p^2) + sum(t^2)). With soft targets this
    form, unlike the one with plain sums, has its maximum at p = t.
    """
    axes = (0, 2, 3)
    keep = torch.arange(probability.shape[1], device=target.device) != Structure.BACKGROUND
    overlap = 2 * (probability * target).sum(axes)[keep]
    size = (probability.square().sum(axes) + target.square().sum(axes))[keep]
    present = (target.sum(axes)[keep] > 1).float()
    dice = overlap / size.clamp(min=1e-6)
    return (present * (1 - dice)).sum() / present.sum().clamp(min=1)
