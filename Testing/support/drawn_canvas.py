"""A canvas made of boxes, for tests that need labels whose place is known exactly, and a short training on such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.training.config import TrainConfig, load_config
from SpinalTapLib.training.synthetic.drawing import Canvas
from SpinalTapLib.training.synthetic.tissues import Tissue

PIXEL_MM = 0.5
BODY_MM = (24.0, 34.0)  # height, depth
STEP_MM = 34.0


def boxes_canvas(bodies: int = 6, planes: int = 1, rows: int = 640, columns: int = 500) -> Canvas:
    """Return a canvas with upright bodies (S1 lowest, C2 highest), discs and canal, in muscle, with air behind."""
    tissue = np.full((rows, columns), Tissue.MUSCLE, np.uint8)
    structure, instance = np.zeros((2, rows, columns), np.uint8)
    tissue[:, 440:] = Tissue.AIR
    middle = columns // 2
    tissue[:, middle + 44 : middle + 74] = Tissue.CSF
    structure[:, middle + 44 : middle + 74] = Structure.CANAL
    height, depth = (round(mm / PIXEL_MM) for mm in BODY_MM)
    corners = np.full((bodies, 5, 2), np.nan, np.float32)
    for i in range(bodies):
        top = rows - 110 - round(i * STEP_MM / PIXEL_MM)
        left = middle - depth // 2
        tissue[top + height : top + height + 20, left : left + depth] = Tissue.NUCLEUS
        structure[top + height : top + height + 20, left : left + depth] = Structure.DISC
        box = (slice(top, top + height), slice(left, left + depth))
        kind = {0: Structure.S1, bodies - 1: Structure.C2}.get(i, Structure.BODY)
        tissue[box], structure[box], instance[box] = Tissue.MARROW, kind, i + 1
        # Pixel centres are whole numbers: the box reaches half a pixel beyond its outer centres.
        upper, lower, front, back = top - 0.5, top + height - 0.5, left - 0.5, left + depth - 0.5
        corners[i, :4] = ((upper, front), (upper, back), (lower, back), (lower, front))
        corners[i, 4] = corners[i, :4].mean(0)
    flat = (np.repeat(labels[None], planes, 0) for labels in (tissue, structure))
    return Canvas(*flat, instance, PIXEL_MM, corners, np.zeros(2), corners[:, 4])


def boxes(rng: np.random.Generator) -> Iterator[Canvas]:
    while True:
        yield boxes_canvas(rows=560, columns=400, planes=int(rng.choice([1, 3])))


def boxes_beside(rng: np.random.Generator) -> Iterator[Canvas]:
    """Yield canvases with a neighbour on each side, 4 mm away."""
    for canvas in boxes(rng):
        yield replace(canvas, neighbours=(canvas, canvas), distance_mm=4.0)


def quick(**changes) -> TrainConfig:
    """A run of a few seconds on one core."""
    config = replace(load_config("tiny"), steps=12, widths=(4, 8), log_every=2, recalibration_batches=1)
    return replace(config, placement=replace(config.placement, tile_px=64), **changes)
