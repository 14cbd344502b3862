"""Limits on the earlier results that undo keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..worker.exchange import Result

MOST_UNDOS = 20
MOST_BYTES = 256 * 2**20
"""Limit on the size of their label maps: a correction of a scan of 384 x 384 x 176 voxels adds one of 50 MB."""


def latest(history: Sequence[Result]) -> tuple[Result, ...]:
    """Return the end of a history, oldest first, within both limits; the latest result is always kept."""
    room, kept = MOST_BYTES, 0
    for result in reversed(history[-MOST_UNDOS:]):
        labels = result.spine.label_map
        room -= labels.nbytes if labels is not None else 0
        if kept and room < 0:
            break
        kept += 1
    return tuple(history[len(history) - kept :])
