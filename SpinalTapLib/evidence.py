"""Evidence: what the detector saw, kept with the answer so that levels can be counted again at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import levels
from .detector import Detections
from .geometry import Vertebra
from .linking import Candidate
from .volume import SagittalVolume

SAME_PLACE_MM = 0.5
"""A vertebra whose centroid is this near to a candidate's is that candidate."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The detections, the vertebrae that they make in three dimensions, and their bodies without names.

    Attributes
    ----------
    volume : SagittalVolume
        The scan.
    detections : Detections
        All slices of the working volume, with the mask probabilities.
    candidates : tuple of Candidate
        From the bottom up.
    bodies : ndarray, shape (slice, row, column), uint16
        On the scan's grid: `levels.unanchored_value(i)` in the body of candidate i, `levels.disc_value` of that in
        the disc below it, `levels.CANAL_VALUE` in the canal.
    """

    volume: SagittalVolume
    detections: Detections
    candidates: tuple[Candidate, ...]
    bodies: np.ndarray

    def index_of(self, vertebra: Vertebra) -> int | None:
        """Return which candidate a vertebra is, or None if it is none of them."""
        if not self.candidates:
            return None
        centroids = np.array([candidate.centroid_lps_mm for candidate in self.candidates])
        distances = np.linalg.norm(centroids - vertebra.centroid_lps_mm, axis=1)
        nearest = int(distances.argmin())
        return nearest if distances[nearest] <= SAME_PLACE_MM else None

    def label_map(self, vertebrae: Sequence[Vertebra]) -> np.ndarray:
        """Return the bodies with the label values of `vertebrae`; candidates that are none of them become background.

        Returns
        -------
        ndarray, shape (slice, row, column), uint16
        """
        table = np.zeros(int(self.bodies.max(initial=0)) + 1 + 2 * levels.DISC_BASE, np.uint16)
        table[levels.CANAL_VALUE] = levels.CANAL_VALUE
        for vertebra in vertebrae:
            index = self.index_of(vertebra)
            if index is not None:
                own = levels.unanchored_value(index)
                table[own] = vertebra.label_value
                table[levels.disc_value(own)] = levels.disc_value(vertebra.label_value)
        return table[self.bodies]


def slices_of(label_map: np.ndarray, value: int) -> tuple[int, ...]:
    """Return the slices, right to left, in which a label map, shape (slice, row, column), has a value."""
    return tuple(int(k) for k in np.flatnonzero((label_map == value).any((1, 2))))
