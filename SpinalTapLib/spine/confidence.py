"""Convert a detector's score into a probability, and a probability into one of three words.

The calibration belongs to the weights: its two parameters are stored in the model card, under ``"calibration"``.
``spinaltap experiment calibration`` fits them (see `training.experiments.calibration`) on scans that the network was
not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, tanh
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .vertebra import Alternative, Spine, Vertebra

SURE, LIKELY = 0.9, 0.6
"""Least confidence of a level that is called sure, and of one that is called likely; below, it must be checked."""

DOUBTFUL = 0.1
"""Probability above which another count is shown to the user; if there is one, no name is called sure."""

WORDS = ("sure", "likely", "check")
"""The words for a confidence, the highest first; the same in the panel, the report and the documentation."""

HIGHEST = 0.99
"""Upper limit of a calibrated confidence: a calibration on a few hundred vertebrae cannot support a higher one."""

CARD_KEY = "calibration"
"""Key of the calibration in the model card: a mapping with ``offset``, ``slope`` and the data they were fitted on."""


def word(confidence: float) -> str:
    """Return one of `WORDS` for a confidence of 0-1, rounded to two digits as displayed: 0.90 is always "sure"."""
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
    """A logistic curve (Platt, 1999): the fraction of vertebrae with a given score that are correct.

    Attributes
    ----------
    offset : float
        Log-odds at a score of 0.
    slope : float
        Increase of the log-odds from a score of 0 to a score of 1; above zero, so that the probability never falls
        with the score.

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
        """Return the probability for a score of 0-1, at most `HIGHEST`."""
        return min((1 + tanh((self.offset + self.slope * float(score)) / 2)) / 2, HIGHEST)


def calibration_of(card: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration in a model card, or None for weights that were not calibrated.

    Raises
    ------
    ValueError
        If the entry is not a valid calibration.
    """
    entry = card.get(CARD_KEY)
    if entry is None:
        return None
    try:
        return Calibration(float(entry["offset"]), float(entry["slope"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The calibration in the model card of {card.get('name')} cannot be used ({error}); install SpinalTap "
            "again, or calibrate these weights again."
        ) from error
