"""Paint the tissues around the spine in one plane: skin, fat, muscle, organs, vessels, lung and head.

They are painted into a tissue canvas in the coordinates of `spinal_frame.py`; `drawing.py` then paints the spine over
them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .random_spine import SyntheticSpine
from .spinal_frame import Grid, SpinalFrame, enlarged, waves
from .tissues import Tissue

T = Tissue


def along(spine: SyntheticSpine, *rows: tuple[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return levels and values of (level name or number, value) pairs, without names that this spine lacks."""
    known = [(float(spine.index(name)) if name in spine.names else float(name), v) for name, v in rows
             if name in spine.names or _is_number(name)]  # fmt: skip
    known.sort()
    return np.array([k for k, _ in known]), np.array([v for _, v in known])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def half_depth(spine: SyntheticSpine, frame: SpinalFrame) -> np.ndarray:
    """Return half the depth of the bodies (mm) at the level of every pixel."""
    levels = [-1.0 - k for k in range(len(spine.sacrum))][::-1] + list(range(len(spine.names)))
    depths = [b.depth / 2 for b in spine.sacrum][::-1] + [b.depth / 2 for b in spine.vertebrae]
    return frame.along(np.array(levels, float), np.array(depths))


def half_width(spine: SyntheticSpine, frame: SpinalFrame) -> np.ndarray:
    """Return half the width of the bodies (mm) at the level of every pixel."""
    levels = [-1.0 - k for k in range(len(spine.sacrum))][::-1] + list(range(len(spine.names)))
    widths = [b.half_width for b in spine.sacrum][::-1] + [b.half_width for b in spine.vertebrae]
    return frame.along(np.array(levels, float), np.array(widths))


def paint_surroundings(canvas: np.ndarray, spine: SyntheticSpine, grid: Grid, frame: SpinalFrame) -> None:
    """Fill a canvas, shape (rows, columns), with all tissues except the spine.

    A "shift" in the spine's habit moves muscles, organs and vessels along the spine, by so many levels.
    """
    rng = np.random.default_rng(spine.seed)  # the same organs in every plane of this person
    depth, width = half_depth(spine, frame), half_width(spine, frame)
    coarse = grid.points(slice(0, None, 8), slice(0, None, 8))
    noise = _Noise(rng, coarse, grid, spine.habit["scale_organs"])
    head_frame, frame = frame, replace(frame, level=frame.level + np.float32(spine.habit.get("shift", 0.0)))
    _back(canvas, spine, frame, noise)
    _cavity(canvas, spine, frame, depth, noise)
    _beside(canvas, spine, frame, depth, width, noise)
    _vessels(canvas, spine, frame, depth, noise)
    _outline(canvas, spine, frame, noise)
    _head(canvas, spine, head_frame, noise)


class _Noise:
    """Source of smooth random fields on the plane, drawn at an eighth of its resolution."""

    def __init__(self, rng: np.random.Generator, coarse: np.ndarray, grid: Grid, scale: float) -> None:
        self._rng, self._coarse, self._grid, self._scale = rng, coarse, grid, scale

    def __call__(self, length_mm: float, stretch: float = 1.0) -> np.ndarray:
        points = self._coarse * np.array([1, 1, 1 / stretch], np.float32)
        field = waves(self._rng, points, length_mm * self._scale)
        return enlarged(field, self._grid.rows, self._grid.columns, 8)


def _back(canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, noise: _Noise) -> None:
    """Paint the muscle behind the spine, with fatty streaks along it."""
    canvas[:] = T.MUSCLE
    streak = noise(14, 5) + 0.6 * noise(7, 3)
    deep = (np.abs(frame.side) < 24) & (frame.back < 52)  # the multifidus degenerates first
    canvas[streak > 1.9 - (1.8 + 1.6 * deep) * spine.habit["streaks"]] = T.MUSCLE_FAT
    low = frame.level < -0.5
    canvas[low & (noise(40) + 0.5 * noise(15) > 0.6)] = T.FAT


