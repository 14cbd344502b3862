"""Editing: the user knows better. Shift all levels, pin one, drop a vertebra, add one; and take each of these back.

None of them runs the detector again. Every answer keeps the one before it (`Spine.earlier`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .counting.rungs import rung_from_points
from .counting.start import in_order
from .detection.linking import Candidate
from .detection.part_maps import SliceVertebra
from .evidence import Evidence, gather
from .pipeline import Options, recount, reseed_spine
from .spine import levels
from .spine.boxes import corners_of
from .spine.notes import Note
from .spine.structures import N_STRUCTURES, Structure
from .spine.vertebra import SeedBox, Spine, Vertebra


def box_around(vertebra: Vertebra, level: str) -> SeedBox:
    """Return a box that marks a vertebra as a level, whatever it was called before."""
    corners = vertebra.corners_lps_mm
    size = np.ptp(corners, axis=0) * 0.6
    return SeedBox(vertebra.centroid_lps_mm, np.maximum(size, 8.0), level=levels.level(level).name)


def pin_level(spine: Spine, index: int, level: str, *, options: Options | None = None) -> Spine:
    """Say that a vertebra is a certain level, and count the others from it.

    Parameters
    ----------
    spine : Spine
        With its evidence.
    index : int
        Position in ``spine.vertebrae``, 0 the lowest.
    level : str
        A name of `levels.LEVELS`.

    Raises
    ------
    ValueError
        If there is no such vertebra or level.
    """
    return reseed_spine(spine, box_around(_vertebra(spine, index), level), options=options)


def box_for_alternative(spine: Spine, number: int = 1) -> SeedBox:
    """Return the box from which the count is another one of those that the picture allows.

    Parameters
    ----------
    spine : Spine
        With `Spine.alternatives`.
    number : int
        Which of them, 1 the most probable.

    Raises
    ------
    ValueError
        If there is no such count.
    """
    if not 1 <= number <= len(spine.alternatives):
        known = len(spine.alternatives)
        raise ValueError(
            f"There is no other count number {number}: this result has {known or 'none'}"
            + (f", numbered from 1 to {known}." if known else ".")
        )
    other = spine.alternatives[number - 1]
    return box_around(_vertebra(spine, other.index), other.level)


def take_alternative(spine: Spine, number: int = 1, *, options: Options | None = None) -> Spine:
    """Count the levels the other way that the picture allows; `number` 1 is the most probable one.

    Raises
    ------
    ValueError
        If there is no such count.
    """
    return reseed_spine(spine, box_for_alternative(spine, number), options=options)


def shift_levels(spine: Spine, steps: int, *, options: Options | None = None) -> Spine:
    """Rename every vertebra so many levels up (+1: L5 becomes L4) or down (-1).

    Raises
    ------
    ValueError
        If there are no levels yet, or there is none so far up or down.
    """
    return reseed_spine(spine, box_for_shift(spine, steps), options=options)


def box_for_shift(spine: Spine, steps: int) -> SeedBox:
    """Return the box from which the count gives every vertebra a level so many steps up or down.

    Raises
    ------
    ValueError
        As `shift_levels`.
    """
    if not steps:
        raise ValueError("A shift by 0 changes nothing; shift by 1 (L5 becomes L4) or by -1 (L5 becomes S1).")
    for vertebra in spine.vertebrae:
        if vertebra.level in levels.COMMON:
            place = levels.COMMON.index(vertebra.level) + int(steps)
            if not 0 <= place < len(levels.COMMON):
                raise ValueError(f"The levels cannot be shifted by {steps:+d}: nothing lies beyond {vertebra.level}.")
            return box_around(vertebra, levels.COMMON[place])
    raise ValueError("There are no levels to shift yet: first say which level one of the vertebrae is.")


def drop_vertebra(spine: Spine, index: int, *, options: Options | None = None) -> Spine:
    """Leave out a vertebra that is none, and count again.

    Raises
    ------
    ValueError
        If there is no such vertebra.
    """
    left = leave_out(_evidence(spine), _vertebra(spine, index).centroid_lps_mm)
    return recount(replace(spine, evidence=left), spine, seed_without(spine, index), options)


def leave_out(evidence: Evidence, centroid_lps_mm: np.ndarray) -> Evidence:
    """Return evidence without the vertebra at a point.

    Raises
    ------
    ValueError
        If the detector saw none there.
    """
    found = evidence.index_at(centroid_lps_mm)
    if found is None:
        raise ValueError("That vertebra was only estimated by the count; it goes when the count changes.")
    if len(evidence.ignored | {found}) == len(evidence.candidates):
        raise ValueError("That is the last vertebra of this result; without it there is nothing to count.")
    return replace(evidence, ignored=evidence.ignored | {found})


def add_vertebra(spine: Spine, box: SeedBox, *, options: Options | None = None) -> Spine:
    """Add a vertebra that was missed, from a box drawn around its body, and count again.

    Raises
    ------
    ValueError
        If the box lies outside the scan or on a vertebra that was found.
    """
    return recount(replace(spine, evidence=put_in(_evidence(spine), box)), spine, spine.seed, options)


def put_in(evidence: Evidence, box: SeedBox) -> Evidence:
    """Return evidence with one vertebra more, from a box drawn around its body; it costs a second: bodies are drawn.

    Raises
    ------
    ValueError
        As `add_vertebra`.
    """
    candidate = _candidate(evidence, box)
    height = np.linalg.norm(candidate.corners_lps_mm[0] - candidate.corners_lps_mm[3])
    for known in evidence.counted:
        if np.linalg.norm(known.centroid_lps_mm - candidate.centroid_lps_mm) < 0.5 * height:
            raise ValueError("There is a vertebra in that box already; draw the box around one that was missed.")
    candidates = in_order(evidence.counted, candidate)
    return gather(evidence.volume, evidence.detections, candidates, evidence.structures)


def undo(spine: Spine) -> Spine:
    """Return the answer before the last change.

    Raises
    ------
    ValueError
        If nothing was changed.
    """
    if spine.earlier is None:
        raise ValueError("There is nothing to take back.")
    return spine.earlier


def position_of(spine: Spine, name: str) -> int:
    """Return which vertebra has a name: ``"L5"``, and where levels are not known ``"Vertebra 3"`` or its value, 103.

    Raises
    ------
    ValueError
        If there is none.
    """
    wanted = name.strip().lower()
    for index, vertebra in enumerate(spine.vertebrae):
        if wanted in (str(vertebra.label_value), vertebra.name.lower()):
            return index
    names = ", ".join(v.name for v in spine.vertebrae)
    raise ValueError(f"There is no vertebra called {name.strip()!r} in this result; it has {names}.")


def _vertebra(spine: Spine, index: int) -> Vertebra:
    if not 0 <= index < len(spine.vertebrae):
        raise ValueError(f"There is no vertebra number {index}; this spine has {len(spine.vertebrae)}, counted from 0.")
    return spine.vertebrae[index]


def seed_without(spine: Spine, index: int) -> SeedBox | None:
    """Return the box to count from once a vertebra is gone: none if that was the one in the box."""
    if spine.seed is None:
        return None
    distances = [float(np.linalg.norm(v.centroid_lps_mm - spine.seed.center_lps_mm)) for v in spine.vertebrae]
    return None if int(np.argmin(distances)) == index else spine.seed


def _evidence(spine: Spine) -> Evidence:
    if not isinstance(spine.evidence, Evidence):
        raise ValueError("This result does not hold what a change needs; segment the scan again.")
    return spine.evidence


def _candidate(evidence: Evidence, box: SeedBox) -> Candidate:
    """Return a box as a candidate: the same upright rectangle in every slice that the box reaches."""
    working = evidence.detections.working
    corners = corners_of(box)
    rung = rung_from_points(working, corners)
    inside = (rung.centre > 0).all() and (rung.centre < np.array(working.array.shape[1:])).all()
    if not inside or not -0.5 <= rung.slice <= len(working.array) - 0.5:
        raise ValueError("The box lies outside the scan; draw it around a vertebral body.")
    half_width_mm = float(box.size_mm[int(np.abs(box.axes[0]).argmax())]) / 2
    reach = max(half_width_mm / float(working.spacing_mm[0]), 0.5)
    slices = [k for k in range(len(working.array)) if abs(k - rung.slice) <= reach]
    evidence_row = np.zeros(N_STRUCTURES)
    evidence_row[Structure.BODY] = 1.0
    members = tuple(SliceVertebra(k, rung.corners, rung.centre, 0.5, evidence_row) for k in slices)
    return Candidate(
        members, np.asarray(box.center_lps_mm, float), corners, round(rung.slice), evidence_row, 0.5,
        (Note.ADDED,), tuple(slices),
    )  # fmt: skip
