"""Train the part network from a config; write its weights and model card. Seeded, resumable, on CPU or GPU."""

from __future__ import annotations

import json
import logging
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..detection.device import arithmetic, choose_device, describe
from ..detection.networks import OUTPUT_CHANNELS, PartNetwork
from ..detection.weights import load_network, save_network
from ..errors import reason
from ..files.atomic import write_whole
from ..machine import processor_count
from ..progress import Cancelled, CancelledCallback, ProgressCallback
from ..spine.structures import N_STRUCTURES
from .averaging import Average, Clock, learning_rate, progress_of, recalibrate
from .checkpoint import CHECKPOINT_NAME, Checkpoint, read_checkpoint, write_checkpoint
from .config import TrainConfig
from .losses import part_losses
from .run_log import VALIDATION_NAME, LossSums, append_line, write_curves
from .tiles.dataset import CanvasSource, make_loader
from .tiles.tiles import Extra, Tiles
from .validation import Validation

NEW_CLASS_BIAS = -4.0
"""Initial logit of a structure that the initial weights lack: a probability of about 2 % or less."""

LOG_NAME = "log.jsonl"
CURVES_NAME = "curves.png"

_log = logging.getLogger(__name__)


@dataclass
class _Run:
    """Mutable state of a training run."""

    config: TrainConfig
    device: torch.device
    amp_dtype: torch.dtype | None
    network: PartNetwork
    average: Average
    optimiser: torch.optim.Optimizer
    step: int = 0
    stream: int = 0
    tiles: int = 0
    clock: Clock = field(default_factory=Clock)

    @property
    def progress(self) -> float:
        """Fraction of the run that is done, 0-1."""
        return progress_of(self.step, self.clock.minutes, self.config)


def train(
    config: TrainConfig,
    output: str | Path,
    resume: str | Path | None = None,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
    source: CanvasSource | None = None,
    extra: Extra | None = None,
    spider: str | Path | None = None,
) -> Path:
    """Train a part network on synthetic spines.

    Parameters
    ----------
    config : TrainConfig
    output : path
        Folder for ``<name>.pt`` and its card ``<name>.json``, ``checkpoint.pt``, ``log.jsonl``, ``config.json`` and,
        where matplotlib is installed, ``curves.png``.
    resume : path, optional
        A checkpoint of a stopped run, or the folder that holds it, to resume from. The config may differ from the
        checkpoint's only in the settings listed in `checkpoint.FREE`.
    progress : callable, optional
        See `progress.ProgressCallback`.
    cancelled : callable, optional
        Called at every step; if it returns True, a checkpoint is written and `Cancelled` is raised.
    source : callable, optional
        Takes a random generator and returns an iterator of canvases, used instead of random spines.
    extra : Extra, optional
        Additional tiles; without it the network is trained on synthetic spines only.
    spider : path, optional
        Real slices on which the network is measured after every tenth of the run, see `validation.Validation`. The
        figures are reported (``validation.jsonl``, curves, card); nothing is selected by them. Their time counts
        towards the deadline.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    ValueError
        If the output cannot be written, the checkpoint does not match the config, the training diverges, or the real
        slices are missing.
    Cancelled
        If the caller has cancelled.
    """
    folder = Path(output)
    run = _prepared(config, resume)
    validation = Validation(spider, folder / VALIDATION_NAME) if spider is not None else None
    _write_config(folder, config)
    tiles = make_loader(config, run.device, run.stream, source)
    if extra is not None:
        tiles = extra.tiles(tiles)
    _optimise(run, tiles, folder, progress, cancelled, validation)
    recalibrate(run.average.network, tiles, config.recalibration_batches, run.amp_dtype)
    weights = folder / f"{config.name}.pt"
    try:
        save_network(weights, run.average.network, _card(run, extra, validation))
    except OSError as error:
        raise ValueError(f"Could not write {weights}: {reason(error)}.") from error
    try:
        write_curves(folder / LOG_NAME, folder / CURVES_NAME)
    except ValueError as error:  # a missing picture must not fail the run
        _log.warning("%s", error)
    return weights


