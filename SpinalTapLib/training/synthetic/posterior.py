"""The bone behind the body: pedicles, articular and transverse processes, laminae, spinous process, rib heads.

Each is a few rounded rods in the vertebra's frame (sizes: Panjabi 1991-1993 and textbook values).
"""

from __future__ import annotations

import numpy as np

from .body_shape import Body, Capsule, capsule_distance
from .published_sizes import family
from .random_spine import SyntheticSpine
from .spinal_frame import Grid
from .tissues import Tissue

_SPINOUS = {"S": (12.0, 0.3, 5.0), "L": (22.0, 0.25, 8.5), "T": (30.0, 0.95, 4.5), "C": (19.0, 0.45, 4.0)}
"""Length (mm), downward slant (rad) and half height (mm) of the spinous process, a region."""


def posterior_rods(body: Body, canal_depth: float, canal_width: float, habit: dict[str, float]) -> list[Capsule]:
    """Return the rods of one vertebra's posterior elements and, in the chest, of its rib heads."""
    region, h = family(body.name), body.height
    back = body.depth / 2  # the posterior wall
    roof = back + canal_depth  # inner side of the lamina
    px = canal_width / 2 + {"S": 6.0, "L": 4.5, "T": 3.0, "C": 2.5}[region]
    length, slant, half = _SPINOUS[region]
    length, half = length * habit["spinous"], half * (0.85 if body.name == "L5" else 1.0)
    if body.name in ("C2", "C7"):
        length, half = length * 1.35, half * 1.25
    if body.name in ("T11", "T12", "T13"):
        length, slant, half = length * 0.75, 0.5, 6.0
    lean = habit["spinous_side"]
    tip = (lean, roof + 2 + length * np.cos(slant), -0.15 * h - length * np.sin(slant))
    rods = [Capsule((0, roof + 3, -0.1 * h), tip, 3.2, half)]
    for side in (-1.0, 1.0):
        rods += [
            Capsule((0, roof + 3, -0.1 * h), (side * px * 0.9, roof - 3.5, 0.02 * h), 4.5, 0.30 * h),
            Capsule((side * px, back - 2, 0.22 * h), (side * px, roof - 3, 0.15 * h), 0.16 * px + 1.5, 0.24 * h),
            Capsule((side * (px + 3), roof - 5, 0.62 * h), (side * (px + 1.5), roof - 1, -0.62 * h), 5.0, 0.2 * h + 1),
        ]
        if region != "S":
            rods.append(Capsule((side * (px + 2), roof - 4, 0.12 * h), (side * (px + 18), roof + 2, 0.2 * h), 4.0, 4.0))
        if region == "T":
            edge, neck = body.half_width, side * (body.half_width + 9)
            rods.append(Capsule((side * (edge + 1), 0.55 * back, 0.52 * h), (neck, back + 6, 0.3 * h), 4, 4))
            rods.append(Capsule((neck, back + 6, 0.3 * h), (side * (edge + 30), back + 10, -0.3 * h), 4, 4.5))
        if region == "S":  # the ala
            rods.append(Capsule((side * 0.75 * body.half_width, 2, 0.1 * h), (side * 48, 6, -0.15 * h), 12, 0.42 * h))
    return rods


def paint_posterior(canvas: np.ndarray, spine: SyntheticSpine, grid: Grid) -> None:
    """Paint the posterior elements of all vertebrae on a canvas, shape (rows, columns)."""
    shell = 0.9 * spine.habit["cortex"]
    for i, body in enumerate(spine.vertebrae):
        window = grid.window(body.centre + body.axes[:, 1] * (body.depth / 2 + 14), 62.0)
        if window is None:
            continue
        u, v, w = body.local(grid.points(*window))
        view = canvas[window]
        marrow = Tissue.SACRAL_MARROW if family(body.name) == "S" else Tissue.POSTERIOR_MARROW
        best: np.ndarray | None = None
        for rod in posterior_rods(body, float(spine.canal_depth[i]), float(spine.canal_width[i]), dict(spine.habit)):
            distance = capsule_distance(rod, u, v, w)
            if distance is not None:
                best = distance if best is None else np.maximum(best, distance)
        if best is not None:
            view[best > 0] = Tissue.CORTEX
            view[best > shell] = marrow
            view[(best < 0) & (best > -0.7) & (v > body.depth / 2 + spine.canal_depth[i])] = Tissue.LIGAMENT
