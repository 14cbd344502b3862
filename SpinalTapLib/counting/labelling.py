"""Labelling: candidates from the bottom up become vertebrae with levels, if there is something to count from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..scans.volume import SagittalVolume
from ..spine import levels
from ..spine.structures import Structure
from ..spine.vertebra import SeedBox, Vertebra
from .fusion import Place, climb_alone, fuse
from .gaps import doubt_beyond, open_gaps, unflagged, warnings_of
from .ladder import Look
from .names import count_levels
from .rungs import Rung, corners_lps, rung_from_points
from .start import DISAGREEMENT_CONFIDENCE, SURE_SHARE, Candidate, Start, find_start, share


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
        If the seed box lies outside the scan or there is no vertebra in it.
    """
    if not candidates:
        return (), "none", ()
    start = find_start(candidates, seed, working, look if method != "detector" else None)
    down, known = start.downwards, start.candidates
    places, position = _places(known, start, None if down else steps, working, look, method)
    gaps = open_gaps(places, known)
    if start.anchor == "none":
        return _unnamed(known, places), start.anchor, start.warnings
    top = places[-1].candidate
    top_is_c2 = top is not None and steps is None and share(known[top], Structure.C2) >= SURE_SHARE
    count = count_levels(len(places), position, start.level, top_is_c2 and not down)
    factor = start.doubt * (1.0 if count.certain else DISAGREEMENT_CONFIDENCE)
    kept = [i for i, level in enumerate(count.names) if level is not None and _within(i, position, start, steps)]
    vertebrae = []
    for i in kept:
        own, notes = factor * doubt_beyond(gaps, i, position), _notes(start, places[i], count.flags.get(i))
        vertebrae.append(unflagged(_vertebra(places[i], known, working, count.names[i], own, extra=notes), i, places))
    missed = warnings_of([gap for gap in gaps if gap in kept and gap - 1 in kept], count.names, position)
    return tuple(vertebrae), start.anchor, (*missed, *count.warnings, *start.warnings)


def _within(i: int, position: int, start: Start, steps: int | None) -> bool:
    """Whether a place is within the wanted steps of the start, and not below an S1 that the detector found."""
    if start.downwards:
        return steps is None or position - i <= steps
    return i >= position or start.anchor == "pinned"


def _notes(start: Start, place: Place, counted: str | None) -> tuple[str, ...]:
    """Return the notes of the start and of the count on one vertebra."""
    own = None if place.candidate is None else start.flags.get(place.candidate)
    return tuple(note for note in (own, counted) if note)


def _places(
    candidates: Sequence[Candidate],
    start: Start,
    steps: int | None,
    working: SagittalVolume | None,
    look: Look | None,
    method: str,
) -> tuple[tuple[Place, ...], int]:
    """Return the vertebrae in the order of the count, from the bottom up, and where the start is among them."""
    if working is None or look is None or method == "detector":
        nowhere = Rung(0.0, np.zeros((4, 2)))
        end = len(candidates) if steps is None else start.index + steps + 1
        return tuple(Place(i, nowhere, 1.0) for i in range(min(end, len(candidates)))), start.index
    rungs = [_rung(candidate, working) for candidate in candidates]
    slice_mm = float(working.spacing_mm[0] / working.spacing_mm[1])
    if method == "fused":
        return fuse(look, rungs, start.index, working.array.shape, slice_mm, steps)
    places = climb_alone(look, rungs, start.index, working.array.shape, slice_mm, steps, upwards=not start.downwards)
    return (places[::-1], len(places) - 1) if start.downwards else (places, 0)


def _rung(candidate: Candidate, working: SagittalVolume) -> Rung:
    rung = rung_from_points(working, candidate.corners_lps_mm)
    return replace(rung, presence=float(np.clip(candidate.score, 0, 1)))


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
    extra: tuple[str, ...] = (),
) -> Vertebra:
    notes = (*place.flags, *extra)
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
