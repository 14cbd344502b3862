"""Run a trained part network over whole images, tile by tile."""

from __future__ import annotations

import copy
import logging
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..spine.structures import N_STRUCTURES, Structure
from .networks import N_HEATMAPS, OUTPUT_CHANNELS, VECTOR_UNIT_PX, PartNetwork
from .part_maps import PartMaps
from .tiling import OVERLAP_PX, TILE_PX, Blender, normalise_tiles, tile_grid

_log = logging.getLogger(__name__)

CPU_BATCH, GPU_BATCH = 2, 16
"""Tiles a forward pass. On a processor more gain nothing, and a cancel would have to wait longer."""

HALF_HEATMAP_TOLERANCE = 0.05
"""Half precision is kept only if no heatmap or mask probability moves by more than this on the scan itself: a quarter
of the lowest peak that counts, and about 0.05 px in the position of a peak."""

_VECTORS = slice(N_HEATMAPS, OUTPUT_CHANNELS - N_STRUCTURES)
_MASK = slice(OUTPUT_CHANNELS - N_STRUCTURES, OUTPUT_CHANNELS)


def has_fast_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 natively (AVX-512 BF16 or AMX); elsewhere it is slower."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


def fused(network: PartNetwork) -> PartNetwork:
    """Return a copy in evaluation mode whose batch normalisations are folded into the convolutions before them."""
    network = copy.deepcopy(network).eval()
    for block in (*network.down, *network.up):
        layers = cast(nn.Sequential, block)
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                layers[i - 1] = fuse_conv_bn_eval(cast(nn.Conv2d, layers[i - 1]), layer)
                layers[i] = nn.Identity()
    return network


class PartInference:
    """Runs a part network over whole images, tile by tile.

    Parameters
    ----------
    network : nn.Module
        A `PartNetwork`, or anything else that turns (n, 1, rows, columns) into (n, OUTPUT_CHANNELS, rows, columns).
    device : torch.device or str
        Where it runs.

    Notes
    -----
    On processors with native bfloat16 the convolutions run in it, which takes half the time. The first tile of the
    first image is run both ways; unless they agree (`HALF_HEATMAP_TOLERANCE`), everything runs in single precision.
    """

    def __init__(self, network: nn.Module, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        network = fused(network) if isinstance(network, PartNetwork) else network.eval()
        self._network = network.to(self.device)
        self._half: bool | None = None if self.device.type == "cpu" and has_fast_bfloat16() else False
        if self.device.type != "mps":  # there it is not faster, and some operations lack it
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, image: np.ndarray) -> PartMaps:
        """Return the part maps of one slice, shape (rows, columns), of raw intensities at 1 mm a pixel."""
        windows = tile_grid(image.shape, TILE_PX, OVERLAP_PX)
        tiles = torch.from_numpy(np.stack([np.ascontiguousarray(image[w], dtype=np.float32) for w in windows]))
        tiles = normalise_tiles(tiles[:, None])
        blender = Blender(OUTPUT_CHANNELS, image.shape, OVERLAP_PX)
        full = np.flatnonzero(tiles.flatten(1).any(1).numpy())
        for i in sorted(set(range(len(windows))) - set(full.tolist())):
            blender.add(_empty_maps(tiles.shape[-2:]), windows[i])
        size = GPU_BATCH if self.device.type == "cuda" else CPU_BATCH
        for batch in (full[i : i + size] for i in range(0, len(full), size)):
            for i, maps in zip(batch, self._run(tiles[batch])):
                blender.add(maps, windows[i])
        return _part_maps(blender.result())

    @torch.inference_mode()
    def _run(self, tiles: torch.Tensor) -> np.ndarray:
        """Return the maps of a few normalised tiles, (n, 20, rows, columns), mask classes as probabilities."""
        if self._half is None:
            self._half = self._half_is_good(tiles[:1])
        return self._forward(tiles, self._half)

    def _forward(self, tiles: torch.Tensor, half: bool) -> np.ndarray:
        if self.device.type != "mps":
            tiles = tiles.to(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output = self._network(tiles.to(self.device)).float().contiguous()
        output[:, _VECTORS] *= VECTOR_UNIT_PX
        output[:, _MASK] = output[:, _MASK].softmax(1)
        return output.cpu().numpy()

    def _half_is_good(self, tile: torch.Tensor) -> bool:
        """Run one tile in both precisions and return whether heatmaps and mask agree."""
        change = np.abs(self._forward(tile, True) - self._forward(tile, False))[0]
        worst = float(max(change[:N_HEATMAPS].max(), change[_MASK].max()))
        good = worst <= HALF_HEATMAP_TOLERANCE
        _log.info("bfloat16 moves the maps by up to %.3f: %s", worst, "used" if good else "not used")
        return good


def _empty_maps(shape: torch.Size) -> np.ndarray:
    """Return the maps of a tile that shows nothing: background everywhere."""
    maps = np.zeros((OUTPUT_CHANNELS, *shape), np.float32)
    maps[_MASK][Structure.BACKGROUND] = 1.0
    return maps


def _part_maps(maps: np.ndarray) -> PartMaps:
    """Return blended maps, (20, rows, columns), by their meaning."""
    return PartMaps(maps[:N_HEATMAPS], maps[_VECTORS].reshape(-1, 2, *maps.shape[1:]), maps[_MASK])
