"""Read the DICOM headers of a file or folder with pydicom: geometry, series and kind of each image.

Each image is one slice: a file, or one frame of a multi-frame file (enhanced MR), which has a position, orientation,
echo and rescaling of its own.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import check_name
from .dicom_elements import has_possible_lengths
from .quiet_itk import quiet_readers

if TYPE_CHECKING:
    from pydicom import Dataset

logger = logging.getLogger(__name__)

_MR_STORAGE = (b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.5.1.4.1.1.4.1\0")
"""SOP class UIDs of MR and enhanced MR images, as bytes of a file (DICOM PS3.6, Table A-1)."""
_NOT_SCANS = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",  # label map segmentation
    "1.2.840.10008.5.1.4.1.1.481.2",  # RT dose
)
"""SOP classes that have pixels but are not scans (DICOM PS3.6, Table A-1)."""
UNKNOWN_KIND = "file of an unknown kind"
_START_BYTES = 1024
_TAGS = (
    "SOPClassUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "ImageType", "EchoTime",
    "AcquisitionNumber", "AcquisitionTime", "InstanceNumber", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "BitsAllocated", "SliceThickness", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
    "RescaleSlope", "RescaleIntercept", "ComplexImageComponent", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID",
)  # fmt: skip
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes whose pixels are not compressed."""


@dataclass(frozen=True, eq=False)
class DicomSlice:
    """The header of one slice.

    Attributes
    ----------
    path : Path
        The file.
    frame : int
        Index of the frame in the file, from 0.
    uid, number, description, modality, image_type : str
        Attributes of the series; ``image_type`` with backslashes, as in the file. Empty if the file lacks them.
    echo_ms : float
        Echo time, ms; 0 if not given.
    order : tuple
        Sort key: the order of acquisition.
    size : tuple of int
        Columns, rows.
    spacing : tuple of float
        Distance between columns and between rows, mm.
    thickness_mm : float
        Thickness of the slice; 0 if not given.
    origin : ndarray, shape (3,)
        Centre of the first pixel, LPS, mm.
    direction : ndarray, shape (3, 3)
        Columns: unit vectors along a row, down a column, and along the normal, LPS.
    components : int
        Values per pixel; more than one in a colour image.
    rescale : tuple of float
        Slope and intercept from stored to real values.
    file_rescale : tuple of float
        Slope and intercept of the file's first frame, which GDCM applies to every frame.
    missing : tuple of str
        Names of the DICOM attributes that a volume needs and the header lacks.
    patient, study, frame_of_reference, instance_uid : str
        Patient ID, and instance UIDs of the study, the frame of reference and the image. Empty if the file lacks them.
    instance : str
        Instance number; empty if the file lacks it.
    """

    path: Path
    frame: int
    uid: str
    number: str
    description: str
    modality: str
    image_type: str
    echo_ms: float
    order: tuple[Any, ...]
    size: tuple[int, int]
    spacing: tuple[float, float]
    thickness_mm: float
    origin: np.ndarray
    direction: np.ndarray
    components: int
    rescale: tuple[float, float]
    file_rescale: tuple[float, float]
    missing: tuple[str, ...] = ()
    patient: str = ""
    study: str = ""
    frame_of_reference: str = ""
    instance_uid: str = ""
    instance: str = ""

    @property
    def series(self) -> tuple[str, ...]:
        """What tells its series from others: anonymisers may give several series the same instance UID."""
        return self.uid, self.number, self.patient, self.study


@dataclass(frozen=True)
class DicomFiles:
    """The DICOM files found in a folder.

    Attributes
    ----------
    slices : list of DicomSlice
        Slices of any series, in the order of acquisition.
    damaged : list of Path
        Files of MR images that cannot be read.
    others : dict of Path to str
        DICOM files that are not scans, and their kind, such as ``"RT Plan"``.
    """

    slices: list[DicomSlice] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    others: dict[Path, str] = field(default_factory=dict)


def whole_number(text: str) -> int:
    """Return the integer in a text, or one that sorts last if the text is not an integer."""
    try:
        return int(text)
    except ValueError:
        return 1 << 31


def scan_folder(folder: Path) -> DicomFiles:
    """Find the DICOM files in a folder and its sub-folders."""
    return scan_files(Path(root) / name for root, _, names in os.walk(folder) for name in names)


