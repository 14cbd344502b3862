"""Turn results into the JSON that the browser shows, and the browser's requests into corrections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..corrections import Correction, Count, Drop, History, Pin, Seed, Shift, TakeAlternative, Undo
from ..spine.boxes import box_of, first_box
from ..spine.confidence import DOUBTFUL
from ..spine.levels import LEVELS
from ..spine.summary import rows_of, source_sentence, summary, warnings_of
from ..spine.vertebra import SeedBox, Spine
from .cohort import FAILED, UNNAMED, Entry
from .images import label_colours
from .workbench import Present


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return a result as the sheet shows it."""
    judgement = entry.judgement
    return {
        "id": entry.id,
        "name": entry.name,
        "scan": entry.scan,
        "version": entry.version,
        "problem": entry.problem,
        "sentence": entry.sentence,
        "levels": entry.levels,
        "count": entry.count,
        "doubt": entry.doubt,
        "doubtWords": doubt_words(entry),
        "unnamed": entry.unnamed,
        "close": entry.close,
        "flagged": entry.flagged,
        "hints": list(entry.hints),
        "notes": list(entry.notes),
        "verdict": entry.verdict,
        "note": judgement.note if judgement else "",
        "who": judgement.who if judgement else "",
        "when": judgement.when if judgement else "",
        "changed": entry.changed,
    }


def doubt_words(entry: Entry) -> str:
    """Say in a few words how sure a result is."""
    if entry.doubt >= FAILED:
        return "no result"
    if entry.doubt >= UNNAMED:
        return "not named"
    return f"{min(round(100 * (1 - entry.doubt)), 99)} % sure"


def scan_json(entry: Entry, present: Present) -> dict[str, Any]:
    """Return a result as the page of a scan shows it."""
    spine, source = present.spine, present.content["input"]
    path = source.get("path")
    there = path is not None and Path(path).exists()
    box, by_user = box_of(spine)
    return {
        **entry_json(entry),
        "version": present.version,
        "sentence": source_sentence(spine),
        "summary": summary(spine),
        "hints": list(warnings_of(spine)),
        "rows": _rows(spine),
        "colours": label_colours([v.label_value for v in spine.vertebrae]),
        "box": _box_json(box or first_box(_bounds(source))),
        "boxByUser": by_user,
        "boxIsThere": box is not None,
        "others": _others(spine),
        "history": history_words(present.history),
        "canUndo": len(present.history) > 1,
        "levelNames": [level.name for level in reversed(LEVELS)],
        "path": str(path or ""),
        "noScan": "" if there else f"The scan is no longer at {path}. Move it back to see its slices and to correct "
        "the result, or name its present place to the command: spinaltap reseed --input.",
    }


def history_words(history: History) -> list[str]:
    """Say for each count of a result, the first one first, what it was counted from."""
    words = ["Segmented"]
    for before, count in zip(history, history[1:]):
        words.append(_count_words(before, count))
    return words


def correction_of(request: Mapping[str, Any]) -> Correction:
    """Return the correction that the browser asks for.

    Raises
    ------
    ValueError
        If there is no such correction, or a value is missing or of the wrong type.
    """
    kind = request.get("kind")
    try:
        if kind == "shift":
            return Shift(_whole(request["steps"]))
        if kind == "pin":
            return Pin(_whole(request["index"]), str(request["level"]))
        if kind == "alternative":
            return TakeAlternative(_whole(request["number"]))
        if kind == "drop":
            return Drop(_whole(request["index"]))
        if kind == "box":
            center, size, axes = (_numbers(request["box"][name]) for name in ("center", "size", "axes"))
            return Seed(SeedBox(center, size, axes, "S1"))
        if kind == "reset":
            return Seed()
        if kind == "undo":
            return Undo()
    except (KeyError, TypeError) as error:
        raise ValueError(f"The request for {kind!r} is not complete ({error}); reload the page.") from error
    raise ValueError(f"There is no correction {kind!r}; reload the page.")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _numbers(value: Any) -> np.ndarray:
    try:
        return np.array(value, float)
    except ValueError:
        raise TypeError(f"{str(value)[:40]!r} are not numbers") from None


def _rows(spine: Spine) -> list[dict[str, Any]]:
    return [
        {
            "index": row.index,
            "level": row.level,
            "short": spine.vertebrae[row.index].short_name,
            "colour": list(row.colour),
            "confidence": round(row.confidence, 2),
            "word": row.confidence_words,
            "height": round(row.height_mm, 1),
            "note": row.note,
            "doubt": row.doubt,
            "center": _list(spine.vertebrae[row.index].centroid_lps_mm),
            "corners": [_list(corner) for corner in spine.vertebrae[row.index].corners_lps_mm],
        }
        for row in rows_of(spine)
    ]


def _others(spine: Spine) -> list[dict[str, Any]]:
    """Return the other counts with more than `DOUBTFUL`, the most probable first."""
    found = []
    for number, other in enumerate(spine.alternatives, 1):
        if other.probability > DOUBTFUL:
            percent = min(round(100 * other.probability), 99)
            name = spine.vertebrae[other.index].name
            found.append({"number": number, "words": f"{name} is {other.level} ({percent} %)"})
    return found


def _count_words(before: Count, count: Count) -> str:
    if len(count.edits) > len(before.edits):
        return "A missed vertebra added" if count.edits[-1].added is not None else "A false detection dropped"
    if count.seed is None:
        return "Counted from the image"
    return f"Counted from the vertebra marked as {count.seed.level}"


def _bounds(source: Mapping[str, Any]) -> np.ndarray:
    """Return the bounds of a scan, shape (3, 2), LPS, mm, from its entry in spine.json."""
    if "size" not in source:
        return np.array([[-50.0, 50.0], [-100.0, 100.0], [-200.0, 200.0]])
    size = np.array(source["size"], float) - 1
    corners = np.stack(np.meshgrid(*([0, n] for n in size), indexing="ij"), -1).reshape(-1, 3)
    axes = np.array(source["direction_lps"], float).reshape(3, 3) * np.array(source["spacing_mm"], float)
    points = corners @ axes.T + np.array(source["origin_lps_mm"], float)
    return np.stack([points.min(0), points.max(0)], 1)


def _box_json(box: SeedBox) -> dict[str, Any]:
    axes = [_list(row) for row in np.asarray(box.axes)]
    return {"center": _list(box.center_lps_mm), "size": _list(box.size_mm), "axes": axes}


def _list(values: Any) -> list[float]:
    return [round(float(x), 4) for x in values]
