"""The learning rate of each step, the average of a network's weights, and batch-norm statistics that fit it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .config import TrainConfig
from .tiles.tiles import Tiles


def progress_of(step: int, minutes: float, config: TrainConfig) -> float:
    """Return the fraction of a run that is done, 0-1: by steps, or by minutes where that is further on."""
    by_clock = minutes / config.deadline_minutes if config.deadline_minutes else 0.0
    return min(1.0, max(step / config.steps, by_clock))


def learning_rate(step: int, progress: float, config: TrainConfig) -> float:
    """Return the learning rate: a linear warm-up over the first steps, then half a cosine down to the final one."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
    return warm * (config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine)


class Average:
    """The exponential moving average of a network's weights and running statistics. It is what a run keeps.

    Parameters
    ----------
    network : Module
        The network being trained.
    decay : float
        Share of the old value that each step keeps; smaller in the first steps, while weights still move far.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._averaged = AveragedModel(network, use_buffers=True)
        self._averaged.n_averaged.fill_(1)  # the first weights count; else the first step would replace them
        self._decay = decay
        self.network: nn.Module = self._averaged.module.eval().requires_grad_(False)

    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network's weights and running statistics after optimiser step `step`."""
        self._averaged.multi_avg_fn = get_ema_multi_avg_fn(min(self._decay, (1 + step) / (10 + step)))
        self._averaged.update_parameters(network)


@torch.no_grad()
def recalibrate(network: nn.Module, tiles: Iterator[Tiles], batches: int, amp_dtype: torch.dtype | None) -> None:
    """Re-estimate the running mean and variance of every batch-norm layer from fresh tiles, for these weights.

    The moving average of statistics belongs to weights of many different steps; the averaged weights have
    statistics of their own.
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
