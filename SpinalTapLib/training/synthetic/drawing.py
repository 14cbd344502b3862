"""Paint a sagittal slice of a synthetic spine: tissues, structures, instances and corners.

Painted back to front: surroundings, canal, posterior elements, discs, sacrum, bodies, dens and C1, metal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...spine.structures import Structure
from .body_shape import Body, Disc, body_distance, corners_in_plane, plates, walls
from .canal import paint_canal
from .posterior import EXPERT_RIM, Field, local_points, paint_arches, rods_field
from .random_spine import SyntheticSpine
from .rods import Rod, smooth_union
from .spinal_frame import Grid, SpinalFrame, spinal_frame, waves
from .surroundings import paint_surroundings
from .tissues import Tissue

T = Tissue

DISC_PLATE_MM, DISC_EDGE_MM = 0.95, 0.5
"""Margins that experts leave out of a disc: at the endplates, whose cartilage is as dark as the cortical line, and at
the outermost fibres. On T2-SPACE stacks, their outlines of body and disc are 1.4 mm apart; their discs extend 0.7 mm
beyond the bodies anteriorly, and end 0.2 mm before them posteriorly."""


@dataclass(frozen=True)
class Canvas:
    """One sagittal slice of finite thickness.

    Attributes
    ----------
    tissue : ndarray of uint8, shape (planes, rows, columns)
        `Tissue` values on 1-3 planes across the slice; the central one is ``[planes // 2]``.
    structures : ndarray of uint8, shape (planes, rows, columns)
        `Structure` values on the same planes; `structure` is the central one.
    instance : ndarray of uint8, shape (rows, columns)
        0, or 1 + index into `SyntheticSpine.vertebrae`, on pixels of a body or an arch.
    pixel_mm : float
        Pixel edge.
    corners_px : ndarray of float32, shape (n, 5, 2)
        (row, column) of the corners and the centroid of each vertebra; NaN if not in the slice.
    origin_mm : ndarray, shape (2,)
        y (posterior) and z (superior) of the centre of pixel (0, 0), LPS, mm.
    centres_px : ndarray of float32, shape (n, 2)
        (row, column) of the centre of every body, projected onto the slice.
    neighbours : tuple of Canvas or None
        The slices on the right and on the left, on the same grid; None if not drawn.
    distance_mm : float
        Lateral distance to the neighbours, mm.
    """

    tissue: np.ndarray
    structures: np.ndarray
    instance: np.ndarray
    pixel_mm: float
    corners_px: np.ndarray
    origin_mm: np.ndarray
    centres_px: np.ndarray
    neighbours: tuple[Canvas | None, Canvas | None] = (None, None)
    distance_mm: float = 0.0

    @property
    def structure(self) -> np.ndarray:
        """`Structure` values on the central plane, shape (rows, columns)."""
        return self.structures[len(self.structures) // 2]


def draw_slice(
    spine: SyntheticSpine,
    x_mm: float,
    *,
    z_range_mm: tuple[float, float],
    y_range_mm: tuple[float, float],
    thickness_mm: float = 0.0,
    planes: int = 1,
    pixel_mm: float = 0.6,
) -> Canvas:
    """Draw one sagittal slice.

    Parameters
    ----------
    spine : SyntheticSpine
        The person.
    x_mm : float
        Lateral position of the centre of the slice, LPS (left is positive), mm.
    z_range_mm, y_range_mm : tuple of float
        Lowest and highest z, most anterior and most posterior y of the drawing, mm.
    thickness_mm : float
        Slice thickness, over which `planes` planes are distributed.
    planes : int
        1 or 3.
    pixel_mm : float
        Pixel edge.
    """
    rows = int(np.ceil((z_range_mm[1] - z_range_mm[0]) / pixel_mm))
    columns = int(np.ceil((y_range_mm[1] - y_range_mm[0]) / pixel_mm))
    offsets = np.array([0.0]) if planes == 1 else np.linspace(-0.36, 0.36, planes) * thickness_mm
    tissue = np.empty((planes, rows, columns), np.uint8)
    structures = np.zeros((planes, rows, columns), np.uint8)
    instance = np.zeros((rows, columns), np.uint8)
    for k, offset in enumerate(offsets):
        grid = Grid(x_mm + float(offset), y_range_mm[0], z_range_mm[1], rows, columns, pixel_mm)
        n = instance if k == planes // 2 else np.zeros_like(instance)
        _paint(tissue[k], structures[k], n, spine, grid)
    centre = Grid(x_mm, y_range_mm[0], z_range_mm[1], rows, columns, pixel_mm)
    origin = np.array([y_range_mm[0], z_range_mm[1]])
    return Canvas(tissue, structures, instance, pixel_mm, _corners(spine, centre), origin, _centres(spine, centre))


def _centres(spine: SyntheticSpine, grid: Grid) -> np.ndarray:
    places = np.array([body.centre for body in spine.vertebrae])
    rows, columns = grid.z0_mm - places[:, 2], places[:, 1] - grid.y0_mm
    return (np.stack((rows, columns), 1) / grid.pixel_mm).astype(np.float32)


def _corners(spine: SyntheticSpine, grid: Grid) -> np.ndarray:
    out = np.full((len(spine.vertebrae), 5, 2), np.nan, np.float32)
    for i, body in enumerate(spine.vertebrae):
        points = corners_in_plane(body, grid.x_mm)
        if points is not None:
            out[i, :, 0] = (grid.z0_mm - points[:, 1]) / grid.pixel_mm
            out[i, :, 1] = (points[:, 0] - grid.y0_mm) / grid.pixel_mm
    limit = np.array([grid.rows, grid.columns]) - 0.5
    beyond: np.ndarray = np.any((out < -0.5) | (out > limit), axis=-1)
    out[beyond] = np.nan
    out[beyond[:, 4]] = np.nan  # vectors of corners need a centroid to point to
    return out


def _paint(
    canvas: np.ndarray, structure: np.ndarray, instance: np.ndarray, spine: SyntheticSpine, grid: Grid
) -> None:
    frame = spinal_frame(spine, grid)
    paint_surroundings(canvas, spine, grid, frame)
    paint_canal(canvas, structure, spine, grid, frame)
    arches = paint_arches(canvas, structure, instance, spine, grid)
    if spine.discs[0].reach >= 1:  # looks like a disc, but is part of the sacrum
        segment = (spine.sacrum[0], spine.vertebrae[0], spine.discs[0])
        _paint_disc(canvas, structure, spine, grid, segment, Structure.SACRUM)
    for segment in zip(spine.vertebrae, spine.vertebrae[1:], spine.discs[1:]):
        _paint_disc(canvas, structure, spine, grid, segment, Structure.DISC)
    for body in (*reversed(spine.sacrum), *spine.vertebrae):
        arch = arches.get(spine.index(body.name) if body.name in spine.names else 0)
        _paint_body(canvas, structure, instance, spine, grid, body, arch)
    segments = (spine.vertebrae[0], *spine.sacrum[:4])
    for high, low, reach in zip(segments, segments[1:], (spine.discs[0].reach, *spine.junction.scars)):
        if reach < 1:
            _paint_scar(canvas, spine, grid, low, high, reach)
    _paint_top(canvas, structure, spine, grid, frame)
    _paint_metal(canvas, spine, grid)


@dataclass(frozen=True)
class _Gap:
    """Pixels of a plane around the gap between two bodies; all arrays of shape (rows, columns), mm.

    Attributes
    ----------
    window : tuple of slice
        Rows and columns of the plane.
    lateral : ndarray
        Lateral coordinate in the lower body's frame.
    rise, fall : ndarray
        Height above the lower body's upper endplate, and depth below the upper body's lower endplate.
    before, behind, beside : tuple of ndarray
        Distance inwards from the anterior, posterior and lateral wall: of the lower body, and of the upper one.
    """

    window: tuple[slice, slice]
    lateral: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    before: tuple[np.ndarray, np.ndarray]
    behind: tuple[np.ndarray, np.ndarray]
    beside: tuple[np.ndarray, np.ndarray]


def _gap(grid: Grid, low: Body, high: Body, margin_mm: float) -> _Gap | None:
    """Return the gap between two bodies, with a margin around it; None if the plane does not show it."""
    middle = (low.centre + low.axes[:, 2] * low.height / 2 + high.centre - high.axes[:, 2] * high.height / 2) / 2
    window = grid.window(middle, 0.75 * max(low.depth, high.depth) + margin_mm)
    if window is None:
        return None
    points = grid.points(*window)
    u0, v0, w0 = low.local(points)
    u1, v1, w1 = high.local(points)
    front0, back0, side0 = walls(low, u0, np.full_like(w0, low.height / 2))
    front1, back1, side1 = walls(high, u1, np.full_like(w1, -high.height / 2))
    return _Gap(
        window, u0, rise=w0 - plates(low, u0, v0)[1], fall=plates(high, u1, v1)[0] - w1,
        before=(v0 - front0, v1 - front1), behind=(back0 - v0, back1 - v1), beside=(side0, side1),
    )  # fmt: skip


def _paint_disc(
    canvas: np.ndarray, structure: np.ndarray, spine: SyntheticSpine, grid: Grid,
    segment: tuple[Body, Body, Disc], kind: Structure,
) -> None:  # fmt: skip
    """Paint the disc of a segment (vertebra below, vertebra above, disc) as structure `kind`."""
    low, high, disc = segment
    gap = _gap(grid, low, high, 12)
    if gap is None:
        return
    rise, fall = gap.rise, gap.fall
    share = np.clip(rise / np.maximum(rise + fall, 0.3), 0, 1)
    arch = 4 * share * (1 - share)
    before, behind, beside = (near * (1 - share) + far * share for near, far in (gap.before, gap.behind, gap.beside))
    before = before + disc.bulge_front * arch
    behind = behind + disc.bulge_back * arch * (np.abs(gap.lateral) < 12)
    depth = np.minimum(np.minimum(before, behind), beside + arch)
    inside = (rise > -1.0) & (fall > -1.0) & (depth > 0) & (rise + fall < 40)
    view, classes = canvas[gap.window], structure[gap.window]
    if disc.fused:
        view[inside] = T.MARROW
        return
    ring = 0.30 * low.depth / 2 * (1.2 - 0.4 * disc.degeneration)
    view[inside] = T.ANNULUS_OUTER
    view[inside & (depth > 0.45 * ring)] = T.ANNULUS_INNER
    nucleus = inside & (depth > ring * (1.1 - 0.5 * np.sin(np.pi * share))) & (np.abs(share - 0.5) < 0.42)
    view[nucleus] = T.NUCLEUS if disc.degeneration < 0.5 else T.NUCLEUS_DRY
    if disc.vacuum:
        view[nucleus & (np.abs(share - 0.5) < 0.2)] = T.NUCLEUS_GAS
    elif spine.habit["cleft"] > 0.5 and disc.degeneration < 0.5:
        view[nucleus & (np.abs(share - 0.5) * (rise + fall) < 0.5)] = T.ANNULUS_INNER
    if kind == Structure.DISC:
        plate = np.minimum(DISC_PLATE_MM, 0.25 * (rise + fall))
        inside = inside & (rise > plate) & (fall > plate) & (depth > DISC_EDGE_MM)
    classes[inside] = kind


def _paint_scar(
    canvas: np.ndarray, spine: SyntheticSpine, grid: Grid, low: Body, high: Body, reach: float
) -> None:  # fmt: skip
    """Join two sacral segments by marrow, with a remnant of the disc in the centre."""
    gap = _gap(grid, low, high, 6)
    if gap is None:
        return
    rise, fall = gap.rise, gap.fall
    depth = np.minimum(np.minimum(np.maximum(*gap.before), np.maximum(*gap.behind)), np.maximum(*gap.beside))
    shell = spine.habit["cortex"]
    joined = (rise > -1.8 - shell) & (fall > -1.8 - shell) & (depth > shell) & (rise + fall < 12)
    view = canvas[gap.window]
    view[joined] = T.SACRAL_MARROW
    left = joined & (rise > -0.3) & (fall > -0.3) & (depth > (1 - reach) * (low.depth + high.depth) / 4)
    view[left] = T.ANNULUS_OUTER
    disc = spine.discs[0]
    if high is spine.vertebrae[0] and disc.height > 2.5:  # high enough to show its nucleus
        view[left & (rise > 0.6) & (fall > 0.6)] = T.NUCLEUS if disc.degeneration < 0.4 else T.SACRAL_DISC


def _paint_body(
    canvas: np.ndarray, structure: np.ndarray, instance: np.ndarray, spine: SyntheticSpine, grid: Grid, body: Body,
    arch: Field | None,
) -> None:  # fmt: skip
    """Paint a body; where its pedicles (or the sacral alae) join it, there is marrow and no cortical line."""
    window = grid.window(body.centre, 0.62 * np.hypot(body.depth, body.height) + 8)
    if window is None or abs(grid.x_mm - body.centre[0]) > body.half_width + 0.5 * body.height:
        return
    u, v, w = local_points(body, grid, window)
    distance = body_distance(body, u, v, w)
    inside = distance > 0
    if not inside.any():
        return
    view, classes, owners = canvas[window], structure[window], instance[window]
    sacral = body.name[0] == "S" or body.name == "Co"
    view[inside] = T.CORTEX
    shell = spine.habit["cortex"] * (0.8 if sacral else 1.0)
    marrow = T.SACRAL_MARROW if sacral else T.MARROW
    if arch is not None:
        distance, own = _joined(distance, arch, window), distance
        through = ~inside & (distance > shell) & (own > -3) & (view == T.CORTEX)
        view[through] = marrow if sacral else T.POSTERIOR_MARROW
        classes[through] = Structure.SACRUM if sacral else Structure.ARCH
    view[inside & (distance > shell)] = marrow
    if body.name in spine.names:
        index = spine.index(body.name)
        kind = {"S1": Structure.S1, "C2": Structure.C2}.get(body.name, Structure.BODY)
        classes[inside] = np.where(distance[inside] > EXPERT_RIM * shell, kind, Structure.BACKGROUND)
        owners[inside] = index + 1
        if not sacral:
            _paint_marrow(view, spine, body, index, u, v, w, distance, shell)
    else:
        classes[inside] = np.where(distance[inside] > EXPERT_RIM * shell, Structure.SACRUM, Structure.BACKGROUND)
        gap = (distance > -2.0) & ~inside & (np.abs(w) > body.height / 2) & (np.abs(v) < body.depth / 2)
        if body is spine.sacrum[0] and spine.discs[0].reach >= 1:
            gap &= w < 0  # the disc above is drawn
        view[gap & (view != T.CORTEX) & (view != marrow)] = T.SACRAL_DISC
        classes[gap & (classes == Structure.BACKGROUND)] = Structure.SACRUM


def _joined(distance: np.ndarray, arch: Field, window: tuple[slice, slice]) -> np.ndarray:
    """Return the distance of points to the surface of a body joined with its arch."""
    return smooth_union(arch.on(window), distance, 2.0)


def _paint_marrow(
    view: np.ndarray, spine: SyntheticSpine, body: Body, index: int,
    u: np.ndarray, v: np.ndarray, w: np.ndarray, distance: np.ndarray, shell: float,
) -> None:  # fmt: skip
    """Paint the basivertebral vein, lesions and cement."""
    inner = distance > shell
    vein = spine.habit["basivertebral"]
    back = body.depth / 2 - body.kidney
    reach = np.clip((v - back + 4 + 9 * vein) / (4 + 9 * vein), 0, 1)
    cleft = (np.abs(w) < 0.4 + 2.4 * vein * reach) & (reach > 0) & (np.abs(u) < 2 + 4 * vein)
    view[cleft & (distance > -0.5) & (view != T.CSF) & (vein > 0.15)] = T.BASIVERTEBRAL
    for owner, tissue, lu, lv, lw, radius in spine.lesions:
        if owner == index and tissue != T.METAL:
            view[inner & (np.sqrt((u - lu) ** 2 + (v - lv) ** 2 + (w - lw) ** 2) < radius)] = tissue


def _paint_metal(canvas: np.ndarray, spine: SyntheticSpine, grid: Grid) -> None:
    for owner, tissue, u, v, w, radius in spine.lesions:
        if tissue == T.METAL:
            body = spine.vertebrae[owner]
            place = body.centre + body.axes @ np.array([u, v, w])
            window = grid.window(place, radius * 1.6)
            if window is not None and abs(place[0] - grid.x_mm) < radius:
                offset = grid.points(*window) - place.astype(np.float32)
                rough = 1 + 0.25 * waves(np.random.default_rng(spine.seed + owner), offset, 12)
                canvas[window][np.sqrt((offset**2).sum(-1)) < radius * rough] = T.METAL


def _paint_top(
    canvas: np.ndarray, structure: np.ndarray, spine: SyntheticSpine, grid: Grid, frame: SpinalFrame
) -> None:
    """Paint the dens (part of C2) and C1."""
    top = spine.vertebrae[-1]
    h, d = top.height, top.depth
    scale = d / 13.5
    dens = Rod((0, -0.1 * d, 0.2 * h), (0, 0.02 * d, h / 2 + 13 * scale), (5.0 * scale, 4.6 * scale, 4.6 * scale))
    for rods, own in ((_atlas(top, scale), False), ((dens,), True)):
        field = rods_field(rods, top, grid)
        if field is None:
            continue
        view, classes, distance = canvas[field.window], structure[field.window], field.distance
        shell = spine.habit["cortex"] * 0.9
        view[distance > 0] = T.CORTEX
        view[distance > shell] = T.MARROW if own else T.POSTERIOR_MARROW
        # The base of the dens must not split the class of the body in two.
        classes[(distance > 0) & ((classes != Structure.C2) | (not own))] = Structure.BACKGROUND
        if own:
            classes[distance > EXPERT_RIM * shell] = Structure.C2
    _paint_synchondrosis(canvas, spine, grid, top)


def _paint_synchondrosis(canvas: np.ndarray, spine: SyntheticSpine, grid: Grid, top: Body) -> None:
    """Paint the subdental synchondrosis, the remnant of a disc in some people."""
    window = grid.window(top.centre, 0.6 * top.height)
    if window is None:
        return
    u, v, w = local_points(top, grid, window)
    gap = spine.habit["dens_gap"] * 2.5 - 0.5
    line = (np.abs(w - 0.42 * top.height) < gap / 2) & (np.abs(v) < 0.36 * top.depth) & (np.abs(u) < 0.4 * top.depth)
    canvas[window][line] = T.NUCLEUS if spine.habit["dens_gap"] > 0.6 else T.SACRAL_DISC


def _atlas(top: Body, scale: float) -> tuple[Rod, ...]:
    """Return C1 in the frame of C2: anterior arch, lateral masses with transverse processes, posterior arch."""
    h, d = top.height, top.depth
    level = h / 2 + 8 * scale
    front, back = -0.5 * d - 5 * scale, d / 2 + 20 * scale
    rods = [Rod((-7, front, level + 1), (7, front, level + 1), (3.4, 3.0, 4.6))]
    rods.append(Rod((-6, back, level - 2), (6, back, level - 2), (3.0, 3.2, 4.4)))
    for side in (-1.0, 1.0):
        mass = (side * 17 * scale, 0.5, level)
        rods.append(Rod((side * 14 * scale, -1.0, level), mass, (5.5, 7.5, 6.5)))
        rods.append(Rod((side * 6, front + 0.5, level + 1), (side * 13 * scale, -3.0, level), (3.0, 3.0, 4.4)))
        rods.append(Rod(mass, (side * 33 * scale, 3.0, level - 1), (4.0, 4.0, 4.0), taper=0.8))
        bow = (side * 15 * scale, 0.62 * back, level - 1)
        rods.append(Rod((side * 18 * scale, 4.0, level), bow, (2.8, 2.8, 3.2)))
        rods.append(Rod(bow, (side * 5, back, level - 2), (2.8, 2.8, 3.8)))
    return tuple(rods)
