"""Give the vertebrae of a scan their names: the ladder puts the candidates in order, the chain names the places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..detection.linking import Candidate
from ..scans.volume import SagittalVolume
from ..spine import levels
from ..spine.confidence import DOUBTFUL, SURE
from ..spine.notes import LEVELS_UNKNOWN, Note
from ..spine.vertebra import Alternative, SeedBox, Vertebra
from .fusion import Place, climb_alone, fuse
from .ladder import Look
from .level_evidence import CUT_TEMPER, LevelLook, part_evidence
from .names import DENS_NAME, EXTRA, LEAST_CLAIM, SACRUM_NAME, STEP_SIZES, Names, is_level, name_column
from .plausibility import objection, objection_of_signal, without_signal
from .rungs import Rung, corners_lps, rung_from_points
from .start import LADDER_SCORE, in_box, place_of
from .turns import FEW

LEAST_RANGE = 0.25
"""Where no name is claimed, the most likely range is told from this probability on."""

DARK_SCORE = 0.6
"""Factor on the confidence of a body in a signal void, where the part network only completes the row."""


@dataclass(frozen=True)
class Labelling:
    """Vertebrae with names.

    Attributes
    ----------
    vertebrae : tuple of Vertebra
        From the bottom up; what lies below S1 is left out, and a dens apart from its C2.
    anchor : str
        What the names rest on: ``"pinned"``, ``"S1"``, ``"C2"``, ``"estimated"`` where neither end is in view, or
        ``"none"`` where no name is probable enough, or the column is not plausible as a whole.
    warnings : tuple of str
        Plain sentences.
    alternatives : tuple of Alternative
        Other counts, the most probable first.
    """

    vertebrae: tuple[Vertebra, ...] = ()
    anchor: str = "none"
    warnings: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


def label(
    candidates: Sequence[Candidate],
    seed: SeedBox | None = None,
    steps: int | None = None,
    *,
    working: SagittalVolume | None = None,
    look: Look | None = None,
    levels_look: LevelLook | None = None,
    method: str = "fused",
    dropped: Sequence[Candidate] = (),
) -> Labelling:
    """Name every vertebra, as far as its name is probable.

    Parameters
    ----------
    candidates : sequence of Candidate
        From the bottom up.
    seed : SeedBox, optional
        Drawn by the user around the vertebra of level ``seed.level``, which is certain then.
    steps : int, optional
        How many vertebrae to name above the one that the count starts from (below it if that is C2); all if not given.
    working : SagittalVolume, optional
        The volume that the networks look at; needed with `look` and `levels_look`.
    look : callable, optional
        The ladder. Without it the detector's order is taken as it is.
    levels_look : callable, optional
        The level network. Without it only the part network's classes tell the levels.
    method : str
        ``"fused"``, ``"detector"`` or ``"ladder"``.
    dropped : sequence of Candidate
        What the user has said is no vertebra: the room that it leaves is no reason to count one there.

    Raises
    ------
    ValueError
        If the seed box lies outside the scan or there is no vertebra in it.
    """
    if not candidates:
        return Labelling()
    look = None if method == "detector" or working is None else look
    found, pinned = (tuple(candidates), None) if seed is None else in_box(candidates, seed, working, look)
    column = _Column(found, working, levels_look, dropped)
    pins = {} if pinned is None or seed is None else {pinned: seed.level}
    first = column.names(column.marked(_as_found(found)), pins)
    start = _start(first) if pinned is None else pinned
    places = column.marked(column.places(start, look, method, first.best[start] == "C2"))
    at_start = next(i for i, place in enumerate(places) if place.candidate == start)
    if method == "ladder" and look is not None and is_level(first.best[start]):
        pins = {start: first.best[start]}  # what it climbs is counted from the start, whatever it looks like
    names = column.names(places, {at_start: pins[start]} if pins else {})
    against = "" if pinned is None or seed is None else _against(column.names(places, {}), at_start, seed.level)
    if method == "ladder" and pinned is None:
        names = replace(names, probability=names.probability * first.probability[start])
    return _labelled(column, places, names, at_start, steps, pinned is not None, against)


def _against(free: Names, place: int, level: str) -> str:
    """Return that the image speaks against the user's box, if it does."""
    seen, p = max(free.posterior[place].items(), key=lambda item: item[1])
    if seen == level or p < LEAST_CLAIM or free.posterior[place].get(level, 0.0) > DOUBTFUL:
        return ""
    others = {"": "no vertebra", SACRUM_NAME: "a part of the sacrum below S1", DENS_NAME: "the dens alone"}
    looks = others.get(seen, seen)
    return (
        f"The {level} box lies on a vertebra that looks like {looks} ({round(100 * p)} %); the levels follow the box."
    )