def _cavity(
    canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, depth: np.ndarray, noise: _Noise
) -> None:
    """Paint abdomen, chest, pelvis and neck in front of the spine, as random patches of organs."""
    front = frame.back < -depth - 1.0
    lumbar, chest, neck = _regions(spine, frame)
    fields = [noise(length, 1.4) for length in (60, 50, 70, 38, 34, 30, 55)]
    habit = spine.habit

    def patch(where: np.ndarray, tissues: list[tuple[Tissue, float]]) -> None:
        if where.any():
            score = np.stack([fields[i][where] + np.float32(bonus) for i, (_, bonus) in enumerate(tissues)])
            canvas[where] = np.array([t for t, _ in tissues], np.uint8)[score.argmax(0)]

    gas = habit["gas"] - 0.9
    patch(front & lumbar, [(T.FAT, 0.5), (T.ORGAN_A, 0.0), (T.ORGAN_B, -0.3), (T.GAS, gas), (T.ORGAN_C, -0.3),
                           (T.FLUID, -0.9), (T.MUSCLE, -0.6)])  # fmt: skip
    patch(front & chest, [(T.LUNG, 0.6), (T.HEART, -0.2), (T.FAT, -0.2), (T.VESSEL, -0.7), (T.ORGAN_A, -0.6)])
    patch(front & neck, [(T.MUSCLE, 0.3), (T.FAT, -0.2), (T.ORGAN_B, -0.4), (T.GAS, -0.6), (T.ORGAN_C, -0.5)])
    pelvis = front & (frame.level < 0.2)
    patch(pelvis, [(T.FAT, 0.4), (T.ORGAN_B, 0.0), (T.FLUID, -0.2), (T.GAS, gas), (T.ORGAN_C, 0.0), (T.MUSCLE, -0.4)])
    wall = np.abs(fields[0] - fields[1]) < 0.10  # peritoneum, bowel walls, fasciae
    canvas[front & wall & (lumbar | neck)] = T.LIGAMENT
    gap = habit["prevertebral"]
    near = front & (frame.back > -depth - 1.5 - gap - 1.5 * np.clip(noise(25), 0, None))
    canvas[near & ~neck] = T.FAT
    canvas[near & neck] = T.MUSCLE
    rounds = noise(26) > 1.7  # bladder, bowel loops, cysts: round objects that the network must not take for bodies
    canvas[front & rounds & (frame.back < -depth - 12) & ~chest] = T.FLUID if habit["gas"] > 0.5 else T.ORGAN_A


