"""Gaps: neighbours in the count so far apart that a vertebra was missed between them, and what that means for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..detection.linking import FLAG_GAP
from ..spine.vertebra import Vertebra
from .fusion import Place
from .start import DISAGREEMENT_CONFIDENCE, Candidate


def open_gaps(places: Sequence[Place], candidates: Sequence[Candidate]) -> tuple[int, ...]:
    """Return the positions in `places`, from the bottom up, right below which a vertebra seems to be missing."""
    return tuple(
        i
        for i in range(1, len(places))
        if _has_flag(places[i], candidates) and places[i - 1].candidate is not None
    )


def unflagged(vertebra: Vertebra, i: int, places: Sequence[Place]) -> Vertebra:
    """Return the vertebra at position `i` without the flag, if the ladder has put another one into the gap below it."""
    if i == 0 or places[i - 1].candidate is not None:
        return vertebra
    return replace(vertebra, flags=tuple(flag for flag in vertebra.flags if flag != FLAG_GAP))


def doubt_beyond(gaps: Sequence[int], i: int, start: int) -> float:
    """Return the factor on the confidence in the level at position `i`, counted from `start` across the gaps."""
    crossed = any(start < gap <= i or i < gap <= start for gap in gaps)
    return DISAGREEMENT_CONFIDENCE if crossed else 1.0


def warnings_of(gaps: Sequence[int], names: Sequence[str | None], start: int) -> tuple[str, ...]:
    """Return a sentence for each gap between vertebrae that have names."""
    return tuple(
        f"{names[gap]} and {names[gap - 1]} lie so far apart that a vertebra may have been missed between them: "
        f"add it, or check the levels {'above' if gap > start else 'below'}."
        for gap in gaps
        if names[gap] and names[gap - 1]
    )


def _has_flag(place: Place, candidates: Sequence[Candidate]) -> bool:
    return place.candidate is not None and FLAG_GAP in candidates[place.candidate].flags