def scan_series(path: Path) -> DicomFiles:
    """Find the slices of a file, and those of the same series in its folder."""
    own = scan_files([path])
    if not own.slices:
        return own
    beside = scan_files(other for other in path.parent.iterdir() if other.name != path.name)
    series = [picture for picture in beside.slices if picture.series == own.slices[0].series]
    return DicomFiles(sorted(own.slices + series, key=lambda picture: picture.order), beside.damaged)


def first_patient(path: Path) -> str:
    """Return the patient ID of the first DICOM image of a file or folder, or an empty text."""
    paths = [path] if path.is_file() else (Path(root) / name for root, _, names in os.walk(path) for name in names)
    for candidate in paths:
        slices = scan_files([candidate]).slices
        if slices:
            return slices[0].patient
    return ""


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM, judging by its first bytes; it need not hold an image.

    A DICOM file has the prefix ``DICM`` at byte 128 or, without a preamble, begins with an element of group 2 or 8.
    """
    return _is_marked(_start(path))


def _is_marked(start: bytes) -> bool:
    return start[128:132] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00")


def _start(path: Path) -> bytes:
    try:
        if not path.is_file():  # reading a pipe would never end
            return b""
        with path.open("rb") as file:
            return file.read(_START_BYTES)
    except OSError as error:
        logger.debug("Skipped %s: %s", path, error)
        return b""


def scan_files(paths: Iterable[Path]) -> DicomFiles:
    """Find the DICOM files among some files."""
    found = DicomFiles()
    with quiet_readers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from pydicom, about harmless deviations from the standard
        for path in paths:
            check_name(path)
            start = _start(path)
            if _is_marked(start):
                _read_file(path, start, found)
    found.slices.sort(key=lambda picture: picture.order)
    found.damaged.sort()
    return found


def _read_file(path: Path, start: bytes, found: DicomFiles) -> None:
    """Add the contents of one DICOM file to `found`."""
    from pydicom import dcmread

    kind = ""
    try:
        if has_possible_lengths(path):
            with path.open("rb") as file:
                header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
                rest = path.stat().st_size - file.tell()
            kind = _kind(header)
            if not kind and rest >= _pixel_bytes(header):
                found.slices.extend(_pictures(path, header))
                return
    except Exception as error:  # a damaged header can raise nearly anything inside pydicom
        logger.debug("Skipped %s: %s", path, error)
    if any(storage in start for storage in _MR_STORAGE):
        found.damaged.append(path)
    elif kind:
        found.others[path] = kind


def _kind(header: Dataset) -> str:
    """Return the kind of a file that is not a scan, such as ``"RT Plan"``, or an empty string for a scan."""
    uid = header.get("SOPClassUID")
    if uid not in _NOT_SCANS and "Rows" in header and "Columns" in header:
        return ""
    return str(getattr(uid, "name", "") or UNKNOWN_KIND).removesuffix(" Storage")


def _pixel_bytes(header: Dataset) -> int:
    """Return the number of bytes of pixel data that the header promises; 0 if compressed, which leaves it open."""
    if header.file_meta.get("TransferSyntaxUID", _NATIVE[0]) not in _NATIVE:
        return 0
    bits = int(header.get("BitsAllocated") or 0) * int(header.get("SamplesPerPixel") or 1)
    return int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1) * bits // 8


def _pictures(path: Path, header: Dataset) -> list[DicomSlice]:
    """Return the slices of a file; what one frame lacks, its volume lacks."""
    frames = int(header.get("NumberOfFrames") or 1)
    own = header.get("PerFrameFunctionalGroupsSequence") or [None] * frames
    shared = next(iter(header.get("SharedFunctionalGroupsSequence") or ()), None)
    if len(own) != frames:
        raise ValueError(f"{path} has {frames} frames, but functional groups for {len(own)}.")
    groups = [_Groups(header, group, shared, frames) for group in own]
    pictures = [_picture(path, header, number, group, groups[0].rescale) for number, group in enumerate(groups)]
    missing = tuple(dict.fromkeys(name for picture in pictures for name in picture.missing))
    return [replace(picture, missing=missing) for picture in pictures]


class _Groups:
    """Look up the attributes of one frame: in its own functional groups, the shared ones, then the header.

    See DICOM PS3.3, C.7.6.16. The position of one frame among several is taken from its own groups alone: one that
    they share is not where each of them lies.
    """

    def __init__(self, header: Dataset, own: Dataset | None, shared: Dataset | None, frames: int) -> None:
        self._header, self._frames = header, frames
        self._own: Any = own or {}
        self._shared: Any = shared or {}

    def value(self, group: str, name: str, plain: str | None = None) -> Any:
        """Return an attribute of a functional group, or else of the header (where it is called `plain`), or None."""
        own_alone = self._frames > 1 and name == "ImagePositionPatient"
        for place in (self._own,) if own_alone else (self._own, self._shared):
            for item in place.get(group) or ():
                if item.get(name) is not None:
                    return item.get(name)
        return None if own_alone else self._header.get(plain or name)

    def numbers(self, group: str, name: str, count: int) -> np.ndarray | None:
        """Return an attribute that has `count` finite numbers, shape (count,), or None."""
        value = self.value(group, name)
        if value is None or isinstance(value, (str, bytes)) or np.size(value) != count:
            return None
        numbers = np.array([float(number) for number in value])
        return numbers if np.isfinite(numbers).all() else None

    @property
    def rescale(self) -> tuple[float, float]:
        """Slope and intercept from stored to real values."""
        slope, intercept = (
            self.value("PixelValueTransformationSequence", name) for name in ("RescaleSlope", "RescaleIntercept")
        )
        return (1.0 if slope is None else float(slope)) or 1.0, float(intercept or 0)


def _picture(path: Path, header: Dataset, frame: int, groups: _Groups, file_rescale: tuple[float, float]) -> DicomSlice:
    position = groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3)
    cosines = groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = groups.numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    geometry = {"ImagePositionPatient": position, "ImageOrientationPatient": cosines, "PixelSpacing": spacing}
    row_mm, column_mm = (1.0, 1.0) if spacing is None else spacing
    kinds = [groups.value("MRImageFrameTypeSequence", name, name) for name in ("FrameType", "ComplexImageComponent")]
    kinds[0] = kinds[0] or header.get("ImageType")
    number, instance = _text(header, "SeriesNumber"), whole_number(_text(header, "InstanceNumber"))
    acquisition = whole_number(_text(header, "AcquisitionNumber"))
    return DicomSlice(
        path=path,
        frame=frame,
        uid=_text(header, "SeriesInstanceUID"),
        number=number,
        description=_text(header, "SeriesDescription"),
        modality=_text(header, "Modality"),
        image_type="\\".join(_joined(kind) for kind in kinds if kind),
        echo_ms=float(groups.value("MREchoSequence", "EffectiveEchoTime", "EchoTime") or 0),
        order=(acquisition, instance, _text(header, "AcquisitionTime"), str(path), frame),
        size=(int(header.Columns), int(header.Rows)),
        spacing=(float(column_mm), float(row_mm)),
        thickness_mm=float(groups.value("PixelMeasuresSequence", "SliceThickness") or 0),
        origin=np.zeros(3) if position is None else position,
        direction=np.eye(3) if cosines is None else _axes(cosines),
        components=int(header.get("SamplesPerPixel") or 1),
        rescale=groups.rescale,
        file_rescale=file_rescale,
        missing=tuple(name for name, value in geometry.items() if value is None),
        patient=_text(header, "PatientID"),
        study=_text(header, "StudyInstanceUID"),
        frame_of_reference=_text(header, "FrameOfReferenceUID"),
        instance_uid=_text(header, "SOPInstanceUID"),
        instance=_text(header, "InstanceNumber"),
    )


def _axes(cosines: np.ndarray) -> np.ndarray:
    """Return the unit vectors of a row, a column and the normal as columns, (3, 3), LPS; zeros for a null vector."""
    along, down = cosines[:3], cosines[3:]
    axes = np.stack([along, down, np.cross(along, down)], 1)
    lengths = np.linalg.norm(axes, axis=0)
    return axes / np.where(lengths > 0, lengths, 1)


def _joined(value: Any) -> str:
    return str(value) if isinstance(value, str) else "\\".join(str(part) for part in value)


def _text(header: Dataset, name: str) -> str:
    """Return a value as printable text; without a character set, decode it as UTF-8 if valid, else as Latin-1."""
    from pydicom.tag import Tag

    tag = Tag(name)
    if tag not in header:
        return ""
    stored = header.get_item(tag).value
    if isinstance(stored, bytes) and "SpecificCharacterSet" not in header:
        try:
            text = stored.decode("utf-8")
        except UnicodeDecodeError:
            text = stored.decode("latin-1")
    else:
        value = header[tag].value
        text = "" if value is None else _joined(value) if not isinstance(value, (int, float)) else str(value)
    return "".join(letter for letter in text if letter.isprintable()).strip()
