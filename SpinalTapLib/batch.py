"""Segment every scan in a folder; a scan that fails does not stop the others."""

from __future__ import annotations

import csv
import io
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .errors import sentence_for
from .files.atomic import check_writable, write_whole
from .files.result_files import JSON_NAME
from .pipeline import Options
from .progress import Cancelled, CancelledCallback, ProgressCallback
from .result_folder import segment_file
from .scans.dicom_headers import is_dicom
from .scans.suffixes import is_image_name, without_suffix
from .spine.summary import check_sentence

DONE, EMPTY, BAD, SKIPPED = "done", "no vertebra found", "failed", "already done"
"""Outcomes of a scan, as written to the summary."""

SUMMARY_NAME = "batch.csv"
_HEADING_START = "scan,folder,outcome,"  # of every version's summary

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """A scan to segment: its `path` (a file, or a folder of DICOM files), and the relative `name` of its results."""

    path: Path
    name: str


@dataclass(frozen=True)
class Row:
    """One line of the summary, ``batch.csv``.

    Attributes
    ----------
    scan, folder : str
        Path of the scan and of its result folder; `folder` is empty if no vertebra was found.
    outcome : str
        ``"done"``, ``"no vertebra found"``, ``"failed"`` or ``"already done"``.
    vertebrae : int
        Number of vertebrae.
    levels : str
        Names of the vertebrae from the bottom up, separated by spaces; label values where levels are not known.
    anchor : str
        As `Spine.anchor`.
    confidence, level_probability : float or None
        The lowest of the vertebrae with a level; None where no level is known.
    seconds : float
        Wall-clock seconds.
    message : str
        The error, if the scan failed.
    warnings : tuple of str
        Plain sentences for the user, among them which vertebrae to check.
    """

    scan: str
    folder: str
    outcome: str
    vertebrae: int = 0
    levels: str = ""
    anchor: str = ""
    confidence: float | None = None
    level_probability: float | None = None
    seconds: float = 0.0
    message: str = ""
    warnings: tuple[str, ...] = ()


def find_scans(folder: Path, output: Path | None = None) -> tuple[Scan, ...]:
    """Return the scans in a folder and its sub-folders, in the order of their paths.

    Result folders and everything below `output` are left out. A folder of DICOM files is one scan.

    Raises
    ------
    ValueError
        If the folder does not exist or has no scan.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}; give a folder of scans.")
    paths = list(_walk(folder, output.resolve() if output else None))
    if not paths:
        raise ValueError(f"There is no scan (NIfTI, NRRD, MetaImage or DICOM) in {folder}; give a folder of scans.")
    stems = [_stem(path, folder) for path in paths]
    counts = Counter(stems)
    return tuple(
        Scan(path, stem if counts[stem] == 1 else str(path.relative_to(folder))) for path, stem in zip(paths, stems)
    )


def _walk(folder: Path, output: Path | None) -> Iterator[Path]:
    """Yield the scans in a folder and its sub-folders; a folder reached twice through links is searched once."""
    seen: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        here = Path(root)
        if here.resolve() in seen or here.resolve() == output or (here / JSON_NAME).is_file():
            folders.clear()
            continue
        seen.add(here.resolve())
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = [here / name for name in sorted(names) if not name.startswith(".") and name.upper() != "DICOMDIR"]
        if any(is_dicom(file) for file in files):
            yield here
        yield from (file for file in files if file.is_file() and is_image_name(file.name))


def _stem(path: Path, root: Path) -> str:
    """Return a scan's path relative to `root`, without the suffix of an image; the root's own name for the root."""
    relative = str(path.relative_to(root)) if path != root else root.resolve().name
    return without_suffix(relative) if path.is_file() else relative


class Batch:
    """A run over many scans, with a summary that is updated after each scan.

    Parameters
    ----------
    output : Path
        Folder for one result folder per scan, and ``batch.csv``.
    options : Options
        Options for all scans.
    surface_format : str
        One of `options.SURFACE_FORMATS`.
    again : bool
        Whether to segment scans that already have a result.

    Raises
    ------
    ValueError
        If the output folder can't be written, or it has a ``batch.csv`` that SpinalTap did not write.
    """

    def __init__(self, output: Path, options: Options, surface_format: str = "stl", again: bool = False) -> None:
        check_writable(output)
        self.summary = output / SUMMARY_NAME
        if self.summary.exists() and not _heading(self.summary).startswith(_HEADING_START):
            raise ValueError(
                f"{self.summary} was not written by SpinalTap, and would be replaced; choose another output folder."
            )
        self._output = output
        self._options = options
        self._surface_format = surface_format
        self._again = again
        self._rows: list[Row] = []

    def run(
        self, scan: Scan, progress: ProgressCallback | None = None, cancelled: CancelledCallback | None = None
    ) -> Row:
        """Segment one scan, update the summary, and return its row; a failure gives a row, not an exception.

        Raises
        ------
        Cancelled
            If `cancelled` returned True.
        """
        folder = self._output / scan.name
        if (folder / JSON_NAME).is_file() and not self._again:
            row = Row(str(scan.path), str(folder), SKIPPED)
        else:
            row = self._segment(scan, folder, progress, cancelled)
        self._rows.append(row)
        self.summary.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.summary, _table(self._rows).encode())
        return row

    def _segment(
        self, scan: Scan, folder: Path, progress: ProgressCallback | None, cancelled: CancelledCallback | None
    ) -> Row:
        began = time.perf_counter()
        try:
            spine = segment_file(
                scan.path,
                folder,
                options=self._options,
                surface_format=self._surface_format,
                progress=progress,
                cancelled=cancelled,
            )
        except Cancelled:
            raise
        except Exception as error:  # whatever the error, continue with the other scans
            _log.debug("A scan of the batch has failed", exc_info=True)
            return Row(str(scan.path), str(folder), BAD, message=sentence_for(error))
        named = [v for v in spine.vertebrae if v.level]
        return Row(
            scan=str(scan.path),
            folder=str(folder) if spine.vertebrae else "",
            outcome=DONE if spine.vertebrae else EMPTY,
            vertebrae=len(spine.vertebrae),
            levels=" ".join(v.level or str(v.label_value) for v in spine.vertebrae),
            anchor=spine.anchor,
            confidence=_lowest(v.confidence for v in named),
            level_probability=_lowest(v.level_probability for v in named),
            seconds=round(time.perf_counter() - began, 1),
            warnings=tuple(filter(None, (*spine.warnings, check_sentence(spine)))),
        )


def _lowest(probabilities: Iterable[float | None]) -> float | None:
    """Return the lowest of the probabilities that are known, to two decimals, or None."""
    known = [p for p in probabilities if p is not None]
    return round(min(known), 2) if known else None


def _heading(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip()


def _table(rows: list[Row]) -> str:
    """Return the rows as CSV text with a heading."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)])
    writer.writeheader()
    for row in rows:
        writer.writerow({**asdict(row), "warnings": " ".join(row.warnings)})
    return text.getvalue()
