"""Read and write ``changes.json``, the history of the counts of a result folder.

A folder keeps the evidence of the detector unchanged, next to this list of counts (see `corrections.Count`). Every
answer follows from the two, so that each correction can be undone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..corrections import Count, Edit, History
from ..errors import DAMAGE
from ..spine import levels
from ..spine.vertebra import SeedBox
from .spine_codec import box_in, seed_in, seed_out

FORMAT = 1
"""File version; increased when older versions of the program could not read the file."""


def changes_bytes(history: History) -> bytes:
    """Return the counts of a result as the content of changes.json."""
    content = {"format": FORMAT, "counts": [_count_out(count) for count in history]}
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def read_changes(path: str | Path, seed: SeedBox | None) -> History:
    """Read a changes.json.

    Parameters
    ----------
    path : path
        If there is no such file, the result was counted once.
    seed : SeedBox or None
        The box that this count started from.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        is_known = content["format"] == FORMAT
        history = tuple(_count_in(entry) for entry in content["counts"]) if is_known else ()
    except FileNotFoundError:
        return (Count(seed),)
    except (OSError, *DAMAGE) as error:
        raise ValueError(f"{path} is damaged ({error}); segment the scan again.") from error
    if not is_known:
        raise ValueError(f"{path} was written by another version of SpinalTap; segment the scan again.")
    return history or (Count(seed),)


def edit_out(edit: Edit) -> dict[str, Any]:
    """Return an edit as a dict for JSON."""
    if edit.added is not None:
        return {"added": seed_out(edit.added)}
    return {"dropped_lps_mm": np.asarray(edit.dropped_lps_mm, float).tolist()}


def edit_in(stored: Mapping[str, Any]) -> Edit:
    """Return the edit that `edit_out` wrote."""
    if "added" in stored:
        return Edit(added=box_in(stored["added"]))
    return Edit(dropped_lps_mm=np.array(stored["dropped_lps_mm"], float).reshape(3))


def _count_out(count: Count) -> dict[str, Any]:
    edits = [edit_out(edit) for edit in count.edits]
    return {"seed": seed_out(count.seed), "steps": count.steps, "method": count.method, "edits": edits}


def _count_in(stored: Mapping[str, Any]) -> Count:
    seed = seed_in(stored["seed"])
    if seed is not None:
        levels.level(seed.level)
    steps = None if stored["steps"] is None else int(stored["steps"])
    return Count(seed, steps, str(stored["method"]), tuple(map(edit_in, stored["edits"])))
