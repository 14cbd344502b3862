"""The training of the two small networks, ladder and levels: batches of examples made from synthetic scenes."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..detection.device import arithmetic
from ..detection.weights import save_network
from ..files.atomic import write_whole
from ..progress import Cancelled, CancelledCallback, ProgressCallback
from .averaging import Average, Clock, progress_of
from .settings import check

Scene = TypeVar("Scene")
Example = TypeVar("Example")

GROWTH = 3
"""While a worker has fewer scenes than wanted, it draws new ones this many times as often."""


@dataclass(frozen=True)
class ExampleConfig:
    """Settings that both trainings have.

    Attributes
    ----------
    steps, batch : int
        Optimiser steps, and examples per step.
    deadline_minutes : float or None
        Ends the run after this many minutes; the learning rate follows whichever of the two limits is closer.
    precision : {"auto", "fp32", "bf16"}
        Arithmetic of the network; "auto": half precision on processors that have it.
    scenes : int
        Scenes that a worker keeps in memory.
    examples_per_scene : int
        Examples made of a scene, with several contrasts, before a new scene replaces it.
    mixed : int
        Examples that a worker keeps to draw a batch from, so that those of one image do not follow one another.
    """

    name: str
    widths: tuple[int, ...] = (16, 32, 48, 64, 96)
    seed: int = 2020
    steps: int = 5000
    deadline_minutes: float | None = None
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    ema_decay: float = 0.998
    precision: str = "auto"
    workers: int = 1
    scenes: int = 60
    examples_per_scene: int = 48
    mixed: int = 0
    checkpoint_minutes: float = 3.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check(len(self.widths) >= 1 and min(self.widths) >= 1, "widths", self.widths, "one or more widths above zero")
        for name in ("steps", "batch", "scenes", "examples_per_scene"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("seed", "workers", "weight_decay", "mixed"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "zero or more")
        for name in ("learning_rate", "checkpoint_minutes"):
            check(getattr(self, name) > 0, name, getattr(self, name), "above zero")
        check(0 <= self.ema_decay < 1, "ema_decay", self.ema_decay, "0 or more and below 1")
        check(self.precision in ("auto", "fp32", "bf16"), "precision", self.precision, "auto, fp32 or bf16")
        minutes = self.deadline_minutes
        check(minutes is None or minutes > 0, "deadline_minutes", minutes, "above zero, or left out")

    def check_side(self, name: str) -> None:
        """Raise ValueError if the network's widths do not halve the setting `name`, pixels, without a rest."""
        step, value = 2 ** len(self.widths), getattr(self, name)
        wanted = f"a multiple of {step} for {len(self.widths)} widths"
        check(value >= step and value % step == 0, name, value, wanted)


@dataclass(frozen=True)
class Examples(Generic[Scene, Example]):
    """Where the examples of a network come from.

    Attributes
    ----------
    draw_scene : callable
        Takes a random generator; returns a scene.
    make : callable
        Takes a scene and a random generator; returns examples: dataclasses of arrays, all of the same shapes.
    first_scenes : int
        Scenes that a worker draws before it makes the first example.
    stream : int
        Distinguishes the random numbers of this network's training from those of others.
    """

    draw_scene: Callable[[np.random.Generator], Scene]
    make: Callable[[Scene, np.random.Generator], list[Example]]
    first_scenes: int
    stream: int


class Lesson(Protocol):
    """What a network learns from a batch."""

    @property
    def network(self) -> nn.Module:
        """The network."""

    def loss(self, batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, str]:
        """Return the loss of a batch, whose tensors are the fields of the examples, and a line that tells of it."""

    @property
    def tallies(self) -> dict[str, torch.Tensor]:
        """Sums over all examples so far, changed in place; a checkpoint keeps them."""

    def card(self) -> dict[str, Any]:
        """Return the entries of the model card that only this network has."""


class _Batches(IterableDataset, Generic[Scene, Example]):
    """Endless batches of examples, reproducible from the seed and the part of the run."""

    def __init__(self, config: ExampleConfig, source: Examples[Scene, Example], part: int) -> None:
        super().__init__()
        self.config, self.source, self.part = config, source, part

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.config.seed, self.source.stream, self.part, worker.id if worker else 0])
        kept: list[Any] = []
        for example in self._examples(rng):
            kept.append(example)
            if len(kept) < self.config.mixed + self.config.batch:
                continue
            chosen = [kept.pop(int(rng.integers(len(kept)))) for _ in range(self.config.batch)]
            names = [field.name for field in dataclasses.fields(example)]
            yield tuple(torch.from_numpy(np.stack([getattr(e, name) for e in chosen])) for name in names)

    def _examples(self, rng: np.random.Generator) -> Iterator[Any]:
        wanted, made = self.config.scenes, 0
        scenes = [self.source.draw_scene(rng) for _ in range(min(self.source.first_scenes, wanted))]
        while True:
            examples = self.source.make(scenes[rng.integers(len(scenes))], rng)
            yield from examples
            made += len(examples) * (GROWTH if len(scenes) < wanted else 1)
            if made < self.config.examples_per_scene:
                continue
            made = 0
            if len(scenes) < wanted:
                scenes.append(self.source.draw_scene(rng))
            else:
                scenes[rng.integers(wanted)] = self.source.draw_scene(rng)


