"""Detect the vertebrae in every slice of a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..progress import Cancelled, CancelledCallback, ProgressCallback
from ..scans.volume import SagittalVolume
from ..spine.structures import N_STRUCTURES
from .grouping import group
from .inference import PartInference
from .part_maps import Detections, PartMaps, SliceVertebra

__all__ = ["Detections", "PartDetector", "PartMaps", "SliceVertebra"]

STAGE = "detect"

NEIGHBOUR_MM = 3.6
"""Approximate distance of the neighbouring slices in the network's input; closer slices add little information."""


class PartDetector:
    """Detector of the vertebrae in every slice of a volume.

    Parameters
    ----------
    network : nn.Module
        A trained `PartNetwork`.
    device : torch.device or str
        Device that the network runs on.

    Examples
    --------
    >>> network, card = load_network("parts")
    >>> detections = PartDetector(network).detect(working_volume(load_volume("scan.nii.gz")))
    >>> [v.slice for v in detections.vertebrae]
    """

    def __init__(self, network: nn.Module, device: torch.device | str = "cpu") -> None:
        self._inference = PartInference(network, device)

    def part_maps(
        self, image: np.ndarray, neighbours: Sequence[np.ndarray | None] = (), distance_mm: float = 0.0
    ) -> PartMaps:
        """Return the part maps of one slice at 1 mm per pixel; see `PartInference.__call__`."""
        return self._inference(image, neighbours, distance_mm)

    def detect(
        self,
        working: SagittalVolume,
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> Detections:
        """Return the vertebrae of every slice.

        Parameters
        ----------
        working : SagittalVolume
            A scan at the working resolution (see `resampling.working_volume`).
        progress : callable, optional
            Called before each slice as ``progress("detect", fraction of the slices done, sentence)``.
        cancelled : callable, optional
            Called before each slice; returns True to stop.

        Returns
        -------
        Detections

        Raises
        ------
        Cancelled
            If `cancelled` returned True.
        """
        count, *size = working.array.shape
        probabilities = np.zeros((count, N_STRUCTURES, *size), np.float16)
        homes: list[np.ndarray] = []
        vertebrae: list[SliceVertebra] = []
        most = 0  # vertebrae in one slice
        for index, image in enumerate(working.array):
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                seen = f", {most} vertebrae seen" if most > 1 else ""
                progress(STAGE, index / count, f"Looking at slice {index + 1} of {count}{seen}")
            maps = self.part_maps(image, *self._beside(working, index))
            # NumPy takes ten times as long to halve the many values that are nearly zero.
            torch.from_numpy(probabilities[index]).copy_(torch.from_numpy(maps.probabilities))
            if maps.homes is not None:
                homes.append(maps.homes.astype(np.float16))
            found = group(maps, index)
            most = max(most, len(found))
            vertebrae.extend(found)
        return Detections(working, tuple(vertebrae), probabilities, np.stack(homes) if homes else None)

    def _beside(self, working: SagittalVolume, index: int) -> tuple[list[np.ndarray | None], float] | tuple[()]:
        """Return a slice's neighbours and their distance, mm; an empty tuple if the network takes single slices."""
        if not self._inference.sees_neighbours:
            return ()
        slice_mm = float(working.spacing_mm[0])
        step = max(1, round(NEIGHBOUR_MM / slice_mm))
        places = index - step, index + step
        return [working.array[k] if 0 <= k < len(working.array) else None for k in places], step * slice_mm
