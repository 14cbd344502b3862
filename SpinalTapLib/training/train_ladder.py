"""Train the ladder network from scratch, on pairs of lumbar vertebrae of synthetic spines only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ..detection.networks import LadderNetwork
from ..progress import CancelledCallback, ProgressCallback
from .example_training import ExampleConfig, Examples, train_on_examples
from .ladder_examples import draw_scene, make_examples

EXAMPLES_OF_AN_IMAGE = 6


@dataclass(frozen=True)
class LadderConfig(ExampleConfig):
    """Settings of a training run of the ladder: those of `ExampleConfig`, and the side of its crops, pixels."""

    name: str = "ladder"
    side_px: int = 96

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        self.check_side("side_px")


class _Lesson:
    """The ladder network and its loss."""

    def __init__(self, config: LadderConfig) -> None:
        self.network = LadderNetwork(config.widths, config.side_px)
        self.tallies: dict[str, torch.Tensor] = {}

    def loss(self, batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, str]:
        """Return the loss of a batch, and a line that tells of it."""
        crop, target, weight = batch
        geometry, presence = ladder_loss(self.network(crop).float(), target, weight)
        return 4 * geometry + 0.5 * presence, f"geometry {geometry.item():.4f}, presence {presence.item():.4f}"

    def card(self) -> dict[str, Any]:
        """Return what the network does, and what it has seen."""
        return {
            "task": "From one vertebra to the next: corners, lateral shift and presence of its neighbours",
            "trained_on": "pairs of lumbar vertebrae (S1-L5 to L1-T12) of synthetic spines only"
            " (SpinalTapLib.training)",
        }


def ladder_loss(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of the geometry (Huber, in units of the rung's size) and of the presence (cross-entropy).

    Parameters
    ----------
    output, target : Tensor, shape (n, 2, 10)
    weight : Tensor, shape (n, 2, 2)
        Whether the geometry and the presence of each neighbour are known.
    """
    geometry = functional.smooth_l1_loss(output[..., :9], target[..., :9], beta=0.05, reduction="none")
    geometry = (geometry[..., :8].mean(-1) + geometry[..., 8]) * weight[..., 0]
    presence = functional.binary_cross_entropy_with_logits(output[..., 9], target[..., 9], reduction="none")
    known = weight.sum((0, 1)).clamp(min=1)
    return geometry.sum() / known[0], (presence * weight[..., 1]).sum() / known[1]


def train_ladder(
    config: LadderConfig,
    output: str | Path,
    resume: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Path:
    """Train the ladder network; parameters, result and errors as for `train_on_examples`."""
    torch.manual_seed(config.seed)
    make = partial(make_examples, count=EXAMPLES_OF_AN_IMAGE, side_px=config.side_px)
    source = Examples(draw_scene, make, first_scenes=1, stream=5)
    return train_on_examples(config, _Lesson(config), source, output, resume, progress, cancelled)
