"""Clock and learning rate of a run, moving average of its weights, and their batch-norm statistics."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .config import TrainConfig
from .tiles.tiles import Tiles


@dataclass
class Clock:
    """Wall-clock minutes spent on a run, earlier parts of the run included."""

    earlier_minutes: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def minutes(self) -> float:
        """The minutes up to now."""
        return self.earlier_minutes + (time.monotonic() - self.began) / 60


class Limits(Protocol):
    """The settings of a config that end a run."""

    @property
    def steps(self) -> int:
        """Optimiser steps."""

    @property
    def deadline_minutes(self) -> float | None:
        """Minutes, if limited."""


def progress_of(step: int, minutes: float, config: Limits) -> float:
    """Return the fraction of a run that is done, 0-1: of its steps or of its minutes, whichever is larger."""
    by_clock = minutes / config.deadline_minutes if config.deadline_minutes else 0.0
    return min(1.0, max(step / config.steps, by_clock))


def learning_rate(step: int, progress: float, config: TrainConfig) -> float:
    """Return the learning rate: linear warm-up, then cosine decay to the final rate."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
    return warm * (config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine)


class Average:
    """Exponential moving average of a network's weights and running statistics; a run saves this average.

    Parameters
    ----------
    network : Module
        The network being trained.
    decay : float
        Fraction of the old value that each step keeps; smaller in the first steps, while the weights change fast.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._averaged = AveragedModel(network, use_buffers=True)
        self._averaged.n_averaged.fill_(1)  # otherwise the first update would replace the initial weights
        self._decay = decay
        self.network: nn.Module = self._averaged.module.eval().requires_grad_(False)

    def follow(self, network: nn.Module, step: int) -> None:
        """Update the average with the network's weights and running statistics after optimiser step `step`."""
        self._averaged.multi_avg_fn = get_ema_multi_avg_fn(min(self._decay, (1 + step) / (10 + step)))
        self._averaged.update_parameters(network)


@torch.no_grad()
def recalibrate(network: nn.Module, tiles: Iterator[Tiles], batches: int, amp_dtype: torch.dtype | None) -> None:
    """Re-estimate the running mean and variance of every batch-norm layer from new tiles.

    The averaged running statistics come from the weights of many different steps and do not match the averaged weights.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms or batches < 1:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    device = next(network.parameters()).device
    for _ in range(batches):
        with torch.autocast(device.type, amp_dtype, enabled=amp_dtype is not None):
            network(next(tiles).image)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    network.eval()
