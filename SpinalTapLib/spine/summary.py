"""Rows of the results table, warnings and one-sentence summary of a spine."""

from __future__ import annotations

from dataclasses import dataclass

from .confidence import WORDS, word
from .notes import LEVELS_UNKNOWN, LEVELS_UNKNOWN_IN_PANEL
from .segments import segment_of
from .vertebra import Spine


@dataclass(frozen=True)
class Row:
    """One line of the results table.

    Attributes
    ----------
    index : int
        Position of the vertebra in ``Session.result.spine.vertebrae`` (0 = lowest); what `Session.pin_level` takes.
    level : str
        ``"L5"``, or ``"Vertebra 3"`` where the count has no anchor; what `Session.jump_to` takes.
    colour : tuple of int
        Red, green, blue, 0-255: the segment's colour.
    confidence : float
        Probability, 0-1.
    confidence_words : str
        ``"sure"``, ``"likely"`` or ``"check"``.
    height_mm : float
        Height of the body, mm.
    note : str
        Flags in plain words, or an empty text.
    """

    index: int
    level: str
    colour: tuple[int, int, int]
    confidence: float
    confidence_words: str
    height_mm: float
    note: str


def rows_of(spine: Spine) -> tuple[Row, ...]:
    """Return the table's rows, from the top of the image down."""
    rows = [
        Row(
            index=i,
            level=vertebra.name,
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
    """Return the spine's warnings in the panel's words, and one that lists the vertebrae to check."""
    warnings = list(spine.warnings)
    if spine.anchor == "none" and spine.vertebrae:
        warnings = [LEVELS_UNKNOWN_IN_PANEL, *(text for text in warnings if text != LEVELS_UNKNOWN)]
    doubtful = [v.name for v in reversed(spine.vertebrae) if word(v.confidence) == WORDS[-1]]
    if doubtful:
        which = "it" if len(doubtful) == 1 else "them"
        warnings.append(f"Check {', '.join(doubtful)}: the program is not sure of {which}.")
    return tuple(warnings)


def summary(spine: Spine) -> str:
    """Return the result in one sentence: ``"7 vertebrae, T12 to S1, counted from S1."``."""
    count = len(spine.vertebrae)
    names = [vertebra.name for vertebra in spine.vertebrae]
    span = f", {names[-1]} to {names[0]}" if count > 1 else f", {names[0]}" if count else ""
    source = {"S1": ", counted from S1", "C2": ", counted from C2", "pinned": ", counted from your mark"}
    return f"{count} {'vertebra' if count == 1 else 'vertebrae'}{span}{source.get(spine.anchor, '')}."


def source_sentence(spine: Spine) -> str:
    """Say what the levels are counted from, for the heading of a report."""
    if not spine.vertebrae:
        return "No vertebra was found"
    if spine.anchor == "pinned":
        return f"Levels counted from the box drawn around {spine.seed.level}" if spine.seed else "Levels pinned by hand"
    if spine.anchor == "C2":
        return "Levels counted downwards from C2, which is in view"
    if spine.anchor == "S1":
        return "Levels counted upwards from S1, which is in view"
    return "Levels not known (neither S1 nor C2 surely in view): numbered from the bottom up"


def count_words(spine: Spine) -> str:
    """Say how many vertebrae there are and from where to where: ``"7 vertebrae, T12–S1"``."""
    if not spine.vertebrae:
        return ""
    count = f"{len(spine.vertebrae)} vertebra{'e' if len(spine.vertebrae) > 1 else ''}"
    lowest, highest = spine.vertebrae[0].level, spine.vertebrae[-1].level
    return f"{count}, {highest}–{lowest}" if lowest and highest and lowest != highest else count
