"""Write and read ``review.json``, the judgements of readers on a result, beside its other files.

A result may change after it was judged. Each judgement therefore names the result that it was made on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .atomic import write_whole

REVIEW_NAME = "review.json"
FORMAT = 1
"""File version; increased when older versions of the program could not read the file."""

ACCEPTED, REJECTED, OPEN = "accepted", "rejected", "open"
VERDICTS = (ACCEPTED, REJECTED, OPEN)
"""What a reader may say about a result; ``"open"`` takes an earlier verdict back, or only adds a note."""

LONGEST_NOTE = 4000
"""Longest note, characters."""


@dataclass(frozen=True)
class Judgement:
    """What one reader said about a result.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`.
    note : str
        The reader's own words, or an empty string.
    who : str
        Name of the reader.
    when : str
        Time in UTC, ISO 8601.
    result : str
        `fingerprint` of the result that was judged.
    """

    verdict: str
    note: str
    who: str
    when: str
    result: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"A verdict is one of {', '.join(VERDICTS)}; got {self.verdict!r}.")
        if len(self.note) > LONGEST_NOTE:
            raise ValueError(f"A note may have {LONGEST_NOTE} characters; this one has {len(self.note)}.")


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return 16 letters that change when a result's vertebrae, their names or its seed box change.

    Parameters
    ----------
    content : mapping
        From `read_spine_json`.
    """
    names = [(v.get("level"), v.get("label_value"), v.get("centroid_lps_mm")) for v in content["vertebrae"]]
    text = json.dumps([names, content.get("seed")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_review(folder: str | Path) -> tuple[Judgement, ...]:
    """Return the judgements on the result in a folder, oldest first; none if it was not judged.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    path = Path(folder) / REVIEW_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"{path} was written by another version of SpinalTap; move it away to judge again.")
        return tuple(_judgement(entry) for entry in content["judgements"])
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); move it away to judge again.") from error


def add_judgement(folder: str | Path, judgement: Judgement) -> tuple[Judgement, ...]:
    """Add a judgement to the result in a folder, and return all of them, oldest first.

    Raises
    ------
    ValueError
        If the folder is gone, the present file cannot be read, or the new one cannot be written; it is then unchanged.
    """
    folder = Path(folder)
    judgements = (*read_review(folder), judgement)
    content = {"format": FORMAT, "judgements": [asdict(each) for each in judgements]}
    write_whole(folder / REVIEW_NAME, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return judgements


def _judgement(entry: Mapping[str, Any]) -> Judgement:
    return Judgement(*(str(entry[name]) for name in ("verdict", "note", "who", "when", "result")))
