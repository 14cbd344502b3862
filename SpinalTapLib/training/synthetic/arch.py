"""Build the posterior elements: pedicles, laminae, articular, transverse and spinous processes; and rib heads.

An arch is a smooth union of rods in its vertebra's own frame. Neighbouring arches are built around the same facet
joints, so that their articular processes face each other in any posture. Sizes come from `published_sizes.ARCH_TABLE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .body_shape import Body, Disc
from .published_sizes import ARCH_TABLE, TABLE, family
from .rods import Rod

LYTIC_MM = 3.0
"""Least anterior slip of L4 or L5 that may be lytic, with the arch left behind (spondylolysis)."""


@dataclass(frozen=True)
class Arch:
    """The posterior elements of one vertebra.

    Attributes
    ----------
    rods : tuple of Rod
        The arch, in the frame of the vertebra.
    ribs : tuple of Rod
        Heads and necks of the ribs at this level, which are not part of the vertebra.
    gap_mm : float
        Width of the facet joints with the vertebra above, mm.
    effusion : bool
        Whether these joints contain fluid.
    fused : bool
        Whether it is fused with the arch above.
    """

    rods: tuple[Rod, ...]
    ribs: tuple[Rod, ...] = ()
    gap_mm: float = 1.0
    effusion: bool = False
    fused: bool = False


@dataclass(frozen=True)
class _Joint:
    """Facet joint: its centre, and the unit normal from the lower to the upper vertebra's process."""

    middle: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True)
class _Place:
    """Dimensions that an arch is built from: body, canal and sizes of the level, mm."""

    body: Body
    canal_depth: float
    canal_width: float
    scale: float
    size: dict[str, float]
    facet: float  # enlargement of the facets, 1 if healthy

    @property
    def region(self) -> str:
        return family(self.body.name)

    @property
    def back(self) -> float:
        return (self.body.depth_upper + self.body.depth) / 4 - 0.6 * self.body.kidney

    @property
    def roof(self) -> float:
        return self.back + self.canal_depth

    @property
    def top(self) -> float:
        """Height of the posterior edge of the upper endplate, mm."""
        return self.body.height / 2 - float(np.tan(self.body.wedge / 2)) * self.back

    def mm(self, name: str) -> float:
        """Return a size of `ARCH_TABLE` scaled to this person, mm."""
        return self.size[name] * self.scale

    @property
    def pedicle(self) -> tuple[float, float]:
        """Lateral position and height of the axis of the pedicle, mm."""
        below = {"L": 1.5, "T": 0.8, "C": 2.5, "S": 2.0}[self.region]
        return self.canal_width / 2 + self.mm("pedicle_width") / 2, self.top - below - self.mm("pedicle_height") / 2


def random_arches(
    rng: np.random.Generator, bodies: Sequence[Body], discs: Sequence[Disc], canal_depth: np.ndarray,
    canal_width: np.ndarray, *, healthy: bool,
) -> tuple[Arch, ...]:  # fmt: skip
    """Build the arches of a spine, one per vertebra, from the bottom up.

    Parameters
    ----------
    rng : numpy.random.Generator
    bodies, discs : sequence
        Bodies and discs of `SyntheticSpine`, in their final positions.
    canal_depth, canal_width : ndarray, shape (n,)
        Depth and width of the bony canal behind each vertebra, mm.
    healthy : bool
        Without laminectomy, clefts, fusion and facet degeneration.
    """
    wear = [0.0 if healthy else float(np.clip(d.degeneration + rng.normal(0, 0.25), 0, 1)) for d in discs]
    own = np.exp(rng.normal(0, 0.06, len(bodies)))
    worn = [*wear[1:], 0.0]  # at the joints with the vertebra above
    scale = [float(own[i]) * body.depth_upper / TABLE[body.name]["depth_upper"] for i, body in enumerate(bodies)]
    places = [
        _Place(body, float(depth), float(width), size, ARCH_TABLE[body.name], 1 + 0.3 * wear_above)
        for body, depth, width, size, wear_above in zip(bodies, canal_depth, canal_width, scale, worn)
    ]
    joints = [_joints(rng, place) for place in places]
    habit = _Habit.drawn(rng)
    arches = []
    for i, place in enumerate(places):
        above = joints[i] if i + 1 < len(places) else None
        below = [_seen_from(place.body, bodies[i - 1], joint) for joint in joints[i - 1]] if i else None
        bridged = i + 1 < len(discs) and discs[i + 1].fused
        arches.append(
            Arch(
                rods=_rods(rng, place, above, below, habit),
                ribs=_ribs(place) if place.region == "T" else (),
                gap_mm=float(rng.uniform(0.5, 1.4) + (rng.random() < 0.3 * worn[i]) * rng.uniform(0, 2)),
                effusion=bool(rng.random() < 0.35 * worn[i]),
                fused=bool(i > 0 and not healthy and rng.random() < (0.6 if bridged else 0.012)),
            )
        )
    return tuple(arches if healthy else _afflicted(rng, arches, bodies))


