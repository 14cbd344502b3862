"""Sort the DICOM files of many folders into studies and series, and choose the series to segment."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..scans.dicom_headers import UNKNOWN_KIND, DicomSlice, scan_files
from ..scans.dicom_series import why_left_out
from ..scans.dicom_stacks import stacks_of

COPY = "copy of another series"
NO_IMAGE = "not an image"


@dataclass(frozen=True)
class DicomSeries:
    """A DICOM series to segment, or a whole study of which the reader must choose one.

    Attributes
    ----------
    folder : Path
        The folder that holds all its files.
    files : tuple of Path
        Its files, and the damaged ones beside them.
    uid : str or None
        Instance UID of the series; None for a study.
    label : str
        Name of the series within its folder, ``"3-T2_SAG"``; empty if it is the only one there.
    """

    folder: Path
    files: tuple[Path, ...]
    uid: str | None = None
    label: str = ""


@dataclass
class _Part:
    """The files of one series in one folder."""

    folder: Path
    study: str
    uid: str
    label: str
    why_not: str
    files: list[Path]
    slices: set[tuple]
    damaged: list[Path] = field(default_factory=list)


class Studies:
    """The DICOM files found so far, by series and study. Only paths are kept, so that any number of files fits."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], list[_Part]] = {}
        self._unreadable: list[DicomSeries] = []
        self._left_out: Counter[str] = Counter()

    def add(self, folder: Path, files: list[Path]) -> None:
        """Read the headers of the DICOM files in a folder."""
        if not files:
            return
        found = scan_files(files)
        documents = sum(kind != UNKNOWN_KIND for kind in found.others.values())
        self._left_out.update({NO_IMAGE: documents} if documents else {})
        by_series: dict[str, list[DicomSlice]] = {}
        for picture in found.slices:
            by_series.setdefault(picture.uid, []).append(picture)
        for uid, pictures in by_series.items():
            self._place(_part(folder, uid, pictures, found.damaged))
        if not by_series and documents < len(files):  # damaged: segmenting it says in a sentence how
            self._unreadable.append(DicomSeries(folder, tuple(files)))

    def _place(self, part: _Part) -> None:
        """Add a part to its series, unless it is a copy of what is known from another folder."""
        known = self._series.setdefault((part.study, part.uid or str(part.folder)), [])
        if any(part.slices & other.slices for other in known):
            self._left_out[COPY] += 1
        else:
            known.append(part)

    def series(self) -> tuple[list[DicomSeries], dict[str, int]]:
        """Return the series to segment, and how many were left out for which reason.

        These are all sagittal MR series. A study without any stays one scan, so that segmenting it says why.
        """
        studies: dict[str, list[list[_Part]]] = {}
        for (study, _), parts in self._series.items():
            studies.setdefault(study or str(parts[0].folder), []).append(parts)
        left_out = Counter(self._left_out)
        chosen: list[DicomSeries] = list(self._unreadable)
        for all_parts in studies.values():
            wanted = [parts for parts in all_parts if not all(part.why_not for part in parts)]
            if wanted:
                left_out.update(parts[0].why_not for parts in all_parts if parts not in wanted)
                chosen += [_whole(parts) for parts in wanted]
            else:
                chosen.append(_whole([part for parts in all_parts for part in parts], is_study=True))
        return _labelled(chosen), dict(left_out)


def _part(folder: Path, uid: str, pictures: list[DicomSlice], damaged: list[Path]) -> _Part:
    first = pictures[0]
    reasons = [why_left_out(stack) for stack in stacks_of(pictures)]
    label = re.sub(r"[^A-Za-z0-9.]+", "_", f"{first.number} {first.description}").strip("_.") or "series"
    return _Part(
        folder=folder,
        study=first.study,
        uid=uid,
        label=label,
        why_not="" if "" in reasons else reasons[0],
        files=list(dict.fromkeys(picture.path for picture in pictures)),
        slices={(picture.order[:2], picture.frame, tuple(picture.origin.round(2))) for picture in pictures},
        damaged=damaged,
    )


def _whole(parts: list[_Part], is_study: bool = False) -> DicomSeries:
    """Return a series, or a study, as one scan."""
    files = [file for part in parts for file in (*part.files, *part.damaged)]
    folder = Path(os.path.commonpath([part.folder for part in parts]))
    uid = None if is_study else parts[0].uid or None
    return DicomSeries(folder, tuple(dict.fromkeys(files)), uid, parts[0].label)


def _labelled(series: list[DicomSeries]) -> list[DicomSeries]:
    """Return the series; those that are alone in their folder lose the label."""
    counts = Counter(one.folder for one in series)
    return [one if counts[one.folder] > 1 else replace(one, label="") for one in series]
