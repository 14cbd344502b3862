"""Draw pathology: degenerated discs, fractures, slips, Schmorl's nodes and marrow lesions.

Frequencies are chosen for training and do not represent a population: rare findings are drawn more often than they
occur, so that the network sees each of them hundreds of times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .body_shape import Body, Disc
from .published_sizes import family
from .tissues import Tissue

Lesion = tuple[int, int, float, float, float, float]


def afflict_discs(rng: np.random.Generator, names: list[str], discs: list[Disc]) -> list[Disc]:
    """Degenerate the discs, with one degree per person, more in the low segments; add bulges, vacuum and fusion."""
    age = float(np.clip(rng.beta(1.2, 1.6), 0, 1))
    out = [discs[0]]
    for name, disc in zip(names[1:], discs[1:]):
        worst = 1.15 if name in ("L5", "L4", "C5", "C6") else 0.85
        grade = float(np.clip(age * worst + rng.normal(0, 0.22), 0, 1))
        shrink = 1 - 0.65 * max(grade - 0.45, 0) / 0.55 * rng.uniform(0.3, 1.0)
        bulge = grade * abs(rng.normal(0, 2.0))
        if rng.random() < 0.05 * (1 + grade):
            bulge += rng.uniform(2, 6)  # herniation
        out.append(
            replace(
                disc,
                height=max(disc.height * shrink, 1.2),
                angle=disc.angle * (0.5 + 0.5 * shrink),
                degeneration=grade,
                bulge_front=float(rng.uniform(0, 1.5) + grade * abs(rng.normal(0, 1.5))),
                bulge_back=float(rng.uniform(0, 0.8) + bulge * (0.6 if family(name) == "T" else 1)),
                vacuum=bool(rng.random() < 0.10 * grade),
                fused=bool(rng.random() < 0.012),
            )
        )
    return out


def afflict_bodies(rng: np.random.Generator, bodies: list[Body]) -> tuple[list[Body], np.ndarray, tuple[Lesion, ...]]:
    """Add fractures, slips, osteophytes, Schmorl's nodes and lesions to bodies.

    Returns
    -------
    bodies : list of Body
    slips : ndarray, shape (n, 2)
        Posterior and left shift of each body against the one below it, mm.
    lesions : tuple
        (index, tissue, u, v, w, radius): a ball of another tissue in the frame of a body, mm.
    """
    out = [bodies[0], *(_fracture(rng, body) for body in bodies[1:-1]), bodies[-1]]
    osteophytes = max(rng.normal(0.2, 0.9), 0)
    out = [_degenerate(rng, body, osteophytes) for body in out]
    return out, _slips(rng, [b.name for b in bodies]), _lesions(rng, out)


def _fracture(rng: np.random.Generator, body: Body) -> Body:
    """Fracture a body at random: wedge, biconcave or crush, with 10-50 % height loss."""
    if rng.random() > 0.045:
        return body
    loss = rng.uniform(0.1, 0.5)
    kind = rng.random()
    if kind < 0.45:
        return replace(
            body,
            wedge=body.wedge - np.arctan(loss * body.height / body.depth),
            height=body.height * (1 - loss / 2),
            depth_upper=body.depth_upper * (1 + 0.1 * rng.random()),
            concavity_upper=body.concavity_upper + loss * body.height * 0.1,
        )
    if kind < 0.8:
        upper = rng.uniform(0.2, 1)
        hollow = loss * body.height * 0.6
        return replace(
            body,
            concavity_upper=body.concavity_upper + hollow * upper,
            concavity_lower=body.concavity_lower + hollow * (1 - upper),
        )
    return replace(body, height=body.height * (1 - loss), depth_upper=body.depth_upper * 1.08, waist=0.0)


def _degenerate(rng: np.random.Generator, body: Body, osteophytes: float) -> Body:
    """Add osteophytes and Schmorl's nodes."""
    lip = float(np.clip(osteophytes * abs(rng.normal(0.8, 0.8)), 0, 4.5))
    nodes = []
    if family(body.name) in "TL":
        for plate in (1.0, -1.0):
            if rng.random() < 0.05:
                nodes.append(
                    (
                        float(rng.normal(0, 0.25) * body.half_width),
                        float(rng.normal(0.05, 0.12) * body.depth),
                        plate,
                        float(rng.uniform(1.5, 4.5)),
                    )
                )
    return replace(body, lip=lip, schmorl=tuple(nodes))


def _slips(rng: np.random.Generator, names: list[str]) -> np.ndarray:
    slips = rng.normal(0, 0.5, (len(names), 2)) * np.array([1.0, 0.6])
    slips[0] = 0
    for i, name in enumerate(names):
        chance = 0.07 if name in ("L4", "L5") else 0.012
        if i and rng.random() < chance:
            slips[i, 0] += rng.uniform(-16 if name == "L5" else -12, -2) if rng.random() < 0.75 else rng.uniform(2, 6)
    return slips


def _lesions(rng: np.random.Generator, bodies: list[Body]) -> tuple[Lesion, ...]:
    """Draw Modic changes, metastases, haemangiomas, cement and metal, as balls that replace bone."""
    lesions: list[Lesion] = []
    spread = rng.random() < 0.05  # metastases or myeloma: many lesions
    for i, body in enumerate(bodies):
        draw = rng.random()
        d, h = body.depth, body.height
        if draw < 0.07:  # a band along an endplate
            side = rng.choice([-1.0, 1.0])
            kind = rng.choice([Tissue.MODIC_1, Tissue.MODIC_2, Tissue.MODIC_3])
            reach = rng.uniform(0.25, 0.7) * d
            lesions.append((i, int(kind), 0.0, rng.normal(0, 0.2) * d, side * (h / 2 + 0.55 * reach), reach))
        elif draw < 0.10:
            where = rng.normal(0, 0.2, 3) * np.array([d, d, h])
            lesions.append(_ball(i, Tissue.HAEMANGIOMA, where, rng.uniform(3, 11)))
        elif draw < 0.112:
            lesions.append(_ball(i, Tissue.CEMENT, np.array([0, rng.normal(-0.1, 0.1) * d, 0]), rng.uniform(4, 9)))
        if spread and rng.random() < 0.5:
            for _ in range(rng.integers(1, 4)):
                where = rng.normal(0, 0.25, 3) * np.array([d, d, h])
                lesions.append(_ball(i, Tissue.LESION, where, rng.uniform(3, 14)))
    if rng.random() < 0.03:  # screws of a posterior fusion: signal voids beside the midline
        first = int(rng.integers(1, 5))
        for i in range(first, min(first + int(rng.integers(2, 4)), len(bodies))):
            for side in (-1.0, 1.0):
                u = side * 0.45 * bodies[i].half_width
                lesions.append((i, int(Tissue.METAL), u, 0.35 * bodies[i].depth, 0.15 * bodies[i].height, 6.0))
                lesions.append((i, int(Tissue.METAL), u, 1.0 * bodies[i].depth, 0.2 * bodies[i].height, 7.0))
    return tuple(lesions)


def _ball(index: int, tissue: Tissue, where: np.ndarray, radius: float) -> Lesion:
    u, v, w = (float(x) for x in where)
    return index, int(tissue), u, v, w, float(radius)