@dataclass(frozen=True)
class _Habit:
    """Traits shared by all arches of a person."""

    spinous: float
    side: float
    lamina: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Habit:
        return cls(float(rng.uniform(0.85, 1.15)), float(rng.normal(0, 1.5)), float(rng.uniform(0.85, 1.15)))


def _joints(rng: np.random.Generator, place: _Place) -> list[_Joint]:
    """Return the right and the left joint with the vertebra above, in the frame of this vertebra."""
    region = place.region
    depth = {"S": 0.80, "L": 0.85, "T": 0.85, "C": 0.42}[region]
    rise = {"S": 0.5, "L": -2.0, "T": 3.5, "C": 2.0}[region] + rng.normal(0, 1.2)
    up = np.deg2rad({"S": 5.0, "L": 3.0, "T": 17.0, "C": 42.0}[region] + rng.normal(0, 3))
    out = []
    for side in (-1.0, 1.0):
        turn = np.deg2rad(place.size["facet_deg"] + rng.normal(0, 6))
        normal = np.array([-side * np.sin(turn) * np.cos(up), np.cos(turn) * np.cos(up), np.sin(up)])
        u = side * (place.mm("joint_spacing") / 2 + rng.normal(0, 0.8))
        out.append(_Joint(np.array([u, place.back + depth * place.canal_depth, place.top + rise]), normal))
    return out


def _seen_from(body: Body, lower: Body, joint: _Joint) -> _Joint:
    """Transform a joint from the frame of the vertebra below to the frame of this vertebra."""
    middle = lower.centre + lower.axes @ joint.middle
    return _Joint(body.axes.T @ (middle - body.centre), body.axes.T @ (lower.axes @ joint.normal))


def _rods(
    rng: np.random.Generator, place: _Place, above: list[_Joint] | None, below: list[_Joint] | None, habit: _Habit
) -> tuple[Rod, ...]:
    if place.region == "S":
        return (*_ala(place), *_sacral_arch(place, above or []))
    rods: list[Rod] = []
    for k, side in enumerate((-1.0, 1.0)):
        rods += _pedicle(place, side)
        rods += _upper_process(place, side, above[k]) if above else _shoulder(place, side)
        rods += _lower_process(place, side, below[k] if below else None)
        rods += _lamina(place, side, habit)
        rods += _transverse(place, side, rng)
    return (*rods, *_spinous(place, habit, rng))


def _pedicle(place: _Place, side: float) -> list[Rod]:
    pu, pw = place.pedicle
    width, height = place.mm("pedicle_width") / 2, place.mm("pedicle_height") / 2
    end = place.back + {"L": 0.5, "T": 0.5, "C": 0.15}[place.region] * place.canal_depth
    inward = {"L": 0.5, "T": 0.3, "C": -2.0}[place.region]  # cervical pedicles run outwards to the articular pillars
    start, stop = (side * (pu + inward), place.back - 4, pw), (side * (pu - inward), end, pw - 0.5)
    return [Rod(start, stop, (width, width + 1, height), blend=3.0)]


def _half(place: _Place) -> tuple[float, float]:
    """Return half the thickness of an articular process, and its radius, mm."""
    thick, radius = {"S": (4.6, 6.4), "L": (4.2, 6.0), "T": (2.6, 4.2), "C": (3.4, 5.2)}[place.region]
    return thick * place.scale ** 0.7 * place.facet, radius * place.scale ** 0.7 * place.facet


def _upper_process(place: _Place, side: float, joint: _Joint) -> list[Rod]:
    """Return the superior articular process, from the junction of pedicle and lamina up to the joint."""
    thick, radius = _half(place)
    pu, pw = place.pedicle
    foot = (side * (pu + (1.0 if place.region != "C" else 2.0)), place.back + 0.55 * place.canal_depth, pw)
    if place.region == "C":  # upper half of the articular pillar
        foot = (float(joint.middle[0]), place.back + 0.25 * place.canal_depth, -0.1 * place.body.height)
    middle = joint.middle - thick * joint.normal
    rise = {"S": 4.0, "L": 2.5, "T": 3.0, "C": 0.5}[place.region] * place.scale
    tip = (float(middle[0]), float(middle[1]), float(middle[2]) + rise)
    flat = (radius, radius if place.region in "SL" else thick * 1.25, radius)
    return [Rod(foot, tip, flat, taper=0.85)]


