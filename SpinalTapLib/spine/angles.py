"""Angles of the whole spine: lordosis, kyphosis, sacral slope and the largest coronal angle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .vertebra import Spine, Vertebra

CORONAL_FLAG_DEG = 10.0
"""Least coronal angle that the report points out, degrees: the threshold for scoliosis of the Scoliosis Research
Society, and twice the 5 degrees by which manual readings differ (arXiv 2403.12115)."""

_LEAST_FOR_CORONAL = 5
_STIFFNESS = 1.0
# Weight of the penalty on third differences. With 1 mm of scatter in the centroids, a straight spine of 24 vertebrae
# shows 3 degrees on average (6 at most in 50 trials); arcs keep their angle, an S over the whole spine gains 4 %.


@dataclass(frozen=True)
class Curve:
    """One angle of the spine as a whole.

    Attributes
    ----------
    name : str
        ``"lumbar_lordosis"``, ``"thoracic_kyphosis"``, ``"cervical_lordosis"``, ``"sacral_slope"`` or
        ``"coronal_curve"``.
    upper, lower : str
        The levels whose endplates or tilts are compared.
    angle_deg : float
        The angle; lordosis and kyphosis are positive in the direction in which a healthy spine bends.
    """

    name: str
    upper: str
    lower: str
    angle_deg: float

    @property
    def levels(self) -> str:
        """The levels as text, such as ``"L1-S1"``."""
        return self.upper if self.upper == self.lower else f"{self.upper}-{self.lower}"

    @property
    def title(self) -> str:
        """The name as text, such as ``"Lumbar lordosis"``."""
        return self.name.replace("_", " ").capitalize()


def upper_plate(vertebra: Vertebra) -> np.ndarray:
    """Return the vector along the upper endplate, from anterior to posterior, shape (3,), LPS, mm."""
    return vertebra.corners_lps_mm[1] - vertebra.corners_lps_mm[0]


def lower_plate(vertebra: Vertebra) -> np.ndarray:
    """Return the vector along the lower endplate, from anterior to posterior, shape (3,), LPS, mm."""
    return vertebra.corners_lps_mm[2] - vertebra.corners_lps_mm[3]


def signed_angle_deg(first: np.ndarray, second: np.ndarray, left: np.ndarray) -> float:
    """Return the angle from `first` to `second` in the plane perpendicular to `left`, degrees, -180 to 180.

    With `first` the upper and `second` the lower endplate, both from anterior to posterior, the angle is positive
    where the endplates diverge anteriorly (lordosis).

    Parameters
    ----------
    first, second : ndarray, shape (3,)
        Vectors, LPS, of any length above zero.
    left : ndarray, shape (3,)
        Unit vector to the patient's left, LPS.
    """
    first = first - (first @ left) * left
    second = second - (second @ left) * left
    return float(np.degrees(np.arctan2(np.cross(first, second) @ left, first @ second)))


_Plate = Callable[[Vertebra], np.ndarray]
_SAGITTAL: tuple[tuple[str, tuple[tuple[str, _Plate, str, _Plate], ...], float], ...] = (
    # Name; definitions in order of preference, of which the first possible one is used; sign. Lordosis L1-S1 and
    # kyphosis T4-T12 are the usual choices (PMC6680033; White and Panjabi), cervical lordosis C2-C7 is measured
    # between lower endplates.
    ("cervical_lordosis", (("C2", lower_plate, "C7", lower_plate),), 1.0),
    ("thoracic_kyphosis", (("T4", upper_plate, "T12", lower_plate), ("T5", upper_plate, "T12", lower_plate)), -1.0),
    ("lumbar_lordosis", (("L1", upper_plate, "S1", upper_plate), ("L1", upper_plate, "L5", lower_plate)), 1.0),
)


def spine_curves(spine: Spine) -> tuple[Curve, ...]:
    """Return every angle that can be measured between the named levels, from the neck down, the coronal one last.

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
    """Return the angle between S1's upper endplate and the patient's anterior-posterior axis, supine, degrees."""
    plate = upper_plate(sacrum)
    return float(np.degrees(np.arctan2(plate[2], plate[1])))


def coronal_curve(vertebrae: Sequence[Vertebra]) -> Curve | None:
    """Return the largest coronal angle between two vertebrae, or None for fewer than five.

    The centroids are projected onto the coronal plane (spanned by the mean left and the mean upward direction of the
    bodies) and smoothed (see `coronal_tilts_deg`). The angle between the two most opposite tilts equals the Cobb angle
    if the endplates are perpendicular to the spine's curve. It is an estimate, because sagittal slices do not show the
    coronal tilt of the endplates.
    """
    if len(vertebrae) < _LEAST_FOR_CORONAL:
        return None
    tilts = coronal_tilts_deg(vertebrae)
    low, high = sorted((int(tilts.argmin()), int(tilts.argmax())))
    return Curve("coronal_curve", vertebrae[high].name, vertebrae[low].name, float(abs(tilts[high] - tilts[low])))


def coronal_tilts_deg(vertebrae: Sequence[Vertebra]) -> np.ndarray:
    """Return the tilt of the spine to the left at each vertebra, degrees, shape (n,), for three vertebrae or more.

    The lateral positions of the centroids are smoothed with a penalty on their third differences (Whittaker, Proc
    Edinb Math Soc 41, 1923; Eilers, Anal Chem 75, 2003), which leaves a circular bend unchanged.
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
