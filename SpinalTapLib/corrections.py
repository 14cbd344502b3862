"""Corrections by the user: seed box, shift, pin, alternative count, drop, add, undo.

Each kind of correction is one class, used by library, command line, panel and result folders. No correction runs the
detector again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .options import Options
from .spine import levels
from .spine.boxes import box_around, corners_of
from .spine.notes import Note
from .spine.structures import N_STRUCTURES, Structure
from .spine.vertebra import SeedBox, Spine

if TYPE_CHECKING:
    from .detection.part_maps import Candidate
    from .evidence import Evidence


# --- inputs of a count -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Edit:
    """One vertebra removed from the evidence, given by a point, or added to it, given by a box.

    Attributes
    ----------
    dropped_lps_mm : ndarray, shape (3,), or None
        Centroid of a detection that is not a vertebra, LPS, mm.
    added : SeedBox or None
        Box around a vertebra that was missed.
    """

    dropped_lps_mm: np.ndarray | None = None
    added: SeedBox | None = None

    def applied(self, evidence: Evidence) -> Evidence:
        """Return the evidence with this edit applied; raise ValueError if it does not apply."""
        if self.added is not None:
            return put_in(evidence, self.added)
        return evidence if self.dropped_lps_mm is None else leave_out(evidence, self.dropped_lps_mm)


@dataclass(frozen=True, eq=False)
class Count:
    """The inputs of a count of levels, apart from the detector's evidence.

    Attributes
    ----------
    seed : SeedBox or None
        The box that the levels are counted from; None: from the detections.
    steps : int or None
        As in `Options`.
    method : str
        As in `Options`.
    edits : tuple of Edit
        Edits in the order in which the user made them.
    """

    seed: SeedBox | None = None
    steps: int | None = None
    method: str = "fused"
    edits: tuple[Edit, ...] = ()

    def applied(self, evidence: Evidence) -> Evidence:
        """Return the detector's evidence with all edits applied."""
        for edit in self.edits:
            evidence = edit.applied(evidence)
        return evidence


History = tuple[Count, ...]
"""The counts of a result, from the first to the present one."""


# --- the kinds of correction -----------------------------------------------------------------------------------


class Correction:
    """Base class of the corrections. A new kind is a subclass that defines `count`."""

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count after this correction.

        Parameters
        ----------
        spine : Spine
            The present result; its evidence is not needed.
        last : Count
            The count of the present result.

        Raises
        ------
        ValueError
            If the correction does not apply to this result.
        """
        raise NotImplementedError

    def history(self, spine: Spine, history: History) -> History:
        """Return the history after this correction; arguments and errors as for `count`."""
        return (*history, self.count(spine, history[-1]))


@dataclass(frozen=True)
class Seed(Correction):
    """Count from a box, or, without one, from the detections."""

    box: SeedBox | None = None

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count from the box."""
        return replace(last, seed=self.box)


@dataclass(frozen=True)
class Shift(Correction):
    """Shift every level up (1: L5 becomes L4) or down (-1: L5 becomes S1) by a number of steps."""

    steps: int

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count from the lowest vertebra that still has a level; those shifted beyond S1 are skipped."""
        if not self.steps:
            raise ValueError("A shift by 0 changes nothing; shift by 1 (L5 becomes L4) or by -1 (L5 becomes S1).")
        named = [(i, levels.COMMON.index(v.level)) for i, v in enumerate(spine.vertebrae) if v.level in levels.COMMON]
        if not named:
            raise ValueError("There are no levels to shift yet: set the level of one vertebra first.")
        lowest, place = named[0][0], named[0][1] + int(self.steps)
        lowest, place = lowest + max(-place, 0), max(place, 0)
        if lowest >= len(spine.vertebrae) or place >= len(levels.COMMON):
            raise ValueError(
                f"The levels cannot be shifted by {self.steps:+d}: no vertebra would keep a level; use fewer steps."
            )
        return replace(last, seed=box_around(spine.vertebrae[lowest], levels.COMMON[place]))


@dataclass(frozen=True)
class Pin(Correction):
    """Set the level of one vertebra, and count the others from it.

    Attributes
    ----------
    vertebra : int or str
        Position (0 = lowest) or present name (see `position_of`).
    level : str
        Name of a level in `levels.LEVELS`.
    """

    vertebra: int | str
    level: str

    def __post_init__(self) -> None:
        levels.level(self.level)

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count from that vertebra."""
        vertebra = spine.vertebrae[position_of(spine, self.vertebra)]
        return replace(last, seed=box_around(vertebra, levels.level(self.level).name))


@dataclass(frozen=True)
class TakeAlternative(Correction):
    """Switch to an alternative count.

    Attributes
    ----------
    number : int
        Position in `Spine.alternatives`, starting at 1, the most probable.
    """

    number: int = 1

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count from the vertebra that distinguishes this alternative from the present count."""
        known = len(spine.alternatives)
        if not 1 <= self.number <= known:
            which = f"{known}, numbered from 1 to {known}" if known else "none"
            raise ValueError(f"There is no other count number {self.number}: this result has {which}.")
        other = spine.alternatives[self.number - 1]
        return replace(last, seed=box_around(spine.vertebrae[other.index], other.level))


@dataclass(frozen=True)
class Drop(Correction):
    """Drop a detection that is not a vertebra, given as for `Pin`."""

    vertebra: int | str

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count without it; a count that started from it now starts from the detections."""
        index = position_of(spine, self.vertebra)
        seed = None if _is_seeded(spine, index) else spine.seed
        edit = Edit(dropped_lps_mm=spine.vertebrae[index].centroid_lps_mm)
        return replace(last, seed=seed, edits=(*last.edits, edit))


