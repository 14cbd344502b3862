"""Colours and margins of the report."""

from __future__ import annotations

from ..spine.confidence import WORDS
from .canvas import Colour

BACKGROUND: Colour = (13, 16, 20)
"""Dark, as in reading rooms and on workstations."""
BRIGHT: Colour = (232, 236, 241)
MUTED: Colour = (146, 155, 167)
RULE: Colour = (45, 52, 62)
BLACK: Colour = (0, 0, 0)
AMBER: Colour = (240, 176, 60)

MARGIN_PX = 30
GAP_PX = 14

# Green, orange and vermilion of Okabe and Ito (2008), slightly lighter for the dark background. The words carry the
# same information.
_CONFIDENCE: dict[str, Colour] = dict(zip(WORDS, ((0, 178, 130), (230, 159, 0), (232, 100, 30))))


def confidence_colour(word: str) -> Colour:
    """Return the colour of a word for a confidence (one of `confidence.WORDS`)."""
    return _CONFIDENCE[word]
