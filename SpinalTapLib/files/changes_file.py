"""Changes: how a result folder has been counted, from its first answer to the present one, and how to change that.

A folder keeps what the detector saw as it was, and beside it this list: the box, the steps, the method, and what the
user dropped or added. Every answer follows from the two, so that each change can be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..corrections import box_around, box_for_alternative, box_for_shift, leave_out, position_of, put_in, seed_without
from ..evidence import Evidence
from ..spine import levels
from ..spine.vertebra import SeedBox, Spine
from .spine_codec import box_in, seed_in, seed_out

CHANGES_NAME = "changes.json"
FORMAT = 1
"""Raised when an older program could not read the file."""


@dataclass(frozen=True, eq=False)
class Edit:
    """One vertebra dropped, at a point, or one added, from a box.

    Attributes
    ----------
    dropped_lps_mm : ndarray, shape (3,), or None
        Centroid of the vertebra that is none.
    added : SeedBox or None
        Drawn around a vertebra that was missed.
    """

    dropped_lps_mm: np.ndarray | None = None
    added: SeedBox | None = None


@dataclass(frozen=True, eq=False)
class Count:
    """Everything besides the detector's evidence that an answer depends on.

    Attributes
    ----------
    seed : SeedBox or None
    steps : int or None
    method : str
        See `pipeline.Options`.
    edits : tuple of Edit
        In the order in which they were made.
    """

    seed: SeedBox | None = None
    steps: int | None = None
    method: str = "fused"
    edits: tuple[Edit, ...] = ()

    def applied(self, evidence: Evidence) -> Evidence:
        """Return evidence with the edits made."""
        for edit in self.edits:
            if edit.dropped_lps_mm is not None:
                evidence = leave_out(evidence, edit.dropped_lps_mm)
            if edit.added is not None:
                evidence = put_in(evidence, edit.added)
        return evidence


History = tuple[Count, ...]
"""The counts of a folder, the present one last."""

Change = Callable[[Spine, History], History]
"""Takes the present answer, with its evidence, and the history; returns the new history. Raises ValueError."""


def seeded(seed: SeedBox | None) -> Change:
    """Count from a box, or without one from what the detector saw."""
    return lambda spine, history: (*history, replace(history[-1], seed=seed))


def shifted(steps: int) -> Change:
    """Rename every vertebra so many levels up or down; see `corrections.shift_levels`."""
    return lambda spine, history: (*history, replace(history[-1], seed=box_for_shift(spine, steps)))


def alternative(number: int) -> Change:
    """Take another count that the picture allows, 1 the most probable; see `editing.take_alternative`."""
    return lambda spine, history: (*history, replace(history[-1], seed=box_for_alternative(spine, number)))


def pinned(name: str, level: str) -> Change:
    """Say that the vertebra that is now called `name` is `level`."""

    def change(spine: Spine, history: History) -> History:
        vertebra = spine.vertebrae[position_of(spine, name)]
        return (*history, replace(history[-1], seed=box_around(vertebra, level)))

    return change


def dropped(name: str) -> Change:
    """Leave out the vertebra that is now called `name`."""

    def change(spine: Spine, history: History) -> History:
        index, last = position_of(spine, name), history[-1]
        edit = Edit(dropped_lps_mm=spine.vertebrae[index].centroid_lps_mm)
        return (*history, replace(last, seed=seed_without(spine, index), edits=(*last.edits, edit)))

    return change


def added(box: SeedBox) -> Change:
    """Add a vertebra that was missed."""
    return lambda spine, history: (*history, replace(history[-1], edits=(*history[-1].edits, Edit(added=box))))


def undone() -> Change:
    """Go back to the count before the present one."""

    def change(spine: Spine, history: History) -> History:
        if len(history) < 2:
            raise ValueError("There is nothing to take back: this result has not been changed since it was made.")
        return history[:-1]

    return change


def changes_bytes(history: History) -> bytes:
    """Return a history as the content of changes.json."""
    content = {"format": FORMAT, "counts": [_count_out(count) for count in history]}
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def read_changes(path: str | Path, seed: SeedBox | None) -> History:
    """Read a changes.json.

    Parameters
    ----------
    path : path
        If there is no such file, the history is one count.
    seed : SeedBox or None
        What that one started from.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"{path} was written by another version of SpinalTap; segment the scan again.")
        history = tuple(_count_in(entry) for entry in content["counts"])
    except FileNotFoundError:
        return (Count(seed),)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); segment the scan again.") from error
    return history or (Count(seed),)


def _count_out(count: Count) -> dict[str, Any]:
    edits = [
        {"added": seed_out(edit.added)}
        if edit.dropped_lps_mm is None
        else {"dropped_lps_mm": np.asarray(edit.dropped_lps_mm, float).tolist()}
        for edit in count.edits
    ]
    return {"seed": seed_out(count.seed), "steps": count.steps, "method": count.method, "edits": edits}


def _count_in(entry: Mapping[str, Any]) -> Count:
    edits = tuple(
        Edit(added=box_in(edit["added"]))
        if "added" in edit
        else Edit(dropped_lps_mm=np.array(edit["dropped_lps_mm"], float).reshape(3))
        for edit in entry["edits"]
    )
    seed = seed_in(entry["seed"])
    if seed is not None:
        levels.level(seed.level)
    return Count(seed, None if entry["steps"] is None else int(entry["steps"]), str(entry["method"]), edits)
