"""Write and read checkpoints: everything that a stopped training run needs to resume, in one file."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..files.atomic import write_whole
from .config import TrainConfig, config_from_dict
from .settings import known_settings

CHECKPOINT_NAME = "checkpoint.pt"
FORMAT = 1
FREE = frozenset(
    {
        "steps", "deadline_minutes", "checkpoint_minutes", "log_every", "recalibration_batches",  # how long, how often
        "device", "precision", "workers", "worker_niceness", "tiles_on", "canvas_folder",  # where
        "pool_canvases", "tiles_per_canvas", "planes_per_spine",  # what the machine's memory and cores allow
    }
)  # fmt: skip
"""Settings that a resumed run may change: duration, hardware, logging; nothing that the network learns from."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a training run.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    minutes : float
        Wall-clock minutes spent, over all parts of the run.
    streams : int
        Parts of the run so far; each draws different tiles.
    arguments : dict
        Constructor arguments of the network.
    network, average, optimiser : dict
        State dicts.
    config : dict
        The settings, as plain values.
    tiles : int or None
        Training tiles used so far; None in older checkpoints, which did not count them.
    """

    step: int
    minutes: float
    streams: int
    arguments: dict[str, Any]
    network: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any]
    config: dict[str, Any]
    tiles: int | None = None

    @property
    def tiles_seen(self) -> int:
        """Training tiles used so far; for older checkpoints, steps x batch size."""
        return self.step * int(self.config.get("batch", TrainConfig.batch)) if self.tiles is None else self.tiles


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, replacing the previous one.

    Raises
    ------
    ValueError
        If it cannot be written, such as on a full disk; the previous checkpoint is then unchanged.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **vars(checkpoint)}, buffer)
    write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path, config: TrainConfig) -> Checkpoint:
    """Read a checkpoint that a run with this config can resume from.

    Parameters
    ----------
    path : Path
        The file, or the folder that holds it.
    config : TrainConfig
        May differ from the checkpoint's config only in the settings listed in `FREE`.

    Raises
    ------
    ValueError
        If the file is missing or not a checkpoint, or was made with other settings.
    """
    checkpoint = _read(path)
    _check_same(path, known_settings(checkpoint.config, TrainConfig), config.as_dict())
    slices = checkpoint.arguments.get("slices", 1)
    if slices != config.slices:
        raise ValueError(
            f"Cannot resume from {path}: its network uses {slices} slices together, the config asks for "
            f"{config.slices}."
        )
    widths = tuple(checkpoint.arguments.get("widths", ()))
    if widths != config.widths:
        raise ValueError(
            f"Cannot resume from {path}: it holds a network of widths {widths}, the config asks for {config.widths}."
        )
    return checkpoint


def stored_config(path: Path) -> TrainConfig:
    """Return the settings stored in a checkpoint file, or in the checkpoint of a folder.

    Settings that this version does not know are ignored; missing ones get their defaults.

    Raises
    ------
    ValueError
        If the file is missing or not a checkpoint, or a setting is impossible.
    """
    checkpoint = _read(path)
    values = {"widths": list(checkpoint.arguments.get("widths", ())), **known_settings(checkpoint.config, TrainConfig)}
    return config_from_dict(values, where=f"the checkpoint {path}")


def _read(path: Path) -> Checkpoint:
    """Read a checkpoint without comparing its settings."""
    try:
        values = torch.load(path / CHECKPOINT_NAME if path.is_dir() else path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"Cannot resume from {path}: {error.strerror}.") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"Cannot resume from {path}: it is not a checkpoint of a training run.") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ValueError(f"Cannot resume from {path}: it is not a checkpoint of this version of the training.")
    try:
        checkpoint = Checkpoint(**values)
    except TypeError as error:
        raise ValueError(f"Cannot resume from {path}: the checkpoint is incomplete.") from error
    if not isinstance(checkpoint.arguments, dict) or not isinstance(checkpoint.config, dict):
        raise ValueError(f"Cannot resume from {path}: the checkpoint is incomplete.")
    return checkpoint


def _check_same(path: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise ValueError if a setting differs that a resumed run must keep."""
    before, now = _flat(stored), _flat(wanted)
    other = [name for name in before if name not in FREE and before[name] != now.get(name)]
    if other:
        pairs = ", ".join(f"{name} ({before[name]}, not {now.get(name)})" for name in other)
        raise ValueError(
            f"The checkpoint {path} was made with different settings: {pairs}; resume with the same config."
        )


def _flat(values: dict[str, Any], front: str = "") -> dict[str, Any]:
    """Return nested settings as one flat dict with dotted names, such as ``"loss.mask"``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flat(value, f"{front}{name}.") if isinstance(value, dict) else {front + name: value})
    return flat
