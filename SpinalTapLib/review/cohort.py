"""Find the results below a folder, and sort them by doubt."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..batch.state import EMPTY, STATE_NAME, read_state
from ..errors import sentence_for
from ..files.result_names import JSON_NAME
from ..files.review_file import OPEN, REVIEW_NAME, Judgement, fingerprint, read_review
from ..files.spine_json import read_spine_json, spine_from_json
from ..spine.confidence import other_count
from ..spine.summary import check_sentence, source_sentence
from ..spine.vertebra import Spine

FAILED, UNNAMED = 3.0, 2.0
"""Doubt of a result that cannot be read, and of one whose levels are not known; all others have 0-1."""


@dataclass(frozen=True)
class Entry:
    """One result on the sheet.

    Attributes
    ----------
    id : str
        Its name in addresses: letters that say nothing about its place on the disk.
    folder : Path
        The result folder.
    name : str
        The folder's path below the reviewed folder.
    scan : str
        Name of the scan.
    problem : str
        Why the result cannot be read, or an empty string.
    version : str
        `fingerprint` of the result.
    sentence : str
        What the levels were counted from.
    levels : str
        Highest and lowest name, such as ``"T12 to S1"``.
    count : int
        Number of vertebrae.
    doubt : float
        0 (none) to 1; `UNNAMED`, `FAILED`.
    unnamed, close, flagged : bool
        Whether the levels are not known, another count is probable, a vertebra has a note or must be checked.
    hints : tuple of str
        What to look at, in plain sentences.
    notes : tuple of str
        The notes on vertebrae, each with the name of its vertebra.
    judgement : Judgement or None
        The latest one.
    changed : bool
        Whether the result was changed after the latest judgement, which therefore does not count.
    """

    id: str
    folder: Path
    name: str
    scan: str = ""
    problem: str = ""
    version: str = ""
    sentence: str = ""
    levels: str = ""
    count: int = 0
    doubt: float = FAILED
    unnamed: bool = False
    close: bool = False
    flagged: bool = False
    hints: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    judgement: Judgement | None = None
    changed: bool = False

    @property
    def verdict(self) -> str:
        """The verdict that counts now: one of `VERDICTS`."""
        return OPEN if self.judgement is None or self.changed else self.judgement.verdict


class Cohort:
    """The results below a folder; a file is read again only when it has changed.

    Parameters
    ----------
    root : Path
        A result folder, or a folder with result folders below it.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self._known: dict[Path, tuple[tuple[int, ...], Entry]] = {}
        self._folders: dict[str, Path] = {}

    def entries(self) -> tuple[Entry, ...]:
        """Return the results that are there now, the most doubtful first."""
        folders = list(_result_folders(self.root))
        self._known = {folder: self._known[folder] for folder in folders if folder in self._known}
        found = [self._entry(folder) for folder in folders]
        return tuple(sorted(found, key=lambda entry: (-entry.doubt, -len(entry.notes), entry.name)))

    def entry(self, identifier: str) -> Entry:
        """Return the result of an identifier.

        Raises
        ------
        ValueError
            If there is none (any more).
        """
        if identifier not in self._folders:
            self.entries()
        folder = self._folders.get(identifier)
        if folder is None or not any((folder / name).is_file() for name in (JSON_NAME, STATE_NAME)):
            raise ValueError(_GONE)
        return self._entry(folder)

    def _entry(self, folder: Path) -> Entry:
        stamps = tuple(_stamp(folder / name) for name in (JSON_NAME, STATE_NAME, REVIEW_NAME))
        known = self._known.get(folder)
        if known is None or known[0] != stamps:
            known = (stamps, read_entry(folder, self.root))
            self._known[folder] = known
            self._folders[known[1].id] = folder
        return known[1]


_GONE = "This result is no longer there: its folder was moved or deleted."


def read_entry(folder: Path, root: Path) -> Entry:
    """Read one result for the sheet; one that cannot be read has a `problem`."""
    name = folder.relative_to(root).as_posix() if folder != root else folder.name
    entry = Entry(hashlib.sha256(str(folder).encode()).hexdigest()[:12], folder, name)
    if not (folder / JSON_NAME).exists():
        return replace(entry, problem=_batch_problem(folder))
    try:
        content = read_spine_json(folder / JSON_NAME)
        spine = spine_from_json(content, None)
        entry = _described(entry, content, spine)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return replace(entry, problem=sentence_for(error) if isinstance(error, ValueError) else _DAMAGED)
    try:
        judgements = read_review(folder)
    except ValueError as error:
        return replace(entry, hints=(sentence_for(error), *entry.hints))
    latest = judgements[-1] if judgements else None
    return replace(entry, judgement=latest, changed=latest is not None and latest.result != entry.version)


def _batch_problem(folder: Path) -> str:
    """Say why a batch has left no result in a folder."""
    state = read_state(folder)
    if state is None:
        return "There is no result here, and no reason that this version can read; run the batch again."
    return "No vertebra was found in this scan." if state.outcome == EMPTY else state.message or "The scan has failed."


_DAMAGED = "Its spine.json is damaged; segment the scan again."


def _described(entry: Entry, content: dict[str, Any], spine: Spine) -> Entry:
    names = [v.name for v in spine.vertebrae]
    unknown, check = spine.anchor == "none", check_sentence(spine)
    notes = tuple(f"{v.name}: {flag}" for v in reversed(spine.vertebrae) for flag in v.flags)
    return replace(
        entry,
        scan=str(content["input"].get("name", "")),
        version=fingerprint(content),
        sentence=source_sentence(spine),
        levels=" to ".join(dict.fromkeys((names[-1], names[0]))) if names else "",
        count=len(names),
        doubt=doubt_of(spine),
        unnamed=unknown,
        close=other_count(spine) is not None,
        flagged=bool(notes or check),
        hints=tuple(filter(None, (*spine.warnings, check))),
        notes=notes,
    )


def doubt_of(spine: Spine) -> float:
    """Return how doubtful a result is: 1 minus the lowest probability of a name, or `UNNAMED`."""
    if spine.anchor == "none" or not spine.vertebrae:
        return UNNAMED
    other = other_count(spine)
    odds = [v.confidence for v in spine.vertebrae]
    odds += [v.level_probability for v in spine.vertebrae if v.level and v.level_probability is not None]
    return round(max(1 - min(odds), other.probability if other else 0.0), 4)


def _result_folders(root: Path) -> Iterator[Path]:
    """Yield the folders with a result, or with the reason why a batch has made none.

    Links are not followed, so that nothing outside `root` is shown.
    """
    for here, folders, files in os.walk(root):
        if JSON_NAME in files:
            yield Path(here)
            folders.clear()
        elif STATE_NAME in files:
            yield Path(here)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
