"""Rows of the results table, warnings, and one-sentence summaries of a spine."""

from __future__ import annotations

from dataclasses import dataclass

from .confidence import SURE, WORDS, other_count, word_of
from .notes import LEVELS_UNKNOWN, LEVELS_UNKNOWN_IN_PANEL, Note, notes_in
from .segments import segment_of
from .vertebra import Spine, Vertebra


@dataclass(frozen=True)
class Row:
    """One line of the results table.

    Attributes
    ----------
    index : int
        Position of the vertebra in ``Session.result.spine.vertebrae`` (0 = lowest); argument of `Session.pin_level`.
    level : str
        ``"L5"``, or ``"Vertebra 3"`` where the count has no anchor; argument of `Session.jump_to`.
    colour : tuple of int
        Red, green, blue, 0-255: the segment's colour.
    confidence : float
        Probability, 0-1.
    confidence_words : str
        ``"sure"``, ``"likely"`` or ``"check"``.
    height_mm : float
        Height of the body, mm.
    note : str
        The flags, separated by semicolons, or an empty string.
    doubt : str
        One sentence on the probability of the level where it is below 0.9, or an empty string.
    """

    index: int
    level: str
    colour: tuple[int, int, int]
    confidence: float
    confidence_words: str
    height_mm: float
    note: str
    doubt: str = ""


def rows_of(spine: Spine) -> tuple[Row, ...]:
    """Return the rows of the results table, from the top of the image down."""
    rows = [
        Row(
            index=i,
            level=vertebra.name,
            colour=segment_of(vertebra.label_value).colour,
            confidence=vertebra.confidence,
            confidence_words=word_of(vertebra, spine),
            height_mm=vertebra.height_mm,
            note="; ".join(vertebra.flags),
            doubt=_level_doubt(vertebra),
        )
        for i, vertebra in enumerate(spine.vertebrae)
    ]
    return tuple(rows[::-1])


def _level_doubt(vertebra: Vertebra) -> str:
    """Say how probable the level is where that is below `SURE`."""
    known = vertebra.level_probability
    if vertebra.level is None or known is None or known >= SURE:
        return ""
    return f"The probability that this is {vertebra.level} is {_percent(known)} %."


def warnings_of(spine: Spine) -> tuple[str, ...]:
    """Return the spine's warnings as the panel words them, and one that lists the vertebrae to check."""
    warnings = [text for text in spine.warnings if text != LEVELS_UNKNOWN]
    if LEVELS_UNKNOWN in spine.warnings:
        warnings.insert(0, LEVELS_UNKNOWN_IN_PANEL)
    return tuple(filter(None, (*warnings, check_sentence(spine))))


def check_sentence(spine: Spine) -> str:
    """Name the vertebrae to check: ``"Check L1, L2: the program is not sure of them."``; empty if there is none."""
    doubtful = [v.name for v in reversed(spine.vertebrae) if word_of(v, spine) == WORDS[-1]]
    which = "it" if len(doubtful) == 1 else "them"
    return f"Check {', '.join(doubtful)}: the program is not sure of {which}." if doubtful else ""


def summary(spine: Spine) -> str:
    """Return the result in one sentence: ``"7 vertebrae, T12 to S1. Counted from S1: 96 %."``."""
    count = len(spine.vertebrae)
    names = [vertebra.name for vertebra in spine.vertebrae]
    span = f", {names[-1]} to {names[0]}" if count > 1 else f", {names[0]}" if count else ""
    source = f" {source_sentence(spine)}." if spine.vertebrae else ""
    return f"{count} {'vertebra' if count == 1 else 'vertebrae'}{span}.{source}"


def source_sentence(spine: Spine) -> str:
    """Return in one line what the levels were counted from, and their probability.

    Examples: ``"Counted from S1 (cut by the edge): 96 %"``, or, if another count is probable, ``"S1 or L5? 71 : 29"``.
    """
    if not spine.vertebrae:
        return "No vertebra was found"
    if spine.anchor == "pinned":
        return f"Counted from the box drawn around {spine.seed.level}" if spine.seed else "Levels pinned by hand"
    if spine.anchor == "none":
        return "Levels not known: numbered from the bottom up"
    other = other_count(spine)
    if other is not None:
        called = spine.vertebrae[other.index]
        ours = called.level_probability or 0.0
        return f"{called.name} or {other.level}? {_percent(ours)} : {_percent(other.probability)}"
    if spine.anchor == "estimated":
        sure = max((v.level_probability or 0.0 for v in spine.vertebrae if v.level), default=0.0)
        return f"Levels estimated from the shapes of the vertebrae (neither S1 nor C2 in view): {_percent(sure)} %"
    end = next((v for v in spine.vertebrae if v.level == spine.anchor), None)
    cut = " (cut by the edge)" if end is not None and Note.CUT in notes_in(end.flags) else ""
    known = None if end is None else end.level_probability
    odds = "" if known is None else f": {_percent(known)} %"
    return f"Counted {'downwards ' if spine.anchor == 'C2' else ''}from {spine.anchor}{cut}{odds}"


def other_count_words(spine: Spine) -> str:
    """Say what taking the most probable other count would do; empty where no other count is probable.

    ``"Take the other count: S1 is L5 (29 %)"``, or ``"Take this count: Vertebra 1 is L5 (45 %)"`` where no
    level is known yet.
    """
    other = other_count(spine)
    if other is None:
        return ""
    which = "this" if spine.anchor == "none" else "the other"
    name = spine.vertebrae[other.index].name
    return f"Take {which} count: {name} is {other.level} ({_percent(other.probability)} %)"


def _percent(probability: float) -> int:
    """Return a probability of 0-1 in whole per cent, at most 99: certainty is never claimed."""
    return min(round(100 * probability), 99)


def count_words(spine: Spine) -> str:
    """Return the number of vertebrae and their range, such as ``"7 vertebrae, T12–S1"``; empty without vertebrae."""
    if not spine.vertebrae:
        return ""
    count = f"{len(spine.vertebrae)} vertebra{'e' if len(spine.vertebrae) > 1 else ''}"
    lowest, highest = spine.vertebrae[0].level, spine.vertebrae[-1].level
    return f"{count}, {highest}–{lowest}" if lowest and highest and lowest != highest else count
