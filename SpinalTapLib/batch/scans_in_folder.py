"""Find the scans in a folder: image files, DICOM series, or the images of a BIDS data set."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files.result_names import JSON_NAME
from ..scans.dicom_headers import is_dicom
from ..scans.suffixes import is_image_name, without_suffix
from .bids import bids_images, is_bids
from .dicom_studies import Studies
from .state import STATE_NAME

BESIDE = "-spinaltap"
"""Ending of the result folder of a DICOM folder, if the results are written among the scans."""


@dataclass(frozen=True)
class Scan:
    """A scan to segment.

    Attributes
    ----------
    path : Path
        A file, or a folder of DICOM files.
    name : str
        Relative name of its result folder.
    series : str or None
        Instance UID of the DICOM series.
    files : tuple of Path
        The DICOM files to look at.
    """

    path: Path
    name: str
    series: str | None = None
    files: tuple[Path, ...] = ()

    def stamp(self) -> dict[str, Any]:
        """Return what changes if the scan is replaced: number, size and newest time of its files."""
        try:
            found = [file.stat() for file in self.files or (self.path,)]
        except OSError:  # a link to nowhere: reading the scan says so
            return {}
        newest = max(int(stat.st_mtime) for stat in found)
        return {"files": len(found), "bytes": sum(stat.st_size for stat in found), "modified": newest}


@dataclass(frozen=True)
class FoundScans:
    """What was found in a folder.

    Attributes
    ----------
    scans : tuple of Scan
        In the order of their names, which differ even where capital and small letters are one.
    left_out : mapping of str to int
        Why DICOM series or BIDS images were left out (``"axial"``), and how many.
    source : Path
        The folder.
    bids : bool
        Whether it is a BIDS data set.
    """

    scans: tuple[Scan, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    source: Path = Path()
    bids: bool = False


def find_scans(folder: Path, output: Path | None = None, suffixes: Sequence[str] = ()) -> FoundScans:
    """Find the scans in a folder and its sub-folders.

    Result folders and everything in `output` are left out, unless `output` is `folder` itself. Of DICOM files, every
    sagittal MR series is one scan; of a study without any, the series that `load_volume` chooses.

    Parameters
    ----------
    folder : Path
        Searched with its sub-folders. A folder reached twice through links is searched once.
    output : Path, optional
        Folder of the results.
    suffixes : sequence of str, optional
        Of a BIDS data set, the suffixes of the images to segment; T1w and T2w if omitted.

    Raises
    ------
    ValueError
        If the folder does not exist or has no scan.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}; give a folder of scans.")
    folder = folder.resolve()
    if is_bids(folder):
        images, left_out = bids_images(folder, suffixes)
        return FoundScans(named(Scan(path, name) for path, name in images), left_out, folder, bids=True)
    if suffixes:
        raise ValueError(f"{folder} is not a BIDS data set (it has no dataset_description.json); leave out --suffix.")
    output = output.resolve() if output else None
    studies = Studies()
    files = list(_walk(folder, output, studies))
    series, left_out = studies.series()
    beside = BESIDE if output == folder else ""
    scans = [Scan(path, _stem(path, folder)) for path in files]
    scans += [Scan(s.folder, _stem(s.folder, folder, s.label) + beside, s.uid, s.files) for s in series]
    if not scans:
        hint = f" (left out: {words(left_out)})" if left_out else ""
        raise ValueError(
            f"There is no scan (NIfTI, NRRD, MetaImage or DICOM) in {folder}{hint}; give a folder of scans."
        )
    return FoundScans(named(scans), left_out, folder)


def words(left_out: Mapping[str, int]) -> str:
    """Return what was left out in words: ``"axial 3, planning 1"``."""
    return ", ".join(f"{why} {count}" for why, count in sorted(left_out.items()))


def _walk(folder: Path, output: Path | None, studies: Studies) -> Iterator[Path]:
    """Yield the image files in a folder and its sub-folders, and add the DICOM files to the studies."""
    seen: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        here = Path(root)
        real = here.resolve()
        is_output = real == output and here != folder
        if real in seen or is_output or any((here / name).is_file() for name in (JSON_NAME, STATE_NAME)):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = [here / name for name in sorted(names) if not name.startswith(".") and name.upper() != "DICOMDIR"]
        dicom = {file for file in files if is_dicom(file)}
        studies.add(here, sorted(dicom))
        yield from (file for file in files if is_image_name(file.name) and file not in dicom and not file.is_dir())


def _stem(path: Path, root: Path, label: str = "") -> str:
    """Return a scan's path relative to `root`, without the suffix of an image; the root's own name for the root."""
    relative = path.relative_to(root) if path != root else Path(root.name) if not label else Path()
    return str(relative / label) if label else without_suffix(str(relative)) if path.is_file() else str(relative)


def named(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Return the scans in the order of their names, with names of their own.

    Two scans that differ in their suffix keep it. Two that differ in capital letters only, which are one folder on
    some systems, or of which one would lie in the other's result folder, get the start of their path's checksum.
    """
    scans = list(scans)
    shared = _shared(scan.name for scan in scans)
    scans = [
        replace(scan, name=_with_suffix(scan)) if _key(scan.name) in shared and not scan.series else scan
        for scan in scans
    ]
    shared = _shared(scan.name for scan in scans)
    above = {str(parent) for scan in scans for parent in Path(_key(scan.name)).parents}
    apart = [
        replace(scan, name=f"{scan.name}-{_checksum(scan)}")
        if _key(scan.name) in shared or _key(scan.name) in above
        else scan
        for scan in scans
    ]
    return tuple(sorted(apart, key=lambda scan: scan.name))


def _with_suffix(scan: Scan) -> str:
    return str(Path(scan.name).with_name(scan.path.name)) if scan.path.is_file() else scan.name


def _shared(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(map(_key, names)).items() if count > 1}


def _key(name: str) -> str:
    """Return a name as a file system that ignores capital letters and ways to write accents compares it."""
    return unicodedata.normalize("NFC", name).casefold()


def _checksum(scan: Scan) -> str:
    text = f"{scan.name}/{scan.path.name}/{scan.series or ''}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:6]
