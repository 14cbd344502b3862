"""The exponential moving average of a network's weights, and batch-norm statistics that fit it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from .tiles.tiles import Tiles


class Average:
    """A network that follows another one slowly; it is the one that is kept.

    Parameters
    ----------
    network : Module
        The network being trained.
    decay : float
        Share of the old value that each step keeps; smaller in the first steps, while weights still move far.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network's weights and running statistics after optimiser step `step`."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mine, its in zip(self.network.state_dict().values(), network.state_dict().values()):
            if mine.is_floating_point():
                mine.lerp_(its, 1 - decay)
            else:
                mine.copy_(its)


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
