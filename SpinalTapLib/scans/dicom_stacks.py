"""Sort DICOM slices into stacks, and read a stack as one volume."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .checks import check_size
from .dicom_headers import DicomSlice, whole_number
from .dicom_stations import chains_of_stations, composed
from .orientation import check_geometry
from .quiet_itk import quiet_readers

logger = logging.getLogger(__name__)

IMAGE_READER = "GDCMImageIO"
SAME_DIRECTION = 0.02
"""Largest difference of the direction cosines within a stack (about a degree)."""
SAME_STACK_MM = 20.0
"""Largest in-plane distance of the origins within a stack; the stations of a whole spine are further apart."""
SAME_PLACE_MM = 0.05
"""Distance along the normal below which two images show the same slice (phases, repetitions)."""
SHEAR_MM = 2.0
"""In-plane shift between slices above which they do not fit a rectangular grid."""
SHEAR_PIXELS = 0.5
"""In-plane shift between slices, in pixels, above which a warning is given."""
UNEVEN_SHARE = 0.1
"""Deviation from even slice positions, as a fraction of the slice distance, above which a warning is given."""
SINGLE_SLICE_MM = 4.0
"""Slice thickness assumed for a single slice without one: the usual one of a sagittal spine."""
MISPLACED_MM = 3.0
"""Deviation from even slice positions above which vertebrae would be misplaced, so the stack is refused."""

_MISSING = {
    "ImagePositionPatient": "where each of its slices lies",
    "ImageOrientationPatient": "how its slices are oriented",
    "PixelSpacing": "how large its pixels are",
}


@dataclass(frozen=True, eq=False)
class DicomStack:
    """Slices of one series that can become one volume.

    Attributes
    ----------
    stations : tuple of tuple of DicomSlice
        One group of parallel slices, sorted along their normal, or one for each of several overlapping stations of a
        spine.
    """

    stations: tuple[tuple[DicomSlice, ...], ...]

    @property
    def first(self) -> DicomSlice:
        """The first slice; its series attributes are those of all."""
        return self.stations[0][0]

    @property
    def pictures(self) -> tuple[DicomSlice, ...]:
        """All slices, station by station."""
        return tuple(picture for station in self.stations for picture in station)

    @property
    def slices(self) -> int:
        """Number of slices (of the station with the most)."""
        return max(len(station) for station in self.stations)

    @property
    def is_mosaic(self) -> bool:
        """Whether each image shows a whole volume as tiles (Siemens mosaic)."""
        return "MOSAIC" in self.first.image_type.upper().split("\\")

    @property
    def is_volume(self) -> bool:
        """Whether the slices can make a volume of grey values."""
        return self.slices > 1 and self.first.components == 1 and not self.first.missing and not self.is_mosaic

    @property
    def height_mm(self) -> float:
        """Extent from head to foot, mm."""
        low, high = self.reach_mm
        return high - low

    @property
    def reach_mm(self) -> tuple[float, float]:
        """Lowest and highest position of the stations' first slices along the superior axis, mm."""
        ends = [
            station[0].origin[2] + station[0].direction[2, :2] @ (corner * np.array(station[0].spacing))
            for station in self.stations
            for columns, rows in [station[0].size]
            for corner in ((0, 0), (columns, 0), (0, rows), (columns, rows))
        ]
        return float(min(ends)), float(max(ends))

    @property
    def title(self) -> str:
        """Name of the stack in messages, such as ``series 3 'T2 SAG'``."""
        name = f"series {self.first.number or self.first.uid or '?'} '{self.first.description or 'no description'}'"
        return f"{len(self.stations)} stations of {name}" if len(self.stations) > 1 else name


