"""History: the results that undo goes back to, as many as there is room for."""

from __future__ import annotations

from .state import Result

MOST_UNDOS = 20
MOST_BYTES = 256 * 2**20
"""Of label maps: each correction of a scan of 384 x 384 x 176 voxels makes one of 50 MB."""


def latest(history: list[Result]) -> list[Result]:
    """Return the end of a history, oldest first, that there is room for; the last result is always kept."""
    room, kept = MOST_BYTES, 0
    for result in reversed(history[-MOST_UNDOS:]):
        labels = result.spine.label_map
        room -= labels.nbytes if labels is not None else 0
        if kept and room < 0:
            break
        kept += 1
    return history[len(history) - kept :]
