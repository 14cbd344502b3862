"""Starting: which vertebra the count starts from, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ..detection import linking
from ..scans.volume import SagittalVolume
from ..spine import levels
from ..spine.boxes import corners_of
from ..spine.structures import BODY_CLASSES, N_STRUCTURES, Structure
from ..spine.vertebra import SeedBox
from .ladder import PRESENCE_LIMIT, Look
from .rungs import Rung, corners_lps, rung_from_points

SURE_SHARE = 0.6
"""An end of the spine is an anchor if its class has at least this share of what speaks for bone in its outline."""

DISAGREEMENT_CONFIDENCE = 0.6
"""Factor on every confidence where two things that tell the levels contradict each other."""

LOOSE_BOX = 1.6
"""A box marks a vertebra whose centroid lies within so many half edges of its centre, along each edge."""

TRANSITIONAL_SHARE = 0.2
"""An S1 that looks this much like a lumbar vertebra, or a neighbour of it that looks this much like S1, may be a
transitional one. On 20 phantoms without any, an S1's own share was 0.97 or more and its neighbours' 0.01 or less."""

SURE_NEIGHBOUR = 0.8
"""In a box where the detector found nothing, the ladder must see a neighbour with this presence, and way back."""

SAME_SIZES = 0.6
"""Two rungs are the same vertebra if their centres are nearer than this, in sizes (neighbours are 0.9-1.4 apart)."""

FLAG_TRANSITIONAL = "transitional? between lumbar and sacral"
FLAG_BOX = "position taken from the box, not outlined"

NO_ANCHOR = (
    "Neither S1 nor C2 is surely in view, so the levels are not known: the vertebrae are numbered from the bottom up; "
    "to name them, draw a box around a vertebra whose level you know."
)
TRANSITIONAL = (
    "The vertebra {where} may be a transitional one (partly lumbar, partly sacral), as in about 3 % of people: the "
    "count takes {level} as S1; if that is wrong, shift the levels by one or call it L6."
)


class Candidate(Protocol):
    """What counting needs of a vertebra found in three dimensions (see `linking.Candidate`)."""

    @property
    def centroid_lps_mm(self) -> np.ndarray:
        """Centre of the body, shape (3,), LPS, mm."""

    @property
    def corners_lps_mm(self) -> np.ndarray:
        """Corners on the mid-slice, shape (4, 3), LPS, mm."""

    @property
    def evidence(self) -> np.ndarray:
        """Mean mask probabilities inside the outline, shape (n_structures,)."""

    @property
    def score(self) -> float:
        """How sure the detector is, 0-1."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Plain notes."""

    @property
    def slices(self) -> tuple[int, ...]:
        """Working slices that show it."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a count starts.

    Attributes
    ----------
    candidates : tuple of Candidate
        From the bottom up; with the vertebra in the box, where only the box told of it.
    index : int
        Which of them is known.
    level : str
        Its level; empty where none is.
    anchor : str
        ``"pinned"``, ``"S1"``, ``"C2"`` or ``"none"``.
    doubt : float
        Factor on every confidence, 1 without a contradiction.
    warnings : tuple of str
        Plain sentences.
    flags : mapping of int to str
        Notes on single candidates.
    """

    candidates: tuple[Candidate, ...]
    index: int
    level: str
    anchor: str
    doubt: float = 1.0
    warnings: tuple[str, ...] = ()
    flags: Mapping[int, str] = field(default_factory=dict)

    @property
    def downwards(self) -> bool:
        """Whether the count goes down from here: from C2, however it is known."""
        return self.level == "C2"


def find_start(
    candidates: Sequence[Candidate],
    seed: SeedBox | None = None,
    working: SagittalVolume | None = None,
    look: Look | None = None,
) -> Start:
    """Return where to count from: the seed box, else the surest S1, else a sure C2 at the top, else nowhere.

    Parameters
    ----------
    candidates : sequence of Candidate
        From the bottom up, at least one.
    seed : SeedBox, optional
        Drawn by the user around the vertebra of level ``seed.level``.
    working, look : optional
        The volume and the ladder's view of it: for a box where the detector found nothing.

    Raises
    ------
    ValueError
        If the box lies outside the volume or no vertebra is in it.
    """
    found = tuple(candidates)
    if seed is not None:
        found, index = _seeded(found, seed, working, look)
        start = Start(found, index, levels.level(seed.level).name, "pinned")
        return _with_transitional(_against_the_eye(start, seed))
    shares = [share(candidate, Structure.S1) for candidate in found]
    if max(shares) >= SURE_SHARE:
        return _with_transitional(Start(found, int(np.argmax(shares)), "S1", "S1"))
    if share(found[-1], Structure.C2) >= SURE_SHARE:
        return Start(found, len(found) - 1, "C2", "C2")
    return Start(found, 0, "", "none", warnings=(NO_ANCHOR,))


def share(candidate: Candidate, structure: int) -> float:
    """Return how much of what speaks for bone speaks for this class."""
    bone = float(candidate.evidence[BODY_CLASSES].sum())
    return float(candidate.evidence[structure]) / bone if bone > 0 else 0.0


