"""Cut a slice into overlapping tiles, normalise their intensities, and blend the resulting maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch

TILE_PX = 352
"""Longest side of a tile, px of 1 mm. The training tiles have 224 px; up to about 1.5 times that, the robust statistics
of a tile describe the same mix of tissues, and larger tiles mean fewer pixels computed twice."""

OVERLAP_PX = 64
"""Least overlap of neighbouring tiles, px: more than the tallest vertebra, so that each is complete in one tile."""

CLIP_LOW, CLIP_HIGH = 0.005, 0.995
"""Quantiles at which a tile is clipped, so that hot pixels, metal and flare at the skin do not set the scale."""

Window = tuple[slice, slice]


def _starts(length: int, tile: int, overlap: int) -> tuple[list[int], int]:
    """Return the starts and the length of the tiles along one axis: the fewest and shortest that cover it."""
    if length <= tile:
        return [0], length
    n = math.ceil((length - overlap) / (tile - overlap))
    side = min(tile, 16 * math.ceil((length + overlap * (n - 1)) / n / 16))
    return [round(i * (length - side) / (n - 1)) for i in range(n)], side


def tile_grid(shape: Sequence[int], tile: int = TILE_PX, overlap: int = OVERLAP_PX) -> list[Window]:
    """Return windows that cover an image.

    Parameters
    ----------
    shape : (rows, columns)
        Size of the image, px.
    tile : int
        Longest side of a window, px.
    overlap : int
        Least overlap of neighbouring windows, px.

    Returns
    -------
    list of (row slice, column slice)
        Row by row. All windows have the same size, at most that of the image, and are evenly spaced.

    Raises
    ------
    ValueError
        If the image is empty, or the overlap is negative or not smaller than the tile.
    """
    rows, columns = (int(n) for n in shape)
    if rows < 1 or columns < 1:
        raise ValueError(f"An image of {rows} x {columns} pixels cannot be cut into tiles: it is empty.")
    if not 0 <= overlap < tile:
        raise ValueError(f"Tiles of {tile} px cannot overlap by {overlap} px: use an overlap from 0 to {tile - 1}.")
    row_starts, height = _starts(rows, tile, overlap)
    column_starts, width = _starts(columns, tile, overlap)
    return [(slice(r, r + height), slice(c, c + width)) for r, c in product(row_starts, column_starts)]


def normalise_tiles(tiles: torch.Tensor) -> torch.Tensor:
    """Normalise each tile of a batch to zero mean and unit standard deviation after clipping its extremes.

    Training and inference share this function.

    Parameters
    ----------
    tiles : Tensor, shape (..., rows, columns)
        Raw intensities, any real type and device; every (rows, columns) plane is one tile.

    Returns
    -------
    Tensor, float32, the same shape and device
        Clipped at the tile's 0.5 % and 99.5 % quantiles, then z-scored; all zeros if these quantiles are equal.
    """
    flat = tiles.to(torch.float32).flatten(-2)
    last = flat.shape[-1] - 1
    low = flat.kthvalue(1 + round(CLIP_LOW * last), dim=-1, keepdim=True).values
    high = flat.kthvalue(1 + round(CLIP_HIGH * last), dim=-1, keepdim=True).values
    # Scale to 0-1 first, so that huge or tiny intensities lose no precision in the sums below.
    span = high - low
    unit = ((flat - low) / torch.where(span > 0, span, 1.0)).clamp(0.0, 1.0)
    centred = unit - unit.mean(-1, keepdim=True)
    deviation = centred.square().mean(-1, keepdim=True).sqrt()
    scored = centred / torch.where(deviation > 0, deviation, 1.0)
    return torch.where(span > 0, scored, 0.0).view(tiles.shape)


DISTANCE_UNIT_MM = 4.0
"""One unit of the channels with the distances of the neighbouring slices, mm: a usual slice distance."""


def network_input(images: torch.Tensor, distances_mm: torch.Tensor) -> torch.Tensor:
    """Return the input of a `PartNetwork`: a slice, its neighbours, and the distance of each neighbour.

    Training and inference share this function.

    Parameters
    ----------
    images : Tensor, shape (n, 1 + neighbours, rows, columns)
        Normalised tiles: the slice itself, then its neighbours; zero for a missing neighbour.
    distances_mm : Tensor, shape (n, neighbours)
        Lateral distances, mm; zero for a missing neighbour.

    Returns
    -------
    Tensor, shape (n, 1 + 2 * neighbours, rows, columns)
        The images, then one constant channel per neighbour.
    """
    if not distances_mm.shape[1]:
        return images
    far = (distances_mm / DISTANCE_UNIT_MM).to(images)[:, :, None, None]
    return torch.cat((images, far.expand(-1, -1, *images.shape[-2:])), 1)


def _ramp(length: int, overlap: int) -> torch.Tensor:
    """Return weights along one side of a tile: 1 in the middle, a cosine ramp towards both ends, never zero."""
    width = max(1, min(overlap, length // 2))
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return torch.from_numpy((0.5 - 0.5 * np.cos(np.pi * np.clip(distance / width, 0.0, 1.0))).astype(np.float32))


class Blender:
    """Weighted mean of overlapping maps, added tile by tile.

    Parameters
    ----------
    channels : int
        Number of maps per tile.
    shape : (rows, columns)
        Size of the whole image, px.
    overlap : int
        Width of the cosine ramps, px; the overlap of the tiles.
    device : torch.device or str
        Where the maps are blended: where the network makes them.
    """

    def __init__(
        self, channels: int, shape: Sequence[int], overlap: int = OVERLAP_PX, device: torch.device | str = "cpu"
    ) -> None:
        self._overlap = overlap
        self._sum = torch.zeros((channels, *shape), device=device)
        self._weight = torch.zeros(tuple(shape), device=device)

    def add(self, maps: torch.Tensor, window: Window) -> None:
        """Add the maps, shape (channels, rows, columns), float32, of the tile at `window`."""
        rows, columns = maps.shape[-2:]
        weight = (_ramp(rows, self._overlap)[:, None] * _ramp(columns, self._overlap)).to(self._sum.device)
        self._sum[(slice(None), *window)] += maps * weight
        self._weight[window] += weight

    def result(self) -> np.ndarray:
        """Return the blended maps, (channels, rows, columns), float32; zero where no tile was added. Call it once."""
        self._sum /= self._weight.clamp_min(torch.finfo(torch.float32).tiny)
        return self._sum.cpu().numpy()
