"""One tile or all tiles at a time, for tests of what the detector does in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from SpinalTapLib.detection.tiling import OVERLAP_PX, Blender, normalise_tiles


def normalise_tile(tile: np.ndarray) -> np.ndarray:
    """Return one tile, shape (rows, columns), as `normalise_tiles` makes it."""
    return normalise_tiles(torch.from_numpy(np.ascontiguousarray(tile, dtype=np.float32))).numpy()


def blend(maps: Sequence[np.ndarray], windows: Sequence, shape: Sequence[int], overlap: int = OVERLAP_PX) -> np.ndarray:
    """Return the maps of all tiles, each (channels, rows, columns), as one image."""
    blender = Blender(maps[0].shape[0], shape, overlap)
    for tile, window in zip(maps, windows):
        blender.add(torch.from_numpy(np.asarray(tile, np.float32)), window)
    return blender.result()
