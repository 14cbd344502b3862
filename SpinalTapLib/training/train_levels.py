"""Train the level network, on the structures that the part network finds in images of synthetic spines only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ..detection.inference import PartInference
from ..detection.networks import LEVEL_CLASSES, LevelNetwork
from ..detection.weights import load_network
from ..progress import CancelledCallback, ProgressCallback
from .example_training import ExampleConfig, Examples, train_on_examples
from .level_examples import PIXEL_MM, draw_scene, make_examples
from .settings import check

DETECTIONS = 4
"""How often the candidates of an image are drawn, each time with other errors of the detector."""

FIRST_SCENES = 12


@dataclass(frozen=True)
class LevelConfig(ExampleConfig):
    """Settings of a training run of the level network: those of `ExampleConfig`, and the following.

    Attributes
    ----------
    rows, columns : int
        Size of a view, pixels.
    well_formed : float
        Share of spines with a well-formed S1-S2 disc, far above that of people.
    parts : str
        Name or path of the part network.
    """

    name: str = "levels"
    steps: int = 8000
    batch: int = 48
    weight_decay: float = 1e-3
    examples_per_scene: int = 300
    mixed: int = 400
    rows: int = 128
    columns: int = 96
    well_formed: float = 0.6
    parts: str = "parts"

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        self.check_side("rows")
        self.check_side("columns")
        check(self.mixed >= 1, "mixed", self.mixed, "1 or more")
        check(0 <= self.well_formed < 1, "well_formed", self.well_formed, "0 or more and below 1")


class _Lesson:
    """The level network, its loss, and how much of each class its examples held.

    `parts` is the SHA-256 of the part network.
    """

    def __init__(self, config: LevelConfig, parts: str) -> None:
        self._parts = parts
        self.network = LevelNetwork(config.widths, config.rows, config.columns)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.tallies = {"shown": torch.zeros(LEVEL_CLASSES, dtype=torch.float64)}

    def loss(self, batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, str]:
        """Return the loss of a batch, and a line that tells of it."""
        view, numbers, target = batch
        logits = self.network(view.to(memory_format=torch.channels_last), numbers).float()
        loss = functional.cross_entropy(logits, target)
        self.tallies["shown"] += target.sum(0)
        right = (logits.argmax(1) == target.argmax(1)).float().mean().item()
        return loss, f"loss {loss.item():.3f}, right {right:.2f}"

    def card(self) -> dict[str, Any]:
        """Return what the network does, and what it has seen."""
        shown = self.tallies["shown"]
        return {
            "task": "Which vertebra a candidate is: S1 to C2, sacrum below S1, or none",
            "trained_on": "synthetic spines only (SpinalTapLib.training), at random fields of view",
            "part_network": self._parts,
            "class_shares": [round(float(share), 5) for share in shown / shown.sum().clamp(min=1)],
        }


def train_levels(
    config: LevelConfig,
    output: str | Path,
    resume: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Path:
    """Train the level network; parameters, result and errors as for `train_on_examples`."""
    torch.manual_seed(config.seed)
    draw = partial(draw_scene, well_formed=config.well_formed)
    parts, card = load_network(config.parts, pixel_mm=PIXEL_MM)
    inference = PartInference(parts)
    make = partial(make_examples, inference=inference, rows=config.rows, columns=config.columns, times=DETECTIONS)
    source = Examples(draw, make, FIRST_SCENES, stream=7)
    return train_on_examples(config, _Lesson(config, card["sha256"]), source, output, resume, progress, cancelled)