def _start(names: Names) -> int:
    """Return the place to climb from: S1 if it is in view, else C2, else the place that is known best."""
    for end in ("S1", "C2"):
        if end in names.best:
            return names.best.index(end)
    return int(names.probability.argmax())


def _as_found(candidates: Sequence[Candidate]) -> tuple[Place, ...]:
    """Return the candidates as places in the order of the detector."""
    nowhere = Rung(0.0, np.zeros((4, 2)))
    return tuple(Place(i, nowhere) for i in range(len(candidates)))


def _dark(places: Sequence[Place]) -> list[int]:
    return [i for i, place in enumerate(places) if Note.NO_SIGNAL in place.flags]


class _Column:
    """The candidates of a scan, and what the networks see of them."""

    def __init__(
        self,
        candidates: tuple[Candidate, ...],
        working: SagittalVolume | None,
        levels_look: LevelLook | None,
        dropped: Sequence[Candidate],
    ) -> None:
        self.candidates, self.working = candidates, working
        self._dropped = np.array([c.centroid_lps_mm for c in dropped]).reshape(-1, 3)
        self._levels_look = levels_look if working is not None else None

    def places(self, start: int, look: Look | None, method: str, downwards: bool) -> tuple[Place, ...]:
        """Return the vertebrae in the order of the count, from the bottom up."""
        working = self.working
        if look is None or working is None:
            return _as_found(self.candidates)
        rungs = [self._rung(candidate, working) for candidate in self.candidates]
        slice_mm = float(working.spacing_mm[0] / working.spacing_mm[1])
        if method == "fused":
            return fuse(look, rungs, start, working.array.shape, slice_mm)[0]
        places = climb_alone(look, rungs, start, working.array.shape, slice_mm, None, upwards=not downwards)
        return places[::-1] if downwards else places

    def marked(self, places: Sequence[Place]) -> tuple[Place, ...]:
        """Return places with a note on those that lie in a signal void."""
        if self.working is None:
            return tuple(places)
        dark = without_signal(np.array([self.corners(place) for place in places]), self.working)
        return tuple(
            replace(place, flags=(*place.flags, Note.NO_SIGNAL)) if i in dark else place
            for i, place in enumerate(places)
        )

    def names(self, places: Sequence[Place], pins: Mapping[int, str]) -> Names:
        """Return the names of places, from the bottom up."""
        corners = np.array([self.corners(place) for place in places])
        evidence = np.array([
            part_evidence(
                np.zeros(0) if place.candidate is None else self.candidates[place.candidate].evidence,
                beside=self._levels_look is not None,
            )
            for place in places
        ])  # fmt: skip
        if self._levels_look is not None and self.working is not None:
            whole = np.array([1.0 if not self._is_cut(place) else CUT_TEMPER for place in places])
            seen = self._levels_look([rung_from_points(self.working, c) for c in corners])
            evidence = evidence + whole[:, None] * seen
        gaps = [i for i in range(1, len(places)) if self._is_gap(places, i)]
        return name_column(evidence, self._distances(corners), pins, gaps, _dark(places))

    def _distances(self, corners: np.ndarray) -> np.ndarray:
        """Return the distances of places, less the room of what the user has dropped between them."""
        apart = distances(corners)
        for point in self._dropped:
            above = place_of(corners.mean(1), point)
            apart[:above, above:] -= STEP_SIZES
        return np.maximum(apart, 0.0)

    def corners(self, place: Place) -> np.ndarray:
        """Return the corners of a place, shape (4, 3), LPS, mm."""
        if place.candidate is not None:
            return self.candidates[place.candidate].corners_lps_mm
        assert self.working is not None  # only the ladder, which looks at it, makes places of its own
        return corners_lps(self.working, place.rung)

    def objection(self, places: Sequence[Place], names: Names, claims: Sequence[bool]) -> str:
        """Return why the column as a whole cannot have these names, or an empty string."""
        if self.working is None:
            down, back = np.array([0.0, 0.0, -1.0]), np.array([0.0, 1.0, 0.0])
        else:
            down, back = (self.working.matrix[:3, 1:3] / self.working.spacing_mm[1:]).T
        claimed = [name if claim else None for name, claim in zip(names.best, claims)]
        corners = np.array([self.corners(place) for place in places])
        said = objection(claimed, corners, down, back)
        return said or objection_of_signal(claimed, _dark(places))

    def _is_cut(self, place: Place) -> bool:
        return place.candidate is not None and Note.CUT in self.candidates[place.candidate].flags

    def _is_gap(self, places: Sequence[Place], i: int) -> bool:
        """Whether linking saw a vertebra or room for one below a place, and the ladder has put none there."""
        above, below = places[i].candidate, places[i - 1].candidate
        if above is None or below is None:
            return False
        if above - below == 1 and Note.MISSING_BELOW not in self.candidates[above].flags:
            return False
        centres = np.array([self.candidates[below].centroid_lps_mm, self.candidates[above].centroid_lps_mm])
        return not any(place_of(centres, point) == 1 for point in self._dropped)

    def _rung(self, candidate: Candidate, working: SagittalVolume) -> Rung:
        rung = rung_from_points(working, candidate.corners_lps_mm)
        return replace(rung, presence=float(np.clip(candidate.score, 0, 1)))


