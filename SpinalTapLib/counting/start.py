"""Find the vertebra that the user's box marks, where the detector found it and where only the ladder sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..detection.linking import Candidate
from ..spine.boxes import corners_of
from ..spine.notes import Note
from ..spine.structures import N_STRUCTURES, Structure
from ..spine.vertebra import SeedBox
from .ladder import PRESENCE_LIMIT, Look
from .rungs import Rung, corners_lps, rung_from_points

if TYPE_CHECKING:
    from ..scans.volume import SagittalVolume

LOOSE_BOX = 1.6
"""A box marks a vertebra whose centroid lies within so many half edges of its centre, along each edge."""

SURE_NEIGHBOUR = 0.8
"""In a box where the detector found nothing, the ladder must see a neighbour with this presence, and the way back."""

SAME_SIZES = 0.6
"""Two rungs are the same vertebra if their centres are nearer than this, in sizes (neighbours are 0.9-1.4 apart)."""

LADDER_SCORE = 0.6
"""Factor on the score of a vertebra that only the ladder saw."""


def in_box(
    candidates: Sequence[Candidate], seed: SeedBox, working: SagittalVolume | None = None, look: Look | None = None
) -> tuple[tuple[Candidate, ...], int]:
    """Return the candidates, from the bottom up, and which of them the box was drawn around.

    Its centroid lies in the box; or the ladder sees a vertebra there that the detector has missed, which then is among
    the candidates; or, as a loosely drawn box may miss the centroid, it lies near the box.

    Parameters
    ----------
    candidates : sequence of Candidate
        From the bottom up, at least one.
    seed : SeedBox
    working, look : optional
        The volume and the ladder's view of it: for a box where the detector found nothing.

    Raises
    ------
    ValueError
        If the box lies outside the volume or no vertebra is in it.
    """
    found = tuple(candidates)
    offsets = np.array([c.centroid_lps_mm for c in found]) - seed.center_lps_mm
    reach = (np.abs(offsets @ seed.axes) / (np.asarray(seed.size_mm) / 2)).max(1)
    nearest = int(np.where(reach <= LOOSE_BOX, np.linalg.norm(offsets, axis=1), np.inf).argmin())
    if reach[nearest] <= 1:
        return found, nearest
    where = f"{seed.level} box"  # no numbers: those of LPS have other signs than the ones that 3D Slicer shows
    if working is not None:
        index = working.to_index(np.asarray(seed.center_lps_mm, float))
        if (index < -0.5).any() or (index > np.array(working.array.shape) - 0.5).any():
            raise ValueError(f"The {where} lies outside the scan; draw it around a vertebral body.")
        rung = None if look is None else rung_in(seed, working, look)
        if rung is not None:
            return _with_rung(found, rung, working)
    if reach[nearest] <= LOOSE_BOX:
        return found, nearest
    raise ValueError(f"There is no vertebra in the {where}; draw the box around a vertebral body.")


def in_order(candidates: Sequence[Candidate], new: Candidate) -> tuple[Candidate, ...]:
    """Return candidates from the bottom up: the new one goes where it lengthens the spine least."""
    place = place_of(np.array([c.centroid_lps_mm for c in candidates]), new.centroid_lps_mm)
    return (*candidates[:place], new, *candidates[place:])


def place_of(centres: np.ndarray, point: np.ndarray) -> int:
    """Return where a point (3,) belongs among centres (n, 3), from the bottom up: where the way grows least."""

    def detour(place: int) -> float:
        beside = centres[max(place - 1, 0) : place + 1]
        ends = np.linalg.norm(beside - point, axis=1).sum()
        return float(ends - np.linalg.norm(beside[0] - beside[-1]))

    return min(range(len(centres) + 1), key=detour)


def rung_in(seed: SeedBox, working: SagittalVolume, look: Look) -> Rung | None:
    """Return the vertebra that the ladder sees in a box, or None.

    It must see a neighbour from there, and from the neighbour the way back, which also puts a loose box right.
    """
    drawn = rung_from_points(working, corners_of(seed))
    for up, neighbour in sorted(enumerate(look(drawn)), key=lambda n: -n[1].presence):
        if neighbour.presence < SURE_NEIGHBOUR or not np.isfinite(neighbour.corners).all():
            continue
        back = look(neighbour)[1 - up]
        if back.presence >= PRESENCE_LIMIT and np.isfinite(back.corners).all() and _same(back, drawn):
            return back
    return None


def _with_rung(
    candidates: tuple[Candidate, ...], rung: Rung, working: SagittalVolume
) -> tuple[tuple[Candidate, ...], int]:
    """Return the candidates with a rung among them, and which it is."""
    known = [i for i, c in enumerate(candidates) if _same(rung_from_points(working, c.corners_lps_mm), rung)]
    if known:
        return candidates, known[0]
    new = _candidate(rung, working)
    ordered = in_order(candidates, new)
    return ordered, next(i for i, candidate in enumerate(ordered) if candidate is new)


def _same(one: Rung, other: Rung) -> bool:
    return float(np.linalg.norm(one.centre - other.centre)) < SAME_SIZES * (one.size + other.size) / 2


def _candidate(rung: Rung, working: SagittalVolume) -> Candidate:
    """Return a vertebra that no slice showed the detector."""
    corners = corners_lps(working, rung)
    evidence = np.zeros(N_STRUCTURES)
    evidence[Structure.BODY] = 1.0
    score = LADDER_SCORE * rung.presence
    return Candidate((), corners.mean(0), corners, round(rung.slice), evidence, score, (Note.FROM_BOX,), ())
