"""Vocabulary of the notes on a vertebra, and of the warnings that other code must recognise.

`Vertebra.flags` holds texts, as the files do. `Note.of` finds the note of a text, so that no code searches for words:

>>> Note.of("3.2 mm forward offset on S1") is Note.OFFSET
True
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from functools import cache
from string import Formatter


class Note(str, Enum):
    """A note on one vertebra; its value is the text, with a replacement field for each number or name in it."""

    # The detection.
    ONE_SLICE = "seen in one slice only"
    CUT = "cut by the edge of the image"
    CORNER_ESTIMATED = "corner estimated"
    NO_SIGNAL = "no signal here (metal?): only its neighbours show where it is"
    MISSING_BELOW = "a vertebra may be missing below"
    ADDED = "added by hand"
    # The outline.
    FROM_CORNERS = "outline drawn from its corners"
    SIDES_CUT = "sides outside the slices"
    OUTLINE_UNSURE = "outline uncertain: compare it with the image"
    NOT_OUTLINED = "not outlined"
    # The arch.
    NO_ARCH = "no posterior elements seen"
    NO_SPINOUS = "no lamina or spinous process seen in the midline"
    ARCH_APART = "posterior elements not joined to the body in this scan"
    ARCH_MERGED = "posterior elements merge with a neighbour's; the border between them is estimated"
    ARCH_CUT = "posterior elements cut by the edge of the image"
    # The count.
    ONE_END = "counted from one end only"
    PASSED_OVER = "outlined, but passed over when counting along the spine"
    LADDER_ONLY = "position estimated, not outlined"
    FROM_BOX = "position taken from the box, not outlined"
    AGAINST_PICTURE = "the image suggests another level"
    TRANSITIONAL = "transitional? between lumbar and sacral"
    ONE_MORE = "one vertebra more than usual: T13, or five lumbar levels and an L6"
    ONE_FEWER = "one vertebra fewer than usual above or below"
    DENS_APART = "dens apart from the body in this scan, not outlined"
    # The measurements.
    HEIGHT_LOSS = "{place} height loss {percent:.0f} % ({severity} range)"
    OFFSET = "{distance_mm:.1f} mm {direction} offset on {below}"

    __str__ = str.__str__

    def text(self, **values: object) -> str:
        """Return the text with its values, such as ``Note.HEIGHT_LOSS.text(place="anterior", ...)``."""
        return self.value.format(**values)

    @classmethod
    def of(cls, text: str) -> Note | None:
        """Return the note of a text, present or earlier, whatever values are filled in, or None if it is not a note."""
        return _EARLIER.get(text) or next((note for note in cls if _pattern(note).fullmatch(text)), None)

    @property
    def means_unsure_corners(self) -> bool:
        """Whether corners of the body were cut off or estimated, so that its measurements are unreliable."""
        return self in (Note.CUT, Note.CORNER_ESTIMATED)

    @property
    def means_disagreement(self) -> bool:
        """Whether the detector and the ladder disagree on the vertebra."""
        return self in (Note.ONE_END, Note.PASSED_OVER, Note.LADDER_ONLY)

    @property
    def is_measured(self) -> bool:
        """Whether the note comes from the measurements, which are repeated after each count."""
        return self in (Note.HEIGHT_LOSS, Note.OFFSET)


_EARLIER = {"seen by one of the two methods only": Note.PASSED_OVER}
"""Texts that stored results may hold instead of the present ones."""


def notes_in(flags: Iterable[str]) -> tuple[Note, ...]:
    """Return the notes among the texts of `Vertebra.flags`, in the same order; other texts are left out."""
    return tuple(note for note in map(Note.of, flags) if note is not None)


_NOT_KNOWN = (
    "The levels are not known, so the vertebrae are numbered from the bottom up: too little of the sacrum or of the "
    "upper neck may be in view, or the image may be turned or mirrored. "
)
LEVELS_UNKNOWN = _NOT_KNOWN + "If it lies as it should, draw a box around a vertebra whose level you know."
"""Warning on a spine without an anchor."""

LEVELS_UNKNOWN_IN_PANEL = (
    _NOT_KNOWN + "If it lies as it should, choose a vertebra whose level you know and say which it is "
    '("This is ..."), or drag the S1 box onto S1.'
)
"""The same warning as the panel words it, where there are a table and a box to drag."""


@cache
def _pattern(note: Note) -> re.Pattern[str]:
    """Return the pattern of a note's text, in which each field may hold any value."""
    parts = Formatter().parse(note.value)
    return re.compile("".join(re.escape(text) + ("" if field is None else ".+") for text, field, _, _ in parts))
