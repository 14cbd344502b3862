"""Data types of the detector: part maps and vertebrae of one slice, detections of a volume, candidates in 3-D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scans.volume import SagittalVolume


@dataclass(frozen=True, eq=False)
class PartMaps:
    """Outputs of the part network for one slice, blended over its tiles.

    Attributes
    ----------
    heatmaps : ndarray, shape (5, rows, columns), float32
        Corners in the order of `vertebra.CORNERS`, then the centroid.
    vectors : ndarray, shape (4, 2, rows, columns), float32
        For each corner, (row, column) offset to its centroid, px.
    probabilities : ndarray, shape (n_structures, rows, columns), float32
        Mask classes in the order of `Structure`.
    homes : ndarray, shape (2, rows, columns), float32, or None
        On arches, (row, column) offset to the middle of the body of the same vertebra, px; None if not known.
    """

    heatmaps: np.ndarray
    vectors: np.ndarray
    probabilities: np.ndarray
    homes: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class SliceVertebra:
    """One vertebral body in one slice of the working volume.

    Attributes
    ----------
    slice : int
        Index of the slice.
    corners : ndarray, shape (4, 2)
        (row, column), px, in the order of `vertebra.CORNERS`.
    centroid : ndarray, shape (2,)
        (row, column), px.
    score : float
        Score of its parts and mask, 0-1.
    evidence : ndarray, shape (n_structures,)
        Mean mask probabilities inside the quadrilateral, in the order of `Structure`.
    rebuilt : tuple of str
        Names of the corners that were not detected but inferred from the others.
    """

    slice: int
    corners: np.ndarray
    centroid: np.ndarray
    score: float
    evidence: np.ndarray
    rebuilt: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections in all slices of a volume.

    Attributes
    ----------
    working : SagittalVolume
        The working volume; slice indices and pixels refer to it.
    vertebrae : tuple of SliceVertebra
        Slice by slice from right to left; within a slice by falling score.
    probabilities : ndarray, shape (slices, n_structures, rows, columns), float16
        Mask classes in the order of `Structure`.
    homes : ndarray, shape (slices, 2, rows, columns), float16 or int8, or None
        On arches, (row, column) offset to the middle of the body of the same vertebra, px; None if the network lacks
        this output.
    """

    working: SagittalVolume
    vertebrae: tuple[SliceVertebra, ...]
    probabilities: np.ndarray
    homes: np.ndarray | None = None

    @property
    def has_arches(self) -> bool:
        """Whether the network predicts arches and the bodies that they belong to."""
        return self.homes is not None


@dataclass(frozen=True, eq=False)
class Candidate:
    """A vertebral body in three dimensions, without a level yet.

    Attributes
    ----------
    members : tuple of SliceVertebra
        Its detections, slice by slice from right to left, one per slice.
    centroid_lps_mm : ndarray, shape (3,)
        Centre of the body, half-way between its sides, LPS, mm.
    corners_lps_mm : ndarray, shape (4, 3)
        Corners in its mid-slice, in the order of `vertebra.CORNERS`, LPS, mm: the median over the central slices,
        each moved along the body's tilt.
    mid_slice : int
        The slice of the working volume nearest to the centre.
    evidence : ndarray, shape (n_structures,)
        Mean mask probabilities in the central slices, in the order of `Structure`.
    score : float
        Mean score in the central slices, 0-1; a probability after calibration (`pipeline.calibrated`).
    flags : tuple of str
        Notes in plain English (see `notes.Note`).
    slices : tuple of int
        Slices of the working volume that show it, from right to left.
    raw_score : float or None
        The detector's score before calibration; None if `score` is not calibrated.
    number : int or None
        Position in `Evidence.candidates`; None for a body that is not part of the evidence.
    """

    members: tuple[SliceVertebra, ...]
    centroid_lps_mm: np.ndarray
    corners_lps_mm: np.ndarray
    mid_slice: int
    evidence: np.ndarray
    score: float
    flags: tuple[str, ...]
    slices: tuple[int, ...]
    raw_score: float | None = None
    number: int | None = None