def _shoulder(place: _Place, side: float) -> list[Rod]:
    """Return the superior articular facets of C2, beside the dens."""
    hw = place.body.half_width
    high = place.body.height / 2
    return [Rod((side * 0.7 * hw, 0.5, 0.5 * high), (side * (hw + 4.5), 1.5, high + 1.0), (6.5, 7.0, 4.5))]


def _lower_process(place: _Place, side: float, joint: _Joint | None) -> list[Rod]:
    """Return isthmus and inferior articular process, from the upper corner of the lamina to the joint below."""
    if joint is None:
        return []
    thick, radius = _half(place)
    pu, pw = place.pedicle
    middle = joint.middle + thick * joint.normal
    drop = {"S": 0.0, "L": 2.5, "T": 2.5, "C": 0.5}[place.region] * place.scale
    tip = (float(middle[0]), float(middle[1]), float(middle[2]) - drop)
    if place.region == "C":  # lower half of the articular pillar
        foot = (float(middle[0]), place.back + 0.25 * place.canal_depth, 0.0)
        return [Rod(foot, tip, (radius, thick * 1.25, radius), taper=0.9)]
    high = (side * (pu - 0.5), place.back + 0.68 * place.canal_depth, pw - 0.15 * place.body.height)
    neck = 0.75 * radius
    low = (0.5 * (high[0] + tip[0]), 0.5 * (high[1] + tip[1]) + 0.8, 0.5 * (high[2] + tip[2]))
    flat = (radius, radius if place.region == "L" else thick * 1.25, radius)
    return [Rod(high, low, (neck, neck, neck)), Rod(low, tip, flat, taper=0.8)]


def _lamina(place: _Place, side: float, habit: _Habit) -> list[Rod]:
    pu, _ = place.pedicle
    h = place.body.height
    thick = {"L": 3.2, "T": 2.9, "C": 2.1}[place.region] * place.scale ** 0.5 * habit.lamina
    half = place.mm("lamina_height") / 2
    middle = {"L": -0.22, "T": -0.18, "C": -0.12}[place.region] * h
    out = {"L": 0.72, "T": 0.66, "C": 0.45}[place.region]
    reach = pu - 1.5 if place.region != "C" else pu + 3.5
    outer = (side * reach, place.back + out * place.canal_depth, middle + 0.10 * h)
    inner = (side * 0.8, place.roof + 0.7 * thick, middle - 0.04 * h)
    lean = {"L": 0.22, "T": 0.18, "C": 0.30}[place.region]
    return [Rod(outer, inner, (thick, thick, half), lean=lean)]


def _transverse(place: _Place, side: float, rng: np.random.Generator) -> list[Rod]:
    pu, pw = place.pedicle
    half = place.mm("transverse_span") / 2 * float(np.exp(rng.normal(0, 0.06)))
    s = place.scale
    back, depth = place.back, place.canal_depth
    if place.region == "L":
        thick = (6.5, 5.0, 7.0) if place.body.name == "L5" else (4.5, 3.4, 5.2)
        root = (side * (pu + 2), back + 0.45 * depth, pw - 1)
        tip = (side * (half - 3), back + 0.45 * depth + float(rng.uniform(0, 6)), pw + float(rng.uniform(-4, 4)))
        return [Rod(root, tip, (thick[0] * s, thick[1] * s, thick[2] * s), taper=0.7)]
    if place.region == "T":
        stub = place.body.name in ("T12", "T13")
        root = (side * (pu + 1), back + 0.65 * depth, pw - 2)
        tip = (side * (half - 4), back + depth + (2 if stub else 7) * s, pw + (0 if stub else 1.0))
        return [Rod(root, tip, (3.6 * s, 3.6 * s, 4.6 * s), taper=1.1)]
    # Cervical: anterior and posterior bar around the vertebral artery.
    edge = place.body.half_width
    tip = (side * (half - 2.5), back - 0.1 * depth, -2.5)
    front = Rod((side * (edge - 1), 0.1 * back, -0.5), tip, (2.2 * s, 2.0 * s, 2.2 * s), blend=1.2)
    return [front, Rod((side * (pu + 4), back + 0.2 * depth, -1.0), tip, (2.2 * s, 2.2 * s, 2.4 * s), blend=1.2)]


