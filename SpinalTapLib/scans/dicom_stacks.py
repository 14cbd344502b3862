"""Stacks: which DICOM images belong together, and how they become one volume."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from .checks import check_size
from .dicom_frames import check_frames, frame_positions, place_frames
from .dicom_headers import IMAGE_READER, DicomFile
from .orientation import check_geometry
from .quiet_itk import quiet_readers

logger = logging.getLogger(__name__)

SAME_DIRECTION = 0.02
"""Slices of one stack differ by less in every direction cosine (about a degree)."""
SAME_STACK_MM = 20.0
"""Slices of one stack start within this of each other in their plane; the stations of a whole spine don't."""
SAME_PLACE_MM = 0.05
"""Images closer than this along their normal show the same slice (phases, repetitions)."""
SHEAR_MM = 2.0
"""Slices that are shifted further than this against each other in their plane don't fit a rectangular grid."""
UNEVEN_SHARE = 0.1
"""Share of the slice distance that a slice may be off its even place before the user is told."""
MISPLACED_MM = 3.0
"""A slice further than this off its even place would put a vertebra where it is not."""


@dataclass(frozen=True, eq=False)
class DicomStack:
    """Parallel images of one series that lie over each other: what can become one volume.

    Attributes
    ----------
    files : tuple of DicomFile
        One for each slice, along the normal; or a single multi-frame file.
    repeats : int
        Images that were left out because an earlier one shows the same slice.
    """

    files: tuple[DicomFile, ...]
    repeats: int = 0

    @property
    def first(self) -> DicomFile:
        """The first file, whose tags stand for all."""
        return self.files[0]

    @property
    def slices(self) -> int:
        """Number of slices."""
        return len(self.files) * self.first.size[2]

    @property
    def title(self) -> str:
        """How to name the stack to the user, such as ``series 3 'T2 SAG'``."""
        tags = self.first.tags
        return f"series {tags['number'] or tags['uid'] or '?'} '{tags['description'] or 'no description'}'"


def stack_files(files: list[DicomFile]) -> list[DicomStack]:
    """Sort images into stacks.

    Parameters
    ----------
    files : list of DicomFile
        Images of any series, in the order in which they were taken.

    Returns
    -------
    list of DicomStack
        The first file's stack first. Images of a series are apart where they differ in size,
        direction, station, echo or kind (magnitude, phase, ...).
    """
    groups: dict[str, list[list[DicomFile]]] = {}
    for file in files:
        stacks = groups.setdefault(file.tags["uid"], [])
        home = next((stack for stack in stacks if _lie_together(file, stack[0])), None)
        if home is None:
            stacks.append([file])
        else:
            home.append(file)
    return [_sorted_stack(stack) for stacks in groups.values() for stack in stacks]


def _lie_together(file: DicomFile, first: DicomFile) -> bool:
    """Return whether a file can be a slice of the stack that starts with `first`."""
    shift = (file.origin - first.origin) @ first.direction[:, :2]
    return (
        file.size == first.size
        and file.size[2] == 1
        and file.components == first.components
        and file.tags["image_type"] == first.tags["image_type"]
        and file.tags["echo_time"] == first.tags["echo_time"]
        and bool(np.allclose(file.spacing[:2], first.spacing[:2], rtol=1e-3))
        and bool(np.abs(file.direction - first.direction).max() < SAME_DIRECTION)
        and bool(np.abs(shift).max() < SAME_STACK_MM)
    )


def _sorted_stack(files: list[DicomFile]) -> DicomStack:
    """Sort slices along their normal; of several images of the same slice keep the one that was taken first."""
    normal = files[0].direction[:, 2]
    kept: list[DicomFile] = []
    for file in sorted(files, key=lambda file: (round(float(file.origin @ normal) / SAME_PLACE_MM), file.order)):
        if not kept or abs((file.origin - kept[-1].origin) @ normal) > SAME_PLACE_MM:
            kept.append(file)
    return DicomStack(tuple(kept), len(files) - len(kept))


def read_stack(stack: DicomStack, where: str) -> tuple[sitk.Image, list[str]]:
    """Read the images of a stack as one volume.

    Parameters
    ----------
    stack : DicomStack
        From `stack_files`.
    where : str
        What to call it in error messages.

    Returns
    -------
    image : sitk.Image
        Three dimensions, in the series' own geometry.
    warnings : list of str
        Plain sentences for the user.

    Raises
    ------
    ValueError
        If it is colour, a single slice, has slices missing or shifted, or its pixels can't be read.
    """
    if stack.first.components > 1:
        raise ValueError(f"{where} holds colour pictures; give a series of grey values.")
    check_size((*stack.first.size[:2], stack.slices), where)
    check_geometry(stack.first.spacing, tuple(stack.first.origin), tuple(stack.first.direction.ravel()), where)
    warnings = _check_places(stack, where)
    frames = None
    if len(stack.files) == 1:
        frames = frame_positions(stack.first.path, stack.slices)
        if frames is not None:
            check_frames(frames, stack.first.direction[:, 2], where)
    paths = [str(file.path) for file in stack.files]
    try:
        with quiet_readers():
            image = sitk.ReadImage(paths if len(paths) > 1 else paths[0], imageIO=IMAGE_READER)
    except RuntimeError as error:
        logger.debug("Reading %s failed: %s", where, error)
        raise ValueError(
            f"{where} can't be read: a file of it is damaged, cut short or compressed in an unusual way."
        ) from error
    if frames is not None:
        place_frames(image, frames)
    return image, warnings


def _check_places(stack: DicomStack, where: str) -> list[str]:
    warnings = []
    if stack.repeats:
        warnings.append(
            f"The series shows some slices several times (phases or repetitions): {stack.repeats} of its "
            f"{stack.repeats + len(stack.files)} images were left out, and the first of each slice was read."
        )
    if len(stack.files) == 1:
        return warnings
    origins = np.array([file.origin for file in stack.files])
    origins = (origins - origins[0]) @ stack.first.direction
    even = np.linspace(0, origins[-1, 2], len(origins))
    off = float(np.abs(origins[:, 2] - even).max())
    shift = float(np.abs(origins[:, :2]).max())
    if shift > SHEAR_MM:
        raise ValueError(
            f"{where} has slices shifted against each other in their plane, by up to {shift:.3g} mm; "
            "its direction is not orthonormal, so resample it onto a grid with perpendicular axes first."
        )
    if off > MISPLACED_MM:
        raise ValueError(
            f"{where} has unevenly spaced slices, up to {off:.3g} mm off their places: slices seem to be missing; "
            "copy or export the series again."
        )
    if off > UNEVEN_SHARE * even[1]:
        warnings.append(
            f"The slices are unevenly spaced (is one missing?): positions may be off by up to {off:.2g} mm."
        )
    return warnings
