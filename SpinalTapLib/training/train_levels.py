"""train_levels(): from nothing to the level network's weights, on synthetic spines alone."""

from __future__ import annotations

import dataclasses
import io
import json
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

from ..detection.networks import LEVEL_CLASSES, LevelNetwork
from ..detection.weights import save_network
from ..files.atomic import write_whole
from ..progress import Cancelled, CancelledCallback, ProgressCallback
from .averaging import Average, progress_of
from .level_examples import LevelExample, draw_scene, make_examples
from .settings import check

CHECKPOINT_NAME = "levels_checkpoint.pt"

DETECTIONS = 2
"""How often the candidates of an image are drawn, each time with other errors of the detector."""

FIRST_SCENES = 12
"""A worker draws so many scenes before it makes the first example, and the others in between."""


@dataclass(frozen=True)
class LevelConfig:
    """Everything that decides what a training run of the level network does.

    Attributes
    ----------
    steps, batch : int
        Optimiser steps and examples a step.
    deadline_minutes : float or None
        Ends the run after so many minutes; the learning rate falls with whichever of the two is further on.
    scenes : int
        Scenes that a worker keeps to choose from.
    examples_per_scene : int
        Examples made of a scene, in many images, before another one takes its place.
    mixed : int
        Examples that a worker keeps to make a batch of: those of one image must not follow one another.
    well_formed : float
        Share of spines with a well-formed S1-S2 disc, far above that of people.
    """

    name: str = "levels"
    widths: tuple[int, ...] = (16, 32, 48, 64, 96)
    rows: int = 128
    columns: int = 96
    seed: int = 2020
    steps: int = 8000
    deadline_minutes: float | None = None
    batch: int = 48
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    ema_decay: float = 0.998
    workers: int = 1
    scenes: int = 60
    examples_per_scene: int = 300
    mixed: int = 400
    well_formed: float = 0.6
    checkpoint_minutes: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        step = 2 ** len(self.widths)
        check(len(self.widths) >= 1 and min(self.widths) >= 1, "widths", self.widths, "one or more widths above zero")
        for name in ("rows", "columns"):
            value = getattr(self, name)
            wanted = f"a multiple of {step} for {len(self.widths)} widths"
            check(value >= step and value % step == 0, name, value, wanted)
        for name in ("steps", "batch", "scenes", "examples_per_scene", "mixed"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("seed", "workers", "weight_decay"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        for name in ("learning_rate", "checkpoint_minutes"):
            check(getattr(self, name) > 0, name, getattr(self, name), "above zero")
        for name in ("ema_decay", "well_formed"):
            check(0 <= getattr(self, name) < 1, name, getattr(self, name), "0 or more and below 1")
        minutes = self.deadline_minutes
        check(minutes is None or minutes > 0, "deadline_minutes", minutes, "above zero, or left out")


class _ExampleStream(IterableDataset):
    """Batches of examples without end, reproducible from the seed and the part of the run."""

    def __init__(self, config: LevelConfig, part: int) -> None:
        super().__init__()
        self.config, self.part = config, part

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.config.seed, 7, self.part, worker.id if worker else 0])
        kept: list[LevelExample] = []
        for example in self._examples(rng):
            kept.append(example)
            if len(kept) < self.config.mixed + self.config.batch:
                continue
            chosen = [kept.pop(int(rng.integers(len(kept)))) for _ in range(self.config.batch)]
            yield tuple(
                torch.from_numpy(np.stack([getattr(e, name) for e in chosen])) for name in ("view", "numbers", "target")
            )

    def _examples(self, rng: np.random.Generator) -> Iterator[LevelExample]:
        made = 0
        scenes = [draw_scene(rng, self.config.well_formed) for _ in range(min(FIRST_SCENES, self.config.scenes))]
        while True:
            scene = scenes[rng.integers(len(scenes))]
            examples = make_examples(scene, rng, self.config.rows, self.config.columns, DETECTIONS)
            yield from examples
            made += len(examples) * (3 if len(scenes) < self.config.scenes else 1)
            if made >= self.config.examples_per_scene:
                made = 0
                if len(scenes) < self.config.scenes:
                    scenes.append(draw_scene(rng, self.config.well_formed))
                else:
                    scenes[rng.integers(len(scenes))] = draw_scene(rng, self.config.well_formed)


