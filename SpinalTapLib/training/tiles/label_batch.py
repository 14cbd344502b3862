"""LabelBatch: the label crops of a batch, packed into flat tensors so that no tile is padded to another's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from .placement import LabelCrop


@dataclass(frozen=True)
class LabelBatch:
    """Crops of n tiles, packed.

    Attributes
    ----------
    tissue : uint8 Tensor, flat
        All planes of all crops, one after the other.
    structure, instance : uint8 Tensor, flat
        Central planes.
    plane_base, plane_tile : int64 Tensor, shape (planes of all tiles,)
        Where each plane begins in `tissue`, and the tile that it belongs to (in ascending order).
    middle_base : int64 Tensor, shape (n,)
        Where the central plane of each tile begins in `tissue`.
    base : int64 Tensor, shape (n,)
        Where each tile begins in `structure` and `instance`.
    shape : int64 Tensor, shape (n, 2)
        Rows and columns of each crop.
    corners : float32 Tensor, shape (n, vertebrae, 5, 2)
        (row, column) in crop px, NaN where not in the plane and after a crop's last vertebra.
    matrix : float32 Tensor, shape (n, 2, 3)
        (row, column, 1) in tile px -> crop px.
    seed : int
        Seed for all that is still to be drawn for this batch.
    """

    tissue: torch.Tensor
    structure: torch.Tensor
    instance: torch.Tensor
    plane_base: torch.Tensor
    plane_tile: torch.Tensor
    middle_base: torch.Tensor
    base: torch.Tensor
    shape: torch.Tensor
    corners: torch.Tensor
    matrix: torch.Tensor
    seed: int

    def __len__(self) -> int:
        return len(self.base)

    def to(self, device: torch.device | str) -> LabelBatch:
        """Return the batch on another device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> LabelBatch:
        """Return the batch in page-locked memory (called by the DataLoader for GPUs)."""
        return self._mapped(torch.Tensor.pin_memory)

    def _mapped(self, function) -> LabelBatch:  # type: ignore[no-untyped-def]
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "seed"}
        return replace(self, **{name: function(tensor) for name, tensor in tensors.items()})


def pack(crops: Sequence[LabelCrop], seed: int) -> LabelBatch:
    """Pack crops into one batch."""
    shapes = np.array([c.structure.shape for c in crops])
    sizes = shapes.prod(1)
    planes = np.array([len(c.tissue) for c in crops])
    base = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    plane_tile = np.repeat(np.arange(len(crops)), planes)
    plane_base = np.concatenate(([0], np.cumsum(sizes[plane_tile])[:-1]))
    first_plane = np.concatenate(([0], np.cumsum(planes)[:-1]))
    corners = np.full((len(crops), max(1, *(len(c.corners) for c in crops)), 5, 2), np.nan, np.float32)
    for row, crop in zip(corners, crops):
        row[: len(crop.corners)] = crop.corners
    return LabelBatch(
        torch.from_numpy(np.concatenate([c.tissue.ravel() for c in crops])),
        torch.from_numpy(np.concatenate([c.structure.ravel() for c in crops])),
        torch.from_numpy(np.concatenate([c.instance.ravel() for c in crops])),
        torch.from_numpy(plane_base),
        torch.from_numpy(plane_tile),
        torch.from_numpy(plane_base[first_plane + planes // 2]),
        torch.from_numpy(base),
        torch.from_numpy(shapes),
        torch.from_numpy(corners),
        torch.from_numpy(np.stack([c.matrix for c in crops])),
        int(seed),
    )
