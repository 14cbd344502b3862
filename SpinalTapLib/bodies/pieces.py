"""Connected pieces of a mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

FACES, CORNERS = ndimage.generate_binary_structure(3, 1), ndimage.generate_binary_structure(3, 3)
"""Neighbourhoods of a voxel: the 6 that share a face with it, and all 26."""


def largest_piece(inside: np.ndarray, neighbourhood: np.ndarray = FACES) -> np.ndarray | None:
    """Return the largest connected piece of a mask, or None if the mask is empty.

    Parameters
    ----------
    inside : ndarray of bool, three axes
    neighbourhood : ndarray of bool, shape (3, 3, 3)
        `FACES` or `CORNERS`: which neighbours count as connected.
    """
    pieces, count = ndimage.label(inside, neighbourhood)
    if count == 0:
        return None
    return pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
