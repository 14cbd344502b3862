"""A random spine in three dimensions, from the coccyx to the skull base, in millimetres.

The spine is built from S1 upwards: sizes come from `tables.py` times random factors, angles from the
published curvature of people lying down, disease from simple rules. `drawing.py` paints any sagittal
plane of it. World frame: LPS, the top of the sacrum near the origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .pathology import afflict_bodies, afflict_discs
from .shapes import Body
from .tables import LIVING_FACTOR, LORDOSIS_SHARE, SACRAL_SCALE, TABLE, family


@dataclass(frozen=True)
class Disc:
    """The disc below a vertebra.

    Attributes
    ----------
    height : float
        Height at its middle, mm.
    angle : float
        Angle between its plates, rad, positive where the front is higher.
    degeneration : float
        0 healthy to 1 collapsed.
    bulge_front, bulge_back : float
        How far it stands out of the bodies' line, mm.
    vacuum : bool
        Gas in the nucleus.
    fused : bool
        Bridged by bone.
    """

    height: float
    angle: float
    degeneration: float = 0.0
    bulge_front: float = 1.0
    bulge_back: float = 0.5
    vacuum: bool = False
    fused: bool = False


@dataclass(frozen=True)
class SyntheticSpine:
    """One random spine.

    Attributes
    ----------
    vertebrae : tuple of Body
        S1 … C2, from the bottom up.
    discs : tuple of Disc
        ``discs[i]`` lies below ``vertebrae[i]``; the first one is the rudimentary S1-S2 disc.
    sacrum : tuple of Body
        S2 … S5 and two coccygeal segments, from the top down.
    canal_depth, canal_width : ndarray, shape (n,)
        Of the bony canal behind each vertebra, mm.
    habit : mapping of str to float
        Everything around the spine: fat, muscle, vessels, skin, random phases (see `random_habit`).
    seed : int
        Seed of the textures and organs, so that neighbouring planes fit together.
    lesions : tuple
        (vertebra index, kind, u, v, w, radius) of marrow lesions; kinds are `Tissue` values.
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

    def index(self, name: str) -> int:
        """Return the position of a level in `vertebrae`; raise ValueError if this spine lacks it."""
        return self.names.index(name)


def level_names(rng: np.random.Generator) -> list[str]:
    """Return the levels of a random person from S1 up to C2; about 8 % have one more or one fewer (Tins 2016)."""
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


def random_spine(rng: np.random.Generator, *, healthy: bool = False) -> SyntheticSpine:
    """Draw a random person's spine.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness: the same state draws the same spine.
    healthy : bool
        No fractures, slips, lesions, transitional or missing vertebrae.
    """
    names = level_names(rng)
    while healthy and len(names) != 24:
        names = level_names(rng)
    size = LIVING_FACTOR * float(np.clip(np.exp(rng.normal(0, 0.085)), 0.78, 1.28))
    bodies = [_random_body(rng, name, size) for name in names]
    discs = _random_discs(rng, names, size)
    lesions: tuple[tuple[int, int, float, float, float, float], ...] = ()
    slips = np.zeros((len(names), 2))
    if not healthy:
        discs = afflict_discs(rng, names, discs)
        bodies, slips, lesions = afflict_bodies(rng, bodies)
    bodies = _stand(rng, names, bodies, discs, slips)
    girth = float(np.exp(rng.normal(0, 0.08)))
    stenosis = np.exp(rng.normal(0, 0.05, len(names))) * girth * (size / LIVING_FACTOR) ** 0.5
    return SyntheticSpine(
        vertebrae=tuple(bodies),
        discs=tuple(discs),
        sacrum=tuple(_random_sacrum(rng, bodies[0])),
        canal_depth=np.array([TABLE[n]["canal_depth"] for n in names]) * stenosis,
        canal_width=np.array([TABLE[n]["canal_width"] for n in names]) * stenosis,
        habit=random_habit(rng),
        seed=int(rng.integers(2**31)),
        lesions=lesions,
        names=tuple(names),
    )


