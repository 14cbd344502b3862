"""Decide which files in an output folder SpinalTap may replace."""

from __future__ import annotations

from pathlib import Path

from ..spine.levels import COMMON
from .evidence_file import EVIDENCE_NAME
from .result_names import (
    CHANGES_NAME,
    CSV_NAME,
    DICOM_NAME,
    JSON_NAME,
    LABEL_MAP_NAME,
    MARKUPS_FOLDER,
    REPORT_NAME,
    SEGMENTATION_NAME,
    SR_NAME,
    SURFACES_FOLDER,
)
from .spine_json import read_spine_json

RESULT_NAMES = (
    JSON_NAME, LABEL_MAP_NAME, SEGMENTATION_NAME, CSV_NAME, REPORT_NAME, DICOM_NAME, SR_NAME, EVIDENCE_NAME,
    CHANGES_NAME,
)  # fmt: skip


def check_output(folder: str | Path, scan: str | Path | None = None) -> None:
    """Raise ValueError if a result in `folder` would replace the scan or other files that are not SpinalTap's.

    Parameters
    ----------
    folder : path
        Output folder of the result; it need not exist.
    scan : path, optional
        The input scan: a file, or a folder of files.
    """
    folder = Path(folder).expanduser().resolve()
    there = [folder / name for name in RESULT_NAMES if (folder / name).exists()]
    source = Path(scan).expanduser().resolve() if scan is not None else None
    if source is not None and source in there:
        raise ValueError(f"The result would replace the scan {source}; choose another output folder.")
    there += [path for path in _in_folders(folder) if path.name.split(".")[0] in COMMON]
    if there and not _is_result(folder):
        name = there[0].relative_to(folder)
        raise ValueError(f"{folder} holds a {name} that is not SpinalTap's; choose another output folder.")


def _in_folders(folder: Path) -> list[Path]:
    return [path for name in (MARKUPS_FOLDER, SURFACES_FOLDER) for path in sorted((folder / name).glob("*"))]


def _is_result(folder: Path) -> bool:
    try:
        read_spine_json(folder / JSON_NAME)
    except ValueError:
        return False
    return True
