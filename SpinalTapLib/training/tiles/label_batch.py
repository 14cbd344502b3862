"""Label crops of a batch, packed into flat tensors, so that crops of different sizes need no padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from .placement import LabelCrop


@dataclass(frozen=True)
class LabelBatch:
    """Packed crops of n tiles. A tile has 1 image (one slice) or 3 (a slice and its two neighbours).

    Attributes
    ----------
    tissue, structures : uint8 Tensor, flat
        All planes of all images in sequence; for each tile its own slice first, then the neighbours.
    instance : uint8 Tensor, flat
        Central planes of all images.
    plane_base, plane_image : int64 Tensor, shape (planes of all images,)
        Offset of each plane in `tissue` and `structures`, and the image that it belongs to (ascending).
    middle_base : int64 Tensor, shape (images,)
        Offset of the central plane of each image in `tissue`.
    base : int64 Tensor, shape (images,)
        Offset of each image in `instance`.
    shape : int64 Tensor, shape (n, 2)
        Rows and columns of the crops of each tile.
    corners : float32 Tensor, shape (n, vertebrae, 5, 2)
        (row, column) in crop px, NaN if not in the plane, and after the last vertebra of a crop.
    centres : float32 Tensor, shape (n, vertebrae, 2)
        (row, column) of the centre of every body, crop px; NaN after the last vertebra of a crop.
    matrix : float32 Tensor, shape (n, 2, 3)
        (row, column, 1) in tile px -> crop px.
    distances_mm : float32 Tensor, shape (n, images a tile - 1)
        Distance of each neighbour; 0 if it is missing, in which case its image repeats the tile's own slice.
    seed : int
        Seed of all random numbers still to be drawn for this batch.
    """

    tissue: torch.Tensor
    structures: torch.Tensor
    instance: torch.Tensor
    plane_base: torch.Tensor
    plane_image: torch.Tensor
    middle_base: torch.Tensor
    base: torch.Tensor
    shape: torch.Tensor
    corners: torch.Tensor
    centres: torch.Tensor
    matrix: torch.Tensor
    distances_mm: torch.Tensor
    seed: int

    def __len__(self) -> int:
        return len(self.shape)

    @property
    def slices(self) -> int:
        """Number of images per tile."""
        return len(self.base) // len(self)

    def to(self, device: torch.device | str) -> LabelBatch:
        """Return the batch on another device."""
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> LabelBatch:
        """Return the batch in page-locked memory (called by the DataLoader for GPUs)."""
        return self._mapped(torch.Tensor.pin_memory)

    def _mapped(self, function) -> LabelBatch:  # type: ignore[no-untyped-def]
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "seed"}
        return replace(self, **{name: function(tensor) for name, tensor in tensors.items()})


def pack(crops: Sequence[LabelCrop], seed: int, slices: int = 1) -> LabelBatch:
    """Pack crops into one batch, with their neighbours if `slices` is 3."""
    images = [image for crop in crops for image in (crop, *(n or crop for n in crop.neighbours))[:slices]]
    sizes = np.array([image.instance.size for image in images])
    planes = np.array([len(image.tissue) for image in images])
    base = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    plane_image = np.repeat(np.arange(len(images)), planes)
    plane_base = np.concatenate(([0], np.cumsum(sizes[plane_image])[:-1]))
    first_plane = np.concatenate(([0], np.cumsum(planes)[:-1]))
    corners = np.full((len(crops), max(1, *(len(c.corners) for c in crops)), 5, 2), np.nan, np.float32)
    centres = np.full((*corners.shape[:2], 2), np.nan, np.float32)
    for row, middle, crop in zip(corners, centres, crops):
        row[: len(crop.corners)], middle[: len(crop.centres)] = crop.corners, crop.centres
    return LabelBatch(
        torch.from_numpy(np.concatenate([image.tissue.ravel() for image in images])),
        torch.from_numpy(np.concatenate([image.structures.ravel() for image in images])),
        torch.from_numpy(np.concatenate([image.instance.ravel() for image in images])),
        torch.from_numpy(plane_base),
        torch.from_numpy(plane_image),
        torch.from_numpy(plane_base[first_plane + planes // 2]),
        torch.from_numpy(base),
        torch.from_numpy(np.array([crop.instance.shape for crop in crops])),
        torch.from_numpy(corners),
        torch.from_numpy(centres),
        torch.from_numpy(np.stack([c.matrix for c in crops])),
        torch.tensor([crop.distances_mm[: slices - 1] for crop in crops], dtype=torch.float32),
        int(seed),
    )