def in_order(candidates: Sequence[linking.Candidate], new: linking.Candidate) -> tuple[linking.Candidate, ...]:
    """Return candidates from the bottom up: the new one goes where it lengthens the spine least."""
    centres = [c.centroid_lps_mm for c in candidates]

    def detour(place: int) -> float:
        before, after = centres[place - 1 : place] if place else [], centres[place : place + 1]
        ends = [np.linalg.norm(p - new.centroid_lps_mm) for p in (*before, *after)]
        direct = np.linalg.norm(before[0] - after[0]) if before and after else 0.0
        return float(sum(ends) - direct)

    place = min(range(len(candidates) + 1), key=detour)
    return (*candidates[:place], new, *candidates[place:])


def _against_the_eye(start: Start, seed: SeedBox) -> Start:
    """Doubt a box around S1 or C2 where another vertebra looks like that, and say so."""
    structure = {"S1": Structure.S1, "C2": Structure.C2}.get(start.level)
    if structure is None:
        return start
    shares = [share(candidate, structure) for candidate in start.candidates]
    best = int(np.argmax(shares))
    if best == start.index or shares[best] < SURE_SHARE or shares[start.index] >= SURE_SHARE:
        return start
    side = "below" if best < start.index else "above"
    warning = (
        f"The {start.level} box lies on another vertebra than the one that looks like {start.level}, which is "
        f"{abs(best - start.index)} {side} it; the levels follow the box."
    )
    return replace(start, doubt=start.doubt * DISAGREEMENT_CONFIDENCE, warnings=(*start.warnings, warning))


def _with_transitional(start: Start) -> Start:
    """Flag a vertebra at the lumbosacral junction that looks like both sides of it."""
    if start.level != "S1" or start.doubt < 1:
        return start
    ours = share(start.candidates[start.index], Structure.S1)
    if 0 < ours <= 1 - TRANSITIONAL_SHARE:
        which, where = start.index, "taken for S1"
    else:
        beside = [i for i in (start.index - 1, start.index + 1) if 0 <= i < len(start.candidates)]
        which = max(beside, key=lambda i: share(start.candidates[i], Structure.S1), default=start.index)
        if which == start.index or share(start.candidates[which], Structure.S1) < TRANSITIONAL_SHARE:
            return start
        where = "right above S1" if which > start.index else "right below S1"
    warning = TRANSITIONAL.format(where=where, level="it" if which == start.index else "the other one")
    return replace(start, warnings=(*start.warnings, warning), flags={which: FLAG_TRANSITIONAL})


def _seeded(
    candidates: tuple[Candidate, ...], seed: SeedBox, working: SagittalVolume | None, look: Look | None
) -> tuple[tuple[Candidate, ...], int]:
    """Return the candidates, and which of them the box was drawn around.

    Its centroid lies in the box; or the ladder sees a vertebra there that the detector has missed; or, as a loosely
    drawn box may miss the centroid, it lies near the box.
    """
    offsets = np.array([c.centroid_lps_mm for c in candidates]) - seed.center_lps_mm
    reach = (np.abs(offsets @ seed.axes) / (np.asarray(seed.size_mm) / 2)).max(1)
    nearest = int(np.where(reach <= LOOSE_BOX, np.linalg.norm(offsets, axis=1), np.inf).argmin())
    if reach[nearest] <= 1:
        return candidates, nearest
    where = f"{seed.level} box"  # no numbers: those of LPS have other signs than the ones that 3D Slicer shows
    if working is not None:
        index = working.to_index(np.asarray(seed.center_lps_mm, float))
        if (index < -0.5).any() or (index > np.array(working.array.shape) - 0.5).any():
            raise ValueError(f"The {where} lies outside the scan; draw it around a vertebral body.")
        rung = None if look is None else rung_in(seed, working, look)
        if rung is not None:
            return _with_rung(candidates, rung, working)
    if reach[nearest] <= LOOSE_BOX:
        return candidates, nearest
    raise ValueError(f"There is no vertebra in the {where}; draw the box around a vertebral body.")


def _with_rung(
    candidates: tuple[Candidate, ...], rung: Rung, working: SagittalVolume
) -> tuple[tuple[Candidate, ...], int]:
    """Return the candidates with a rung among them, and which it is."""
    known = [i for i, c in enumerate(candidates) if _same(rung_from_points(working, c.corners_lps_mm), rung)]
    if known:
        return candidates, known[0]
    new = _candidate(rung, working)
    ordered = in_order(candidates, new)  # type: ignore[arg-type]
    return ordered, next(i for i, candidate in enumerate(ordered) if candidate is new)


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


def _same(one: Rung, other: Rung) -> bool:
    return float(np.linalg.norm(one.centre - other.centre)) < SAME_SIZES * (one.size + other.size) / 2


def _candidate(rung: Rung, working: SagittalVolume) -> linking.Candidate:
    """Return a vertebra that no slice showed the detector."""
    corners = corners_lps(working, rung)
    evidence = np.zeros(N_STRUCTURES)
    evidence[Structure.BODY] = 1.0
    score = DISAGREEMENT_CONFIDENCE * rung.presence
    return linking.Candidate(
        (), corners.mean(0), corners, round(rung.slice), evidence, score, (FLAG_BOX,), ()
    )  # fmt: skip
