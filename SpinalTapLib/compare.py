"""Compare two result folders of one person, and write the comparison as a table and a picture."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from .files.atomic import staged_folder, write_whole
from .files.result_files import read_result
from .files.result_names import JSON_NAME
from .files.spine_json import read_spine_json
from .report.change_picture import change_png
from .scans.dicom_headers import first_patient
from .spine.change import Comparison, compare

CSV_NAME, PICTURE_NAME = "changes.csv", "changes.png"
COLUMNS = ("level", "measurement", "earlier", "later", "change", "error", "verdict")


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
        are still in their place), they have no level in common, or the output can't be written.
    """
    earlier, later = Path(earlier), Path(later)
    if earlier.resolve() == later.resolve():
        raise ValueError(f"{earlier} was given twice; give an earlier and a later result.")
    patients = [_patient_of(folder) for folder in (earlier, later)]
    if all(patients) and patients[0] != patients[1]:
        raise ValueError(f"The scans are of two patients ({patients[0]!r} and {patients[1]!r}); compare those of one.")
    found = compare(read_result(earlier), read_result(later))
    if output is not None:
        with staged_folder(output) as stage:
            write_whole(stage / CSV_NAME, changes_csv(found).encode())
            write_whole(stage / PICTURE_NAME, change_png(found, f"{earlier.name} to {later.name}"))
    return found


def changes_csv(found: Comparison) -> str:
    """Return the changes as comma-separated values with a heading, vertebrae from the bottom up."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in found.changes:
        numbers = (f"{value:.2f}" for value in (item.earlier, item.later, item.change, item.limit))
        writer.writerow([item.level, item.name, *numbers, item.verdict])
    return text.getvalue()


def _patient_of(folder: Path) -> str:
    """Return the patient ID of the scan of a result, or an empty text if it is not known."""
    path = read_spine_json(folder / JSON_NAME)["input"].get("path")
    return first_patient(Path(path)) if path and Path(path).exists() else ""
