"""Detect the vertebrae in every slice of a volume."""

from __future__ import annotations

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


class PartDetector:
    """Finds the vertebrae in every slice of a volume.

    Parameters
    ----------
    network : nn.Module
        A trained `PartNetwork`.
    device : torch.device or str
        Where it runs.

    Examples
    --------
    >>> network, card = load_network("parts")
    >>> detections = PartDetector(network).detect(working_volume(load_volume("scan.nii.gz")))
    >>> [v.slice for v in detections.vertebrae]
    """

    def __init__(self, network: nn.Module, device: torch.device | str = "cpu") -> None:
        self._inference = PartInference(network, device)

    def part_maps(self, image: np.ndarray) -> PartMaps:
        """Return the part maps of one slice, shape (rows, columns), at 1 mm a pixel."""
        return self._inference(image)

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
            At the working resolution (see `volume.working_volume`).
        progress : callable, optional
            Called before each slice as ``progress("detect", fraction of the slices done, sentence)``.
        cancelled : callable, optional
            Asked before each slice.

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
        vertebrae: list[SliceVertebra] = []
        most = 0  # vertebrae in one slice
        for index, image in enumerate(working.array):
            if cancelled is not None and cancelled():
                raise Cancelled
            if progress is not None:
                seen = f", {most} vertebrae seen" if most > 1 else ""
                progress(STAGE, index / count, f"Looking at slice {index + 1} of {count}{seen}")
            maps = self.part_maps(image)
            probabilities[index] = maps.probabilities
            found = group(maps, index)
            most = max(most, len(found))
            vertebrae.extend(found)
        return Detections(working, tuple(vertebrae), probabilities)