def _prepared(config: TrainConfig, resume: str | Path | None) -> _Run:
    """Build network, average and optimiser: new, from initial weights, or from a checkpoint."""
    device = torch.device(choose_device(config.device))
    torch.manual_seed(config.seed)
    network = PartNetwork(config.widths, config.slices, N_STRUCTURES, homes=True)
    if config.initial_weights is not None and resume is None:
        network = _initial(config)
    network = network.train().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=device.type == "cuda"
    )
    average = Average(network, config.ema_decay)
    run = _Run(config, device, arithmetic(config.precision, device.type), network, average, optimiser)
    if resume is not None:
        _restore(run, read_checkpoint(Path(resume), config))
    return run


def _initial(config: TrainConfig) -> PartNetwork:
    """Load the initial weights for fine-tuning, extended to the config's slices and structures by `grown`."""
    known, _ = load_network(str(config.initial_weights))
    if known.widths != config.widths or known.slices > config.slices:
        raise ValueError(
            f"The initial weights {config.initial_weights} have widths {known.widths} and use {known.slices} "
            f"slices; the config asks for {config.widths} and {config.slices}."
        )
    return grown(known, config.slices)


def grown(known: PartNetwork, slices: int) -> PartNetwork:
    """Return a network with the same output as `known` that can be trained with more slices and more structures.

    Filters on added slices start at zero. An added structure starts with small random weights and a bias of
    `NEW_CLASS_BIAS`, so that it is hardly ever predicted. The offsets from arches to bodies start at random.
    """
    network = PartNetwork(known.widths, slices, N_STRUCTURES, homes=True)
    state, old = network.state_dict(), known.state_dict()
    for name, values in old.items():
        if state[name].shape == values.shape:
            state[name].copy_(values)
        elif name == "down.0.0.weight":
            state[name].zero_()[:, :1].copy_(values[:, :1])  # its own slice
            if known.slices > 1:
                state[name].copy_(values)
        else:  # the head's rows
            state[name][: len(values)] = values
            if name.endswith("bias"):
                state[name][len(values) : OUTPUT_CHANNELS] = NEW_CLASS_BIAS
    network.load_state_dict(state)
    return network


def _restore(run: _Run, checkpoint: Checkpoint) -> None:
    """Restore the state of a run from its checkpoint."""
    run.network.load_state_dict(checkpoint.network)
    run.average.network.load_state_dict(checkpoint.average)
    run.optimiser.load_state_dict(checkpoint.optimiser)
    run.step, run.clock, run.stream = checkpoint.step, Clock(checkpoint.minutes), checkpoint.streams
    run.tiles = checkpoint.tiles_seen


def _optimise(
    run: _Run,
    tiles: Iterator[Tiles],
    folder: Path,
    progress: ProgressCallback | None,
    cancelled: CancelledCallback | None,
    validation: Validation | None,
) -> None:
    """Run optimiser steps until the run is done; write log and checkpoints on the way."""
    kept, sums = time.monotonic(), LossSums()
    while run.progress < 1:
        sums.add(_step(run, next(tiles)))
        if run.step % run.config.log_every == 0:
            _report(run, sums, folder, progress)
            sums = LossSums()
        if validation is not None:
            validation.after(run.step, run.progress, run.average.network)
        stop = cancelled is not None and cancelled()
        if stop or time.monotonic() - kept > 60 * run.config.checkpoint_minutes:
            _keep(run, folder)
            kept = time.monotonic()
        if stop:
            raise Cancelled
    _keep(run, folder)


