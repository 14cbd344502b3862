"""Suffixes of image files."""

from __future__ import annotations

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr.gz", ".hdr")
"""Suffixes of files that each represent one image: NIfTI, NRRD, MetaImage."""

_PARTS = (".img.gz", ".img", ".dcm", ".ima")
"""Suffixes of files that hold voxels, but represent an image only together with other files."""


def is_image_name(name: str) -> bool:
    """Return whether a file name is that of a NIfTI, NRRD or MetaImage file; DICOM is recognised by content only."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def without_suffix(name: str) -> str:
    """Return a file name or path without the suffix of an image; a name that is only a suffix stays as it is.

    >>> without_suffix("Spine scan.1.nii.gz")
    'Spine scan.1'
    """
    ending = next((s for s in (*IMAGE_SUFFIXES, *_PARTS) if name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)] or name
