"""Classes of the part network's mask and their order; importable without PyTorch."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Structure(IntEnum):
    """A class of the mask; its value is the index on the class axis of every probability array.

    The trained weights depend on the order: add new classes at the end.
    """

    BACKGROUND = 0
    BODY = 1  # vertebral bodies other than S1 and C2
    S1 = 2
    C2 = 3
    DISC = 4
    CANAL = 5
    SACRUM = 6  # S2 and below, and the lateral and posterior parts of the sacrum at the level of S1
    ARCH = 7  # the posterior elements: pedicles, laminae and all processes; older networks lack this class


N_STRUCTURES = len(Structure)

BODY_CLASSES = slice(Structure.BODY, Structure.C2 + 1)
"""The classes of vertebral bodies, including S1 and C2, on the class axis."""


def with_all_structures(values: np.ndarray, axis: int) -> np.ndarray:
    """Return values padded with zeros for the classes that an older network or file lacks.

    Parameters
    ----------
    values : ndarray
        One entry for each class along `axis`, at most `N_STRUCTURES`; any other axes.
    axis : int
        The class axis.
    """
    missing = N_STRUCTURES - values.shape[axis]
    if missing <= 0:
        return values
    width = [(0, 0)] * values.ndim
    width[axis] = (0, missing)
    return np.pad(values, width)