def _random_body(rng: np.random.Generator, name: str, size: float) -> Body:
    row = TABLE[name]
    own = size * np.exp(rng.normal(0, 0.035))
    wedge = np.deg2rad(row["wedge_deg"] + rng.normal(0, 2.0))
    depth = np.exp(rng.normal(0, 0.045))
    height = row["height"] * own * np.exp(rng.normal(0, 0.03)) + np.tan(max(wedge, 0.0)) * row["depth_upper"] * 0.45
    cervical, sacral = family(name) == "C", family(name) == "S"
    return Body(
        name=name,
        centre=np.zeros(3),
        axes=np.eye(3),
        height=float(height),
        wedge=float(wedge),
        depth_upper=row["depth_upper"] * own * depth,
        depth_lower=row["depth_lower"] * own * depth * np.exp(rng.normal(0, 0.03)),
        width_upper=row["width_upper"] * own * np.exp(rng.normal(0, 0.04)),
        width_lower=row["width_lower"] * own * np.exp(rng.normal(0, 0.04)),
        concavity_upper=float(abs(rng.normal(0.3 if sacral else 0.8, 0.5))),
        concavity_lower=0.0 if sacral else float(abs(rng.normal(0.9 if cervical else 1.6, 0.7))),
        waist=float(abs(rng.normal(0.6 if cervical or sacral else 1.6, 0.6))),
        kidney=float(np.clip(rng.normal(0.05, 0.03), 0, 0.12)) * row["depth_upper"],
        uncinate=float(rng.uniform(1.5, 4)) if cervical and name != "C2" else 0.0,
    )


def _random_discs(rng: np.random.Generator, names: list[str], size: float) -> list[Disc]:
    lordosis = np.deg2rad(np.clip(rng.normal(41, 11), 12, 72))
    cervical = np.deg2rad(rng.normal(12, 11)) / 6
    kyphosis = np.deg2rad(rng.normal(2, 8)) / 11  # beyond what the bodies' wedges give
    own = np.exp(rng.normal(0, 0.12))
    discs = []
    for name in names:
        row = TABLE[name]
        if family(name) == "L":
            number = min(int(name[1:]), 5)
            angle = lordosis * LORDOSIS_SHARE[f"L{number}"] - np.deg2rad(row["wedge_deg"])
        elif family(name) == "T":
            angle = -kyphosis
        else:
            angle = cervical if family(name) == "C" else 0.0
        height = row["disc_below"] * size * own * np.exp(rng.normal(0, 0.1))
        discs.append(Disc(height=float(height), angle=float(angle + np.deg2rad(rng.normal(0, 1.5)))))
    squared = rng.random() < 0.05  # a well-formed S1-S2 disc, as in lumbarised S1
    return [replace(discs[0], height=float(rng.uniform(4, 8) if squared else rng.uniform(1.2, 4.0))), *discs[1:]]


def rotation(pitch: float, roll: float, yaw: float) -> np.ndarray:
    """Return axes (left, posterior, up as columns) pitched forward, rolled sideways, yawed about z; rad, LPS."""
    cp, sp, cr, sr, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw)
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _stand(
    rng: np.random.Generator, names: list[str], bodies: list[Body], discs: list[Disc], slips: np.ndarray
) -> list[Body]:
    """Stack the bodies and turn the whole so that the neck lies roughly above the sacrum, as on a table."""
    curve = _coronal_curve(rng, len(names))
    slope = np.deg2rad(np.clip(rng.normal(36, 9), 10, 60))
    first = _stack(bodies, discs, slips, slope, *curve)
    reach = first[-6].centre - first[0].centre
    lean = np.arctan2(-reach[1], reach[2])
    return _stack(bodies, discs, slips, slope - lean + np.deg2rad(rng.normal(2, 5)), *curve)


def _stack(
    bodies: list[Body], discs: list[Disc], slips: np.ndarray, slope: float, roll: np.ndarray, yaw: np.ndarray
) -> list[Body]:
    """Place the bodies on one another from S1, whose upper plate slopes by `slope` (rad), upwards."""
    n = len(bodies)
    pitch = slope + bodies[0].wedge / 2
    placed = [replace(bodies[0], axes=rotation(pitch, roll[0], yaw[0]))]
    for i in range(1, n):
        below = placed[-1]
        upper_pitch = pitch - below.wedge / 2
        middle = upper_pitch - discs[i].angle / 2
        pitch = upper_pitch - discs[i].angle - bodies[i].wedge / 2
        axes = rotation(pitch, roll[i], yaw[i])
        step = rotation(middle, (roll[i - 1] + roll[i]) / 2, (yaw[i - 1] + yaw[i]) / 2)
        centre = (
            below.centre
            + below.axes[:, 2] * below.height / 2
            + step[:, 2] * discs[i].height
            + axes[:, 2] * bodies[i].height / 2
            + step[:, 1] * (slips[i, 0] + (below.depth_upper - bodies[i].depth_lower) * 0.15)
            + step[:, 0] * slips[i, 1]
        )
        placed.append(replace(bodies[i], centre=centre, axes=axes))
    return placed


