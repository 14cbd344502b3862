"""Checkpoints: everything that a stopped run needs to go on, in one file that is whole or not there."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..staging import write_whole
from .config import TrainConfig

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    minutes : float
        Wall-clock minutes spent, over all parts of the run.
    streams : int
        Parts of the run so far; each sees tiles of its own.
    arguments : dict
        Of the network.
    network, average, optimiser : dict
        State dicts.
    config : dict
        The settings, as plain values.
    """

    step: int
    minutes: float
    streams: int
    arguments: dict[str, Any]
    network: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any]
    config: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint over the last one.

    Raises
    ------
    ValueError
        If it can't be written (a full disk); the last one is then as it was.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **vars(checkpoint)}, buffer)
    write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path, config: TrainConfig) -> Checkpoint:
    """Read a checkpoint that a run with this config can go on from.

    Raises
    ------
    ValueError
        If the file is missing or not a checkpoint, or belongs to another network.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
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
    widths = tuple(checkpoint.arguments.get("widths", ()))
    if widths != config.widths:
        raise ValueError(
            f"Cannot resume from {path}: it holds a network of widths {widths}, the config asks for {config.widths}."
        )
    return checkpoint
