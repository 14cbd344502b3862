"""Files to download: surfaces as a zip archive, and the judged list of a cohort as CSV."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ..files.meshes import safe_name, write_surfaces
from ..files.result_names import JSON_NAME
from ..files.spine_json import read_spine_json, spine_from_json
from .cohort import Entry
from .images import stored_surfaces
from .pages import doubt_words

COLUMNS = ("result", "scan", "verdict", "note", "who", "when", "levels", "vertebrae", "counted", "doubt", "hints")


def surfaces_zip(folder: Path, kind: str) -> bytes:
    """Return the surfaces of a result as a zip archive.

    Parameters
    ----------
    folder : Path
        The result folder.
    kind : str
        One of `options.SURFACE_FORMATS`.

    Raises
    ------
    ValueError
        If the format is unknown, or the result has no surfaces.
    """
    surfaces = stored_surfaces(folder, spine_from_json(read_spine_json(folder / JSON_NAME), None))
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in write_surfaces(Path(place) / "surfaces", surfaces, kind):
            archive.write(path, path.name)
    return out.getvalue()


def cohort_csv(entries: Iterable[Entry]) -> str:
    """Return the judged list of a cohort, in the order of the results' names."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for entry in sorted(entries, key=lambda entry: entry.name):
        judgement = entry.judgement
        writer.writerow(
            {
                "result": _plain(entry.name),
                "scan": _plain(entry.scan),
                "verdict": entry.verdict,
                "note": _plain(judgement.note) if judgement else "",
                "who": _plain(judgement.who) if judgement else "",
                "when": judgement.when if judgement else "",
                "levels": entry.levels,
                "vertebrae": entry.count,
                "counted": entry.sentence,
                "doubt": doubt_words(entry),
                "hints": " ".join(filter(None, (entry.problem, *entry.hints))),
            }
        )
    return text.getvalue()


def download_name(entry: Entry, end: str) -> str:
    """Return the name of a downloaded file: the scan's name and an ending."""
    return f"{safe_name(entry.scan or entry.name)}{end}"


def _plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