def train_on_examples(
    config: ExampleConfig,
    lesson: Lesson,
    source: Examples[Scene, Example],
    output: str | Path,
    resume: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Path:
    """Train a small network on the processor.

    Parameters
    ----------
    config : ExampleConfig
    lesson : Lesson
        The network and its loss.
    source : Examples
    output : path
        Folder for ``<name>.pt``, its card and the checkpoint.
    resume : path, optional
        Checkpoint of a stopped run, or its folder, to resume from.
    progress, cancelled : callable, optional
        See `progress`.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    ValueError
        If the checkpoint cannot be read or is that of another network.
    Cancelled
        If the caller has cancelled; the checkpoint is kept.
    """
    run = _Run(config, lesson)
    if resume is not None:
        run.restore(Path(resume))
    checkpoint = Path(output) / f"{config.name}_checkpoint.pt"
    batches = DataLoader(
        _Batches(config, source, run.part), batch_size=None, num_workers=config.workers, worker_init_fn=_one_thread
    )
    saved = time.monotonic()
    for batch in batches:
        done = run.done
        if done >= 1:
            break
        if cancelled is not None and cancelled():
            run.keep(checkpoint)
            raise Cancelled
        message = run.learn(batch, done)
        if progress is not None and run.step % 20 == 0:
            progress("training", done, f"Step {run.step}, {message}")
        if time.monotonic() - saved > 60 * config.checkpoint_minutes:
            run.keep(checkpoint)
            saved = time.monotonic()
    run.keep(checkpoint)
    weights = Path(output) / f"{config.name}.pt"
    save_network(weights, run.average.network, run.card())
    return weights


class _Run:
    """State of a training run."""

    def __init__(self, config: ExampleConfig, lesson: Lesson) -> None:
        self.config, self.lesson = config, lesson
        self.network = lesson.network.train()
        self.average = Average(self.network, config.ema_decay)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.amp_dtype = arithmetic(config.precision, "cpu")
        self.step, self.part, self.clock = 0, 0, Clock()

    @property
    def done(self) -> float:
        """Fraction of the run that is done, 0-1."""
        return progress_of(self.step, self.clock.minutes, self.config)

    def learn(self, batch: tuple[torch.Tensor, ...], done: float) -> str:
        """Take one optimiser step and return the line that tells of its loss."""
        rate = max(0.01, min(1.0, self.step / 100) * (1 + math.cos(math.pi * done)) / 2)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * rate
        with torch.autocast("cpu", self.amp_dtype, enabled=self.amp_dtype is not None):
            loss, message = self.lesson.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self.average.follow(self.network, self.step)
        return message

    def keep(self, checkpoint: Path) -> None:
        """Write the checkpoint."""
        state = {
            "step": self.step, "minutes": self.clock.minutes, "part": self.part + 1,
            "network": self.network.state_dict(), "average": self.average.network.state_dict(),
            "optimiser": self.optimiser.state_dict(), "tallies": self.lesson.tallies,
            "config": json.dumps(dataclasses.asdict(self.config)),
        }  # fmt: skip
        buffer = io.BytesIO()
        torch.save(state, buffer)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        write_whole(checkpoint, buffer.getvalue())

    def restore(self, path: Path) -> None:
        """Load a checkpoint, or that of a folder."""
        file = path / f"{self.config.name}_checkpoint.pt" if path.is_dir() else path
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.network.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            for name, tally in self.lesson.tallies.items():
                tally.copy_(state["tallies"][name])
            self.step, self.part = int(state["step"]), int(state["part"])
            self.clock = Clock(float(state["minutes"]))
        except OSError as error:
            raise ValueError(f"Cannot resume from {file}: {error.strerror}.") from error
        except Exception as error:  # torch raises half a dozen kinds for a file that it did not write
            raise ValueError(f"Cannot resume from {file}: it is not a checkpoint of this network.") from error

    def card(self) -> dict[str, Any]:
        """Return the model card."""
        return {
            "steps": self.step,
            "examples": self.step * self.config.batch,
            "minutes": round(self.clock.minutes, 1),
            "hardware": f"{torch.get_num_threads()} threads of {platform.machine()}",
            "torch": torch.__version__,
            "seed": self.config.seed,
            "config": dataclasses.asdict(self.config),
            **self.lesson.card(),
            "scores": {},
        }


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
