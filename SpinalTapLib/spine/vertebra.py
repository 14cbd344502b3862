"""Data types of a result: Vertebra, SeedBox and Spine. Lengths in mm, coordinates in LPS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from . import levels

CORNERS = ("superior_anterior", "superior_posterior", "inferior_posterior", "inferior_anterior")
"""Order of the corners in every ``(4, ...)`` array of the library: around the body, starting at superior anterior."""


@dataclass(frozen=True)
class Vertebra:
    """One vertebral body.

    Attributes
    ----------
    level : str or None
        Level name (``"L5"``), or None where the count has no anchor.
    label_value : int
        Value in the label map.
    confidence : float
        Probability, 0-1, that the vertebra exists and its level is correct.
    centroid_lps_mm : ndarray, shape (3,)
        Centroid of the body's volume, LPS, mm; of its corners if the body was not outlined.
    corners_lps_mm : ndarray, shape (4, 3)
        Corners on the vertebra's own mid-slice, in the order of `CORNERS`, LPS, mm.
    slices : tuple of int
        Indices of the slices of the `SagittalVolume` (right to left) that show the body.
    measurements : mapping of str to float
        Named measurements; the name ends in the unit (``"height_anterior_mm"``).
    flags : tuple of str
        Short notes in plain English: the texts of `notes.Note`.
    candidate : int or None
        Its candidate in the evidence (`Candidate.number`); None for a vertebra that only the count estimated, and in
        stored results that lack it.
    level_probability : float or None
        Probability, 0-1, of its most probable level, given that it is a vertebra; below 0.5 `level` is None. None in
        stored results that lack it.
    outline_confidence : float or None
        How far the outline of the body can be trusted, 0-1: its agreement with the mask. It says nothing about the
        name. None without a body, and in stored results that lack it.
    """

    level: str | None
    label_value: int
    confidence: float
    centroid_lps_mm: np.ndarray
    corners_lps_mm: np.ndarray
    slices: tuple[int, ...] = ()
    measurements: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    candidate: int | None = None
    level_probability: float | None = None
    outline_confidence: float | None = None

    @property
    def name(self) -> str:
        """The level, or ``"Vertebra 3"`` (numbered from the bottom up) if the level is not known."""
        return self.level or levels.label_name(self.label_value)

    @property
    def short_name(self) -> str:
        """The name for pictures: ``"L5"``, or ``"3"`` if the level is not known."""
        return self.name.split()[-1]

    @property
    def up(self) -> np.ndarray:
        """Unit vector from the middle of the lower endplate to that of the upper endplate, shape (3,), LPS."""
        vector = self.corners_lps_mm[:2].mean(0) - self.corners_lps_mm[2:].mean(0)
        return vector / max(float(np.linalg.norm(vector)), 1e-9)

    @property
    def left(self) -> np.ndarray:
        """Unit vector perpendicular to the body's sagittal plane, to the patient's left, shape (3,), LPS."""
        c = self.corners_lps_mm
        vector = np.cross(c[1] - c[0] + c[2] - c[3], c[0] + c[1] - c[2] - c[3])
        return vector / max(float(np.linalg.norm(vector)), 1e-9)

    @property
    def height_mm(self) -> float:
        """Mean of the anterior and the posterior height, mm."""
        c = self.corners_lps_mm
        return float(np.linalg.norm(c[0] - c[3]) + np.linalg.norm(c[1] - c[2])) / 2

    @property
    def depth_mm(self) -> float:
        """Mean of the anterior-posterior lengths of the upper and the lower endplate, mm."""
        c = self.corners_lps_mm
        return float(np.linalg.norm(c[0] - c[1]) + np.linalg.norm(c[3] - c[2])) / 2


@dataclass(frozen=True)
class SeedBox:
    """A box around one vertebra, from which the levels are counted.

    Attributes
    ----------
    center_lps_mm : ndarray, shape (3,)
        Centre, LPS, mm.
    size_mm : ndarray, shape (3,)
        Full edge lengths along the box's own axes, mm.
    axes : ndarray, shape (3, 3)
        The box's unit axes as columns, LPS; the identity for an axis-aligned box (left, posterior, superior).
    level : str
        The level that the box marks.
    """

    center_lps_mm: np.ndarray
    size_mm: np.ndarray
    axes: np.ndarray = field(default_factory=lambda: np.eye(3))
    level: str = "S1"

    def __post_init__(self) -> None:
        for name, value, shape in (
            ("centre", self.center_lps_mm, (3,)),
            ("size", self.size_mm, (3,)),
            ("axes", self.axes, (3, 3)),
        ):
            array = np.asarray(value, dtype=float)
            if array.shape != shape or not np.isfinite(array).all():
                count = " x ".join(str(n) for n in shape)
                raise ValueError(f"The {name} of the box must be {count} finite numbers; got {array.tolist()}.")
        size = np.asarray(self.size_mm, dtype=float)
        if (size <= 0).any():
            raise ValueError(f"The box must have a size above zero along all three axes; got {size.tolist()} mm.")


@dataclass(frozen=True)
class Alternative:
    """Another way to count the levels of a spine.

    Attributes
    ----------
    index : int
        Position in `Spine.vertebrae` (0 = lowest) of a vertebra that tells this count from the present one.
    level : str
        The level of that vertebra in this count.
    probability : float
        Probability of this count, 0-1.
    """

    index: int
    level: str
    probability: float


@dataclass(frozen=True)
class Spine:
    """A result: the vertebrae, what their levels were counted from, and the label map.

    Attributes
    ----------
    vertebrae : tuple of Vertebra
        From the bottom up.
    anchor : str
        What the names are counted from: ``"S1"`` or ``"C2"``, which is in view; ``"pinned"``, a level set by the user;
        ``"estimated"``, the shapes of the vertebrae, with neither end in view; or ``"none"``, if no name is probable
        enough.
    label_map : ndarray, shape (slice, row, column), or None
        Label values on the `SagittalVolume`'s grid.
    seed : SeedBox or None
        The box that the user drew, if any.
    warnings : tuple of str
        Plain sentences for the user.
    seconds : mapping of str to float
        Wall-clock seconds of each stage.
    model : mapping of str to str
        ``name`` and ``sha256`` of the part network; ``levels`` and ``levels_sha256`` of the level network; ``ladder``
        and ``ladder_sha256`` of the ladder, if it was used.
    device : str
        Device that the network ran on.
    evidence : object
        The detections (`evidence.Evidence`), from which the levels can be counted again without the detector.
    earlier : Spine or None
        The result before the last change of levels, for undo.
    alternatives : tuple of Alternative
        Other counts with a probability of 0.02 or more, the most probable first.
    """

    vertebrae: tuple[Vertebra, ...]
    anchor: str = "none"
    label_map: np.ndarray | None = None
    seed: SeedBox | None = None
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    evidence: object = None
    earlier: Spine | None = None
    alternatives: tuple[Alternative, ...] = ()

    def __getitem__(self, level: str) -> Vertebra:
        """Return the vertebra of a level; raise KeyError if there is none."""
        for vertebra in self.vertebrae:
            if vertebra.level == level:
                return vertebra
        raise KeyError(level)