def _step(run: _Run, tiles: Tiles) -> dict[str, torch.Tensor]:
    """Run one optimiser step; return the losses as tensors, so that the GPU need not be synchronised."""
    rate = learning_rate(run.step, run.progress, run.config)
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    image = tiles.image.contiguous(memory_format=torch.channels_last)
    with torch.autocast(run.device.type, run.amp_dtype, enabled=run.amp_dtype is not None):
        output = run.network(image)
    losses = part_losses(output, tiles.targets, run.config.loss)
    run.optimiser.zero_grad(set_to_none=True)
    losses.total.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.config.gradient_clip)
    run.optimiser.step()
    run.step += 1
    run.tiles += len(tiles.image)
    run.average.follow(run.network, run.step)
    return {name: value.detach() for name, value in vars(losses).items()}


def _report(run: _Run, sums: LossSums, folder: Path, progress: ProgressCallback | None) -> None:
    """Append a line to the log and report progress; raise ValueError if the loss is not finite."""
    means, seconds = sums.means(), sums.seconds_a_step
    if not math.isfinite(means["total"]):
        raise ValueError(
            f"The training has diverged at step {run.step}: lower 'learning_rate' and start a new run."
        )
    line = {
        "step": run.step,
        "minutes": round(run.clock.minutes, 3),
        "learning_rate": run.optimiser.param_groups[0]["lr"],
        "seconds_a_step": round(seconds, 4),
        **{name: round(value, 5) for name, value in means.items()},
    }
    append_line(folder / LOG_NAME, line)
    if progress is not None:
        progress("training", run.progress, f"Step {run.step}, loss {means['total']:.3f}, {seconds:.2f} s per step")


def _keep(run: _Run, folder: Path) -> None:
    """Write a checkpoint; if that fails, log a warning and continue with the previous checkpoint in place."""
    checkpoint = Checkpoint(
        run.step,
        run.clock.minutes,
        run.stream + 1,
        run.network.arguments,
        run.network.state_dict(),
        run.average.network.state_dict(),
        run.optimiser.state_dict(),
        run.config.as_dict(),
        run.tiles,
    )
    try:
        write_checkpoint(folder / CHECKPOINT_NAME, checkpoint)
    except ValueError as error:
        _log.warning("%s Training continues; the previous checkpoint is kept.", error)


def _write_config(folder: Path, config: TrainConfig) -> None:
    """Create the output folder and write ``config.json``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"Cannot use {folder} as the output folder: {reason(error)}.") from error
    write_whole(folder / "config.json", (json.dumps(config.as_dict(), indent=2) + "\n").encode())


def _card(run: _Run, extra: Extra | None, validation: Validation | None) -> dict[str, Any]:
    """Return the model card of the weights."""
    measured = validation.measure(run.step, run.average.network) if validation is not None else None
    pixel_mm = run.config.placement.pixel_mm
    earlier = _history(run.config)
    return {
        "task": f"Corners, centroids and structures of vertebrae in sagittal MRI slices at {pixel_mm:g} mm a pixel",
        "pixel_mm": pixel_mm,
        "trained_on": f"synthetic spines {extra.words if extra else 'only'} (SpinalTapLib.training)",
        "steps": run.step,
        "tiles": run.tiles,
        "minutes": round(run.clock.minutes, 1),
        "hardware": f"{describe(run.device.type)}, {processor_count()} cores of {platform.machine()}",
        "torch": torch.__version__,
        "seed": run.config.seed,
        "config": run.config.as_dict(),
        **({"history": earlier} if earlier else {}),
        "scores": {"SPIDER development slices (real)": measured} if measured else {},
    }


def _history(config: TrainConfig) -> list[dict[str, Any]]:
    """Return the training history of the initial weights from their card; empty without initial weights."""
    if config.initial_weights is None:
        return []
    _, card = load_network(config.initial_weights)
    told = {key: card[key] for key in ("name", "sha256", "steps", "tiles", "minutes", "seed") if key in card}
    return [*card.get("history", []), {**told, "what": "the weights that this run began with"}]
