"""Train the ladder network from scratch, on pairs of lumbar vertebrae of synthetic spines only."""

from __future__ import annotations

import dataclasses
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..detection.networks import LadderNetwork
from ..detection.weights import save_network
from ..progress import Cancelled, CancelledCallback, ProgressCallback
from .averaging import Average, progress_of
from .ladder_examples import RungExample, draw_scene, make_examples
from .settings import check


@dataclass(frozen=True)
class LadderConfig:
    """Settings of a training run of the ladder.

    Attributes
    ----------
    steps, batch : int
        Optimiser steps, and examples per step.
    deadline_minutes : float or None
        Ends the run after this many minutes; the learning rate follows whichever of the two limits is closer.
    scenes : int
        Scenes that a worker keeps in memory.
    examples_per_scene : int
        Examples made of a scene, with several contrasts, before a new scene replaces it.
    """

    name: str = "ladder"
    widths: tuple[int, ...] = (16, 32, 48, 64, 96)
    side_px: int = 96
    seed: int = 2020
    steps: int = 5000
    deadline_minutes: float | None = None
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    ema_decay: float = 0.998
    workers: int = 1
    scenes: int = 60
    examples_per_scene: int = 48

    def __post_init__(self) -> None:
        """Check the ranges."""
        widths, sides = self.widths, 2 ** len(self.widths)
        check(len(widths) >= 1 and min(widths) >= 1, "widths", widths, "one or more widths above zero")
        check(self.side_px >= sides and self.side_px % sides == 0, "side_px", self.side_px,
                      f"a multiple of {sides} for {len(widths)} widths")
        for name in ("steps", "batch", "scenes", "examples_per_scene"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("seed", "workers", "weight_decay"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above zero")
        check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "0 or more and below 1")
        minutes = self.deadline_minutes
        check(minutes is None or minutes > 0, "deadline_minutes", minutes, "above zero, or left out")


class _ExampleStream(IterableDataset):
    """Endless stream of batches, reproducible from the seed."""

    def __init__(self, config: LadderConfig) -> None:
        super().__init__()
        self.config = config

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.config.seed, 5, worker.id if worker else 0])
        examples = self._examples(rng)
        while True:
            batch = [next(examples) for _ in range(self.config.batch)]
            parts = (np.stack([getattr(e, name) for e in batch]) for name in ("crop", "target", "weight"))
            crop, target, weight = map(torch.from_numpy, parts)
            yield crop, target, weight

    def _examples(self, rng: np.random.Generator) -> Iterator[RungExample]:
        scenes, due, count = [draw_scene(rng)], 0, 6
        while True:
            made = make_examples(scenes[rng.integers(len(scenes))], rng, count, self.config.side_px)
            yield from made
            due += count * (2 if len(scenes) < self.config.scenes else 1)
            if due >= self.config.examples_per_scene:
                due = 0
                if len(scenes) < self.config.scenes:
                    scenes.append(draw_scene(rng))
                else:
                    scenes[rng.integers(len(scenes))] = draw_scene(rng)


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
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Path:
    """Train the ladder network.

    Parameters
    ----------
    config : LadderConfig
    output : path
        Folder for ``<name>.pt`` and its card.
    progress, cancelled : callable, optional
        See `progress`.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    Cancelled
        If the caller has cancelled.
    """
    torch.manual_seed(config.seed)
    network = LadderNetwork(config.widths, config.side_px).train()
    average = Average(network, config.ema_decay)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    loader = DataLoader(_ExampleStream(config), batch_size=None, num_workers=config.workers, worker_init_fn=_one_thread)
    began, step, done = time.monotonic(), 0, 0.0
    for crop, target, weight in loader:
        done = progress_of(step, (time.monotonic() - began) / 60, config)
        if done >= 1:
            break
        if cancelled is not None and cancelled():
            raise Cancelled
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * max(0.01, min(1.0, step / 50) * (1 + math.cos(math.pi * done)) / 2)
        geometry, presence = ladder_loss(network(crop), target, weight)
        optimiser.zero_grad(set_to_none=True)
        (4 * geometry + 0.5 * presence).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        average.follow(network, step)
        if progress is not None and step % 20 == 0:
            progress("training", done, f"Step {step}, geometry {geometry.item():.4f}, presence {presence.item():.4f}")
    weights = Path(output) / f"{config.name}.pt"
    save_network(weights, average.network, _card(config, step, (time.monotonic() - began) / 60))
    return weights


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _card(config: LadderConfig, steps: int, minutes: float) -> dict[str, Any]:
    return {
        "task": "From one vertebra to the next: corners, lateral shift and presence of its neighbours",
        "trained_on": "pairs of lumbar vertebrae (S1-L5 to L1-T12) of synthetic spines only (SpinalTapLib.training)",
        "steps": steps,
        "examples": steps * config.batch,
        "minutes": round(minutes, 1),
        "hardware": f"{torch.get_num_threads()} threads of {platform.machine()}",
        "torch": torch.__version__,
        "seed": config.seed,
        "config": dataclasses.asdict(config),
        "scores": {},
    }
