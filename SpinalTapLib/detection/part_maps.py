"""PartMaps and SliceVertebra: what is seen in one slice, before and after grouping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class PartMaps:
    """What the network sees in one slice, blended over its tiles.

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
        How sure the parts are, 0-1.
    evidence : ndarray, shape (n_structures,)
        Mean mask probabilities inside the quadrilateral, in the order of `Structure`.
    rebuilt : tuple of str
        Names of the corners that were not seen but follow from the others.
    """

    slice: int
    corners: np.ndarray
    centroid: np.ndarray
    score: float
    evidence: np.ndarray
    rebuilt: tuple[str, ...] = ()