def train_levels(
    config: LevelConfig,
    output: str | Path,
    resume: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Path:
    """Train the level network.

    Parameters
    ----------
    config : LevelConfig
    output : path
        Folder for ``<name>.pt``, its card and the checkpoint.
    resume : path, optional
        Checkpoint, or its folder, to go on from.
    progress, cancelled : callable, optional
        See `progress`.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    ValueError
        If the checkpoint can't be read or is that of another network.
    Cancelled
        If the caller has cancelled; the checkpoint is kept.
    """
    torch.manual_seed(config.seed)
    network = LevelNetwork(config.widths, config.rows, config.columns).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = Average(network, config.ema_decay)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    shown = torch.zeros(LEVEL_CLASSES, dtype=torch.float64)  # how much of each class the examples held
    step, spent, part = 0, 0.0, 0
    if resume is not None:
        step, spent, part = _restore(Path(resume), network, average.network, optimiser, shown)
    stream = _ExampleStream(config, part)
    loader = DataLoader(stream, batch_size=None, num_workers=config.workers, worker_init_fn=_one_thread)
    began, saved = time.monotonic(), time.monotonic()
    losses: list[float] = []

    def keep() -> None:
        state = {
            "step": step, "minutes": spent + (time.monotonic() - began) / 60, "part": part + 1,
            "network": network.state_dict(), "average": average.network.state_dict(),
            "optimiser": optimiser.state_dict(), "shown": shown, "config": json.dumps(dataclasses.asdict(config)),
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        Path(output).mkdir(parents=True, exist_ok=True)
        write_whole(Path(output) / CHECKPOINT_NAME, buffer.getvalue())

    for view, numbers, target in loader:
        minutes = spent + (time.monotonic() - began) / 60
        done = progress_of(step, minutes, config)
        if done >= 1:
            break
        if cancelled is not None and cancelled():
            keep()
            raise Cancelled
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * max(0.01, min(1.0, step / 100) * (1 + math.cos(math.pi * done)) / 2)
        logits = network(view.to(memory_format=torch.channels_last), numbers)
        loss = functional.cross_entropy(logits, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        shown += target.sum(0)
        average.follow(network, step)
        losses.append(loss.item())
        if progress is not None and step % 20 == 0:
            right = (logits.argmax(1) == target.argmax(1)).float().mean().item()
            recent = float(np.mean(losses[-100:]))
            progress("training", done, f"Step {step}, loss {recent:.3f}, right {right:.2f}")
        if time.monotonic() - saved > 60 * config.checkpoint_minutes:
            keep()
            saved = time.monotonic()
    keep()
    weights = Path(output) / f"{config.name}.pt"
    save_network(weights, average.network, _card(config, step, spent + (time.monotonic() - began) / 60, shown))
    return weights


def _restore(
    path: Path,
    network: torch.nn.Module,
    average: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    shown: torch.Tensor,
) -> tuple[int, float, int]:
    """Load a checkpoint and return its step, the minutes spent, and how many parts the run had."""
    file = path / CHECKPOINT_NAME if path.is_dir() else path
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        shown.copy_(state["shown"])
        return int(state["step"]), float(state["minutes"]), int(state["part"])
    except OSError as error:
        raise ValueError(f"Cannot resume from {file}: {error.strerror}.") from error
    except Exception as error:  # torch raises half a dozen kinds for a file that is none of its own
        raise ValueError(f"Cannot resume from {file}: it is no checkpoint of this network.") from error


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _card(config: LevelConfig, steps: int, minutes: float, shown: torch.Tensor) -> dict[str, Any]:
    return {
        "task": "Which vertebra a candidate is: S1 to C2, sacrum below S1, or none",
        "trained_on": "synthetic spines only (SpinalTapLib.training), at random fields of view",
        "steps": steps,
        "examples": steps * config.batch,
        "minutes": round(minutes, 1),
        "hardware": f"{torch.get_num_threads()} threads of {platform.machine()}",
        "torch": torch.__version__,
        "seed": config.seed,
        "config": dataclasses.asdict(config),
        "class_shares": [round(float(share), 5) for share in shown / shown.sum().clamp(min=1)],
        "scores": {},
    }
