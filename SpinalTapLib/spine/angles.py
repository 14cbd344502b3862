"""Curves of the spine: lordosis, kyphosis, sacral slope and the largest coronal angle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .vertebra import Spine, Vertebra

CORONAL_FLAG_DEG = 10.0
"""Coronal angles from here on are named in the report: the convention for a curve worth following (Scoliosis Research
Society), and twice the 5 degrees by which readings by hand differ (arXiv 2403.12115)."""

_LEAST_FOR_CORONAL = 5
_STIFFNESS = 1.0
# Weight of the third differences against the centroids' own scatter. With 1 mm of scatter a straight spine of 24
# shows 3 degrees on average (6 at most of 50); arcs keep their angle, an S over the whole spine gains 4 %.


@dataclass(frozen=True)
class Curve:
    """One angle of the spine as a whole.

    Attributes
    ----------
    name : str
        ``"lumbar_lordosis"``, ``"thoracic_kyphosis"``, ``"cervical_lordosis"``, ``"sacral_slope"`` or
        ``"coronal_curve"``.
    upper, lower : str
        The levels whose plates, or tilts, are compared.
    angle_deg : float
        The angle; lordosis and kyphosis are positive the way a healthy spine bends.
    """

    name: str
    upper: str
    lower: str
    angle_deg: float

    @property
    def levels(self) -> str:
        """The levels in words, such as ``"L1-S1"``."""
        return self.upper if self.upper == self.lower else f"{self.upper}-{self.lower}"

    @property
    def title(self) -> str:
        """The name in words, such as ``"Lumbar lordosis"``."""
        return self.name.replace("_", " ").capitalize()


def upper_plate(vertebra: Vertebra) -> np.ndarray:
    """Return the upper plate, from anterior to posterior, shape (3,), LPS, mm."""
    return vertebra.corners_lps_mm[1] - vertebra.corners_lps_mm[0]


def lower_plate(vertebra: Vertebra) -> np.ndarray:
    """Return the lower plate, from anterior to posterior, shape (3,), LPS, mm."""
    return vertebra.corners_lps_mm[2] - vertebra.corners_lps_mm[3]


def signed_angle_deg(first: np.ndarray, second: np.ndarray, left: np.ndarray) -> float:
    """Return the angle from `first` to `second` in the plane across `left`, degrees, -180 to 180.

    Plates run from front to back. Then the angle is positive where the front of the upper one and the front of
    the lower one gape: lordotic.
    """
    first = first - (first @ left) * left
    second = second - (second @ left) * left
    return float(np.degrees(np.arctan2(np.cross(first, second) @ left, first @ second)))


_Plate = Callable[[Vertebra], np.ndarray]
_SAGITTAL: tuple[tuple[str, tuple[tuple[str, _Plate, str, _Plate], ...], float], ...] = (
    # name; ways to measure it, the first possible one counts; sign. Lordosis L1-S1 and kyphosis T4-T12 are the
    # usual choices (PMC6680033; White and Panjabi), cervical lordosis C2-C7 between lower plates.
    ("cervical_lordosis", (("C2", lower_plate, "C7", lower_plate),), 1.0),
    ("thoracic_kyphosis", (("T4", upper_plate, "T12", lower_plate), ("T5", upper_plate, "T12", lower_plate)), -1.0),
    ("lumbar_lordosis", (("L1", upper_plate, "S1", upper_plate), ("L1", upper_plate, "L5", lower_plate)), 1.0),
)


def spine_curves(spine: Spine) -> tuple[Curve, ...]:
    """Return every curve that the named levels allow, from the neck down, the coronal one last.

    The coronal angle needs no names, only five vertebrae or more.
    """
    named = {v.level: v for v in spine.vertebrae if v.level}
    curves = []
    for name, ways, sign in _SAGITTAL:
        for upper, plate_above, lower, plate_below in ways:
            if upper in named and lower in named:
                left = named[upper].left + named[lower].left
                angle = signed_angle_deg(
                    plate_above(named[upper]), plate_below(named[lower]), left / np.linalg.norm(left)
                )
                curves.append(Curve(name, upper, lower, sign * angle))
                break
    if "S1" in named:
        curves.append(Curve("sacral_slope", "S1", "S1", sacral_slope_deg(named["S1"])))
    coronal = coronal_curve(spine.vertebrae)
    return tuple(curves) + ((coronal,) if coronal else ())


def sacral_slope_deg(sacrum: Vertebra) -> float:
    """Return the angle of S1's upper plate with the world's anterior-posterior axis, degrees, lying on the back."""
    plate = upper_plate(sacrum)
    return float(np.degrees(np.arctan2(plate[2], plate[1])))


def coronal_curve(vertebrae: Sequence[Vertebra]) -> Curve | None:
    """Return the largest coronal angle between two vertebrae, or None for fewer than five.

    The centroids are seen from the front (across the mean left and the mean upward direction of the bodies) and
    smoothed (see `coronal_tilts_deg`). The angle between the two most opposite tilts is that of Cobb's
    perpendiculars for a spine whose plates stand across its curve. From centroids, so an estimate: the plates
    themselves are not seen on sagittal slices.
    """
    if len(vertebrae) < _LEAST_FOR_CORONAL:
        return None
    tilts = coronal_tilts_deg(vertebrae)
    low, high = sorted((int(tilts.argmin()), int(tilts.argmax())))
    return Curve("coronal_curve", vertebrae[high].name, vertebrae[low].name, float(abs(tilts[high] - tilts[low])))


def coronal_tilts_deg(vertebrae: Sequence[Vertebra]) -> np.ndarray:
    """Return how far the spine leans to the left at each vertebra, degrees, shape (n,), for three vertebrae or more.

    The centroids' sideways positions are smoothed with a penalty on their third differences (Whittaker, Proc Edinb
    Math Soc 41, 1923; Eilers, Anal Chem 75, 2003), which leaves a circular bend as it is.
    """
    left = np.sum([v.left for v in vertebrae], axis=0)
    left /= np.linalg.norm(left)
    up = np.sum([v.up for v in vertebrae], axis=0)
    up -= (up @ left) * left
    up /= np.linalg.norm(up)
    centroids = np.array([v.centroid_lps_mm for v in vertebrae])
    count = len(centroids)
    third = np.diff(np.eye(count), 3, axis=0)
    sideways = np.linalg.solve(np.eye(count) + _STIFFNESS * third.T @ third, centroids @ left)
    steps = (np.gradient(values, edge_order=2) for values in (sideways, centroids @ up))
    return np.degrees(np.arctan2(*steps))
