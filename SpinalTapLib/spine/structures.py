"""Classes of the part network's mask: names and order, readable without PyTorch."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Structure(IntEnum):
    """A class of the mask: the position on the class axis of every probability array.

    The order belongs to the trained weights: add new classes at the end.
    """

    BACKGROUND = 0
    BODY = 1  # vertebral bodies other than S1 and C2
    S1 = 2
    C2 = 3
    DISC = 4
    CANAL = 5
    SACRUM = 6  # S2 and below, and what the sacrum has beside and behind the body of S1
    ARCH = 7  # the bone behind the bodies: pedicles, laminae and all processes; older networks do not know it


N_STRUCTURES = len(Structure)

BODY_CLASSES = slice(Structure.BODY, Structure.C2 + 1)
"""The classes of vertebral bodies, S1 and C2 included, on the class axis."""


def with_all_structures(values: np.ndarray, axis: int) -> np.ndarray:
    """Return values per class with zeros for the classes that an older network, or an older file, does not know.

    Parameters
    ----------
    values : ndarray
        Of any shape; at most `N_STRUCTURES` long along `axis`.
    axis : int
        The class axis.
    """
    missing = N_STRUCTURES - values.shape[axis]
    if missing <= 0:
        return values
    width = [(0, 0)] * values.ndim
    width[axis] = (0, missing)
    return np.pad(values, width)
