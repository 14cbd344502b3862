"""The endless stream of training batches: workers draw canvases, keep some, and cut tiles from them."""

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

_FEW = 2  # tiles made at a time on a CPU: what they need stays in the cache (measured: 14 ms a tile, not 20)

CanvasSource = Callable[[np.random.Generator], Iterator[Canvas]]


class CanvasPool:
    """A changing handful of canvases, so that a batch mixes spines and each canvas serves several tiles.

    Parameters
    ----------
    source : iterator of Canvas
        Where new ones come from.
    size : int
        Canvases kept at a time.
    tiles_per_canvas : float
        Tiles cut, on average, for each new canvas.
    ready : int
        Canvases to begin with, at most `size`: many where they need only be read, else few.
    """

    def __init__(self, source: Iterator[Canvas], size: int, tiles_per_canvas: float, ready: int = 1) -> None:
        self._source, self._size, self._each = source, size, tiles_per_canvas
        self._kept: list[Canvas] = []
        self._due = float(min(max(ready, 1), size))

    def pick(self, rng: np.random.Generator) -> Canvas:
        """Return one of the canvases; every so often a new one takes the place of another."""
        # While the pool grows, tiles come from few canvases, so it grows twice as fast as it will be renewed.
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
    """Batches without end, different in every worker and reproducible from the seed.

    Parameters
    ----------
    config : TrainConfig
    stream : int
        Number of this stream: a resumed run takes another one, so that it does not see the same tiles again.
    as_tiles : bool
        Yield `Tiles` (made in the worker), or `LabelBatch` (to become tiles on the training device).
    source : callable, optional
        Makes the iterator of canvases from a random generator; the config decides if left out.
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
    """Return the endless stream of tiles for a training run, on `device`.

    Parameters
    ----------
    config : TrainConfig
    device : torch.device
        Where the network is trained.
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
    """What a worker does first: take one thread, and step back behind the training process."""

    def __init__(self, niceness: int) -> None:
        self.niceness = niceness

    def __call__(self, _worker: int) -> None:
        torch.set_num_threads(1)
        if self.niceness:
            with contextlib.suppress(OSError, AttributeError):  # no such thing on this system
                os.nice(self.niceness)
