"""Draw a random spine in three dimensions, from the coccyx to the skull base, in millimetres.

The spine is built from S1 upwards: sizes are those of `published_sizes.py` times random factors, angles follow
published supine curvatures, and pathology is drawn by simple rules. `drawing.py` paints any sagittal plane of it.
World frame: LPS, with the top of the sacrum near the origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .arch import Arch, random_arches
from .body_shape import Body, Disc
from .junction import WELL_FORMED_SHARE, Junction, random_junction
from .pathology import afflict_bodies, afflict_discs
from .physique import random_habit
from .posture import random_sacrum, stand
from .published_sizes import LIVING_FACTOR, LORDOSIS_SHARE, LOWEST_THORACIC_DEG, RIM_SHARE, TABLE, family


@dataclass(frozen=True)
class SyntheticSpine:
    """One random spine.

    Attributes
    ----------
    vertebrae : tuple of Body
        S1 ... C2, from the bottom up.
    discs : tuple of Disc
        ``discs[i]`` is below ``vertebrae[i]``; the first is the S1-S2 disc (see `junction`).
    sacrum : tuple of Body
        S2 ... S5 and two coccygeal segments, from the top down.
    canal_depth, canal_width : ndarray, shape (n,)
        Depth and width of the bony canal behind each vertebra, mm.
    habit : mapping of str to float
        Physique: fat, muscle, vessels, skin, random phases (see `physique.random_habit`).
    seed : int
        Seed of organs and textures, so that neighbouring planes are consistent.
    lesions : tuple
        (vertebra index, kind, u, v, w, radius) of marrow lesions; kinds are `Tissue` values.
    names : tuple of str
        Level names of `vertebrae`.
    junction : Junction
        The lumbosacral junction.
    arches : tuple of Arch
        Posterior elements of each of `vertebrae`.
    """

    vertebrae: tuple[Body, ...]
    discs: tuple[Disc, ...]
    sacrum: tuple[Body, ...]
    canal_depth: np.ndarray
    canal_width: np.ndarray
    habit: Mapping[str, float]
    seed: int
    lesions: tuple[tuple[int, int, float, float, float, float], ...] = ()
    names: tuple[str, ...] = field(default=())
    junction: Junction = field(default_factory=Junction)
    arches: tuple[Arch, ...] = ()

    def index(self, name: str) -> int:
        """Return the position of a level in `vertebrae`; raise ValueError if this spine lacks it."""
        return self.names.index(name)


def level_names(rng: np.random.Generator) -> list[str]:
    """Return the levels of a random person from S1 up to C2; 8 % have one more or one fewer (Tins 2016)."""
    lumbar, thoracic = 5, 12
    draw = rng.random()
    if draw < 0.03:
        lumbar = 4
    elif draw < 0.06:
        lumbar = 6
    elif draw < 0.07:
        thoracic = 13
    elif draw < 0.08:
        thoracic = 11
    return (
        ["S1"]
        + [f"L{i}" for i in range(lumbar, 0, -1)]
        + [f"T{i}" for i in range(thoracic, 0, -1)]
        + [f"C{i}" for i in range(7, 1, -1)]
    )


def random_spine(
    rng: np.random.Generator, *, healthy: bool = False, well_formed: float = WELL_FORMED_SHARE
) -> SyntheticSpine:
    """Draw a random person's spine.

    Parameters
    ----------
    rng : numpy.random.Generator
        Random generator; the same state gives the same spine.
    healthy : bool
        Without fractures, slips, lesions, and transitional, additional or missing vertebrae.
    well_formed : float
        Fraction of people with a well-formed S1-S2 disc; training uses more than in the population.
    """
    names = level_names(rng)
    while healthy and len(names) != 24:
        names = level_names(rng)
    size = LIVING_FACTOR * float(np.clip(np.exp(rng.normal(0, 0.085)), 0.78, 1.28))
    bodies = [_random_body(rng, name, size) for name in names]
    discs = _random_discs(rng, names, size)
    # A separate generator, so that the draws of the junction do not change the rest of the person.
    own = np.random.default_rng((rng.random(2) * 2**32).astype(np.int64))
    junction = random_junction(own, well_formed=well_formed, healthy=healthy)
    bodies[0] = junction.shaped(bodies[0])
    lesions: tuple[tuple[int, int, float, float, float, float], ...] = ()
    slips = np.zeros((len(names), 2))
    if not healthy:
        discs = afflict_discs(rng, names, discs)
        bodies, slips, lesions = afflict_bodies(rng, bodies)
    discs = junction.discs(discs)
    bodies = stand(rng, bodies, discs, slips)
    girth = float(np.exp(rng.normal(0, 0.08)))
    stenosis = np.exp(rng.normal(0, 0.05, len(names))) * girth * (size / LIVING_FACTOR) ** 0.5
    sacrum = random_sacrum(rng, bodies[0], junction)
    habit = {**random_habit(rng), "dens_gap": float(own.uniform(0, 1) ** 2)}
    seed = int(rng.integers(2**31))
    shape = np.random.default_rng([seed, 3])
    bodies = [replace(b, front_power=shape.uniform(1.9, 2.5), back_power=shape.uniform(3.0, 4.5)) for b in bodies]
    canal_depth = np.array([TABLE[n]["canal_depth"] for n in names]) * stenosis
    canal_width = np.array([TABLE[n]["canal_width"] for n in names]) * stenosis
    return SyntheticSpine(
        vertebrae=tuple(bodies),
        discs=tuple(discs),
        sacrum=tuple(sacrum),
        canal_depth=canal_depth,
        canal_width=canal_width,
        habit=habit,
        seed=seed,
        lesions=lesions,
        names=tuple(names),
        junction=junction,
        arches=random_arches(shape, bodies, discs, canal_depth, canal_width, healthy=healthy),
    )


def _random_body(rng: np.random.Generator, name: str, size: float) -> Body:
    row = TABLE[name]
    cervical, sacral = family(name) == "C", family(name) == "S"
    own = size * np.exp(rng.normal(0, 0.035))
    wedge = np.deg2rad(row["wedge_deg"] + rng.normal(0, 5.0 if sacral else 2.0))  # S1 varies most
    deep = own * np.exp(rng.normal(0, 0.045))
    posterior = row["height"] * own * np.exp(rng.normal(0, 0.03))
    height = posterior + np.tan(wedge / 2) * deep * (row["depth_upper"] + row["depth_lower"]) / 2
    return Body(
        name=name,
        centre=np.zeros(3),
        axes=np.eye(3),
        height=float(height),
        wedge=float(wedge),
        depth_upper=row["depth_upper"] * deep,
        depth_lower=row["depth_lower"] * deep * np.exp(rng.normal(0, 0.09 if sacral else 0.03)),
        width_upper=row["width_upper"] * own * np.exp(rng.normal(0, 0.04)),
        width_lower=row["width_lower"] * own * np.exp(rng.normal(0, 0.04)),
        concavity_upper=float(abs(rng.normal(0.3 if sacral else 0.8, 0.5))),
        concavity_lower=0.0 if sacral else float(abs(rng.normal(0.9 if cervical else 1.6, 0.7))),
        waist=float(abs(rng.normal(0.6 if cervical or sacral else 1.6, 0.6))),
        kidney=float(np.clip(rng.normal(0.05, 0.03), 0, 0.12)) * row["depth_upper"],
        uncinate=float(rng.uniform(1.5, 4)) if cervical and name != "C2" else 0.0,
    )


def _random_discs(rng: np.random.Generator, names: list[str], size: float) -> list[Disc]:
    # Supine 36.8 +- 13.2 (PMC6680033), which includes the loss by degeneration.
    lordosis = np.deg2rad(np.clip(rng.normal(44, 13), 12, 75))
    cervical = np.deg2rad(rng.normal(12, 11)) / 6
    kyphosis = np.deg2rad(rng.normal(2, 8)) / 11  # in addition to the wedging of the bodies
    own = np.exp(rng.normal(0, 0.12))
    discs = []
    for name in names:
        row = TABLE[name]
        if family(name) == "L":
            number = min(int(name[1:]), 5)
            angle = lordosis * LORDOSIS_SHARE[f"L{number}"] - np.deg2rad(row["wedge_deg"])
        elif family(name) == "T":
            angle = -kyphosis + np.deg2rad(LOWEST_THORACIC_DEG.get(name, 0.0))
        else:
            angle = cervical if family(name) == "C" else 0.0
        height = row["disc_below"] * RIM_SHARE.get(family(name), 1.0) * size * own * np.exp(rng.normal(0, 0.1))
        discs.append(Disc(height=float(height), angle=float(angle + np.deg2rad(rng.normal(0, 1.5)))))
    return discs