def _spinous(place: _Place, habit: _Habit, rng: np.random.Generator) -> list[Rod]:
    h, s = place.body.height, place.scale
    length = (place.mm("spinous_reach") - place.canal_depth) * habit.spinous * float(np.exp(rng.normal(0, 0.05)))
    half = place.mm("spinous_height") / 2
    drop = place.mm("spinous_drop")
    root_w = {"L": -0.30, "T": -0.25, "C": -0.15}[place.region] * h
    tip_v = place.roof + max(length, 6.0)
    lean = habit.side + float(rng.normal(0, 0.8))
    if place.region == "L":  # hatchet-shaped: a tall blade, taller at its tip
        low = 0.92 * half
        return [Rod((0, place.roof + 2, root_w - 1), (lean, tip_v - 3.5, -drop), (3.3 * s, 3.5, low), taper=1.08,
                    lean=0.12)]  # fmt: skip
    thick = (2.4 if place.region == "C" else 2.7) * s
    root = (0.0, place.roof + 1.5, root_w)
    blade = Rod(root, (lean, tip_v - 3, -drop), (thick, half, half), taper=0.8)
    if place.region == "C" and place.body.name != "C7":  # bifid
        fork = 2.6 * s
        ends = [(lean + side * fork, tip_v - 1.5, -drop - 1.0) for side in (-1.0, 1.0)]
        return [blade, *(Rod((lean, tip_v - 4, -drop), end, (2.4, 2.4, half * 0.7)) for end in ends)]
    knob = Rod((lean, tip_v - 4, -drop), (lean, tip_v - 3.5, -drop - 0.5), (thick * 1.5, half * 0.8, half * 0.9))
    return [blade, knob]


def _ribs(place: _Place) -> tuple[Rod, ...]:
    """Return heads and necks of the ribs at this body and the disc above, close to the spine only."""
    body, s = place.body, place.scale
    edge, high = body.half_width, 0.52 * body.height
    rods: list[Rod] = []
    for side in (-1.0, 1.0):
        neck = (side * (edge + 10 * s), place.back + 5 * s, 0.3 * body.height)
        rods.append(Rod((side * (edge + 2.5), 0.62 * place.back, high), neck, (4.2 * s, 3.6 * s, 4.6 * s), taper=0.85))
        far = (side * (edge + 34 * s), place.back + 12 * s, -0.35 * body.height)
        rods.append(Rod(neck, far, (4.0 * s, 3.4 * s, 5.0 * s)))
    return tuple(rods)


def _ala(place: _Place) -> list[Rod]:
    """Return the alae of S1, which extend laterally, backwards and down to the sacroiliac joints."""
    body, s = place.body, place.scale
    hw, h = body.half_width, body.height
    rods = []
    for side in (-1.0, 1.0):
        far = (side * (hw + 20 * s), 7.0 * s, -0.20 * h)
        rods.append(Rod((side * 0.70 * hw, 1.0, 0.02 * h), far, (10 * s, 10 * s, 0.46 * h), taper=1.12, blend=6.0))
        low = (side * 38 * s, 8.0 * s, -0.7 * h)
        rods.append(Rod(far, low, (10 * s, 10 * s, 9 * s), blend=6.0))
    return rods


def _sacral_arch(place: _Place, above: list[_Joint]) -> list[Rod]:
    """Return the arch of S1: articular processes towards L5, laminae, and the first tubercle of the sacral crest."""
    h, s = place.body.height, place.scale
    thick, radius = _half(place)
    rods = []
    for side, joint in zip((-1.0, 1.0), above):
        middle = joint.middle - thick * joint.normal
        foot = (side * (place.canal_width / 2 + 7 * s), place.back + 0.3 * place.canal_depth, 0.15 * h)
        rods.append(Rod(foot, (float(middle[0]), float(middle[1]), float(middle[2]) + 3), (radius,) * 3, taper=0.85))
        outer = (side * (place.canal_width / 2 + 4 * s), place.back + 0.75 * place.canal_depth, 0.02 * h)
        rods.append(Rod(outer, (side * 0.8, place.roof + 2.2, -0.15 * h), (3.0, 3.0, 0.28 * h), lean=0.15))
    return [*rods, Rod((0, place.roof + 2, -0.15 * h), (0, place.roof + 9 * s, -0.3 * h), (2.6, 3.0, 6.0 * s))]


