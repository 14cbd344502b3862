"""Look whether a picture shows a spine that can be named when it is turned or mirrored in the sagittal plane.

The header says how a scan lies, and everything else relies on it. Where no vertebra can be named, the header may be
wrong: converters and anonymisers lose the orientation, and pictures made from screenshots have none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..detection.linking import Candidate
from ..detection.part_maps import Detections
from ..scans.volume import SagittalVolume
from .plausibility import GREATEST_LEAN, lean

SLICES = 5
"""Number of slices around the middle that are looked at."""

LEAST_NAMED, LEAST_PROBABILITY = 3, 0.8
"""A turned picture can be right if so many vertebrae are named in it, with this probability at least; the one with the
most is."""

MORE_RIGHT = 0.5
"""So many more names must probably be right (the sum of their probabilities) in a turned picture than in the picture as
it is."""

FEW = 2
"""With so many vertebrae or fewer, even named ones are doubted: a lone body that is none can look like S1."""

MUCH_MORE, LEAST_MORE = 2.0, 3
"""A picture lies on its side if turned by 90 degrees it shows twice as many vertebrae, and at least three more; or any
more, where those that it shows as it is do not lie one above the other (`plausibility.GREATEST_LEAN`). Bodies that lie
on their side are hardly found, 0 to 5 in pictures that show 3 to 12 upright, and from three on their line leaned by 62
to 80 degrees; that of upright ones by 0 to 23 (20 real scans and 6 synthetic ones)."""

SLICE_MM = 4.0
"""Slice distance of a sub-volume with a single slice, mm."""


@dataclass(frozen=True)
class Turn:
    """A change of the picture in the plane: mirrored from front to back first, then turned counterclockwise."""

    quarters: int
    mirrored: bool = False

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        """Return slices, shape (slice, row, column), changed in the plane."""
        planes = planes[:, :, ::-1] if self.mirrored else planes
        return np.ascontiguousarray(np.rot90(planes, self.quarters, axes=(1, 2)))

    @property
    def is_sideways(self) -> bool:
        """Whether rows become columns."""
        return self.quarters % 2 == 1

    @property
    def sentence(self) -> str:
        """What is wrong with a picture that this change puts right."""
        what = {
            (0, True): "mirrored from front to back",
            (2, True): "mirrored from top to bottom",
            (2, False): "upside down",
        }.get((self.quarters, self.mirrored), "lying on its side")
        return (
            f"The image seems to be {what}, which is not how its file says that it lies, so the levels are not named; "
            "correct the orientation in the file, or convert the scan again."
        )


TURNS = (Turn(1), Turn(3), Turn(2), Turn(0, True), Turn(2, True), Turn(1, True), Turn(3, True))
"""The likely ones first."""

UPRIGHT = tuple(turn for turn in TURNS if not turn.is_sideways)

Found = Callable[[SagittalVolume], tuple[Detections, tuple[Candidate, ...]]]
"""The detector: the detections and candidates in a volume."""
Named = Callable[[Detections, tuple[Candidate, ...]], tuple[float, ...]]
"""The count: the probability of each named vertebra of a volume."""


def better_turn(
    working: SagittalVolume, candidates: Sequence[Candidate], found: Found, named: Named, own: Sequence[float] = ()
) -> Turn | None:
    """Return the change of the picture that makes it a spine which can be named, or shows one on its side, or None.

    Parameters
    ----------
    working : SagittalVolume
        At the working resolution.
    candidates : sequence of Candidate
        The vertebrae found in it as it is, from the bottom up.
    found, named : callable
        Detector and count.
    own : sequence of float
        Probability of each vertebra that is named in the picture as it is.
    """
    middle = _middle(working)
    sideways: list[tuple[int, Turn]] = []
    right: list[tuple[int, float, Turn]] = []
    # Vertebrae that are named lie one above the other, see `plausibility.objection`.
    for turn in TURNS if len(own) <= FEW else UPRIGHT:
        turned = SagittalVolume(turn(middle.array), middle.matrix, middle.name)
        detections, shown = found(turned)
        probabilities = named(detections, shown)
        probable = len(probabilities) >= LEAST_NAMED and min(probabilities) >= LEAST_PROBABILITY
        if probable and sum(probabilities) >= sum(own) + MORE_RIGHT:
            right.append((len(probabilities), min(probabilities), turn))
        if turn.is_sideways:
            sideways.append((len(shown), turn))
    if right:
        return max(right, key=lambda item: item[:2])[2]
    if not sideways:
        return None
    most, turn = max(sideways, key=lambda item: item[0])
    count = len(candidates)
    many = most >= max(MUCH_MORE * count, count + LEAST_MORE)
    return turn if many or (most > count and _lies_across(candidates, working)) else None


def _lies_across(candidates: Sequence[Candidate], working: SagittalVolume) -> bool:
    """Return whether vertebrae lie side by side rather than one above the other."""
    corners = np.array([candidate.corners_lps_mm for candidate in candidates]).reshape(-1, 4, 3)
    return len(corners) >= LEAST_NAMED and lean(corners, working.matrix[:3, 1] / working.spacing_mm[1]) > GREATEST_LEAN


def _middle(working: SagittalVolume) -> SagittalVolume:
    """Return the middle slices of a volume; only their distance is that of the volume, not their place."""
    first = max((len(working.array) - SLICES) // 2, 0)
    planes = working.array[first : first + SLICES]
    matrix = np.array(working.matrix, float)
    if len(planes) == 1:
        matrix[:3, 0] *= SLICE_MM / max(float(np.linalg.norm(matrix[:3, 0])), 1e-6)
    return SagittalVolume(planes, matrix, working.name)
