"""Fusion: the detector's vertebrae, put in order by the ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..spine.notes import Note
from .ladder import Climb, Look, Snap, climb
from .rungs import Rung

SNAP_SIZES = 0.5
"""A rung moves onto a detection whose centre is this near, in the rung's sizes (neighbours are 0.9-1.4 apart)."""

ROOM_SIZES = 1.65
"""Two neighbours further apart than this, in sizes, leave room for a vertebra between them."""

SURE_PRESENCE = 0.8
"""A vertebra that only the ladder saw must be this sure."""


@dataclass(frozen=True, eq=False)
class Place:
    """One vertebra in the order of the count.

    Attributes
    ----------
    candidate : int or None
        Which detection it is; None where only the ladder saw it.
    rung : Rung
        Where it is, on the working volume's grid.
    flags : tuple of str
        Plain notes.
    """

    candidate: int | None
    rung: Rung
    flags: tuple[str, ...] = ()


def make_snap(rungs: Sequence[Rung], slice_mm: float) -> Snap:
    """Return the function that moves a proposed rung onto the nearest detection.

    Parameters
    ----------
    rungs : sequence of Rung
        One a detection; their `presence` is the detector's score.
    slice_mm : float
        Slice distance in units of the in-plane pixel.
    """
    places = np.array([[r.slice * slice_mm, *r.centre] for r in rungs])

    def snap(proposal: Rung) -> Rung | None:
        if not len(places):
            return None
        offset = places - [proposal.slice * slice_mm, *proposal.centre]
        offset[:, 0] *= 0.5  # the lateral position is the least certain one
        distance = np.linalg.norm(offset, axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] > SNAP_SIZES * proposal.size:
            return None
        return replace(rungs[nearest], found=nearest)

    return snap


def fuse(
    look: Look, rungs: Sequence[Rung], start: int, shape: Sequence[int], slice_mm: float, steps: int | None = None
) -> tuple[tuple[Place, ...], int]:
    """Put detections in order by climbing up and down from one of them.

    Parameters
    ----------
    look : callable
        The ladder network or a stand-in.
    rungs : sequence of Rung
        One a detection, from the bottom up.
    start : int
        The detection that the count starts from.
    shape : (slices, rows, columns)
    slice_mm : float
        Slice distance in units of the in-plane pixel.
    steps : int, optional
        Rungs above the start; None: as many as there are.

    Returns
    -------
    places : tuple of Place
        From the bottom up.
    position : int
        Where the start is among them.
    """
    snap = make_snap(rungs, slice_mm)
    origin = replace(rungs[start], found=start)
    up = climb(look, origin, shape, steps=steps, snap=snap)
    down = climb(look, origin, shape, upwards=False, snap=snap)
    top = _last_found(up, start)
    back = climb(look, replace(rungs[top], found=top), shape, upwards=False, snap=snap, steps=max(top - start, 0))
    met = [{r.found for r in c.rungs} for c in (up, down, back)]
    between = _ladder_only([*reversed(down.rungs[1:]), *up.rungs], rungs)
    places: list[Place] = []
    for i, rung in enumerate(rungs):
        if _is_spurious(i, rungs, met):
            continue
        places.append(_place(i, rung, i == start, met))
        places.extend(between.get(i, ()))
    if steps is not None:
        position = next(k for k, p in enumerate(places) if p.candidate == start)
        places = places[: position + steps + 1]
    return tuple(places), next(k for k, p in enumerate(places) if p.candidate == start)


def climb_alone(
    look: Look,
    rungs: Sequence[Rung],
    start: int,
    shape: Sequence[int],
    slice_mm: float,
    steps: int | None,
    upwards: bool,
) -> tuple[Place, ...]:
    """Return what the ladder climbs to by itself, from detection `start` on; see `fuse` for the parameters.

    The detections do not lead it, but a rung that stands on one has that one's body.
    """
    snap, taken = make_snap(rungs, slice_mm), {start}
    places = [Place(start, rungs[start])]
    for rung in climb(look, rungs[start], shape, upwards=upwards, steps=steps).rungs[1:]:
        met = snap(rung)
        if met is None or met.found is None or met.found in taken:
            places.append(Place(None, rung, (Note.LADDER_ONLY,)))
        else:
            taken.add(met.found)
            places.append(Place(met.found, rung))
    return tuple(places)


def _last_found(up: Climb, start: int) -> int:
    return max([start, *(r.found for r in up.rungs if r.found is not None)])


def _place(i: int, rung: Rung, is_start: bool, met: Sequence[set[int | None]]) -> Place:
    ways = (i in met[0] or i in met[1]) + (i in met[2])
    if is_start or ways == 2 or (i in met[1] and i not in met[0]):
        return Place(i, rung)
    if ways == 1:
        return Place(i, rung, (Note.ONE_END,))
    return Place(i, rung, (Note.PASSED_OVER,))


def _is_spurious(i: int, rungs: Sequence[Rung], met: Sequence[set[int | None]]) -> bool:
    """Whether a detection that no climb met also stands where there is no room for it."""
    if any(i in m for m in met) or not 0 < i < len(rungs) - 1:
        return False
    below, above = rungs[i - 1], rungs[i + 1]
    return float(np.linalg.norm(above.centre - below.centre)) < ROOM_SIZES * (below.size + above.size) / 2


def _ladder_only(path: Sequence[Rung], rungs: Sequence[Rung]) -> dict[int, tuple[Place, ...]]:
    """Return vertebrae that only the ladder saw, keyed by the detection right below them.

    Only between two detections: at the ends of the spine the detector is the surer of the two.
    """
    out: dict[int, tuple[Place, ...]] = {}
    for below, rung, above in zip(path, path[1:], path[2:]):
        if rung.found is not None or below.found is None or above.found is None:
            continue
        gap = float(np.linalg.norm(above.centre - below.centre)) / ((below.size + above.size) / 2)
        if rung.presence >= SURE_PRESENCE and gap > ROOM_SIZES and above.found == below.found + 1:
            out[below.found] = (Place(None, rung, (Note.LADDER_ONLY,)),)
    return out
