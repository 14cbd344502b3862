"""The lumbosacral junction of a random person: the S1-S2 disc, the shape of S1, and where the sacrum begins to bend.

Sources
-------
S1-S2 disc on sagittal MRI of 100 consecutive adults: none in 30 %, a remnant that does not reach through the whole
depth of the sacrum in 42 %, well formed in 16 %, well formed below a squared S1 in 12 % (O'Driscoll, Irwin,
Saifuddin, Skeletal Radiol 1996;25:225-230). Heights of 2-11 mm as seen in lumbar scans; a transitional vertebra in
about 3 % of people (Tins and Balain, Insights Imaging 2016). S1 counts as squared if its upper depth is at most 1.37
times the lower one (O'Driscoll 1996). The other numbers are wide ranges chosen to cover textbook shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .body_shape import Body, Disc

NONE, REMNANT, WELL_FORMED, SQUARED = "none", "remnant", "well formed", "well formed, S1 squared"
SHARES = {NONE: 0.30, REMNANT: 0.42, WELL_FORMED: 0.16, SQUARED: 0.12}
"""Share of adults with each kind of S1-S2 disc (O'Driscoll 1996)."""

WELL_FORMED_SHARE = SHARES[WELL_FORMED] + SHARES[SQUARED]
"""Share of adults whose S1-S2 disc reaches through the whole depth of the sacrum."""

SQUARED_RATIO = 1.37
"""Largest ratio of the upper to the lower depth of a squared S1 (O'Driscoll 1996)."""

LUMBARISED_SHARE = 0.3
"""Share of squared S1 that are lumbarised, that is 3.6 % of people."""

SACRALISED_SHARE = 0.03
"""Share of people whose L5 is partly joined to the sacrum."""

MISREAD_SHARE = 0.35
"""How often a reader of a lumbar scan alone would start the count one vertebra off at a transitional junction; an
assumption that keeps the levels network from being sure of them."""


@dataclass(frozen=True)
class Junction:
    """What is particular to a person's lumbosacral junction.

    Attributes
    ----------
    kind : str
        A key of `SHARES`.
    disc_mm : float
        Distance between S1 and S2, mm.
    disc_reach : float
        Share of the sacrum's depth through which the disc reaches, 0-1.
    disc_degeneration : float
        0 bright and healthy to 1.
    taper : float or None
        Lower over upper depth of S1; None leaves S1 as it is.
    wedge : float
        Angle between the endplates of S1 where `taper` is given, rad.
    kink : float
        Lordotic angle between S1 and S2, rad.
    s2_depth : float
        Upper depth of S2 over the lower depth of S1.
    scars : tuple of float
        Share of the depth through which the dark remnants between S2, S3, S4 and S5 reach, from the top down.
    lumbarised, sacralised : bool
        Whether S1 looks partly lumbar, or L5 partly sacral.
    slant : float
        How much further back the lower plate of S1 lies than the upper one, mm.
    narrowing : float
        Factor on the L5-S1 disc's height where L5 is sacralised.
    """

    kind: str = NONE
    disc_mm: float = 1.5
    disc_reach: float = 0.0
    disc_degeneration: float = 0.7
    taper: float | None = None
    wedge: float = 0.0
    kink: float = 0.0
    s2_depth: float = 0.95
    scars: tuple[float, float, float] = (0.6, 0.5, 0.4)
    lumbarised: bool = False
    sacralised: bool = False
    slant: float = 4.0
    narrowing: float = 1.0

    @property
    def misread_by(self) -> int:
        """How many vertebrae up (+1) or down (-1) a reader may start the count from the wrong one; 0 if usual."""
        return 1 if self.sacralised else -1 if self.lumbarised else 0

    def shaped(self, s1: Body) -> Body:
        """Return S1 with the outline of this junction."""
        s1 = replace(s1, slant=self.slant)
        if self.taper is None:
            return s1
        depth = s1.depth_upper * self.taper
        width = max(s1.width_lower, s1.width_upper * (0.3 + 0.6 * self.taper))
        return replace(s1, depth_lower=depth, width_lower=width, wedge=self.wedge)

    def discs(self, discs: list[Disc]) -> list[Disc]:
        """Return the discs, from S1-S2 upwards, with those of this junction."""
        lowest = replace(
            discs[0], height=self.disc_mm, reach=self.disc_reach, degeneration=self.disc_degeneration,
            bulge_front=0.6, bulge_back=0.4, fused=False,
        )  # fmt: skip
        first, second = discs[1], discs[2]
        if self.lumbarised:  # the promontory lies one disc lower
            first, second = replace(first, angle=first.angle * 0.4), second
        if self.sacralised:  # and here one disc higher
            second = replace(second, angle=second.angle + 0.7 * max(first.angle, 0.0))
            first = replace(first, height=max(first.height * self.narrowing, 1.2), angle=0.2 * first.angle)
        return [lowest, first, second, *discs[3:]]


def random_junction(rng: np.random.Generator, *, well_formed: float = WELL_FORMED_SHARE, healthy: bool) -> Junction:
    """Draw a person's lumbosacral junction.

    Parameters
    ----------
    rng : numpy.random.Generator
    well_formed : float
        Share of people with a well-formed S1-S2 disc, 0-1; training asks for more than there are.
    healthy : bool
        No transitional vertebra.
    """
    share = well_formed / WELL_FORMED_SHARE
    other = (1 - well_formed) / (1 - WELL_FORMED_SHARE)
    weights = np.array([SHARES[k] * (share if k in (WELL_FORMED, SQUARED) else other) for k in SHARES])
    kind = str(rng.choice(list(SHARES), p=weights / weights.sum()))
    s2_depth, slant = float(rng.uniform(0.78, 1.0)), float(rng.normal(3.5, 2.5))
    degeneration = float(rng.uniform(0, 1))
    if kind == NONE:
        plain = Junction(kind, float(rng.uniform(0.6, 2.0)), s2_depth=s2_depth, slant=slant)
    elif kind == REMNANT:
        disc_mm, reach = float(rng.uniform(1.5, 5.0)), float(rng.uniform(0.3, 0.85))
        plain = Junction(kind, disc_mm, reach, degeneration, s2_depth=s2_depth, slant=slant)
    else:
        squared = kind == SQUARED
        lumbarised = squared and not healthy and rng.random() < LUMBARISED_SHARE
        low, high = (6.0, 11.0) if lumbarised else (2.5, 11.0)
        taper = float(rng.uniform(1 / SQUARED_RATIO, 0.97) if squared else rng.uniform(0.52, 1 / SQUARED_RATIO))
        wedge = np.deg2rad(rng.normal(7, 4) if squared else rng.normal(15, 5))
        kink = np.deg2rad(rng.uniform(8, 26) if lumbarised else rng.normal(3, 5))
        plain = Junction(
            kind, float(low + (high - low) * rng.beta(1.3, 1.6)), 1.0, degeneration, taper, float(wedge), float(kink),
            float(rng.uniform(0.85, 1.0)), lumbarised=lumbarised, slant=slant * (0.4 if squared else 1.0),
        )  # fmt: skip
    scars = rng.uniform(0.1, 1.1, 3)
    plain = replace(plain, scars=(float(scars[0]), float(scars[1]), float(scars[2])))
    if not healthy and not plain.lumbarised and rng.random() < SACRALISED_SHARE:
        return replace(plain, sacralised=True, narrowing=float(rng.uniform(0.15, 0.6)))
    return plain
