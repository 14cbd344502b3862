"""Labelling: candidates from the bottom up become vertebrae with levels, if there is something to count from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from . import levels
from .counting import count_levels
from .fusion import FLAG_LADDER_ONLY, Place, fuse
from .geometry import SeedBox, Vertebra
from .ladder import Look, climb
from .networks import BODY, C2, S1
from .rungs import Rung, corners_lps, rung_from_points
from .volume import SagittalVolume

SURE_SHARE = 0.6
"""An end of the spine is an anchor if its class has at least this share of what speaks for bone in its outline."""

DISAGREEMENT_CONFIDENCE = 0.6
"""Factor on every confidence where the counts from S1 and from C2 contradict each other."""

LOOSE_BOX = 1.6
"""A box marks a vertebra whose centroid lies within so many half edges of its centre, along each edge."""

NO_ANCHOR = (
    "Neither S1 nor C2 is surely in view, so the levels are not known: the vertebrae are numbered from the bottom up; "
    "to name them, draw a box around a vertebra whose level you know."
)


class Candidate(Protocol):
    """What labelling needs of a vertebra found in three dimensions (see `linking.Candidate`)."""

    @property
    def centroid_lps_mm(self) -> np.ndarray:
        """Centre of the body, shape (3,), LPS, mm."""

    @property
    def corners_lps_mm(self) -> np.ndarray:
        """Corners on the mid-slice, shape (4, 3), LPS, mm."""

    @property
    def evidence(self) -> np.ndarray:
        """Mean mask probabilities inside the outline, shape (7,)."""

    @property
    def score(self) -> float:
        """How sure the detector is, 0-1."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Plain notes."""

    @property
    def slices(self) -> tuple[int, ...]:
        """Working slices that show it."""


def label(
    candidates: Sequence[Candidate],
    seed: SeedBox | None = None,
    steps: int | None = None,
    *,
    working: SagittalVolume | None = None,
    look: Look | None = None,
    method: str = "fused",
) -> tuple[tuple[Vertebra, ...], str, tuple[str, ...]]:
    """Give every vertebra its level.

    Counted from the seed box if there is one; else from the surest S1; else from C2 downwards if the highest surely
    is C2; else not at all: values 101, 102, ... from the bottom up.

    Parameters
    ----------
    candidates : sequence of Candidate
        From the bottom up.
    seed : SeedBox, optional
        Drawn by the user around the vertebra of level ``seed.level``.
    steps : int, optional
        How many vertebrae to name above the one that the count starts from (below it if that is C2); all if not given.
    working : SagittalVolume, optional
        The volume that the ladder looks at; needed with `look`.
    look : callable, optional
        The ladder. Without it the detector's order is taken as it is.
    method : str
        ``"fused"``, ``"detector"`` or ``"ladder"``.

    Returns
    -------
    vertebrae : tuple of Vertebra
        From the bottom up; what lies beyond S1 or C2 is left out.
    anchor : str
        ``"pinned"``, ``"S1"``, ``"C2"`` or ``"none"``.
    warnings : tuple of str
        Plain sentences.

    Raises
    ------
    ValueError
        If nothing lies in the seed box.
    """
    if not candidates:
        return (), "none", ()
    start, name, anchor = _start(candidates, seed)
    places, position = _places(candidates, start, steps if anchor != "C2" else None, working, look, method)
    if anchor == "none":
        return _unnamed(candidates, places), anchor, (NO_ANCHOR,)
    top = places[-1].candidate
    top_is_c2 = top is not None and steps is None and _share(candidates[top], C2) >= SURE_SHARE
    count = count_levels(len(places), position, name, top_is_c2 and anchor != "C2")
    factor = 1.0 if count.certain else DISAGREEMENT_CONFIDENCE
    factor, contradiction = _check_seed(candidates, seed, start, factor)
    kept = [i for i, level in enumerate(count.names) if level is not None and _within(i, position, anchor, steps)]
    vertebrae = tuple(
        _vertebra(places[i], candidates, working, count.names[i], factor, extra=count.flags.get(i)) for i in kept
    )
    return vertebrae, anchor, (*count.warnings, *contradiction)


def _within(i: int, position: int, anchor: str, steps: int | None) -> bool:
    """Whether a place is within the wanted steps of the start, and not below an S1 that the detector found."""
    if anchor == "C2":
        return steps is None or position - i <= steps
    return i >= position or anchor == "pinned"