def _coronal_curve(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return roll and yaw (rad) a level: nearly straight in most people, scoliotic in a third."""
    levels = np.arange(n)
    draw = rng.random()
    cobb = np.deg2rad(rng.uniform(8, 40) if draw < 0.3 else rng.uniform(0, 7))
    period = rng.uniform(9, 20)
    wave = np.sin(2 * np.pi * levels / period + rng.uniform(0, 2 * np.pi))
    roll = cobb / 2 * (wave - wave.mean()) + np.deg2rad(rng.normal(0, 1.2)) + np.deg2rad(rng.normal(0, 0.8, n))
    yaw = roll * rng.uniform(-0.1, 0.6) + np.deg2rad(rng.normal(0, 3))
    return roll, yaw


def _random_sacrum(rng: np.random.Generator, first: Body) -> list[Body]:
    """Hang S2 to S5 and two coccygeal segments under S1, along the sacral curve."""
    bend = np.deg2rad(np.array([-6, 6, 14, 20, 22, 18]) * rng.uniform(0.6, 1.4) + rng.normal(0, 3, 6))
    pitch = np.arctan2(first.axes[2, 1], first.axes[2, 2]) + first.wedge / 2
    roll, yaw = 0.0, 0.0
    end = first.centre - first.axes[:, 2] * first.height / 2
    below = []
    for k, scale in enumerate(SACRAL_SCALE * rng.uniform(0.92, 1.08, 6)):
        gap = rng.uniform(0.6, 2.5) if k else rng.uniform(1.0, 3.5)
        pitch = pitch - bend[k]
        axes = rotation(pitch, roll, yaw)
        height = first.height * (0.88 if k < 4 else 0.5) * (0.45 + 0.55 * scale)
        depth = first.depth_lower * scale / SACRAL_SCALE[0] * 0.95
        width = first.width_lower * (0.5 + 0.5 * scale)
        middle = end - axes[:, 2] * (gap + height / 2)
        below.append(
            Body(
                name=f"S{k + 2}" if k < 4 else "Co",
                centre=middle,
                axes=axes,
                height=height,
                wedge=np.deg2rad(rng.uniform(2, 8)),
                depth_upper=depth,
                depth_lower=depth * 0.85,
                width_upper=width,
                width_lower=width * 0.9,
                concavity_upper=0.0,
                concavity_lower=0.0,
                waist=0.4,
                kidney=0.4,
            )
        )
        end = middle - axes[:, 2] * height / 2
    return below


def random_habit(rng: np.random.Generator) -> dict[str, float]:
    """Draw what surrounds the spine; lengths in mm, the rest fractions or phases."""
    u = rng.uniform
    return {
        "back_fat": float(np.exp(rng.normal(np.log(16), 0.6))),  # subcutaneous, behind the spinous tips
        "belly": float(u(70, 190)),  # from the bodies' front to the skin of the belly
        "neck": float(u(45, 75)),
        "epidural": float(u(0.0, 1.0)),  # how much of the canal is fat
        "cord_place": float(u(-0.5, 0.7)),
        "cord_depth": float(u(6.0, 9.0)),
        "conus": float(rng.normal(0.3, 0.8)),  # end of the cord, levels above L1's middle
        "roots": float(u(0, 1)),
        "sac_end": float(u(-2.6, -0.6)),  # end of the dural sac, sacral segments
        "aorta_side": float(rng.normal(10, 6)),
        "aorta_gap": float(u(2, 10)),
        "aorta_radius": float(u(7, 13)),
        "cava_side": float(rng.normal(-14, 6)),
        "cava_radius": float(u(7, 13)),
        "bifurcation": float(rng.normal(1.7, 0.6)),  # levels above S1
        "spinous": float(u(0.85, 1.2)),
        "spinous_side": float(rng.normal(0, 1.5)),
        "streaks": float(u(0.0, 0.5)),  # fat in the muscles
        "psoas": float(u(0.6, 1.3)),
        "prevertebral": float(u(0.5, 6)),
        "cortex": float(u(0.5, 1.3)),  # of the bodies' dark shell
        "endplate": float(u(0.0, 0.9)),
        "basivertebral": float(u(0, 1)),
        "scale_organs": float(u(0.6, 1.6)),
        "gas": float(u(0.0, 1.0)),
        "cleft": float(u(0, 1)),
        "front_fat": float(u(0, 1) ** 1.5 * 0.4),  # before the dural sac at S1, share of the canal's depth
    }
