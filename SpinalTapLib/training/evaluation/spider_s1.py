"""Count the SPIDER slices in which the vertebra named S1 is directly below the lowest disc box.

Only slices in which every disc has a box are used: there the lowest box is that of L5-S1. The centre of S1 is 0.15 to
0.95 disc pitches below the centre of that box (measured along rows only, because the sacrum bends backwards), and one
level is 0.8 of a pitch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .spider_slices import SliceScore, SpiderSlice

RIGHT, ONE_OFF, FURTHER_OFF, NOT_CLAIMED = "right", "one level off", "further off", "not claimed"
ANSWERS = (RIGHT, ONE_OFF, FURTHER_OFF, NOT_CLAIMED)
SURE = 0.5
"""Least evidence for naming a vertebra S1."""
_BELOW = (0.15, 0.95)  # pitches from the centre of the lowest box to that of S1
_LEVEL = _BELOW[1] - _BELOW[0]


def judge_s1(item: SpiderSlice, claimed: np.ndarray | None) -> str | None:
    """Judge whether the vertebra named S1 is S1.

    Parameters
    ----------
    item : SpiderSlice
        The slice.
    claimed : ndarray, shape (2,), or None
        Centre of the vertebra named S1, (row, column), px of the original picture; None if no vertebra is.

    Returns
    -------
    str or None
        One of `ANSWERS`; None if a disc has no box.
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
    """Return the number of slices for each of `ANSWERS`."""
    return {answer: sum(score.s1 == answer for score in scores) for answer in ANSWERS}


def s1_words(scores: Sequence[SliceScore]) -> str:
    """Return the counts as a sentence; empty if no slice could be judged."""
    counts = count_s1(scores)
    told = ", ".join(f"{name} in {n}" for name, n in counts.items() if n or name != FURTHER_OFF)
    whole = sum(counts.values())
    return f"S1: {told} of {whole} slices all of whose discs have boxes." if whole else ""
