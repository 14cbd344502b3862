"""Make the tables from the result folders: ``batch.csv``, one row a scan, and ``vertebrae.csv``, one a vertebra."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files.atomic import whole_file
from ..files.measurements_csv import MEASUREMENTS
from ..files.result_names import JSON_NAME
from ..files.spine_json import read_spine_json, spine_from_json
from ..spine.summary import check_sentence
from ..spine.vertebra import Spine
from .bids import export, is_derivative, withdraw
from .locks import locked
from .state import DONE, EMPTY, FAILED, STATE_NAME, State, read_state

SUMMARY_NAME, VERTEBRAE_NAME = "batch.csv", "vertebrae.csv"
_HEADING_STARTS = {SUMMARY_NAME: "scan,folder,outcome,", VERTEBRAE_NAME: "scan,folder,level,"}
_CENTROID = ("centroid_left_mm", "centroid_posterior_mm", "centroid_superior_mm")
VERTEBRA_COLUMNS = (
    "scan", "folder", "level", "label_value", "confidence", "level_probability", *_CENTROID, *MEASUREMENTS, "flags",
    "outline_confidence",
)  # fmt: skip
"""Columns of ``vertebrae.csv``; centroids in LPS, mm."""


@dataclass(frozen=True)
class Row:
    """One line of the summary, ``batch.csv``.

    Attributes
    ----------
    scan, folder : str
        Path of the scan and of its result folder; `folder` is empty if no vertebra was found.
    outcome : str
        ``"done"``, ``"no vertebra found"`` or ``"failed"``; on the terminal also the other outcomes in `state`.
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
    alternatives : str
        Other counts and their probability, ``"S1 is L5: 0.29"``, separated by semicolons.
    series : str
        Instance UID of a DICOM series.
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
    alternatives: str = ""
    series: str = ""


def row_of(folder: Path) -> Row | None:
    """Return the row of a result folder, or None if it has no state."""
    state = read_state(folder)
    return None if state is None else _read(folder, state)[0]


def write_tables(output: Path) -> dict[str, int]:
    """Write both tables of a folder of results, from all the result folders in it, and the derivative if it is one.

    Any number of runs may do so at once.

    Returns
    -------
    dict of str to int
        How many scans have which outcome.

    Raises
    ------
    ValueError
        If a table cannot be written, or would replace one that is not SpinalTap's.
    """
    check_tables(output)
    counts: Counter[str] = Counter()
    bids = is_derivative(output)
    with (
        locked(output, "tables"),
        _table(output / SUMMARY_NAME, [field.name for field in fields(Row)]) as scans,
        _table(output / VERTEBRAE_NAME, VERTEBRA_COLUMNS) as vertebrae,
    ):
        for folder in result_folders(output):
            state = read_state(folder)
            if state is None:
                continue
            row, spine = _read(folder, state)
            counts[row.outcome] += 1
            scans.writerow({**asdict(row), "warnings": " ".join(row.warnings)})
            vertebrae.writerows(_vertebra_rows(row, spine))
            if bids and spine is not None:
                export(output, folder, row.scan)
            elif bids:
                withdraw(output, folder)
    return dict(counts)


def check_tables(output: Path) -> None:
    """Raise ValueError if a table would replace a file that is not SpinalTap's."""
    for name, start in _HEADING_STARTS.items():
        path = output / name
        if path.exists() and not _heading(path).startswith(start):
            raise ValueError(
                f"{path} was not written by SpinalTap, and would be replaced; choose another output folder."
            )


def result_folders(output: Path) -> Iterator[Path]:
    """Yield the folders with a state in a folder of results, in the order of their names."""
    for root, folders, names in os.walk(output):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if STATE_NAME in names:
            yield Path(root)


def _read(folder: Path, state: State) -> tuple[Row, Spine | None]:
    """Return the row of a result folder and, if the scan is done, its spine."""
    row = Row(state.scan, str(folder), state.outcome, series=state.series or "")
    if state.outcome != DONE:
        where = "" if state.outcome == EMPTY else str(folder)
        return replace(row, folder=where, seconds=state.seconds, message=state.message), None
    try:
        spine = spine_from_json(read_spine_json(folder / JSON_NAME))
    except ValueError as error:  # someone has removed or changed the file
        return replace(row, outcome=FAILED, message=str(error)), None
    named = [v for v in spine.vertebrae if v.level]
    return replace(
        row,
        vertebrae=len(spine.vertebrae),
        levels=" ".join(v.level or str(v.label_value) for v in spine.vertebrae),
        anchor=spine.anchor,
        confidence=_lowest(v.confidence for v in named),
        level_probability=_lowest(v.level_probability for v in named),
        seconds=round(sum(spine.seconds.values()), 1),
        warnings=tuple(filter(None, (*spine.warnings, check_sentence(spine)))),
        alternatives="; ".join(_other_count(spine, other) for other in spine.alternatives),
    ), spine


def _other_count(spine: Spine, other: Any) -> str:
    known = spine.vertebrae[other.index].name if other.index < len(spine.vertebrae) else str(other.index)
    return f"{known} is {other.level}: {other.probability:.2f}"


def _vertebra_rows(row: Row, spine: Spine | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of the vertebrae, from the bottom up; numbers that are not known stay empty."""
    for vertebra in spine.vertebrae if spine is not None else ():
        numbers = {
            "confidence": vertebra.confidence,
            "level_probability": vertebra.level_probability,
            "outline_confidence": vertebra.outline_confidence,
            **dict(zip(_CENTROID, vertebra.centroid_lps_mm.tolist())),
            **{name: vertebra.measurements.get(name) for name in MEASUREMENTS},
        }
        yield {
            "scan": row.scan,
            "folder": row.folder,
            "level": vertebra.name,
            "label_value": vertebra.label_value,
            **{name: round(x, 4) for name, x in numbers.items() if x is not None and np.isfinite(x)},
            "flags": "; ".join(vertebra.flags),
        }


def _lowest(probabilities: Iterable[float | None]) -> float | None:
    """Return the lowest of the probabilities that are known, to two decimals, or None."""
    known = [p for p in probabilities if p is not None]
    return round(min(known), 2) if known else None


def _heading(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().strip()


@contextmanager
def _table(path: Path, columns: Sequence[str]) -> Iterator[csv.DictWriter[str]]:
    """Yield a writer of a table with a heading; the table is written whole or not at all."""
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        writer: csv.DictWriter[str] = csv.DictWriter(text, columns, restval="")
        writer.writeheader()
        try:
            yield writer
        finally:
            text.detach()


def outcome_words(counts: Mapping[str, int]) -> str:
    """Return counted outcomes in words: ``"38 done, 2 failed"``."""
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "no scan"