def stacks_of(pictures: list[DicomSlice]) -> list[DicomStack]:
    """Sort slices into stacks.

    Parameters
    ----------
    pictures : list of DicomSlice
        Slices of any series, in the order of acquisition.

    Returns
    -------
    list of DicomStack
        By series number. A series is split where its slices differ in size, direction, station, echo or kind
        (magnitude, phase, ...), or show the same slice again. Overlapping stations additionally make one combined
        stack, which precedes them.
    """
    groups: dict[tuple[str, ...], list[list[DicomSlice]]] = {}
    for picture in pictures:
        stacks = groups.setdefault(picture.series, [])
        home = next((stack for stack in stacks if _lie_together(picture, stack[0])), None)
        if home is None:
            stacks.append([picture])
        else:
            home.append(picture)
    found = []
    for series in sorted(groups.values(), key=lambda stacks: (whole_number(stacks[0][0].number), stacks[0][0].series)):
        layers = [layer for stack in series for layer in _layers(stack)]
        found += [DicomStack(chain) for chain in chains_of_stations(layers)]
        found += [DicomStack((layer,)) for layer in layers]
    return found


def _lie_together(picture: DicomSlice, first: DicomSlice) -> bool:
    """Return whether a slice can belong to the stack that starts with `first`."""
    shift = (picture.origin - first.origin) @ first.direction[:, :2]
    return (
        (picture.size, picture.components, picture.image_type, picture.echo_ms, picture.missing)
        == (first.size, first.components, first.image_type, first.echo_ms, first.missing)
        and bool(np.allclose(picture.spacing, first.spacing, rtol=1e-3))
        and bool(np.abs(picture.direction - first.direction).max() < SAME_DIRECTION)
        and bool(np.abs(shift).max() < SAME_STACK_MM)
    )


def _layers(pictures: list[DicomSlice]) -> list[tuple[DicomSlice, ...]]:
    """Sort parallel slices along their normal; repetitions of a slice go to further layers."""
    if pictures[0].missing:
        return [tuple(pictures)]
    normal = pictures[0].direction[:, 2]
    layers: list[list[DicomSlice]] = []
    place, depth = -np.inf, 0
    for picture in sorted(pictures, key=lambda p: (round(float(p.origin @ normal) / SAME_PLACE_MM), p.order)):
        here = float(picture.origin @ normal)
        place, depth = (place, depth + 1) if here - place <= SAME_PLACE_MM else (here, 0)
        if depth == len(layers):
            layers.append([])
        layers[depth].append(picture)
    return [tuple(layer) for layer in layers]


def read_stack(stack: DicomStack, where: str) -> tuple[sitk.Image, list[str]]:
    """Read the slices of a stack as one volume.

    Parameters
    ----------
    stack : DicomStack
        From `stacks_of`.
    where : str
        Name of the stack in error messages.

    Returns
    -------
    image : sitk.Image
        Three dimensions, in the series' own geometry; that of the first station if there are several.
    warnings : list of str
        Plain sentences for the user.

    Raises
    ------
    ValueError
        If it is colour, a mosaic or a single slice, lacks the geometry of its slices, has slices missing or shifted,
        or its pixel data cannot be read.
    """
    warnings = check_stack(stack, where)
    images = [_read_station(station, where) for station in stack.stations]
    if len(images) == 1:
        return images[0], warnings
    image, seams = composed(images)
    check_size(image.GetSize(), where)
    return image, [*dict.fromkeys(warnings), seams]


def check_stack(stack: DicomStack, where: str) -> list[str]:
    """Return warnings about the geometry of a stack; raise ValueError as `read_stack` does, without reading pixels."""
    _check(stack, where)
    return [warning for station in stack.stations for warning in _check_places(station, where)]


def _check(stack: DicomStack, where: str) -> None:
    if stack.first.components > 1:
        raise ValueError(f"{where} holds colour images; give a series of grey values.")
    if stack.is_mosaic:
        raise ValueError(
            f"{where} holds mosaics, which show all slices as tiles of one image; export the series as single "
            "slices or as enhanced MR."
        )
    if stack.first.missing:
        lacks = " and ".join(_MISSING[name] for name in stack.first.missing)
        raise ValueError(
            f"{where} does not say {lacks} ({', '.join(stack.first.missing)} missing); export the series again from "
            "the scanner or the archive."
        )
    check_size((*stack.first.size, stack.slices), where)
    first = stack.first
    check_geometry(first.spacing, tuple(first.origin), tuple(first.direction.ravel()), where)


