"""The colour of a label value, for whoever needs no more of its `segments.Segment`."""

from __future__ import annotations

from .segments import segment_of


def colour(value: int) -> tuple[int, int, int]:
    """Return a label value's colour, red, green, blue, 0-255; a level has the same one in every scan."""
    return segment_of(value).colour
