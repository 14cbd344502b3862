"""Count the SPIDER slices in which the vertebra called S1 lies right below the lowest disc box.

Only slices all of whose discs have boxes can tell: there the lowest box is that of L5-S1. The middle of S1 lies 0.15 to
0.95 disc pitches below that box's middle (rows alone count: the sacrum bends backwards), and a level is 0.8 of a pitch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .spider_slices import SliceScore, SpiderSlice

RIGHT, ONE_OFF, FURTHER_OFF, NOT_CLAIMED = "right", "one level off", "further off", "not claimed"
ANSWERS = (RIGHT, ONE_OFF, FURTHER_OFF, NOT_CLAIMED)
SURE = 0.5
"""A vertebra is called S1 from this evidence on."""
_BELOW = (0.15, 0.95)  # pitches from the middle of the lowest box to that of S1
_LEVEL = _BELOW[1] - _BELOW[0]


def judge_s1(item: SpiderSlice, claimed: np.ndarray | None) -> str | None:
    """Say whether the vertebra called S1 is S1.

    Parameters
    ----------
    item : SpiderSlice
        The slice.
    claimed : ndarray, shape (2,), or None
        Middle of the vertebra called S1, (row, column), px of the slice's own picture; None if none is.

    Returns
    -------
    str or None
        One of `ANSWERS`; None where a disc has no box.
    """
    if item.unboxed:
        return None
    if claimed is None:
        return NOT_CLAIMED
    below = float(claimed[0] - item.centres[-1][0]) / item.pitch_px
    if _BELOW[0] < below < _BELOW[1]:
        return RIGHT
    return ONE_OFF if _BELOW[0] - _LEVEL < below < _BELOW[1] + _LEVEL else FURTHER_OFF


def count_s1(scores: Sequence[SliceScore]) -> dict[str, int]:
    """Return how many slices have each answer, in the order of `ANSWERS`."""
    return {answer: sum(score.s1 == answer for score in scores) for answer in ANSWERS}


def s1_words(scores: Sequence[SliceScore]) -> str:
    """Return the count as a sentence; nothing if no slice can tell."""
    counts = count_s1(scores)
    told = ", ".join(f"{name} in {n}" for name, n in counts.items() if n or name != FURTHER_OFF)
    whole = sum(counts.values())
    return f"S1: {told} of {whole} slices all of whose discs have boxes." if whole else ""
