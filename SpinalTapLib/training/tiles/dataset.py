"""Endless stream of training batches: workers draw canvases, keep some in memory, and cut tiles from them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..config import TrainConfig
from ..synthetic.drawing import Canvas
from .canvases import CanvasFolder, drawn_canvases, kept_canvases
from .label_batch import LabelBatch, pack
from .placement import LabelCrop, draw_crop
from .tiles import Tiles, joined, make_tiles

_FEW = 2  # tiles made at a time on a CPU, so that the data fit into its cache (measured: 14 ms per tile instead of 20)

CanvasSource = Callable[[np.random.Generator], Iterator[Canvas]]


class CanvasPool:
    """Canvases in memory, so that a batch mixes spines and several tiles are cut from each canvas.

    Parameters
    ----------
    source : iterator of Canvas
        Source of new canvases.
    size : int
        Number of canvases kept.
    tiles_per_canvas : float
        Average number of tiles cut per new canvas.
    ready : int
        Initial number of canvases, at most `size`: large if they are only read from disk, otherwise small.
    """

    def __init__(self, source: Iterator[Canvas], size: int, tiles_per_canvas: float, ready: int = 1) -> None:
        self._source, self._size, self._each = source, size, tiles_per_canvas
        self._kept: list[Canvas] = []
        self._due = float(min(max(ready, 1), size))

    def pick(self, rng: np.random.Generator) -> Canvas:
        """Return a random canvas; from time to time, replace one by a new canvas."""
        # While the pool is small, tiles come from few canvases, so new ones are drawn twice as often.
        self._due += (2 if len(self._kept) < self._size else 1) / self._each
        while self._due >= 1:
            self._due -= 1
            canvas = next(self._source)
            if len(self._kept) < self._size:
                self._kept.append(canvas)
            else:
                self._kept[rng.integers(self._size)] = canvas
        return self._kept[rng.integers(len(self._kept))]


class TileStream(IterableDataset):
    """Endless stream of batches, different in every worker and reproducible from the seed.

    Parameters
    ----------
    config : TrainConfig
    stream : int
        Number of this stream. A resumed run uses another one, so that the same tiles do not come again.
    as_tiles : bool
        Yield `Tiles`, made in the worker, or `LabelBatch`, from which the training device makes tiles.
    source : callable, optional
        Takes a random generator and returns an iterator of canvases; by default as set in the config.
    """

    def __init__(
        self, config: TrainConfig, stream: int = 0, as_tiles: bool = True, source: CanvasSource | None = None
    ) -> None:
        super().__init__()
        self.config, self.stream, self.as_tiles, self.source = config, stream, as_tiles, source

    def __iter__(self) -> Iterator[Tiles | LabelBatch]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.config.seed, self.stream, worker.id if worker else 0])
        ready = len(CanvasFolder(Path(self.config.canvas_folder)).paths()) if self.config.canvas_folder else 2
        pool = CanvasPool(self._canvases(rng), self.config.pool_canvases, self.config.tiles_per_canvas, ready)
        while True:
            crops = [draw_crop(pool.pick(rng), rng, self.config.placement) for _ in range(self.config.batch)]
            if self.as_tiles:
                few = [crops[i : i + _FEW] for i in range(0, len(crops), _FEW)]
                yield joined([make_tiles(self._packed(part, rng), self.config) for part in few])
            else:
                yield self._packed(crops, rng)

    def _packed(self, crops: Sequence[LabelCrop], rng: np.random.Generator) -> LabelBatch:
        return pack(crops, int(rng.integers(2**62)), self.config.slices)

    def _canvases(self, rng: np.random.Generator) -> Iterator[Canvas]:
        config = self.config
        if self.source is not None:
            return self.source(rng)
        if config.canvas_folder is None:
            return drawn_canvases(rng, config.planes_per_spine, config.slices > 1)
        enough = round(config.steps * config.batch / config.tiles_per_canvas)
        folder = CanvasFolder(Path(config.canvas_folder))
        return kept_canvases(folder, rng, config.planes_per_spine, enough, config.slices > 1)


def make_loader(
    config: TrainConfig, device: torch.device, stream: int = 0, source: CanvasSource | None = None
) -> Iterator[Tiles]:
    """Yield batches of tiles for a training run endlessly, on `device`.

    Parameters
    ----------
    config : TrainConfig
    device : torch.device
        Training device.
    stream : int
        See `TileStream`.
    source : callable, optional
        See `TileStream`.
    """
    in_worker = config.tiles_on == "worker" or (config.tiles_on == "auto" and device.type == "cpu")
    loader: DataLoader[Tiles | LabelBatch] = DataLoader(
        TileStream(config, stream, in_worker, source),
        batch_size=None,
        num_workers=config.workers,
        worker_init_fn=_Start(config.worker_niceness) if config.workers else None,
        prefetch_factor=4 if config.workers else None,
        pin_memory=device.type == "cuda",
    )
    for item in loader:
        moved = item.to(device)
        yield moved if isinstance(moved, Tiles) else make_tiles(moved, config)


class _Start:
    """Initialise a worker: limit it to one thread and lower its priority."""

    def __init__(self, niceness: int) -> None:
        self.niceness = niceness

    def __call__(self, _worker: int) -> None:
        torch.set_num_threads(1)
        if self.niceness:
            with contextlib.suppress(OSError, AttributeError):  # not supported on this system
                os.nice(self.niceness)
