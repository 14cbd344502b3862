"""Body: what one label covers in a label map, and a fingerprint by which hand edits are noticed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Body:
    """One label's voxels.

    Attributes
    ----------
    place : tuple of slice
        Smallest box around the voxels, in the label map's own axes.
    fingerprint : str
        Changes with any voxel of the shape, not with the label's value or the image around it.
    """

    place: tuple[slice, ...]
    fingerprint: str

    @property
    def corner(self) -> str:
        """The box's first voxel as a text, for a tag."""
        return " ".join(str(part.start) for part in self.place)


def bodies(labels: np.ndarray) -> dict[int, Body]:
    """Return each label's body in a label map, shape (k, j, i); zero is background."""
    labels = np.asarray(labels)
    boxes = ndimage.find_objects(labels.astype(np.int32, copy=False))
    found = {value: box for value, box in enumerate(boxes, start=1) if box is not None}
    return {value: Body(box, fingerprint(labels[box] == value)) for value, box in found.items()}


def fingerprint(mask: np.ndarray) -> str:
    """Return the fingerprint of a mask, wherever it lies; an empty mask has the fingerprint ``"empty"``."""
    box = next(iter(ndimage.find_objects(mask.astype(np.int8))), None)
    if box is None:
        return "empty"
    mask = mask[box]
    digest = hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=12)
    digest.update(repr(mask.shape).encode())
    return digest.hexdigest()