def distances(corners: np.ndarray) -> np.ndarray:
    """Return the distance between the centres of bodies, in their mean size, (n, n); corners (n, 4, 3), mm."""
    centres = corners.mean(1)
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # upper, posterior, lower, anterior
    size = np.sqrt((sides[:, 0] + sides[:, 2]) * (sides[:, 1] + sides[:, 3])) / 2
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    return apart / np.maximum((size[:, None] + size[None]) / 2, 1e-6)


def _labelled(
    column: _Column, places: Sequence[Place], names: Names, start: int, steps: int | None, pinned: bool, against: str
) -> Labelling:
    # One or two vertebrae make no column that could contradict their names, so these must be sure.
    least = SURE if len(places) <= FEW and not pinned else LEAST_CLAIM
    claims = [is_level(name) and p >= least for name, p in zip(names.best, names.probability)]
    if not any(claims):
        return _unnamed(column, places, names, _unknown(names))
    against_all = "" if pinned else column.objection(places, names, claims)
    if against_all:
        return _unnamed(column, places, names, (against_all,))
    low, high = 0, len(places) - 1
    if steps is not None and names.best[start] == "C2":
        low = max(start - steps, 0)
    elif steps is not None:
        high = start + steps
    kept = [i for i, name in enumerate(names.best) if is_level(name) and low <= i <= high]
    notes = _notes(names, against, start)
    vertebrae = tuple(
        _vertebra(column, places[i], names.best[i] if claims[i] else None, float(names.probability[i]), number,
                  i in names.missed, notes.get(i, ()))
        for number, i in enumerate(kept)
    )  # fmt: skip
    anchor = "pinned" if pinned else next((end for end in ("S1", "C2") if _claimed(end, names, claims)), "estimated")
    others = [count for count in names.others if count.place in kept]
    alternatives = tuple(Alternative(kept.index(count.place), count.level, count.probability) for count in others)
    return Labelling(vertebrae, anchor, _warnings(names, kept, alternatives, against, pinned), alternatives)


def without_levels(vertebrae: Sequence[Vertebra]) -> tuple[Vertebra, ...]:
    """Return vertebrae, from the bottom up, with numbers in place of their levels."""
    return tuple(
        replace(vertebra, level=None, label_value=levels.unanchored_value(number))
        for number, vertebra in enumerate(vertebrae)
    )


def _claimed(name: str, names: Names, claims: Sequence[bool]) -> bool:
    return any(claim and best == name for claim, best in zip(claims, names.best))


def _unnamed(column: _Column, places: Sequence[Place], names: Names, why: tuple[str, ...]) -> Labelling:
    """Return vertebrae without levels, numbered from the bottom up (`levels.unanchored_value`)."""
    seen = [i for i, place in enumerate(places) if place.candidate is not None]
    vertebrae = tuple(
        _vertebra(column, places[i], None, float(names.probability[i]), number, i in names.missed)
        for number, i in enumerate(seen)
    )
    others = tuple(
        Alternative(seen.index(count.place), count.level, count.probability)
        for count in names.counts
        if count.place in seen
    )
    return Labelling(vertebrae, "none", why, others)


def _vertebra(
    column: _Column, place: Place, level: str | None, probability: float, number: int, gap: bool,
    notes: tuple[str, ...] = (),
) -> Vertebra:  # fmt: skip
    """Return a place as a vertebra; the confidence is that it is one and that the name is right."""
    value = levels.level(level).value if level else levels.unanchored_value(number)
    known = (probability if level else 1.0) * (DARK_SCORE if Note.NO_SIGNAL in place.flags else 1.0)
    notes = (*place.flags, *notes, *((Note.MISSING_BELOW,) if gap else ()))
    corners = column.corners(place)
    if place.candidate is None:
        confidence = LADDER_SCORE * place.rung.presence * known
        return Vertebra(
            level, value, float(confidence), corners.mean(0), corners, flags=notes, level_probability=probability
        )
    candidate = column.candidates[place.candidate]
    return Vertebra(
        level=level,
        label_value=value,
        confidence=float(np.clip(candidate.score, 0, 1) * known),
        centroid_lps_mm=candidate.centroid_lps_mm,
        corners_lps_mm=corners,
        slices=candidate.slices,
        flags=tuple(dict.fromkeys((*(f for f in candidate.flags if f != Note.MISSING_BELOW), *notes))),
        candidate=candidate.number,
        level_probability=probability,
    )


