"""Read a file or folder as one 3-D image of grey values, or raise an error that says why this is not possible."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import check_name
from .checks import MAX_VOXELS, check_size
from .dicom_headers import DicomFiles, is_dicom, scan_files, scan_folder, scan_series
from .dicom_series import choose_series
from .dicom_stacks import DicomStack, read_stack, stacks_of
from .nifti_checks import (
    NO_ORIENTATION,
    check_header,
    is_nifti,
    numberless_voxels,
    position_taken,
    read_header,
    readable_copy,
    stored_bytes,
)
from .orientation import check_geometry
from .quiet_itk import quiet_readers
from .suffixes import without_suffix
from .text_headers import check_metaimage_header, check_nrrd_header, nrrd_unit_mm

logger = logging.getLogger(__name__)

_READERS = {"NiftiImageIO": "NIfTI", "NrrdImageIO": "NRRD", "MetaImageIO": "MetaImage"}
_PICTURES = {**_READERS, "PNGImageIO": "PNG"}

PICTURE_SLICE_MM = 4.0
"""Thickness that is taken for a picture of a single slice, mm: that of most sagittal series."""


@dataclass(frozen=True)
class Reading:
    """An image and its description.

    Attributes
    ----------
    image : sitk.Image
        Three dimensions, one real number per voxel.
    name : str
        Short name: the file's name without its suffix, or the description of the DICOM series.
    where : str
        The path, for messages.
    warnings : tuple of str
        Plain sentences for the user.
    is_label_map : bool
        Whether the file declares its values to be labels of structures.
    is_dicom : bool
        Whether the source is DICOM, which states its modality.
    """

    image: sitk.Image
    name: str
    where: str
    warnings: tuple[str, ...] = ()
    is_label_map: bool = False
    is_dicom: bool = False


def read_image(
    path: Path, series: str | int | None = None, pixel_mm: float | None = None, files: Sequence[Path] = ()
) -> Reading:
    """Read a NIfTI, NRRD or MetaImage file, or a DICOM folder or file, in its own geometry, or a picture of a slice.

    Parameters
    ----------
    path : Path
        File or folder. A single DICOM file stands for its whole series in the same folder.
    series : str or int, optional
        The DICOM series to read: instance UID, number or description.
    pixel_mm : float, optional
        Edge of the pixels of a picture (PNG, or another file with two dimensions), which says nothing about its place
        in the body: it is taken as a sagittal slice with the head at the top and the front on the left.
    files : sequence of Path, optional
        The DICOM files to look at, if they are known, instead of all the files of a folder.

    Raises
    ------
    ValueError
        If the path is missing, unreadable, of another format, cut short or damaged, or is not one 3-D image of grey
        values with a valid geometry.
    """
    check_name(path)
    _check_access(path)
    if files:
        return _read_dicom(path, scan_files(files), series)
    if path.is_dir():
        return _read_dicom(path, scan_folder(path), series)
    if path.name.upper() == "DICOMDIR":
        return _read_dicom(path.parent, scan_folder(path.parent), series)
    if is_dicom(path):
        return _read_dicom(path, scan_series(path), series)
    if pixel_mm is not None:
        return _read_picture(path, pixel_mm)
    warnings = ["A series can only be chosen from DICOM; the choice was ignored."] if series is not None else []
    total_bytes = stored_bytes(path)
    with quiet_readers():
        reader_name = sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    if reader_name == "NiftiImageIO" or is_nifti(path):
        image, labels, more = _read_nifti(path, total_bytes)
    elif reader_name == "PNGImageIO":
        raise ValueError(
            f"{path} is a picture, which does not say how large its pixels are; give their edge in mm with --pixel-mm."
        )
    elif reader_name in _READERS:
        image, labels, more = _read_text_header(path, reader_name)
    else:
        raise ValueError(
            f"{path} is not a NIfTI, NRRD, MetaImage or DICOM file, or it is damaged or cut short; give a scan in one "
            "of these formats."
        )
    return Reading(image, _stem(path), str(path), tuple(warnings + more), is_label_map=labels)


def _check_access(path: Path) -> None:
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:  # a name too long, a null byte, or a folder without access
        raise ValueError(f"{path} cannot be reached ({error}); check the path and its permissions.") from error
    if not exists:
        raise ValueError(f"There is no file or folder at {path}; check the path.")
    if not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path} is neither a file nor a folder; give a scan's file or folder.")
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise ValueError(f"You have no permission to read {path}; change its permissions.")


def _read_nifti(path: Path, total_bytes: int) -> tuple[sitk.Image, bool, list[str]]:
    """Return the image, whether the file declares a label map, and warnings."""
    header = read_header(path)
    if header.voxel_file != path:
        total_bytes = stored_bytes(header.voxel_file)
    warnings = check_header(header, total_bytes)
    with tempfile.TemporaryDirectory(prefix="spinaltap-") as folder:
        copy = readable_copy(header, Path(folder))
        image = _read_file(copy or path, "NiftiImageIO", path)
    lost = numberless_voxels(header)
    if lost.any():
        array = sitk.GetArrayFromImage(image)
        array[lost] = np.nan
        whole = sitk.GetImageFromArray(array)
        whole.CopyInformation(image)
        image = whole
    last = image.TransformIndexToPhysicalPoint([count - 1 for count in image.GetSize()])
    taken = position_taken(header, np.array(last))
    return image, header.is_label_map, [warning.replace("{taken}", taken) for warning in warnings]


def _read_picture(path: Path, pixel_mm: float) -> Reading:
    """Read an image with two dimensions as a sagittal slice; head at the top, front on the left."""
    if not (np.isfinite(pixel_mm) and pixel_mm > 0):
        raise ValueError(f"The edge of a pixel must be above zero; got {pixel_mm:g} mm.")
    with quiet_readers():
        reader_name = sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    if reader_name not in _PICTURES:
        raise ValueError(f"{path} is not a picture in PNG format, nor a NIfTI, NRRD or MetaImage file.")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(reader_name)
    try:
        with quiet_readers():
            reader.ReadImageInformation()
        size = reader.GetSize()
        if len(size) != 2:
            raise ValueError(f"{path} has {len(size)} dimensions and its own pixel size; leave out --pixel-mm.")
        if float(size[0]) * float(size[1]) > MAX_VOXELS:
            raise ValueError(f"{path} claims {size[0]} x {size[1]} pixels; its header may be damaged.")
        with quiet_readers():
            pixels = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        logger.debug("Reading %s failed: %s", path, error)
        raise ValueError(_explain(path, _PICTURES[reader_name], str(error))) from error
    if pixels.ndim == 3:
        colours = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., :1]  # the last of 2 or 4 is the opacity
        if (colours != colours[..., :1]).any():
            raise ValueError(f"{path} is a colour picture; give one of grey values.")
        pixels = colours[..., 0]
    image = sitk.GetImageFromArray(pixels[None])
    image.SetSpacing((pixel_mm, pixel_mm, PICTURE_SLICE_MM))
    image.SetDirection((0, 0, -1, 1, 0, 0, 0, -1, 0))  # columns to the back, rows to the feet
    taken = (
        f"The picture was taken as a sagittal slice with pixels of {pixel_mm:g} mm, the head at the top and the front "
        "on the left."
    )
    return Reading(image, _stem(path), str(path), (taken,))


def _read_text_header(path: Path, reader_name: str) -> tuple[sitk.Image, bool, list[str]]:
    """Read an NRRD or MetaImage file; return the image, whether the file declares a label map, and warnings."""
    if reader_name != "NrrdImageIO":
        check_metaimage_header(path)
        return _read_file(path, reader_name), False, []
    check_nrrd_header(path)
    image = _read_file(path, reader_name)
    scale = nrrd_unit_mm(path)
    image.SetSpacing([scale * step for step in image.GetSpacing()])
    image.SetOrigin([scale * place for place in image.GetOrigin()])
    segments = any(key.startswith("Segment0_") for key in image.GetMetaDataKeys())
    return image, segments, [] if image.HasMetaDataKey("NRRD_space") else [NO_ORIENTATION]


def _read_file(path: Path, reader_name: str, given: Path | None = None) -> sitk.Image:
    """Read the header, check it, and then read the voxels; a damaged header could ask for any amount of memory.

    Error messages name the file `given` by the user, if it is not `path` itself.
    """
    given = given or path
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(reader_name)
    try:
        with quiet_readers():
            reader.ReadImageInformation()
        _check_information(reader, given)
        with quiet_readers():
            image = reader.Execute()
    except RuntimeError as error:
        logger.debug("Reading %s failed: %s", path, error)
        raise ValueError(_explain(given, _READERS[reader_name], str(error))) from error
    while image.GetDimension() > 3:
        image = image[(slice(None),) * (image.GetDimension() - 1) + (0,)]
    return image


def _check_information(reader: sitk.ImageFileReader, path: Path) -> None:
    components = reader.GetNumberOfComponents()
    if components > 1:
        raise ValueError(
            f"{path} holds {components} values in each voxel (colour, vectors, complex numbers or several volumes); "
            "give one volume of grey values."
        )
    size = reader.GetSize()
    check_size(size, str(path))
    axes = np.reshape(reader.GetDirection(), (len(size), len(size)))[:3, :3]
    check_geometry(reader.GetSpacing()[:3], reader.GetOrigin()[:3], tuple(axes.ravel()), str(path))


def _explain(path: Path, format_name: str, error: str) -> str:
    """Return one plain sentence for an error message of ITK."""
    if "orthonormal" in error or "determinant" in error:
        return f"{path} has a direction matrix that is not orthonormal; resample it onto perpendicular axes first."
    if "pacing" in error:
        return f"{path} has a voxel spacing that is not above zero; repair its header."
    return (
        f"{path} cannot be read as {format_name}: it is damaged, cut short, lacks its data file or is of an "
        "unsupported kind; copy or convert it again."
    )


def series_files(path: Path, series: str | int | None = None) -> tuple[Path, ...]:
    """Return the DICOM files that `read_image` reads, in the order of their slices.

    Raises
    ------
    ValueError
        If the path is missing or unreadable, is not a DICOM file or folder, or was composed of several stations.
    """
    _check_access(path)
    if not path.is_dir() and not is_dicom(path):
        raise ValueError(f"{path} is neither a DICOM file nor a folder; give the DICOM files of the scan.")
    stack, _ = _stack(path, scan_folder(path) if path.is_dir() else scan_series(path), series)
    if len(stack.stations) > 1:
        raise ValueError(
            f"{path} is composed of {len(stack.stations)} stations, which a file cannot refer to as one series; "
            "segment a single station instead."
        )
    return tuple(dict.fromkeys(picture.path for picture in stack.pictures))


def _stack(path: Path, found: DicomFiles, series: str | int | None) -> tuple[DicomStack, list[str]]:
    stacks = stacks_of(found.slices)
    if not stacks and found.others:
        kinds = ", ".join(sorted(set(found.others.values())))
        raise ValueError(f"{path} holds no DICOM image that can be read as a scan, only {kinds}; give the MR series.")
    if not stacks and (found.damaged or path.is_file()):
        raise ValueError(
            f"{path} holds no DICOM image that can be read: its files are damaged or cut short; copy or export them "
            "again."
        )
    if path.is_file():  # a single file stands for its stack
        stacks = [stack for stack in stacks if any(picture.path == path for picture in stack.pictures)]
    return choose_series(stacks, series, str(path))


def _read_dicom(path: Path, found: DicomFiles, series: str | int | None) -> Reading:
    stack, warnings = _stack(path, found, series)
    if found.damaged:
        warnings.append(
            f"DICOM files that are damaged or cut short were left out: {len(found.damaged)}, such as "
            f"{found.damaged[0]}."
        )
    where = f"{path} ({stack.title})"
    image, more = read_stack(stack, where)
    return Reading(image, stack.first.description or _stem(path), where, tuple(warnings + more), is_dicom=True)


def _stem(path: Path) -> str:
    name = path.name[:-4] if path.name.lower().endswith(".png") else path.name
    return without_suffix(name) or path.resolve().name or "volume"