def _check_places(station: tuple[DicomSlice, ...], where: str) -> list[str]:
    """Return warnings about slices that are slightly shifted or unevenly spaced; raise ValueError if badly so."""
    warnings = []
    first = station[0]
    origins = (np.array([picture.origin for picture in station]) - first.origin) @ first.direction
    even = np.linspace(0, origins[-1, 2], len(origins))
    off = float(np.abs(origins[:, 2] - even).max())
    shift = float(np.abs(origins[:, :2]).max())
    if shift > SHEAR_MM:
        raise ValueError(
            f"{where} has slices shifted against each other in their plane, by up to {shift:.3g} mm; "
            "its direction is not orthonormal, so resample it onto a grid with perpendicular axes first."
        )
    if shift > SHEAR_PIXELS * min(first.spacing):
        warnings.append(
            f"The slices are shifted against each other in their plane, by up to {shift:.2g} mm; the volume ignores "
            "this, so positions may be off by as much."
        )
    if off > MISPLACED_MM:
        raise ValueError(
            f"{where} has unevenly spaced slices, up to {off:.3g} mm off their places: slices seem to be missing; "
            "copy or export the series again."
        )
    if len(even) > 1 and off > UNEVEN_SHARE * even[1]:
        warnings.append(
            f"The slices are unevenly spaced (is one missing?): positions may be off by up to {off:.2g} mm."
        )
    return warnings


def _read_station(station: tuple[DicomSlice, ...], where: str) -> sitk.Image:
    """Read parallel slices as an image; their distance is that from the first to the last, divided evenly."""
    files: dict[Path, np.ndarray] = {}
    planes = []
    for picture in station:
        if picture.path not in files:
            files[picture.path] = _pixels(picture.path, where)
        array = files[picture.path]
        if picture.frame >= len(array) or array.shape[1:] != picture.size[::-1]:
            raise ValueError(
                f"{where} cannot be read: the pixel data of {picture.path} do not match its header; copy or export the "
                "series again."
            )
        planes.append(_rescaled(array[picture.frame], picture))
    image = sitk.GetImageFromArray(np.stack(planes))
    place_image(image, station)
    return image


def place_image(image: sitk.Image, station: tuple[DicomSlice, ...]) -> None:
    """Give an image, one slice for each of a station's, the spacing, origin and direction of the station."""
    first, last = station[0], station[-1]
    slice_mm = float((last.origin - first.origin) @ first.direction[:, 2]) / max(len(station) - 1, 1)
    image.SetSpacing((*first.spacing, slice_mm or first.thickness_mm or SINGLE_SLICE_MM))
    image.SetOrigin(first.origin.tolist())
    image.SetDirection(first.direction.ravel().tolist())


def _pixels(path: Path, where: str) -> np.ndarray:
    """Return the pixel data of a file as GDCM decodes and rescales them, shape (frame, row, column)."""
    try:
        with quiet_readers():
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO=IMAGE_READER))
    except RuntimeError as error:
        logger.debug("Reading %s failed: %s", path, error)
        raise ValueError(
            f"{where} cannot be read: {path} is damaged, cut short or compressed in an unsupported way; export the "
            "series again, uncompressed if possible."
        ) from error
    return array if array.ndim == 3 else array[None]


def _rescaled(plane: np.ndarray, picture: DicomSlice) -> np.ndarray:
    """Return a frame's real values: undo the rescaling of the file's first frame, which GDCM applied, if it differs."""
    if picture.rescale == picture.file_rescale:
        return plane
    slope, intercept = picture.file_rescale
    stored = (plane - intercept) / slope
    return (stored * picture.rescale[0] + picture.rescale[1]).astype(np.float32)