def _notes(names: Names, against: str, start: int) -> dict[int, tuple[str, ...]]:
    """Return the notes on single places."""
    notes: dict[int, tuple[str, ...]] = {}
    for i, name in enumerate(names.best):
        if name == EXTRA:
            notes[i] = (Note.ONE_MORE,)
        if _fewer(names) and name in ("L1", "T11"):
            notes[i] = (Note.ONE_FEWER,)
    if DENS_NAME in names.best:
        notes[names.best.index("C2")] = (Note.DENS_APART,)
    junction = _junction(names)
    if junction is not None:
        notes[junction] = (*notes.get(junction, ()), Note.TRANSITIONAL)
    if against:
        notes[start] = (*notes.get(start, ()), Note.AGAINST_PICTURE)
    return notes


def _fewer(names: Names) -> bool:
    """Whether the best count goes from L1 straight to T11 with nothing missed between them."""
    pairs = [(low, high) for low, high in zip(names.best, names.best[1:])]
    return any(pair == ("L1", "T11") and i + 1 not in names.missed for i, pair in enumerate(pairs))


def _junction(names: Names) -> int | None:
    """Return the place of an S1 that may as well be lumbar, or whose neighbour above may be S1, or None."""
    if "S1" not in names.best:
        return None
    s1 = names.best.index("S1")
    one_off = ((s1, "L5"), (s1 + 1, "S1"))
    probable = any(o.probability > DOUBTFUL for o in names.others if (o.place, o.level) in one_off)
    return s1 if probable else None


def _warnings(
    names: Names, kept: Sequence[int], alternatives: Sequence[Alternative], against: str, pinned: bool
) -> tuple[str, ...]:
    """Return what the user should know about the names, in plain sentences."""
    said = [against] if against else []
    lowest = names.best[kept[0]]
    for other in alternatives[:1]:
        if other.probability > DOUBTFUL and not pinned:
            said.append(_doubt(names, kept, other))
    for place in sorted(names.missed):
        if place in kept and kept.index(place):
            said.append(_missed(names, kept, place))
    total = f"{len(kept)} levels were counted from {lowest} to {names.best[kept[-1]]}"
    if EXTRA in names.best and not pinned:
        said.append(f"{total}, one more than usual; the extra one is called T13, but it may also be a sixth lumbar "
                    "vertebra (L6): check the ribs.")  # fmt: skip
    if _fewer(names):
        said.append(f"{total}, one fewer than usual; T12 is left out here, but L5 may be the missing one (sacralised): "
                    "check the ribs.")  # fmt: skip
    return tuple(said)


def _doubt(names: Names, kept: Sequence[int], other: Alternative) -> str:
    """Return which other count is probable, in a sentence."""
    called = names.best[kept[other.index]]
    ours = round(100 * float(names.probability[kept[other.index]]))
    theirs = round(100 * other.probability)
    text = f"{called} or {other.level}? {ours} : {theirs}. If the vertebra called {called} is {other.level}, "
    text += "all names change with it"
    if {called, other.level} == {"S1", "L5"}:
        text += "; one of the two may be a transitional vertebra (partly lumbar, partly sacral)"
    return f"{text}."


def _missed(names: Names, kept: Sequence[int], place: int) -> str:
    above, below = names.best[place], names.best[kept[kept.index(place) - 1]]
    count = names.missed[place]
    what, it = ("a vertebra was", "it") if count == 1 else (f"{count} vertebrae were", "them")
    said = f"Between {above} and {below} {what} counted that the program did not find"
    return f"{said}: add {it}, or check the levels above."


def _unknown(names: Names) -> tuple[str, ...]:
    """Return that the levels are not known, and the most probable of them."""
    levelled = [name for name in names.best if is_level(name)]
    if not levelled or not names.counts or names.counts[0].probability < LEAST_RANGE:
        return (LEVELS_UNKNOWN,)
    odds = round(100 * names.counts[0].probability)
    likely = f"vertebrae are {levelled[-1]} to {levelled[0]}" if len(levelled) > 1 else f"vertebra is {levelled[0]}"
    return LEVELS_UNKNOWN, f"Most likely the {likely} ({odds} %)."
