"""Labelling: candidates from the bottom up become vertebrae with levels, if there is something to count from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from . import levels
from .geometry import SeedBox, Vertebra
from .networks import BODY, C2, S1

SURE_SHARE = 0.6
"""An end of the spine is an anchor if its class has at least this share of what speaks for bone in its outline."""

DISAGREEMENT_CONFIDENCE = 0.6
"""Factor on every confidence where the counts from S1 and from C2 contradict each other."""


NO_ANCHOR = (
    "Neither S1 nor C2 is surely in view, so the levels are not known: the vertebrae are numbered from the bottom up; "
    "to name them, draw a box around a vertebra whose level you know (--seed-box with --seed-level)."
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
    candidates: Sequence[Candidate], seed: SeedBox | None = None, steps: int | None = None
) -> tuple[tuple[Vertebra, ...], str, tuple[str, ...]]:
    """Give every candidate its level.

    Counted from the seed box if there is one; else from S1 if the lowest candidate surely is S1; else from C2
    downwards if the highest surely is C2; else not at all: values 101, 102, ... from the bottom up.

    Parameters
    ----------
    candidates : sequence of Candidate
        From the bottom up.
    seed : SeedBox, optional
        Drawn by the user around the vertebra of level ``seed.level``.
    steps : int, optional
        How many vertebrae to name above the one that the count starts from (below it if that is C2); all if not given.

    Returns
    -------
    vertebrae : tuple of Vertebra
        From the bottom up; candidates beyond S1 or C2 are left out.
    anchor : str
        ``"pinned"``, ``"S1"``, ``"C2"`` or ``"none"``.
    warnings : tuple of str
        Plain sentences.

    Raises
    ------
    ValueError
        If no candidate lies in the seed box.
    """
    if not candidates:
        return (), "none", ()
    start, name, anchor = _start(candidates, seed)
    if anchor == "none":
        return unanchored(candidates), anchor, (NO_ANCHOR,)
    order = _order(name)
    zero = order.index(name) - start
    named = {i: order[zero + i] for i in range(len(candidates)) if 0 <= zero + i < len(order)}
    if steps is not None:
        away = -1 if anchor == "C2" else 1
        named = {i: level for i, level in named.items() if away * (i - start) <= steps}
    factor, warnings = _check_ends(candidates, named)
    vertebrae = tuple(_vertebra(candidates[i], level, factor) for i, level in named.items())
    dropped = len(candidates) - len(named)
    if dropped and steps is None:
        warnings += (f"{dropped} of the structures found would lie beyond the end of the spine and were left out.",)
    return vertebrae, anchor, warnings


def _start(candidates: Sequence[Candidate], seed: SeedBox | None) -> tuple[int, str, str]:
    """Return the index of the candidate that the count starts from, its level, and the kind of anchor."""
    if seed is not None:
        return _seeded(candidates, seed), levels.level(seed.level).name, "pinned"
    if _share(candidates[0], S1) >= SURE_SHARE:
        return 0, "S1", "S1"
    if _share(candidates[-1], C2) >= SURE_SHARE:
        return len(candidates) - 1, "C2", "C2"
    return 0, "", "none"


def _share(candidate: Candidate, structure: int) -> float:
    """Return how much of what speaks for bone speaks for this class."""
    bone = float(candidate.evidence[[BODY, S1, C2]].sum())
    return float(candidate.evidence[structure]) / bone if bone > 0 else 0.0


def _seeded(candidates: Sequence[Candidate], seed: SeedBox) -> int:
    """Return the candidate nearest to the box's centre, of those whose centroid lies in the box."""
    offsets = np.array([c.centroid_lps_mm for c in candidates]) - seed.center_lps_mm
    inside = (np.abs(offsets @ seed.axes) <= np.asarray(seed.size_mm) / 2).all(1)
    if not inside.any():
        raise ValueError(
            f"There is no vertebra in the {seed.level} box (centre {np.round(seed.center_lps_mm, 1).tolist()} mm, "
            "LPS); draw the box around a vertebral body that was found."
        )
    return int(np.where(inside, np.linalg.norm(offsets, axis=1), np.inf).argmin())


def _order(name: str) -> tuple[str, ...]:
    """Return the usual levels from the bottom up, with the level `name` itself if it is an unusual one."""
    return tuple(level.name for level in levels.LEVELS if level.name in levels.COMMON or level.name == name)


def _check_ends(candidates: Sequence[Candidate], named: Mapping[int, str]) -> tuple[float, tuple[str, ...]]:
    """Return a factor on the confidence and warnings, where the other end of the spine contradicts the count."""
    top = max(named)
    if top == len(candidates) - 1 and _share(candidates[top], C2) >= SURE_SHARE and named[top] != "C2":
        return DISAGREEMENT_CONFIDENCE, (
            f"The uppermost vertebra looks like C2 but is {named[top]} by the count: a vertebra was missed, or this "
            "spine has one more or one fewer than usual; check the levels.",
        )
    return 1.0, ()


def unanchored(candidates: Sequence[Candidate]) -> tuple[Vertebra, ...]:
    """Return the candidates without levels, numbered from the bottom up (`levels.unanchored_value`)."""
    return tuple(_vertebra(c, None, 1.0, levels.unanchored_value(i)) for i, c in enumerate(candidates))


def _vertebra(candidate: Candidate, level: str | None, factor: float, value: int = 0) -> Vertebra:
    return Vertebra(
        level=level,
        label_value=levels.level(level).value if level else value,
        confidence=float(np.clip(candidate.score * factor, 0.0, 1.0)),
        centroid_lps_mm=candidate.centroid_lps_mm,
        corners_lps_mm=candidate.corners_lps_mm,
        slices=candidate.slices,
        flags=candidate.flags,
    )
