"""Pair predicted label maps with reference label maps, and derive subject and sequence from the file names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...scans.suffixes import IMAGE_SUFFIXES, is_image_name, without_suffix
from .tables import read_table

_MARKS = ("_labels", "_label", "_seg", "_mask", "-seg", "-labels")  # endings that distinguish a label map from its scan
_RESULT_MAP = "vertebrae.nii.gz"
_SEQUENCE = re.compile(r"(?:(?<=[_\-. ])|^)(stir|tirm|t1w?|t2w?(?:[_\-]space)?|space)(?=[_\-. ]|$)", re.IGNORECASE)
_GROUPS = {"stir": "STIR", "tirm": "STIR", "t1": "T1", "t2": "T2", "space": "T2 SPACE"}
OTHER = "other"
_SYNTHETIC = "phantom-"


@dataclass(frozen=True)
class Case:
    """One scan with a reference.

    Attributes
    ----------
    name : str
        Common name of reference and prediction.
    subject : str
        Subject: the name without the sequence, unless a table gives another one.
    group : str
        Sequence, or the group given in a table.
    reference : Path
        The true label map.
    prediction : Path or None
        The predicted label map; None if it is missing.
    """

    name: str
    subject: str
    group: str
    reference: Path
    prediction: Path | None


def find_cases(references: str | Path, predictions: str | Path, table: str | Path | None = None) -> tuple[Case, ...]:
    """Pair the label maps of two folders by their names.

    Parameters
    ----------
    references : path
        Folder of label maps, ``<name>.nii.gz``. If some are named ``<name>_labels.nii.gz`` (or ``_seg``, ``_mask``),
        only those are references, and the others are their scans.
    predictions : path
        Folder of label maps with the same names, or of result folders, ``<name>/vertebrae.nii.gz``.
    table : path, optional
        CSV file with the columns ``name``, ``group`` and, optionally, ``subject``.

    Returns
    -------
    tuple of Case
        Sorted by name, including cases without a prediction.

    Raises
    ------
    ValueError
        If a folder or the table cannot be read, no names match, or synthetic and real cases are mixed.
    """
    found = _label_maps(Path(references))
    predicted = _label_maps(Path(predictions)) | _results(Path(predictions))
    if not found:
        raise ValueError(f"There is no label map ({', '.join(IMAGE_SUFFIXES)}) in {references}.")
    if not found.keys() & predicted.keys():
        raise ValueError(f"No label map in {predictions} has the name of one in {references}.")
    groups, subjects = _groups(Path(table)) if table else ({}, {})
    cases = tuple(
        Case(
            name,
            subjects.get(name) or subject_of(name),
            groups.get(name) or group_of(name),
            path,
            predicted.get(name),
        )
        for name, path in sorted(found.items())
    )
    synthetic = {case.name.startswith(_SYNTHETIC) for case in cases}
    if len(synthetic) > 1:
        raise ValueError(f"{references} holds phantoms and real scans; evaluate them separately, in two folders.")
    return cases


def group_of(name: str) -> str:
    """Return the sequence given in a file name: ``"T1"``, ``"T2"``, ``"T2 SPACE"``, ``"STIR"`` or ``"other"``."""
    words = [word.lower() for word in _SEQUENCE.findall(name)]
    if any("space" in word for word in words):
        return _GROUPS["space"]
    return next((_GROUPS[word.rstrip("w")] for word in words), OTHER)


def subject_of(name: str) -> str:
    """Return the subject of a file name: the name without its sequence."""
    bare = re.sub(r"[_\-. ]{2,}", "_", _SEQUENCE.sub("", name)).strip("_-. ")
    return bare or name


def _label_maps(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    plain: dict[str, Path] = {}
    marked: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_image_name(path.name) or not path.is_file():
            continue
        stem = without_suffix(path.name)
        mark = next((m for m in _MARKS if stem.lower().endswith(m)), None)
        if mark:
            marked[stem[: -len(mark)]] = path
        else:
            plain[stem] = path
    return marked or plain


def _results(folder: Path) -> dict[str, Path]:
    return {path.parent.name: path for path in sorted(folder.glob(f"*/{_RESULT_MAP}"))}


def _groups(table: Path) -> tuple[dict[str, str], dict[str, str]]:
    rows = read_table(table, ("name", "group"))
    return {row["name"]: row["group"] for row in rows}, {row["name"]: row.get("subject") or "" for row in rows}
