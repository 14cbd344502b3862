"""Turn a detector's score into a probability of being right, and that into one of three words.

The calibration belongs to the weights: its two numbers stand in the model card, under ``"calibration"``.
``spinaltap experiment calibration`` fits them (see `training.experiments.calibration`) on scans that the network has
never seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, tanh
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .vertebra import Alternative, Spine, Vertebra

SURE, LIKELY = 0.9, 0.6
"""Confidence from which on a level is called sure, or likely; below, it is to be checked."""

DOUBTFUL = 0.1
"""Another count with more than this probability is told to the user; where there is one, no name is sure."""

WORDS = ("sure", "likely", "check")
"""The words for a confidence, the best first; the same in the panel, the report and the documents."""

HIGHEST = 0.99
"""No calibrated confidence is higher: the few hundred vertebrae of a calibration can't show more."""

CARD_KEY = "calibration"
"""Key of the model card; what stands there has ``offset`` and ``slope``, and says what they were fitted on."""


def word(confidence: float) -> str:
    """Return one of `WORDS` for a confidence of 0-1, rounded as it is shown: 0.90 is always "sure"."""
    shown = round(confidence, 2)
    return WORDS[0] if shown >= SURE else WORDS[1] if shown >= LIKELY else WORDS[2]


def word_of(vertebra: Vertebra, spine: Spine) -> str:
    """Return the word of `WORDS` for a vertebra of a spine.

    "Sure" also needs a level with a probability of at least `SURE` and no other probable count. Results of older
    versions have no probabilities; there the confidence alone decides.
    """
    known = vertebra.level_probability
    doubtful = (known is not None and known < SURE) or other_count(spine) is not None
    words = word(vertebra.confidence)
    return WORDS[1] if doubtful and words == WORDS[0] else words


def other_count(spine: Spine) -> Alternative | None:
    """Return the most probable other count if it has more than `DOUBTFUL`, else None.

    A level that the user has marked is not in doubt: None there too.
    """
    if spine.anchor == "pinned" or not spine.alternatives:
        return None
    first = spine.alternatives[0]
    return first if first.probability > DOUBTFUL else None


@dataclass(frozen=True)
class Calibration:
    """A logistic curve (Platt, 1999): the share of vertebrae with a score that are right.

    Attributes
    ----------
    offset : float
        Log-odds at a score of 0.
    slope : float
        Log-odds gained from a score of 0 to one of 1; above zero, so that a better score is never a worse chance.

    Examples
    --------
    >>> round(Calibration(offset=-2.0, slope=8.0)(0.5), 3)
    0.881
    """

    offset: float
    slope: float

    def __post_init__(self) -> None:
        if not (isfinite(self.offset) and isfinite(self.slope) and self.slope > 0):
            raise ValueError(
                f"A calibration needs a finite offset and a slope above zero; got {self.offset!r} and {self.slope!r}."
            )

    def __call__(self, score: float) -> float:
        """Return the probability that belongs to a score of 0-1, at most `HIGHEST`."""
        return min((1 + tanh((self.offset + self.slope * float(score)) / 2)) / 2, HIGHEST)


def calibration_of(card: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration in a model card, or None for weights that were not calibrated.

    Raises
    ------
    ValueError
        If what stands there is no calibration.
    """
    entry = card.get(CARD_KEY)
    if entry is None:
        return None
    try:
        return Calibration(float(entry["offset"]), float(entry["slope"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The calibration in the card of {card.get('name')} can't be used ({error}).") from error
