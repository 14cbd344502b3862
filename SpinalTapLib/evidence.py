"""Keep what the detector saw with the result, so that levels can be counted again at once."""

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
from .spine.vertebra import Vertebra

SAME_PLACE_MM = 0.5
"""A dropped vertebra whose stored centroid is this near to a candidate's is that candidate."""

PROBABILITY_STEPS = 255
"""Number of steps of the stored mask probabilities: one byte, far finer than the network's precision."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The detections, the vertebrae that they make in three dimensions, and their bodies without names.

    Attributes
    ----------
    volume : SagittalVolume
        The scan.
    detections : Detections
        All slices of the working volume, with the mask probabilities in `PROBABILITY_STEPS`.
    candidates : tuple of Candidate
        From the bottom up, numbered.
    bodies : Bodies
        One solid for each candidate (and the discs and the canal where asked for).
    structures : str
        What `bodies` holds: one of `options.STRUCTURES`.
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
        """Return the number of the candidate at a point, shape (3,), LPS, mm, or None.

        Only for what is stored as a point: a vertebra that was dropped. Its centroid was then either the one that the
        detector saw or that of its body. All others know their candidate (`Vertebra.candidate`).
        """
        if not self.candidates:
            return None
        centres = np.array([candidate.centroid_lps_mm for candidate in self.candidates])
        distances = np.linalg.norm(np.stack([centres, self.centroids_lps_mm]) - point_lps_mm, axis=2).min(0)
        nearest = int(distances.argmin())
        return nearest if distances[nearest] <= SAME_PLACE_MM else None

    def values(self, vertebrae: Sequence[Vertebra]) -> tuple[int, ...]:
        """Return each candidate's label value, 0 for those that are none of the vertebrae."""
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
    """Number the candidates, give each its body, and keep everything.

    The probabilities are rounded first, so that evidence that was stored and read again gives the same bodies.
    """
    detections = replace(detections, probabilities=rounded(detections.probabilities))
    bodies = separate_bodies(detections, candidates, volume, structures)
    numbered = tuple(replace(candidate, number=i) for i, candidate in enumerate(candidates))
    return Evidence(volume, detections, numbered, bodies, structures)


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, any shape, in `PROBABILITY_STEPS`, float16."""
    return from_steps(to_steps(probabilities))


def to_steps(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, (slices, ...), as whole steps, uint8."""
    out = np.empty(probabilities.shape, np.uint8)
    for k, plane in enumerate(probabilities):  # slice by slice: the whole in single precision would be 100s of MB
        out[k] = np.rint(np.clip(plane.astype(np.float32), 0, 1) * PROBABILITY_STEPS)
    return out


def from_steps(steps: np.ndarray) -> np.ndarray:
    """Return whole steps, uint8, as probabilities, float16."""
    table = (np.arange(PROBABILITY_STEPS + 1, dtype=np.float32) / PROBABILITY_STEPS).astype(np.float16)
    return table[steps]


def slices_of(label_map: np.ndarray, value: int) -> tuple[int, ...]:
    """Return the slices, right to left, in which a label map, shape (slice, row, column), has a value."""
    return tuple(int(k) for k in np.flatnonzero((label_map == value).any((1, 2))))
