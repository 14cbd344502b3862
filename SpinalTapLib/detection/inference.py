"""Run a trained part network over whole images, tile by tile."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..spine.structures import Structure
from .networks import HOME_UNIT_PX, N_HEATMAPS, N_PARTS, OUTPUT_CHANNELS, VECTOR_UNIT_PX, PartNetwork
from .part_maps import PartMaps
from .tiling import OVERLAP_PX, TILE_PX, Blender, Window, network_input, normalise_tiles, tile_grid

_log = logging.getLogger(__name__)

CPU_BATCH, GPU_BATCH = 2, 16
"""Tiles per forward pass. On a processor, more would not be faster, and cancelling would take longer."""

HALF_HEATMAP_TOLERANCE = 0.05
"""Largest change of a heatmap or mask probability by half precision, measured on the scan itself, at which half
precision is used: a quarter of the lowest peak threshold, and about 0.05 px in the position of a peak."""

_VECTORS = slice(N_HEATMAPS, N_PARTS)
_MASK = slice(N_PARTS, OUTPUT_CHANNELS)


def has_fast_bfloat16() -> bool:
    """Return whether this processor computes bfloat16 natively (AVX-512 BF16 or AMX); emulation would be slower."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def fused(network: PartNetwork) -> PartNetwork:
    """Return a copy in evaluation mode with the batch normalisations folded into the preceding convolutions."""
    network = copy.deepcopy(network).eval()
    for block in (*network.down, *network.up):
        layers = cast(nn.Sequential, block)
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                layers[i - 1] = fuse_conv_bn_eval(cast(nn.Conv2d, layers[i - 1]), layer)
                layers[i] = nn.Identity()
    return network


class PartInference:
    """Inference of a part network over whole images, tile by tile.

    Parameters
    ----------
    network : nn.Module
        A `PartNetwork`, or another module that maps (n, channels, rows, columns) to (n, outputs, rows, columns).
    device : torch.device or str
        Device that the network runs on.

    Notes
    -----
    On processors with native bfloat16 the convolutions run in bfloat16, which takes half the time. The first tile of
    the first image is run in both precisions; if they differ by more than `HALF_HEATMAP_TOLERANCE`, everything runs in
    single precision. Structures that an older network lacks get probability 0.
    """

    def __init__(self, network: nn.Module, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._neighbours = int(getattr(network, "slices", 1)) - 1
        self._channels = OUTPUT_CHANNELS + 2 * bool(getattr(network, "homes", False))
        network = fused(network) if isinstance(network, PartNetwork) else network.eval()
        self._network = network.to(self.device)
        self._half: bool | None = None if self.device.type == "cpu" and has_fast_bfloat16() else False
        if self.device.type != "mps":  # on MPS, this is no faster, and some operations do not support it
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def sees_neighbours(self) -> bool:
        """Whether the network's input includes the two neighbouring slices."""
        return self._neighbours > 0

    def __call__(
        self, image: np.ndarray, neighbours: Sequence[np.ndarray | None] = (), distance_mm: float = 0.0
    ) -> PartMaps:
        """Return the part maps of one slice.

        Parameters
        ----------
        image : ndarray, shape (rows, columns)
            Raw intensities at 1 mm per pixel.
        neighbours : sequence of ndarray or None
            The slices on the two sides, of the same shape; None (or an empty sequence) where there is none. Ignored by
            a network for single slices.
        distance_mm : float
            Lateral distance from the slice to each neighbour, mm.
        """
        windows = tile_grid(image.shape, TILE_PX, OVERLAP_PX)
        tiles = self._inputs(image, neighbours, distance_mm, windows)
        blender = Blender(self._channels, image.shape, OVERLAP_PX, self.device)
        full = np.flatnonzero(tiles[:, 0].flatten(1).any(1).numpy())
        for i in sorted(set(range(len(windows))) - set(full.tolist())):
            blender.add(_empty_maps(self._channels, tiles.shape[-2:]).to(self.device), windows[i])
        size = GPU_BATCH if self.device.type == "cuda" else CPU_BATCH
        for batch in (full[i : i + size] for i in range(0, len(full), size)):
            for i, maps in zip(batch, self._run(tiles[batch])):
                blender.add(maps, windows[i])
        return _part_maps(blender.result())

    def _inputs(
        self, image: np.ndarray, neighbours: Sequence[np.ndarray | None], distance_mm: float, windows: Sequence[Window]
    ) -> torch.Tensor:
        """Return the network's input for every window, (n, channels, rows, columns)."""
        pair = [*neighbours, None, None][: self._neighbours]
        images = [_normalised(image, windows)]
        images += [torch.zeros_like(images[0]) if side is None else _normalised(side, windows) for side in pair]
        distances = torch.tensor([0.0 if side is None else distance_mm for side in pair])
        return network_input(torch.stack(images, 1), distances.expand(len(windows), -1))

    @torch.inference_mode()
    def _run(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return the maps of a few tiles, (n, channels, rows, columns), with mask classes as probabilities.

        They stay on the device: only the blended maps of a slice are copied back.
        """
        if self._half is None:
            self._half = self._half_is_good(tiles[:1])
        return self._forward(tiles, self._half)

    def _forward(self, tiles: torch.Tensor, half: bool) -> torch.Tensor:
        if self.device.type != "mps":
            tiles = tiles.to(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output = self._network(tiles.to(self.device)).float().contiguous()
        output[:, _VECTORS] *= VECTOR_UNIT_PX
        output[:, _MASK] = output[:, _MASK].softmax(1)
        output[:, OUTPUT_CHANNELS:] *= HOME_UNIT_PX
        unknown = self._channels - output.shape[1]
        return functional.pad(output, (0, 0, 0, 0, 0, unknown)) if unknown else output

    def _half_is_good(self, tile: torch.Tensor) -> bool:
        """Run one tile in both precisions and return whether heatmaps and mask agree."""
        change = (self._forward(tile, True) - self._forward(tile, False)).abs()[0]
        worst = float(max(change[:N_HEATMAPS].max(), change[_MASK].max()))
        good = worst <= HALF_HEATMAP_TOLERANCE
        _log.info("bfloat16 moves the maps by up to %.3f: %s", worst, "used" if good else "not used")
        return good


def _normalised(image: np.ndarray, windows: Sequence[Window]) -> torch.Tensor:
    """Return the normalised tiles of an image, (n, rows, columns)."""
    return normalise_tiles(
        torch.from_numpy(np.stack([np.ascontiguousarray(image[window], dtype=np.float32) for window in windows]))
    )


def _empty_maps(channels: int, shape: torch.Size) -> torch.Tensor:
    """Return the maps of an empty tile: background everywhere."""
    maps = torch.zeros((channels, *shape))
    maps[_MASK][Structure.BACKGROUND] = 1.0
    return maps


def _part_maps(maps: np.ndarray) -> PartMaps:
    """Return blended maps, (21 or 23, rows, columns), split by kind."""
    homes = maps[OUTPUT_CHANNELS:] if len(maps) > OUTPUT_CHANNELS else None
    return PartMaps(maps[:N_HEATMAPS], maps[_VECTORS].reshape(-1, 2, *maps.shape[1:]), maps[_MASK], homes)