@dataclass(frozen=True)
class Add(Correction):
    """Add a vertebra that was missed, from a box around its body."""

    box: SeedBox

    def count(self, spine: Spine, last: Count) -> Count:
        """Return the count with it."""
        return replace(last, edits=(*last.edits, Edit(added=self.box)))


@dataclass(frozen=True)
class Undo(Correction):
    """Return to the count before the present one."""

    def history(self, spine: Spine, history: History) -> History:
        """Return the history without its last count."""
        if len(history) < 2:
            raise ValueError("There is nothing to undo: this result has not been changed since it was made.")
        return history[:-1]


# --- corrections of a spine in memory --------------------------------------------------------------------------


def correct(spine: Spine, correction: Correction, *, options: Options | None = None) -> Spine:
    """Return the spine after a correction; its `Spine.earlier` is the spine before.

    Parameters
    ----------
    spine : Spine
        A result with its evidence.
    correction : Correction
        Any correction except `Undo`, for which there is `undo`.
    options : Options, optional
        Only `steps`, `method`, `ladder` and `levels` are used.

    Raises
    ------
    ValueError
        If the correction does not apply to this result, or the result has no evidence.

    Examples
    --------
    >>> correct(spine, Shift(1))["L4"]  # what was L5  # doctest: +SKIP
    """
    from .evidence import Evidence
    from .pipeline import recount

    count = correction.count(spine, Count(spine.seed))
    if not isinstance(spine.evidence, Evidence):
        raise ValueError("This result has no evidence (the detections), which a change needs; segment the scan again.")
    return recount(replace(spine, evidence=count.applied(spine.evidence)), spine, count.seed, options)


def undo(spine: Spine) -> Spine:
    """Return the result before the last correction; raise ValueError if there was none."""
    if spine.earlier is None:
        raise ValueError("There is nothing to undo: this result has no correction.")
    return spine.earlier


def position_of(spine: Spine, vertebra: int | str) -> int:
    """Return the position of a vertebra in ``spine.vertebrae``.

    Parameters
    ----------
    vertebra : int or str
        The position (0 = lowest); or a name, such as ``"L5"``, or, if levels are not known, ``"Vertebra 3"``; or a
        label value as text, such as ``"103"``.

    Raises
    ------
    ValueError
        If there is no such vertebra.
    """
    if isinstance(vertebra, int):
        if not 0 <= vertebra < len(spine.vertebrae):
            count = len(spine.vertebrae)
            raise ValueError(f"There is no vertebra number {vertebra}; this spine has {count}, counted from 0.")
        return vertebra
    wanted = vertebra.strip().lower()
    for index, known in enumerate(spine.vertebrae):
        if wanted in (str(known.label_value), known.name.lower()):
            return index
    names = ", ".join(v.name for v in spine.vertebrae)
    raise ValueError(f"There is no vertebra called {vertebra.strip()!r} in this result; it has {names}.")


def _is_seeded(spine: Spine, index: int) -> bool:
    """Return whether a vertebra is the one that the count starts from: the nearest to the box."""
    if spine.seed is None:
        return False
    distances = [float(np.linalg.norm(v.centroid_lps_mm - spine.seed.center_lps_mm)) for v in spine.vertebrae]
    return int(np.argmin(distances)) == index


# --- edits of the evidence -------------------------------------------------------------------------------------


def leave_out(evidence: Evidence, centroid_lps_mm: np.ndarray) -> Evidence:
    """Return the evidence without the vertebra at a point, shape (3,), LPS, mm.

    Raises
    ------
    ValueError
        If there is no candidate at the point, or it is the last one.
    """
    found = evidence.index_at(centroid_lps_mm)
    if found is None:
        raise ValueError(
            "That vertebra was not detected but only estimated by the count, so it cannot be dropped; change the count "
            "instead."
        )
    if len(evidence.ignored | {found}) == len(evidence.candidates):
        raise ValueError(
            "That is the last vertebra of this result, so it cannot be dropped; without it there is nothing to count."
        )
    return replace(evidence, ignored=evidence.ignored | {found})


def put_in(evidence: Evidence, box: SeedBox) -> Evidence:
    """Return the evidence with one more vertebra, from a box around its body; all bodies are segmented again.

    Raises
    ------
    ValueError
        If the box lies outside the scan, or on a vertebra that was already found.
    """
    from .counting.start import in_order
    from .evidence import gather

    candidate = _candidate(evidence, box)
    height = np.linalg.norm(candidate.corners_lps_mm[0] - candidate.corners_lps_mm[3])
    for known in evidence.counted:
        if np.linalg.norm(known.centroid_lps_mm - candidate.centroid_lps_mm) < 0.5 * height:
            raise ValueError("There is a vertebra in that box already; draw the box around one that was missed.")
    candidates: Sequence[Candidate] = in_order(evidence.counted, candidate)
    return gather(evidence.volume, evidence.detections, candidates, evidence.structures)


def _candidate(evidence: Evidence, box: SeedBox) -> Candidate:
    """Return a box as a candidate: the same rectangle in every slice within the box."""
    from .counting.rungs import rung_from_points
    from .detection.part_maps import Candidate, SliceVertebra

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
