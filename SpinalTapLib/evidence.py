"""Evidence: the detections and bodies that are kept with a result, so that levels can be counted again quickly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .bodies.centring import centroid_of
from .bodies.segmentation import Bodies, separate_bodies
from .detection.detector import Detections
from .detection.linking import Candidate
from .scans.volume import SagittalVolume
from .spine.structures import Structure
from .spine.vertebra import Vertebra

SAME_PLACE_MM = 0.5
"""Largest distance between a stored point and the centroid of the candidate that it identifies."""

PROBABILITY_STEPS = 255
"""Number of steps of the stored mask probabilities: one byte, much finer than the network's accuracy."""


ARCHES_UNKNOWN = (
    "The network was not trained on the posterior elements, so only vertebral bodies are shown; "
    "whole vertebrae need a network that was."
)

ARCHES_NARROW = (
    "The slices do not reach the sides of most vertebrae: transverse processes end at the edge of the scan, and arches "
    "may not be joined to their bodies."
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The detections of a scan, the candidate vertebrae linked from them, and their bodies, without levels.

    Attributes
    ----------
    volume : SagittalVolume
        The scan.
    detections : Detections
        All slices of the working volume, with the mask probabilities in `PROBABILITY_STEPS`, and with `homes` in whole
        pixels, 0 outside of arches.
    candidates : tuple of Candidate
        From the bottom up, numbered.
    bodies : Bodies
        One solid for each candidate (and the discs and the canal if requested).
    structures : str
        The structures in `bodies`: one of `options.STRUCTURES`.
    ignored : frozenset of int
        Candidates that the user has dropped.
    """

    volume: SagittalVolume
    detections: Detections
    candidates: tuple[Candidate, ...]
    bodies: Bodies
    structures: str = "bodies"
    ignored: frozenset[int] = frozenset()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Plain sentences about structures that were requested but are not available, or not as a whole."""
        if self.structures == "bodies":
            return ()
        if not self.detections.has_arches:
            return (ARCHES_UNKNOWN,)
        arches = [1 + i for i, part in enumerate(self.bodies.parts) if part.kind == Structure.ARCH]
        at_sides = np.intersect1d(self.bodies.index[[0, -1]], arches)
        return (ARCHES_NARROW,) if len(arches) and len(at_sides) > len(arches) / 2 else ()

    @property
    def counted(self) -> tuple[Candidate, ...]:
        """The candidates that take part in the count."""
        return tuple(c for i, c in enumerate(self.candidates) if i not in self.ignored)

    @property
    def dropped(self) -> tuple[Candidate, ...]:
        """The candidates that the user has dropped."""
        return tuple(c for i, c in enumerate(self.candidates) if i in self.ignored)

    @cached_property
    def centroids_lps_mm(self) -> np.ndarray:
        """Centroid of each candidate's body, shape (n, 3), LPS, mm; see `centring.centroid_of`."""
        working = self.detections.working
        found = [centroid_of(c, s, working) for c, s in zip(self.candidates, self.bodies.solids)]
        return np.array(found).reshape(-1, 3)

    def index_at(self, point_lps_mm: np.ndarray) -> int | None:
        """Return the index of the candidate at a point, shape (3,), LPS, mm, or None.

        The point is compared with the candidate's detected centre and with its body's centroid. This is only needed
        for dropped vertebrae, which are stored as points; all others have `Vertebra.candidate`.
        """
        if not self.candidates:
            return None
        centres = np.array([candidate.centroid_lps_mm for candidate in self.candidates])
        distances = np.linalg.norm(np.stack([centres, self.centroids_lps_mm]) - point_lps_mm, axis=2).min(0)
        nearest = int(distances.argmin())
        return nearest if distances[nearest] <= SAME_PLACE_MM else None

    def values(self, vertebrae: Sequence[Vertebra]) -> tuple[int, ...]:
        """Return the label value of each candidate, 0 for those that are not among the vertebrae."""
        values = [0] * len(self.candidates)
        for vertebra in vertebrae:
            if vertebra.candidate is not None:
                values[vertebra.candidate] = vertebra.label_value
        return tuple(values)

    def label_map(self, vertebrae: Sequence[Vertebra]) -> np.ndarray:
        """Return the label map of the vertebrae, uint16, shape (slice, row, column) on the scan's grid."""
        return self.bodies.label_map(self.values(vertebrae))


def gather(
    volume: SagittalVolume, detections: Detections, candidates: Sequence[Candidate], structures: str = "bodies"
) -> Evidence:
    """Return the evidence of a scan: number the candidates and segment their bodies.

    The probabilities of `detections` are rounded first, in place, so that stored evidence gives the same bodies when
    it is read again.

    Parameters
    ----------
    volume : SagittalVolume
        The scan.
    detections : Detections
        Its detections.
    candidates : sequence of Candidate
        From the bottom up.
    structures : str
        One of `options.STRUCTURES`.
    """
    probabilities = detections.probabilities
    round_probabilities(probabilities)
    homes = None if detections.homes is None else whole_pixels(detections.homes, probabilities[:, Structure.ARCH])
    detections = replace(detections, homes=homes)
    bodies = separate_bodies(detections, candidates, volume, structures)
    numbered = tuple(replace(candidate, number=i) for i, candidate in enumerate(candidates))
    return Evidence(volume, detections, numbered, bodies, structures)


def round_probabilities(probabilities: np.ndarray) -> None:
    """Round probabilities, shape (slices, ...), float16, to `PROBABILITY_STEPS`, in place: a copy takes 100 MB."""
    for k in range(len(probabilities)):
        probabilities[k] = from_steps(to_steps(probabilities[k]))


def whole_pixels(homes: np.ndarray, arch: np.ndarray) -> np.ndarray:
    """Return `Detections.homes`, (slices, 2, rows, columns), in whole pixels, int8, and 0 outside of arches.

    `arch`, shape (slices, rows, columns), is the probability of an arch.
    """
    out = np.zeros(homes.shape, np.int8)
    for k, plane in enumerate(homes):
        out[k] = np.where(arch[k] > 0, np.rint(np.clip(plane, -127, 127)), 0)
    return out


def to_steps(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, shape (slices, ...), as integer steps of 1 / `PROBABILITY_STEPS`, uint8."""
    out = np.empty(probabilities.shape, np.uint8)
    for k, plane in enumerate(probabilities):  # slice by slice: single precision of all would take hundreds of MB
        out[k] = np.rint(np.clip(plane.astype(np.float32), 0, 1) * PROBABILITY_STEPS)
    return out


def from_steps(steps: np.ndarray) -> np.ndarray:
    """Return integer steps, uint8, shape (slices, ...), as probabilities, float16; the inverse of `to_steps`."""
    table = (np.arange(PROBABILITY_STEPS + 1, dtype=np.float32) / PROBABILITY_STEPS).astype(np.float16)
    out = np.empty(steps.shape, np.float16)
    for k, plane in enumerate(steps):  # slice by slice: as indices, the steps take eight times as much memory
        out[k] = table[plane]
    return out


def slices_of(label_map: np.ndarray, value: int) -> tuple[int, ...]:
    """Return the slices, from right to left, in which a label map, shape (slice, row, column), has a value."""
    return tuple(int(k) for k in np.flatnonzero((label_map == value).any((1, 2))))
