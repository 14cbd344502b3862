"""Find connected components of a mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FACES, CORNERS = ndimage.generate_binary_structure(3, 1), ndimage.generate_binary_structure(3, 3)
"""Neighbourhoods of a voxel: the 6 neighbours that share a face, and all 26."""


def largest_piece(inside: np.ndarray, neighbourhood: np.ndarray = FACES) -> np.ndarray | None:
    """Return the largest connected component of a mask, bool, of the same shape, or None if the mask is empty.

    Parameters
    ----------
    inside : ndarray of bool, three axes
    neighbourhood : ndarray of bool, shape (3, 3, 3)
        Connectivity: `FACES` or `CORNERS`.
    """
    pieces, count = ndimage.label(inside, neighbourhood)
    if count == 0:
        return None
    return pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
