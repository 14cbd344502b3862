"""Paint the spinal canal in one plane: epidural fat, dural sac, cord, roots, ligaments and foramina."""

from __future__ import annotations

import numpy as np

from ...spine.structures import Structure
from .random_spine import SyntheticSpine
from .spinal_frame import Grid, SpinalFrame, enlarged, waves
from .surroundings import along, half_depth, half_width
from .tissues import Tissue

T = Tissue


def paint_canal(
    canvas: np.ndarray, structure: np.ndarray, spine: SyntheticSpine, grid: Grid, frame: SpinalFrame
) -> None:
    """Paint the canal and its contents on a canvas and its class map, both of shape (rows, columns)."""
    near = np.nonzero((np.abs(frame.back - 18) < 40).any(0))[0]
    if not len(near):
        return
    columns = slice(int(near[0]), int(near[-1]) + 1)  # the canal is within these columns
    frame = SpinalFrame(frame.level[:, columns], frame.side[:, columns], frame.back[:, columns])
    _paint_near(canvas[:, columns], structure[:, columns], spine, grid.columns_of(columns), frame)


def _paint_near(
    canvas: np.ndarray, structure: np.ndarray, spine: SyntheticSpine, grid: Grid, frame: SpinalFrame
) -> None:
    levels = np.arange(len(spine.names), dtype=float)
    ends = np.concatenate([[-5.0, -2.0], levels, [levels[-1] + 3]])
    depth = frame.along(ends, np.concatenate([[4.0, 11.0], spine.canal_depth, [24.0]]))
    width = frame.along(ends, np.concatenate([[8.0, 22.0], spine.canal_width, [24.0]]))
    wall = half_depth(spine, frame) - 0.8
    within = (frame.level > -4.5) & (frame.level < len(spine.names) + 0.3)
    v = (frame.back - wall) / depth  # 0 at the posterior wall of the bodies, 1 at the laminae
    s = np.abs(frame.side) / (width / 2)
    canal = within & (v > 0) & (v < 1) & (s < np.sqrt(np.clip(1.05 - (2 * v - 0.9) ** 4, 0.02, 1)))
    _foramina(canvas, spine, frame, v, s, within)
    canvas[within & (np.abs(v - 1.05) < 0.09) & (s < 1) & (np.cos(2 * np.pi * frame.level) < 0.1)] = T.LIGAMENT
    _vertebral_arteries(canvas, spine, frame)
    _between_spines(canvas, spine, grid, frame, v, within)
    canvas[canal] = T.EPIDURAL_FAT
    flava = canal & (v > 0.98 - _flava_mm(spine, frame, s) / depth)
    canvas[flava] = T.LIGAMENT
    canal = canal & ~flava
    structure[_sac(canvas, spine, grid, frame, canal, v, s, depth)] = Structure.CANAL
    loose = _front_fat(spine, frame) * depth > 1.5  # ligament lifted off the bone: too thin to see
    canvas[within & (np.abs(frame.back - wall - 0.2) < 0.55) & (s < 0.7) & ~loose] = T.LIGAMENT
    front = within & (np.abs(frame.back + half_depth(spine, frame) + 0.4) < 0.5)
    canvas[front & (np.abs(frame.side) < 9) & (frame.level > -0.5)] = T.LIGAMENT


