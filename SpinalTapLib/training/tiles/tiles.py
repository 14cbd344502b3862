"""Make training examples from label crops, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch

from ...detection.tiling import network_input
from ..config import TrainConfig
from ..images.appearance import View, render
from ..images.random_numbers import Chance
from .label_batch import LabelBatch
from .placement import SUPERSAMPLING
from .targets import Targets, draw_homes, draw_targets
from .warp import Warp, draw_warp


@dataclass(frozen=True)
class Tiles:
    """A batch of training examples.

    Attributes
    ----------
    image : Tensor, shape (n, channels, side, side)
        Normalised input of the network, see `tiling.network_input`.
    targets : Targets
        Training targets.
    """

    image: torch.Tensor
    targets: Targets

    def to(self, device: torch.device | str) -> Tiles:
        """Return the batch on another device."""
        return Tiles(self.image.to(device, non_blocking=True), self.targets.to(device))

    def pin_memory(self) -> Tiles:
        """Return the batch in page-locked memory (called by the DataLoader for GPUs)."""
        return Tiles(self.image.pin_memory(), self.targets.pin_memory())


@dataclass(frozen=True)
class Extra:
    """Additional tiles that are not from synthetic spines.

    Attributes
    ----------
    words : str
        Description for the model card, which continues "synthetic spines ...".
    tiles : callable
        Takes the stream of synthetic batches and returns the stream to train with.
    """

    words: str
    tiles: Callable[[Iterator[Tiles]], Iterator[Tiles]]


def joined(parts: Sequence[Tiles]) -> Tiles:
    """Return several batches concatenated."""
    names = [f.name for f in fields(Targets)]
    targets = Targets(*(torch.cat([getattr(part.targets, name) for part in parts]) for name in names))
    return Tiles(torch.cat([part.image for part in parts]), targets)


@torch.no_grad()
def make_tiles(batch: LabelBatch, config: TrainConfig) -> Tiles:
    """Make the tiles of a batch of crops, on their device; all random numbers come from the batch's seed."""
    chance = Chance(batch.seed, batch.base.device)
    side, k = config.placement.tile_px, batch.slices
    warp = draw_warp(batch, chance, side, config.placement.elastic_px)
    inside = _field_of_view(len(batch), side, config.appearance.border, chance)
    everywhere = Warp(*(getattr(warp, f.name).repeat_interleave(k, 0) for f in fields(Warp)))
    view = View(
        tissue=_sampled(batch.tissue, everywhere.index, batch.middle_base, SUPERSAMPLING).int(),
        instance=_sampled(batch.instance, everywhere.index, batch.base),
        points=everywhere.points,
        inside=inside.repeat_interleave(k, 0),
    )
    structures, owner = _structures(batch, warp)
    targets = draw_targets(warp.points, structures, inside, owner)
    middle = _sampled(batch.structures, warp.index, batch.middle_base[::k], SUPERSAMPLING)
    homes = draw_homes(middle, view.instance[::k, ::SUPERSAMPLING, ::SUPERSAMPLING], warp.centres, inside)
    targets = replace(targets, homes=homes)
    image = render(batch, everywhere, view, config.appearance, chance).view(len(batch), k, side, side)
    image[:, 1:][batch.distances_mm == 0] = 0
    return Tiles(network_input(image, batch.distances_mm), targets)


def _structures(batch: LabelBatch, warp: Warp) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the structures on all planes of each tile's own slice, (planes, side, side), and each plane's tile."""
    own = batch.plane_image % batch.slices == 0
    tile = batch.plane_image[own] // batch.slices
    return _sampled(batch.structures, warp.index[tile], batch.plane_base[own]), tile


def _sampled(labels: torch.Tensor, index: torch.Tensor, base: torch.Tensor, stride: int = 1) -> torch.Tensor:
    """Return the labels at every `stride`-th sample of each image, shape (n, side, side)."""
    index = index[:, ::stride, ::stride] + base[:, None, None]
    return labels.index_select(0, index.flatten()).view(index.shape)


def _field_of_view(n: int, side: int, probability: float, chance: Chance) -> torch.Tensor:
    """Return the acquired part of each tile: all of it, or less on up to four sides."""
    cut = torch.zeros((n, 4), device=chance.device)
    chosen = chance.happens(probability, n)
    depth = chance.uniform(0, 0.4, len(chosen), 4) * side
    cut[chosen] = depth * (chance.uniform(0, 1, len(chosen), 4) < 0.4)
    line = torch.arange(side, device=chance.device)[None]
    rows = (line >= cut[:, 0:1]) & (line < side - cut[:, 1:2])
    columns = (line >= cut[:, 2:3]) & (line < side - cut[:, 3:4])
    return rows[:, :, None] & columns[:, None, :]
