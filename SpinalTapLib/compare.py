"""Compare two results of one person, from folders or from a scene, and write a table and a picture."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from .files.atomic import staged_folder, write_whole
from .files.result_files import read_result
from .files.result_names import JSON_NAME
from .files.spine_json import read_spine_json
from .report.change_picture import change_png
from .scans.dicom_headers import first_patient
from .spine.change import Comparison, compare
from .spine.vertebra import Spine

CSV_NAME, PICTURE_NAME = "changes.csv", "changes.png"
COLUMNS = ("level", "measurement", "earlier", "later", "change", "error", "verdict")


@dataclass(frozen=True)
class Record:
    """A result to compare.

    Attributes
    ----------
    name : str
        What the reader calls it.
    spine : Spine
        The measured vertebrae; the label map is not needed.
    patient : str
        The patient's ID, or an empty text if it is not known.
    """

    name: str
    spine: Spine
    patient: str = ""


def compare_folders(earlier: str | Path, later: str | Path, output: str | Path | None = None) -> Comparison:
    """Compare two result folders.

    Parameters
    ----------
    earlier, later : path
        Result folders of the same person.
    output : path, optional
        Gets ``changes.csv`` and ``changes.png``; nothing is written if omitted.

    Raises
    ------
    ValueError
        If a folder is no result, both are the same folder, their scans are of two patients (known for DICOM scans that
        are still in their place), they have no level in common, or the output cannot be written.
    """
    if Path(earlier).resolve() == Path(later).resolve():
        raise ValueError(f"{earlier} was given twice; give an earlier and a later result.")
    found = compare_records(record_of(earlier), record_of(later))
    if output is not None:
        write_changes(found, output)
    return found


def compare_records(earlier: Record, later: Record) -> Comparison:
    """Compare two results.

    Raises
    ------
    ValueError
        If they are of two patients, or have no level in common.
    """
    patients = earlier.patient, later.patient
    if all(patients) and patients[0] != patients[1]:
        raise ValueError(f"The scans are of two patients ({patients[0]!r} and {patients[1]!r}); compare those of one.")
    return replace(compare(earlier.spine, later.spine), between=(earlier.name, later.name))


def record_of(folder: str | Path) -> Record:
    """Return the result in a folder, with its patient if the scan is DICOM and still in its place.

    Raises
    ------
    ValueError
        If the folder is no result.
    """
    folder = Path(folder)
    scan = read_spine_json(folder / JSON_NAME)["input"].get("path")
    patient = first_patient(Path(scan)) if scan and Path(scan).exists() else ""
    return Record(folder.resolve().name, read_result(folder), patient)


def write_changes(found: Comparison, output: str | Path) -> tuple[Path, Path]:
    """Write ``changes.csv`` and ``changes.png`` to the folder `output`, both or none, and return their paths."""
    with staged_folder(output) as stage:
        write_whole(stage / CSV_NAME, changes_csv(found).encode())
        write_whole(stage / PICTURE_NAME, change_png(found))
    return Path(output) / CSV_NAME, Path(output) / PICTURE_NAME


def changes_csv(found: Comparison) -> str:
    """Return the changes as comma-separated values with a heading, vertebrae from the bottom up."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in found.changes:
        numbers = (f"{value:.2f}" for value in (item.earlier, item.later, item.change, item.limit))
        writer.writerow([item.level, item.name, *numbers, item.verdict])
    return text.getvalue()
