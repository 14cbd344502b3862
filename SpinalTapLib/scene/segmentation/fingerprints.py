"""Voxels and fingerprint of each label in a label map; a changed fingerprint shows a hand edit.

Fingerprints and positions are computed with axes turned to right, anterior, superior, because Slicer may store the
axes of a volume in another order and direction when a scene is saved and loaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Body:
    """The voxels of one label.

    Attributes
    ----------
    box : tuple of slice
        Smallest box around the voxels, along the label map's own axes k, j, i.
    corner : str
        The box's first voxel with turned axes, as a text.
    fingerprint : str
        Depends on the voxels of the shape, not on the label's value or the surrounding image.
    """

    box: tuple[slice, ...]
    corner: str
    fingerprint: str


@dataclass(frozen=True)
class Turn:
    """A turn of an array (k, j, i): its axes are permuted to the order `axes`, then those in `flips` are reversed."""

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the turned array; a view."""
        return array.transpose(self.axes)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def back(self, box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return a box of the turned array along the axes of the array itself, which has the shape `shape`."""
        own = [slice(0)] * len(box)
        for part, axis, flip in zip(box, self.axes, self.flips):
            size = shape[axis]
            own[axis] = slice(size - part.stop, size - part.start) if flip else part
        return tuple(own)


def turn_of(ijk_to_ras: np.ndarray) -> Turn:
    """Return the turn that makes an array's axes (k, j, i) run as nearly as possible to right, anterior, superior."""
    directions = ijk_to_ras[:3, 2::-1] / np.linalg.norm(ijk_to_ras[:3, 2::-1], axis=0)
    axes = max(permutations(range(3)), key=lambda order: sum(abs(directions[i, a]) for i, a in enumerate(order)))
    return Turn(axes, tuple(bool(directions[i, a] < 0) for i, a in enumerate(axes)))


def bodies(labels: np.ndarray, ijk_to_ras: np.ndarray) -> dict[int, Body]:
    """Return each label's body in a label map, shape (k, j, i); zero is background."""
    turn = turn_of(ijk_to_ras)
    turned = turn(np.asarray(labels))
    found = enumerate(ndimage.find_objects(turned.astype(np.int32)), start=1)
    return {
        value: Body(
            turn.back(box, labels.shape), " ".join(str(part.start) for part in box), _digest(turned[box] == value)
        )
        for value, box in found
        if box is not None
    }


def fingerprint(mask: np.ndarray, ijk_to_ras: np.ndarray) -> str:
    """Return the fingerprint of a mask, shape (k, j, i), independent of its position; ``"empty"`` if nothing is set."""
    mask = turn_of(ijk_to_ras)(mask)
    box = next(iter(ndimage.find_objects(mask.astype(np.int8))), None)
    return _digest(mask[box]) if box is not None else "empty"


def _digest(mask: np.ndarray) -> str:
    digest = hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=12)
    digest.update(repr(mask.shape).encode())
    return digest.hexdigest()
