"""The results table and the warnings: what a face shows of a spine."""

from __future__ import annotations

from ..files.markups import vertebra_name
from ..session.state import Row
from .confidence import WORDS, word
from .segments import segment_of
from .vertebra import Spine

UNKNOWN_LEVELS = (
    "Neither S1 nor C2 is surely in view, so the levels are not known: the vertebrae are numbered from the bottom up. "
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
    """Return the result in one sentence: ``"7 vertebrae, T12 to S1, counted from S1."``."""
    count = len(spine.vertebrae)
    names = [vertebra_name(vertebra) for vertebra in spine.vertebrae]
    span = f", {names[-1]} to {names[0]}" if count > 1 else f", {names[0]}" if count else ""
    source = {"S1": ", counted from S1", "C2": ", counted from C2", "pinned": ", counted from your mark"}
    return f"{count} {'vertebra' if count == 1 else 'vertebrae'}{span}{source.get(spine.anchor, '')}."