def _sac(
    canvas: np.ndarray, spine: SyntheticSpine, grid: Grid, frame: SpinalFrame, canal: np.ndarray,
    v: np.ndarray, s: np.ndarray, depth: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Paint the dural sac with CSF, the cord down to the conus, and the roots below it; return the mask of the sac.

    The cross-section is nearly elliptical, with fat in the corners of the canal. The fat behind the sac is thickest
    between the laminae, at the level of the discs. On T2-SPACE stacks of living adults,
    the sac fills 0.80 of its bounding rectangle at L3 and is 11-13 mm deep and 15-17 mm wide.
    """
    h = spine.habit
    fat = 0.08 + 0.28 * h["epidural"]
    shares = ("-3", 1.8), ("-1", 1.6), ("S1", 1.3), ("L4", 1.0), ("T12", 0.7), ("T6", 0.9), ("C6", 0.25)
    levels, share = along(spine, *shares)
    behind = fat * frame.along(levels, share) * (0.75 - 0.45 * np.cos(2 * np.pi * (frame.level - h["epidural"] * 0.1)))
    low = np.clip(-frame.level - 0.3, 0, 3)
    before = np.clip(_front_fat(spine, frame) + 0.10 * low, 0.03, 0.5)
    top, bottom = before, 0.98 - np.clip(behind, 0.02, 0.6)
    levels, share = along(spine, ("-2", 0.45), ("-1", 0.55), ("S1", 0.60), ("L3", 0.68), ("T12", 0.74), ("T6", 0.80),
                          ("C6", 0.82), ("C2", 0.80))  # fmt: skip
    aside = s / (frame.along(levels, share) * (0.88 + 0.24 * h["sac_width"]))
    across = (v - (top + bottom) / 2) / np.maximum((bottom - top) / 2, 0.05)
    sac = canal & (np.abs(across) ** 2.3 + aside**2.3 < 1) & (frame.level > h["sac_end"])
    canvas[sac] = T.CSF
    plexus = np.hypot((v - before * 0.5) * depth, (frame.level - np.rint(frame.level)) * 30)
    canvas[canal & (v < before - 0.02) & (plexus < 2.2 * h["basivertebral"])] = T.VESSEL
    conus = spine.index("L1") + h["conus"]
    rng = np.random.default_rng(spine.seed + 1)
    cord_levels, cord = along(spine, ("C2", 8.3), ("C5", 7.8), ("C7", 7.0), ("T4", 6.1), ("T9", 6.2), ("T11", 7.0))
    taper = np.clip((frame.level - conus) / 1.6, 0, 1) ** 0.6
    radius = frame.along(cord_levels, cord) / 2 * (h["cord_depth"] / 7.5) * taper
    place = frame.along(*along(spine, ("L1", 0.62), ("T9", 0.55), ("T5", 0.42), ("C7", 0.5), ("C3", 0.52)))
    offset = (v - place - 0.07 * h["cord_place"]) * depth
    radius = np.minimum(radius, 0.42 * depth)
    cord_mask = sac & (np.hypot(offset, frame.side / 1.45) < radius)
    thick = h["roots"]
    hang = 0.62 - 0.2 * np.clip((spine.index("L3") - frame.level) / 3, 0, 1)  # roots are posterior in the sac
    stripe = np.sin((v + 0.02 * _noise(rng, grid, 40)) * depth * 2.2 + frame.side * 0.8)
    roots = sac & (frame.level < conus + 1.0) & (v > hang - 0.25 * thick) & (stripe > 0.5 - 0.9 * thick) & ~cord_mask
    canvas[roots] = T.ROOTS
    canvas[cord_mask] = T.CORD
    return sac


def _flava_mm(spine: SyntheticSpine, frame: SpinalFrame, s: np.ndarray) -> np.ndarray:
    """Return the thickness, mm, of the ligamenta flava within the canal, for the lateral position `s` of every pixel.

    A pair joins the laminae at each disc, with fat in the midline between the two. In lumbar segments they are 2.5-4 mm
    thick, and 4-6 mm where the disc is degenerate, so that the sac becomes triangular.
    """
    rng = np.random.default_rng(spine.seed + 4)
    person, pairs = rng.uniform(2.4, 4.0), rng.uniform(0, 1, len(spine.discs))
    levels, region = along(spine, ("S1", 1.0), ("L1", 1.0), ("T10", 0.7), ("C7", 0.6), ("C2", 0.4))
    worn = np.array([disc.degeneration for disc in spine.discs])
    thickness = (person + 3.5 * worn * pairs) * np.interp(np.arange(len(worn)) - 0.5, levels, region)
    above = np.clip(np.rint(frame.level + 0.5), 0, len(worn) - 1).astype(int)  # the vertebra above the nearest disc
    at_disc = np.exp(-np.square((frame.level + 0.5 - above) / 0.28))
    return thickness[above] * at_disc * np.clip((s - 0.1) / 0.35, 0, 1)


def _vertebral_arteries(canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame) -> None:
    """Paint the vertebral arteries, which pass through the cervical transverse processes from C6 upwards."""
    neck = frame.level > spine.index("C6") - 0.6
    if not neck.any():
        return
    beside = np.abs(frame.side) - (half_width(spine, frame) + 5.5)
    before = frame.back - (half_depth(spine, frame) - 4.0)
    canvas[neck & (np.hypot(beside, before) < 2.3)] = T.VESSEL


def _between_spines(
    canvas: np.ndarray, spine: SyntheticSpine, grid: Grid, frame: SpinalFrame, v: np.ndarray, within: np.ndarray
) -> None:
    """Paint ligaments and fat between the spinous processes, which are painted later."""
    middle = within & (np.abs(frame.side - spine.habit["spinous_side"]) < 3.2) & (v > 1) & (frame.level > -0.6)
    if not middle.any():
        return
    rng = np.random.default_rng(spine.seed + 3)
    streaks = _noise(rng, grid, 9)
    levels, reach = along(spine, ("S1", 42), ("L4", 54), ("L1", 52), ("T8", 46), ("T2", 50), ("C7", 54), ("C4", 40))
    middle &= frame.back < frame.along(levels, reach)
    fatty = np.float32(2.0 * spine.habit["streaks"] - 0.4)
    canvas[middle] = np.where(streaks[middle] < fatty, T.FAT, T.LIGAMENT).astype(np.uint8)


def _front_fat(spine: SyntheticSpine, frame: SpinalFrame) -> np.ndarray:
    """Return the fraction of the canal's depth that is filled by fat and veins anterior to the sac.

    It is largest at L5-S1, where the sac leaves the bone, and behind the centre of the bodies, where the ligament
    bridges their concavity.
    """
    levels, share = along(spine, ("-2", 1.0), ("S1", 1.0), ("L5", 0.75), ("L4", 0.45), ("L2", 0.2), ("T11", 0.12))
    waist = np.where(frame.level < 0.6, 1.0, 0.55 + 0.45 * np.cos(2 * np.pi * frame.level))
    return spine.habit["front_fat"] * frame.along(levels, share) * waist


def _noise(rng: np.random.Generator, grid: Grid, length_mm: float) -> np.ndarray:
    """Return smooth noise on a grid, drawn at an eighth of its resolution."""
    coarse = waves(rng, grid.points(slice(0, None, 8), slice(0, None, 8)), length_mm)
    return enlarged(coarse, grid.rows, grid.columns, 8)


def _foramina(
    canvas: np.ndarray, spine: SyntheticSpine, frame: SpinalFrame, v: np.ndarray, s: np.ndarray, within: np.ndarray
) -> None:
    """Paint the neural foramina: fat with a nerve root and a vein between the pedicles."""
    gap = frame.level - np.floor(frame.level)  # 0 at the centre of a body, 0.5 in the disc
    levels, reach = along(spine, ("S1", 2.1), ("T12", 2.1), ("T2", 1.8), ("C7", 1.45), ("C2", 1.45))
    hole = within & (s > 0.75) & (s < frame.along(levels, reach)) & (v > -0.25) & (v < 0.75)
    hole &= (gap > 0.30) & (gap < 0.88) & (frame.level > -0.2)
    canvas[hole] = T.EPIDURAL_FAT
    root = np.hypot((v - 0.22) * 16, (gap - 0.70) * 32) < 3.2
    canvas[hole & root] = T.ROOTS
    vein = np.hypot((v - 0.30) * 16, (gap - 0.48) * 32) < 1.8
    canvas[hole & vein] = T.VESSEL
