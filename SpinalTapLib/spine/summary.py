"""The results table and the warnings: what a face shows of a spine."""

from __future__ import annotations

from ..detection.linking import FLAG_CUT
from ..files.markups import vertebra_name
from ..session.state import Row
from .confidence import DOUBTFUL, WORDS, word
from .segments import segment_of
from .vertebra import Spine

UNKNOWN_LEVELS = (
    "The levels are not known: too little of the sacrum or of the upper neck is in view. The vertebrae are "
    "numbered from the bottom up. "
    'Choose a vertebra whose level you know and say which it is ("This is ..."), or drag the S1 box onto S1.'
)


def rows_of(spine: Spine) -> tuple[Row, ...]:
    """Return the table's rows, from the top of the image down."""
    rows = [
        Row(
            index=i,
            level=vertebra_name(vertebra),
            colour=segment_of(vertebra.label_value).colour,
            confidence=vertebra.confidence,
            confidence_words=word(vertebra.confidence),
            height_mm=vertebra.height_mm,
            note="; ".join(vertebra.flags),
        )
        for i, vertebra in enumerate(spine.vertebrae)
    ]
    return tuple(rows[::-1])


def warnings_of(spine: Spine) -> tuple[str, ...]:
    """Return the spine's warnings in a panel's words, and one more for levels that are to be checked."""
    warnings = list(spine.warnings)
    if spine.anchor == "none" and spine.vertebrae:
        # What the library says about it is meant for those who have no table and no box to drag.
        warnings = [UNKNOWN_LEVELS, *(text for text in warnings if "levels are not known" not in text)]
    doubtful = [vertebra_name(v) for v in reversed(spine.vertebrae) if word(v.confidence) == WORDS[-1]]
    if doubtful:
        which = "it" if len(doubtful) == 1 else "them"
        warnings.append(f"Check {', '.join(doubtful)}: the program is not sure of {which}.")
    return tuple(warnings)


def summary(spine: Spine) -> str:
    """Return the result in one sentence: ``"7 vertebrae, T12 to S1. Counted from S1: 96 %."``."""
    count = len(spine.vertebrae)
    names = [vertebra_name(vertebra) for vertebra in spine.vertebrae]
    span = f", {names[-1]} to {names[0]}" if count > 1 else f", {names[0]}" if count else ""
    source = f" {counting_words(spine)}." if spine.vertebrae else ""
    return f"{count} {'vertebra' if count == 1 else 'vertebrae'}{span}.{source}"


def counting_words(spine: Spine) -> str:
    """Say in one line what the levels rest on and how sure they are.

    ``"Counted from S1 (cut by the edge): 96 %"``, or where another count is probable ``"S1 or L5? 71 : 29"``.
    """
    if spine.anchor == "pinned":
        return f"Counted from the box drawn around {spine.seed.level}" if spine.seed else "Levels pinned by hand"
    if spine.anchor == "none":
        return "Levels not known: numbered from the bottom up"
    doubtful = [other for other in spine.alternatives if other.probability > DOUBTFUL]
    if doubtful:
        called = spine.vertebrae[doubtful[0].index]
        known = called.level_probability or 0.0
        return f"{called.level} or {doubtful[0].level}? {_percent(known)} : {_percent(doubtful[0].probability)}"
    if spine.anchor == "estimated":
        sure = max((v.level_probability or 0.0 for v in spine.vertebrae if v.level), default=0.0)
        return f"Levels estimated from the shapes of the vertebrae (neither S1 nor C2 in view): {_percent(sure)} %"
    end = spine[spine.anchor]
    cut = " (cut by the edge)" if FLAG_CUT in end.flags else ""
    odds = "" if end.level_probability is None else f": {_percent(end.level_probability)} %"
    return f"Counted {'downwards ' if spine.anchor == 'C2' else ''}from {spine.anchor}{cut}{odds}"


def _percent(probability: float) -> int:
    """Return whole percents; certainty is not claimed."""
    return min(round(100 * probability), 99)