def _places(
    candidates: Sequence[Candidate],
    start: int,
    steps: int | None,
    working: SagittalVolume | None,
    look: Look | None,
    method: str,
) -> tuple[tuple[Place, ...], int]:
    """Return the vertebrae in the order of the count, from the bottom up, and where the start is among them."""
    if working is None or look is None or method == "detector":
        nowhere = Rung(0.0, np.zeros((4, 2)))
        end = len(candidates) if steps is None else start + steps + 1
        return tuple(Place(i, nowhere, 1.0) for i in range(min(end, len(candidates)))), start
    rungs = [_rung(candidate, working) for candidate in candidates]
    slice_mm, pixel_mm, _ = working.spacing_mm
    if method == "fused":
        return fuse(look, rungs, start, working.array.shape, float(slice_mm / pixel_mm), steps)
    path = climb(look, rungs[start], working.array.shape, steps=steps).rungs
    flags = (FLAG_LADDER_ONLY,)
    return (Place(start, rungs[start], 1.0), *(Place(None, r, r.presence, flags) for r in path[1:])), 0


def _rung(candidate: Candidate, working: SagittalVolume) -> Rung:
    rung = rung_from_points(working, candidate.corners_lps_mm)
    return replace(rung, presence=float(np.clip(candidate.score, 0, 1)))


def _start(candidates: Sequence[Candidate], seed: SeedBox | None) -> tuple[int, str, str]:
    """Return the index of the candidate that the count starts from, its level, and the kind of anchor."""
    if seed is not None:
        return _seeded(candidates, seed), levels.level(seed.level).name, "pinned"
    shares = [_share(candidate, S1) for candidate in candidates]
    if max(shares) >= SURE_SHARE:
        return int(np.argmax(shares)), "S1", "S1"
    if _share(candidates[-1], C2) >= SURE_SHARE:
        return len(candidates) - 1, "C2", "C2"
    return 0, "", "none"


def _check_seed(
    candidates: Sequence[Candidate], seed: SeedBox | None, start: int, factor: float
) -> tuple[float, tuple[str, ...]]:
    """Warn where the user's S1 box lies on something else than what the detector takes for S1."""
    if seed is None or levels.level(seed.level).name != "S1":
        return factor, ()
    shares = [_share(candidate, S1) for candidate in candidates]
    best = int(np.argmax(shares))
    if best == start or shares[best] < SURE_SHARE or shares[start] >= SURE_SHARE:
        return factor, ()
    side = "below" if best < start else "above"
    return factor * DISAGREEMENT_CONFIDENCE, (
        f"The S1 box lies on another vertebra than the one that looks like S1, which is {abs(best - start)} {side} it; "
        "the levels follow the box.",
    )


def _share(candidate: Candidate, structure: int) -> float:
    """Return how much of what speaks for bone speaks for this class."""
    bone = float(candidate.evidence[[BODY, S1, C2]].sum())
    return float(candidate.evidence[structure]) / bone if bone > 0 else 0.0


def _seeded(candidates: Sequence[Candidate], seed: SeedBox) -> int:
    """Return the candidate that the box was drawn around: its centroid in the box, or the nearest within reach.

    A loosely drawn box may miss the centroid, so it reaches half as far again as it was drawn.
    """
    offsets = np.array([c.centroid_lps_mm for c in candidates]) - seed.center_lps_mm
    reach = np.abs(offsets @ seed.axes) / (np.asarray(seed.size_mm) / 2)
    inside = (reach <= LOOSE_BOX).all(1)
    if not inside.any():
        raise ValueError(
            f"There is no vertebra in the {seed.level} box (centre {np.round(seed.center_lps_mm, 1).tolist()} mm, "
            "LPS); draw the box around a vertebral body that was found."
        )
    return int(np.where(inside, np.linalg.norm(offsets, axis=1), np.inf).argmin())


def _unnamed(candidates: Sequence[Candidate], places: Sequence[Place]) -> tuple[Vertebra, ...]:
    """Return vertebrae without levels, numbered from the bottom up (`levels.unanchored_value`)."""
    seen = [place for place in places if place.candidate is not None]
    return tuple(
        _vertebra(place, candidates, None, None, 1.0, levels.unanchored_value(i)) for i, place in enumerate(seen)
    )


def _vertebra(
    place: Place,
    candidates: Sequence[Candidate],
    working: SagittalVolume | None,
    level: str | None,
    factor: float,
    value: int = 0,
    extra: str | None = None,
) -> Vertebra:
    notes = (*place.flags, *((extra,) if extra else ()))
    value = levels.level(level).value if level else value
    if place.candidate is None and working is not None:
        corners = corners_lps(working, place.rung)
        confidence = place.agreement * place.rung.presence * factor
        return Vertebra(level, value, float(confidence), corners.mean(0), corners, flags=notes)
    candidate = candidates[place.candidate or 0]
    return Vertebra(
        level=level,
        label_value=value,
        confidence=float(np.clip(candidate.score * place.agreement * factor, 0.0, 1.0)),
        centroid_lps_mm=candidate.centroid_lps_mm,
        corners_lps_mm=candidate.corners_lps_mm,
        slices=candidate.slices,
        flags=(*candidate.flags, *notes),
    )