def _regions(spine: SyntheticSpine, frame: SpinalFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return masks of abdomen, chest and neck."""
    diaphragm, inlet = spine.names.index("T11") - 1.0, spine.names.index("T2") + 0.0
    slope = frame.back / 60.0  # the diaphragm and the thoracic inlet slope down anteriorly
    chest = (frame.level > diaphragm + slope * 2.2 + 1) & (frame.level < inlet + slope)
    neck = frame.level >= inlet + slope
    return ~(chest | neck), chest, neck


def _beside(
    canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, depth: np.ndarray, width: np.ndarray, noise: _Noise
) -> None:
    """Paint the tissues beside the bodies: psoas, lung, intercostal and neck muscles, small vessels and nerves."""
    side = np.abs(frame.side)
    lumbar, chest, neck = _regions(spine, frame)
    beside = (side > 0.55 * width) & (frame.back > -depth - 9) & (frame.back < depth + 12)
    fields = noise(22, 4), noise(11, 2)
    fill = np.where(fields[0] > 1.5, T.FAT, T.MUSCLE).astype(np.uint8)
    lower = lumbar & beside & (frame.back > -depth - 14 * spine.habit["psoas"])
    canvas[lower] = fill[lower]
    thin = lower & (side > 0.9 * width) & (side < width + 2.0) & (fields[0] > -0.3)  # fat between psoas and bone
    canvas[thin] = T.FAT
    lung = chest & (side > width + 1.5) & (frame.back < depth * 0.6 + 6)
    canvas[lung] = T.LUNG
    pleura = chest & beside & ~lung
    canvas[pleura] = fill[pleura]
    canvas[neck & beside] = fill[neck & beside]
    dots = (fields[1] > 2.0) & beside & ~lung
    canvas[dots] = np.where(fields[0] > 0, T.VESSEL, T.ROOTS).astype(np.uint8)[dots]


def _vessels(
    canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, depth: np.ndarray, noise: _Noise
) -> None:
    """Paint aorta, vena cava, iliac vessels, trachea and oesophagus, as tubes along the spine."""
    h = spine.habit
    bend = 3.0 * noise(80)
    bifurcation = h["bifurcation"]
    top = float(spine.names.index("T4"))

    def tube(side: float, gap: float, radius: float, low: float, high: float, tissue: Tissue, wall: float) -> None:
        v = frame.back + depth + gap + radius + bend
        r = np.sqrt((frame.side - side) ** 2 + v**2)
        here = (frame.level > low) & (frame.level < high)
        canvas[here & (r < radius)] = T.VESSEL_WALL
        canvas[here & (r < radius - wall)] = tissue

    tube(h["cava_side"], 0.5 * h["aorta_gap"], h["cava_radius"], bifurcation, top - 4, T.VESSEL, 1.0)
    tube(h["aorta_side"], h["aorta_gap"], h["aorta_radius"], bifurcation + 0.4, top, T.VESSEL, 1.5)
    spread = np.clip(bifurcation + 0.4 - frame.level, 0, 3)
    for side in (-1.0, 1.0):  # the iliac vessels diverge from the midline downwards
        v = frame.back + depth + 6 + bend
        r = np.sqrt((frame.side - side * (5 + 14 * spread)) ** 2 + v**2)
        canvas[(r < 6) & (frame.level < bifurcation + 0.4) & (frame.level > -0.6)] = T.VESSEL
    neck_low, neck_high = spine.names.index("T4") + 0.0, len(spine.names) - 1.0
    tube(float(np.sign(h["cord_place"])) * 3, 9, 8, neck_low, neck_high, T.GAS, 1.5)
    tube(3, 2, 5, spine.names.index("T10") + 0.0, neck_high - 2, T.MUSCLE, 1.0)


def _outline(canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, noise: _Noise) -> None:
    """Paint subcutaneous fat, skin and the air outside, behind and in front."""
    h = spine.habit
    rough = 1 + 0.25 * noise(120)
    levels, tips = along(spine, ("-7", 45), ("-2", 40), ("S1", 48), ("L4", 66), ("L1", 62), ("T8", 52), ("T2", 58),
                         ("C7", 62), ("C4", 52), ("C2", 55), ("30", 80))  # fmt: skip
    muscle = frame.along(levels, tips)
    levels, thick = along(spine, ("-7", 2.0), ("-1.5", 1.9), ("S1", 1.5), ("L3", 1.0), ("T6", 0.7), ("C7", 1.1),
                          ("C3", 0.6), ("30", 0.3))  # fmt: skip
    fat = frame.along(levels, thick) * h["back_fat"] * rough
    canvas[frame.back > muscle] = T.FAT
    septum = (np.abs(frame.back - muscle) < 0.8) | (np.abs(frame.back - muscle - 0.55 * fat) < 0.4)
    canvas[septum] = T.LIGAMENT
    canvas[frame.back > muscle + fat - 1.5] = T.SKIN
    canvas[frame.back > muscle + fat] = T.AIR
    levels, reach = along(spine, ("-7", 0.9), ("S1", 1.0), ("L2", 1.0), ("T8", 0.95), ("T2", 0.7))
    front = frame.along(levels, reach) * h["belly"]
    neck = frame.level > spine.names.index("T1")
    front = np.where(neck, np.minimum(front, h["neck"] + 25 * np.clip(frame.level - len(spine.names) + 4, 0, 2)), front)
    front = front * (1 + 0.08 * noise(150))
    canvas[frame.back < -front + 0.3 * h["back_fat"] + 2] = T.FAT
    canvas[frame.back < -front + 1.5] = T.SKIN
    canvas[frame.back < -front] = T.AIR


def _head(canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, noise: _Noise) -> None:
    """Paint skull base, brainstem and cerebellum above C1."""
    n = len(spine.names)
    up = frame.level - n  # 0 just above the dens
    head = up > 0.25
    r = np.hypot((frame.back - 18) / 62, (up - 1.9) / 1.9)
    inside = head & (np.hypot(r, frame.side / 75) < 1) & (frame.back > -2 + 6 * (up - 0.3))
    canvas[head & (np.hypot(r, frame.side / 75) < 1.1) & (frame.back > -9)] = T.SKULL
    canvas[inside] = T.BRAIN
    folds = noise(9) + noise(16)
    canvas[inside & (folds > 1.5)] = T.CSF
    clivus = head & (frame.back > -12) & (frame.back < -2 + 6 * (up - 0.3)) & (up < 2)
    canvas[clivus] = T.SKULL
    stem = (frame.back > 4) & (frame.back < 17) & (np.abs(frame.side) < 11) & (up > -0.2) & (up < 1.6)
    canvas[head & (frame.back > 0) & (frame.back < 20) & (np.abs(frame.side) < 14) & (up < 1.2)] = T.CSF
    canvas[stem] = T.BRAIN
