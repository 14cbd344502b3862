"""DICOM: the image files of a folder, and what their headers say."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import check_name
from .dicom_elements import has_possible_lengths
from .quiet_itk import quiet_readers

logger = logging.getLogger(__name__)

IMAGE_READER = "GDCMImageIO"
_MR_STORAGE = (b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.5.1.4.1.1.4.1\0")
"""SOP classes of MR and enhanced MR images, as they stand in a file (DICOM PS3.6, Table A-1)."""
_START_BYTES = 1024
_TAGS = {
    "uid": "0020|000e",
    "number": "0020|0011",
    "description": "0008|103e",
    "modality": "0008|0060",
    "image_type": "0008|0008",
    "echo_time": "0018|0081",
    "acquisition": "0020|0012",
    "instance": "0020|0013",
}


@dataclass(frozen=True, eq=False)
class DicomFile:
    """What the header of one image file says.

    Attributes
    ----------
    path : Path
        The file.
    tags : dict of str to str
        Series instance UID, number, description, ...; empty where the file has none.
    size : tuple of int
        Columns, rows, frames.
    spacing : tuple of float
        Distance between columns, rows and frames, mm.
    origin : ndarray, shape (3,)
        Centre of the first voxel, LPS, mm.
    direction : ndarray, shape (3, 3)
        Columns: unit vectors along a row, down a column, and along the normal, LPS.
    components : int
        Values in a pixel; more than one in a colour picture.
    """

    path: Path
    tags: dict[str, str]
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: np.ndarray
    direction: np.ndarray
    components: int

    @property
    def order(self) -> tuple[int, int, str]:
        """What was taken first comes first: acquisition, then instance number."""
        return whole_number(self.tags["acquisition"]), whole_number(self.tags["instance"]), str(self.path)


def whole_number(text: str) -> int:
    """Return the whole number that a tag holds, or one that sorts last if it holds none."""
    try:
        return int(text)
    except ValueError:
        return 1 << 31


def scan_folder(folder: Path) -> tuple[list[DicomFile], list[Path]]:
    """Find the images in a folder and its sub-folders.

    Returns
    -------
    files : list of DicomFile
        Images of any series; what was taken first comes first.
    damaged : list of Path
        Files that should hold an MR image, but can't be read.
    """
    return _read_headers(Path(root) / name for root, _, names in os.walk(folder) for name in names)


def scan_series(path: Path) -> tuple[list[DicomFile], list[Path]]:
    """Find the images beside a file that are of its series; otherwise as `scan_folder`.

    The file itself comes first. If it is not an image, no files are returned.
    """
    own, damaged = _read_headers([path])
    if not own:
        return [], damaged
    files, damaged = _read_headers(other for other in path.parent.iterdir() if other.name != path.name)
    return own + [file for file in files if file.tags["uid"] == own[0].tags["uid"]], damaged


def _read_headers(paths: Iterable[Path]) -> tuple[list[DicomFile], list[Path]]:
    files, damaged = [], []
    with quiet_readers():
        for path in paths:
            check_name(path)
            start = _start(path)
            if not _is_marked(start):
                continue
            file = _read_header(path) if has_possible_lengths(path) else None
            if file is not None:
                files.append(file)
            elif any(storage in start for storage in _MR_STORAGE):
                damaged.append(path)
    return sorted(files, key=lambda file: file.order), sorted(damaged)


def is_dicom(path: Path) -> bool:
    """Tell from its first bytes whether a file is DICOM; whether it holds an image is another question."""
    return _is_marked(_start(path))


def _is_marked(start: bytes) -> bool:
    """Look for the mark at 128 or, where an old writer left that out, a tag of group 2 or 8 at 0."""
    return start[128:132] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00")


def _start(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would never end
            return b""
        with path.open("rb") as file:
            return file.read(_START_BYTES)
    except OSError as error:
        logger.debug("Skipped %s: %s", path, error)
        return b""


def _read_header(path: Path) -> DicomFile | None:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(IMAGE_READER)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:  # a report, a drawing, or a damaged file
        logger.debug("Skipped %s: %s", path, error)
        return None
    size = reader.GetSize()
    direction, spacing = np.reshape(reader.GetDirection(), (len(size), len(size))), np.array(reader.GetSpacing())
    direction = direction * np.where(spacing < 0, -1.0, 1.0)  # frames that are stored against the normal
    if len(size) != 3 or min(size) < 1 or not np.isfinite([*reader.GetOrigin(), *direction.flat]).all():
        return None
    return DicomFile(
        path=path,
        tags={name: _text(reader, key) for name, key in _TAGS.items()},
        size=size,
        spacing=tuple(np.abs(spacing).tolist()),
        origin=np.array(reader.GetOrigin()),
        direction=direction,
        components=reader.GetNumberOfComponents(),
    )


def _text(reader: sitk.ImageFileReader, key: str) -> str:
    """Return a tag's value as printable text; what is not UTF-8 is taken for Latin-1."""
    if not reader.HasMetaDataKey(key):
        return ""
    stored = reader.GetMetaData(key).encode("utf-8", "surrogateescape")
    try:
        text = stored.decode("utf-8")
    except UnicodeDecodeError:
        text = stored.decode("latin-1")
    return "".join(letter for letter in text if letter.isprintable()).strip()
