"""The endings of image file names: the one list, for reading, batch and evaluation."""

from __future__ import annotations

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr.gz", ".hdr")
"""Files that stand for an image of their own: NIfTI, NRRD, MetaImage."""

_PARTS = (".img.gz", ".img", ".dcm", ".ima")
"""Files that hold voxels, but stand for an image only together with others."""


def is_image_name(name: str) -> bool:
    """Return whether a file's name is that of a NIfTI, NRRD or MetaImage file. DICOM is told by content alone."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def without_suffix(name: str) -> str:
    """Return a file's name or path without the ending of an image, if it has one and is more than that.

    >>> without_suffix("Spine scan.1.nii.gz")
    'Spine scan.1'
    """
    ending = next((s for s in (*IMAGE_SUFFIXES, *_PARTS) if name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)] or name