def sacral_mass(segment: Body, number: int, scale: float, canal_depth: float) -> tuple[Rod, ...]:
    """Return lateral masses, laminae and crest of a sacral segment, in its frame.

    Parameters
    ----------
    segment : Body
    number : int
        2 for S2, up to 5 for S5.
    scale : float
        Scale of the sacrum of this person.
    canal_depth : float
        Depth of the sacral canal, mm.
    """
    hw, h, back = segment.half_width, segment.height, segment.depth / 2
    wing, thick = {2: (38.0, 11.0), 3: (30.0, 8.5), 4: (22.0, 6.0), 5: (15.0, 4.5)}[number]
    wing, thick = wing * scale, thick * scale
    rods = []
    for side in (-1.0, 1.0):
        far = (side * max(wing - thick, 0.9 * hw), 0.25 * back, 0.0)
        rods.append(Rod((side * 0.85 * hw, 0.1 * back, 0.0), far, (thick, thick, 0.66 * h), taper=0.95, blend=5.0))
        bow = (side * 0.95 * hw, back + 0.55 * canal_depth, 0.0)
        rods.append(Rod((side * hw, 0.5 * back, 0.0), bow, (3.0, 3.0, 0.60 * h), blend=3.0))
        rods.append(Rod(bow, (0.0, back + canal_depth + 1.5, 0.0), (2.2, 2.2, 0.60 * h), blend=3.0))
    knob = (0.0, back + canal_depth + 4.0 * scale, -0.1 * h)
    return (*rods, Rod((0.0, back + canal_depth + 1.5, 0.1 * h), knob, (2.2, 2.6, 0.30 * h)))


def _afflicted(rng: np.random.Generator, arches: list[Arch], bodies: Sequence[Body]) -> list[Arch]:
    """Apply lytic slips, spina bifida and laminectomy."""
    out = list(arches)
    for i in range(1, len(out)):
        slip = _slip_mm(bodies[i - 1], bodies[i])
        if slip < -LYTIC_MM and bodies[i].name in ("L4", "L5", "L6") and rng.random() < 0.5:
            out[i] = _left_behind(out[i], -slip)
    if rng.random() < 0.05:
        i = int(rng.random() < 0.4)  # S1 or the vertebra above it
        out[i] = _cleft(out[i])
    if rng.random() < 0.05:
        first = int(rng.integers(1, 5))
        for i in range(first, min(first + int(rng.integers(1, 4)), len(out))):
            out[i] = _opened(out[i], rng.random() < 0.3)
    return out


def _slip_mm(lower: Body, upper: Body) -> float:
    """Return the slip of the upper body against the lower one, mm, positive posteriorly."""
    low = lower.centre + lower.axes[:, 2] * lower.height / 2
    high = upper.centre - upper.axes[:, 2] * upper.height / 2
    expected = (lower.depth_upper - upper.depth_lower) * 0.15
    return float((high - low) @ ((lower.axes[:, 1] + upper.axes[:, 1]) / 2)) - expected


def _is_behind(rod: Rod, middle: float) -> bool:
    """Return whether a rod is posterior to the isthmus: laminae, inferior articular and spinous processes."""
    return rod.end[2] < rod.start[2] - 1.0 and rod.end[1] > middle


def _left_behind(arch: Arch, slip_mm: float) -> Arch:
    """Move the part posterior to the isthmus back by the slip."""
    middle = float(np.median([rod.start[1] for rod in arch.rods]))
    moved = []
    for rod in arch.rods:
        if _is_behind(rod, middle):
            shift = lambda p: (p[0], p[1] + slip_mm, p[2] - 0.1 * slip_mm)  # noqa: E731
            rod = replace(rod, start=shift(rod.start), end=shift(rod.end), blend=1.0)
        moved.append(rod)
    return replace(arch, rods=tuple(moved))


def _cleft(arch: Arch) -> Arch:
    """Spina bifida: remove the spinous process and shorten the laminae."""
    kept = []
    for rod in arch.rods:
        if abs(rod.end[0]) < 5 and abs(rod.start[0]) < 5:
            continue
        if abs(rod.end[0]) < 2:
            end = tuple(0.6 * b + 0.4 * a for a, b in zip(rod.start, rod.end))
            rod = replace(rod, end=end)  # type: ignore[arg-type]
        kept.append(rod)
    return replace(arch, rods=tuple(kept))


def _opened(arch: Arch, one_side: bool) -> Arch:
    """Laminectomy: remove the spinous process and the laminae, on both sides or on one."""
    gone = [rod for rod in arch.rods if abs(rod.end[0]) < 7 and rod.end[2] < rod.start[2]]
    if one_side:
        gone = [rod for rod in gone if rod.start[0] > 1]
    return replace(arch, rods=tuple(rod for rod in arch.rods if rod not in gone))
