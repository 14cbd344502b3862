"""Segment the intervertebral discs, and the dural sac in the spinal canal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..spine.canal_sections import CanalSections
from ..spine.quadrilaterals import depth, height
from ..spine.structures import Structure
from .outlines import SIDE_MM, Linked, Outline
from .pieces import CORNERS, largest_piece
from .solids import Solid
from .tracks import Track, soft_step, tracks_of

DISC_REACH = 0.75
"""Reach of a disc beyond the quadrilateral between the facing endplates, as a fraction of that quadrilateral's
height."""
DISC_REACH_MM = 4.0
"""Least value of that reach, mm."""
MAX_GAP = 0.9
"""Largest gap between two neighbours, in body heights; above it, a vertebra is missing between them."""
LEAST_DISC_MM3 = 60.0
"""Least volume of a disc; smaller pieces are noise. A cervical disc has about 800 mm³, and still 300 mm³ after losing
half its height."""
CANAL_REACH_MM = 45.0
"""Largest anterior-posterior distance of the canal from the centres of the bodies at the same height."""
LEAST_CANAL_MM3 = 1000.0
"""Least volume of a separate piece of the canal, that of half the height of a cervical body; smaller ones are noise."""

MOST_BRIDGED_MM = 60.0
"""Longest gap of the canal that is interpolated: metal beside two vertebrae."""
BRIDGE_MARGIN_MM = 4.0
"""Distance of the cross-sections used for interpolation from the ends of a gap, where an artefact narrows the canal."""
LEAN_MM = 8.0
"""Standard deviation of the smoothing of the canal's middle line, for its direction."""


class _Gap:
    """The quadrilateral between two facing endplates in one slice, which holds the disc."""

    def __init__(self, index: int, lower: np.ndarray, upper: np.ndarray) -> None:
        self.slice = index
        # In the order of `vertebra.CORNERS`: the upper side is the lower endplate of the vertebra above.
        self.corners = np.stack((upper[3], upper[2], lower[1], lower[0]))
        self.room = float(height(self.corners) / max(float(height(lower) + height(upper)) / 2, 1e-6))


def disc_outlines(
    probabilities: np.ndarray, candidates: Sequence[Linked], spacing_mm: np.ndarray
) -> tuple[Outline | None, ...]:
    """Assign the mask's discs to the vertebrae below them.

    The highest vertebra has a disc above it, too, although the next vertebra is cut by the edge of the image.

    Parameters
    ----------
    probabilities : ndarray, shape (slices, n_structures, rows, columns)
        Mask classes in the order of `Structure`.
    candidates : sequence
        Linked vertebrae, from the bottom up.
    spacing_mm : ndarray, shape (3,)
        Distances of slices, rows and columns of the working volume, mm.

    Returns
    -------
    tuple of Outline or None
        The disc above each candidate, from the bottom up; None if the mask shows no disc, or if a vertebra is missing
        between the neighbours.
    """
    shape = (len(probabilities), *probabilities.shape[2:])
    gaps = [_gaps(low, up) for low, up in zip(candidates, candidates[1:])]
    gaps += [_topmost_gaps(candidates)] if candidates else []
    tracks = tracks_of(gaps, shape, spacing_mm, reach_mm=12.0, side_mm=SIDE_MM)
    return tuple(None if track is None else _disc(probabilities, track, spacing_mm) for track in tracks)


def _gaps(lower: Linked, upper: Linked) -> list[_Gap]:
    """Return the gap in every slice that shows both vertebrae; an empty list if a vertebra is missing between them."""
    below = {m.slice: m.corners for m in lower.members}
    gaps = [_Gap(m.slice, below[m.slice], np.asarray(m.corners)) for m in upper.members if m.slice in below]
    return gaps if gaps and np.median([gap.room for gap in gaps]) < MAX_GAP else []


def _topmost_gaps(candidates: Sequence[Linked]) -> list[_Gap]:
    """Return the gaps above the highest vertebra, as if the next one lay as far away as the one below does."""
    if len(candidates) < 2:
        return []
    below = {m.slice: np.asarray(m.corners) for m in candidates[-2].members}
    top = {m.slice: np.asarray(m.corners) for m in candidates[-1].members}
    steps = [(top[k] - below[k]).mean(0) for k in top if k in below]
    step = np.median(steps, axis=0) if steps else np.zeros(2)
    gaps = [_Gap(k, corners, corners + step) for k, corners in top.items()] if steps else []
    return gaps if gaps and np.median([gap.room for gap in gaps]) < MAX_GAP else []


def _disc(probabilities: np.ndarray, track: Track, spacing_mm: np.ndarray) -> Outline | None:
    """Return the outline of one disc, or None if the mask shows too little of it."""
    size = probabilities.shape[2:]
    share = np.zeros(track.window.shape, np.float32)
    for k in range(len(share)):
        index = track.window.first + k
        if 0 <= index < len(probabilities):
            own, view = track.window.of_itself(size), track.window.of_image(size)
            reach = max(DISC_REACH_MM / track.pixel_mm, DISC_REACH * float(height(track.quads[k])))
            limit = soft_step(_gate(track.quads[k] - track.window.corner, track.window.shape[1:], reach))[own]
            share[k][own] = np.minimum(probabilities[index, Structure.DISC][view].astype(np.float32), limit)
    share[[0, -1]] = 0
    piece = largest_piece(share > 0.5, CORNERS)
    if piece is None or piece.sum() * np.prod(spacing_mm) < LEAST_DISC_MM3:
        return None
    near = ndimage.binary_dilation(piece, CORNERS)
    return Outline(np.where(near & ((share <= 0.5) | piece), share, 0).astype(np.float32), track.window)


def _gate(corners: np.ndarray, size: Sequence[int], reach: float) -> np.ndarray:
    """Return signed distances, px, positive inside, to the gap, extended by `reach` anteriorly and posteriorly."""
    points = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1).astype(np.float32)
    middle = corners.mean(0)
    back = corners[1] + corners[2] - corners[0] - corners[3]
    back = back / max(float(np.linalg.norm(back)), 1e-6)
    along = np.abs((points - middle) @ back) - float(depth(corners)) / 2
    return np.minimum(reach - along, _level_margin(corners, points, reach))


def _level_margin(corners: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    """Return the distance, px, of points into the band between the two facing endplates, widened by `reach`.

    The endplates are concave, so a disc extends beyond the straight lines between their corners.
    """
    margins = []
    for a, b in ((corners[1], corners[0]), (corners[3], corners[2])):
        edge = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
        normal = np.array([-edge[1], edge[0]])
        if (corners.mean(0) - a) @ normal < 0:
            normal = -normal
        margins.append((points - a) @ normal + reach)
    return np.minimum(*margins)


@dataclass(frozen=True, eq=False)
class Canal:
    """The spinal canal, or the dural sac in it, whichever the mask shows, as a tube.

    Attributes
    ----------
    solid : Solid
    sections : CanalSections
        Its cross-sections, one for each row of the working volume.
    """

    solid: Solid
    sections: CanalSections


def canal_of(probabilities: np.ndarray, candidates: Sequence[Linked], matrix: np.ndarray) -> Canal | None:
    """Return the spinal canal near the vertebrae as one tube, or None if the mask shows none.

    Where an artefact interrupts the mask, over at most `MOST_BRIDGED_MM`, the tube is interpolated between the
    cross-sections above and below; the area is not known there.

    Parameters
    ----------
    probabilities : ndarray, shape (slices, n_structures, rows, columns)
        Mask classes in the order of `Structure`.
    candidates : sequence
        Linked vertebrae.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the working volume to LPS mm.

    Notes
    -----
    The solid's field is not a distance but the probability less 0.5, times the slice distance, interpolated linearly
    across the slices. An area is that of a row, times the cosine of the angle between the tube and the rows' normal.
    """
    members = [m for c in candidates for m in c.members]
    if not members:
        return None
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    centres = np.array([[m.slice, *np.asarray(m.corners).mean(0)] for m in members]) * spacing
    probability = np.pad(probabilities[:, Structure.CANAL].astype(np.float32), 1)
    canal = _canal_pieces(probability > 0.5, centres, spacing)
    if not canal.any():
        return None
    where = np.argwhere(canal)
    low, high = np.maximum(where.min(0) - 1, 0), where.max(0) + 2
    box = tuple(slice(a, b) for a, b in zip(low, high))
    near = ndimage.binary_dilation(canal[box], CORNERS)
    value = np.where(near & ((probability[box] <= 0.5) | canal[box]), probability[box], 0)
    sides = [k - low[0] for k in (1, len(probability) - 2)]  # the image's outermost slices
    cut = np.any([canal[box][k].any(1) for k in sides if 0 <= k < len(value)], axis=0)
    value, bridged = _bridged(value, spacing)
    shift = np.eye(4)
    shift[:3, 3] = low - 1
    solid = Solid(((value - 0.5) * spacing[0]).astype(np.float32), matrix @ shift)
    return Canal(solid, _sections(value, spacing, solid.matrix, bridged | cut))


def _bridged(value: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a canal's probabilities without gaps, (slice, row, column), and which rows were interpolated."""
    bridged = np.zeros(value.shape[1], bool)
    rows = np.flatnonzero((value > 0.5).any((0, 2))).tolist()
    margin, most = (max(1, round(mm / float(spacing[1]))) for mm in (BRIDGE_MARGIN_MM, MOST_BRIDGED_MM))
    for above, below in zip(rows, rows[1:]):
        if 1 < below - above <= most:
            above, below = max(above - margin, rows[0]), min(below + margin, rows[-1])
            value = value.copy()
            between = _between(value[:, above], value[:, below], below - above, spacing)
            value[:, above : below + 1] = np.maximum(value[:, above : below + 1], between)
            bridged[above : below + 1] = True
    return value, bridged


def _between(above: np.ndarray, below: np.ndarray, steps: int, spacing: np.ndarray) -> np.ndarray:
    """Return probabilities of sections from one to another, both (slice, column), shape (slice, steps + 1, column)."""
    ends = [section > 0.5 for section in (above, below)]
    middles = [np.argwhere(end).mean(0) for end in ends]
    grid = [spacing[0], spacing[2]]
    walls = [ndimage.distance_transform_edt(end, grid) - ndimage.distance_transform_edt(~end, grid) for end in ends]
    out = np.empty((len(above), steps + 1, above.shape[1]), np.float32)
    for k, part in enumerate(np.linspace(0, 1, steps + 1)):
        way = (1 - part) * middles[0] + part * middles[1]
        there = [ndimage.shift(wall, way - middle, order=1, mode="nearest") for wall, middle in zip(walls, middles)]
        wall = (1 - part) * there[0] + part * there[1]
        out[:, k] = np.clip(wall / float(spacing[2]) + 0.5, 0, 1)
    return out


def _sections(value: np.ndarray, spacing: np.ndarray, matrix: np.ndarray, unknown: np.ndarray) -> CanalSections:
    """Return the sections of the rows that show the canal; `matrix` takes (slice, row, column) of `value` to LPS mm."""
    filled = value.sum((0, 2))
    rows = np.flatnonzero((value > 0.5).any((0, 2)))
    index = [np.arange(n) for n in value.shape]
    middle = np.stack([value.sum(2).T @ index[0], value.sum(0) @ index[2]], 1)[rows] / filled[rows, None]
    smooth = ndimage.gaussian_filter1d(middle * spacing[[0, 2]], LEAN_MM / spacing[1], axis=0, mode="nearest")
    lean = np.gradient(smooth, axis=0) / spacing[1] if len(rows) > 1 else np.zeros_like(smooth)
    areas = filled[rows] * spacing[0] * spacing[2] / np.sqrt(1 + (lean**2).sum(1))
    points = np.column_stack([middle[:, 0], rows, middle[:, 1]]) @ matrix[:3, :3].T + matrix[:3, 3]
    return CanalSections(points, np.where(unknown[rows], np.nan, areas))


def _canal_pieces(inside: np.ndarray, centres: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return which voxels of a mask belong to the canal: the largest piece and other large ones, near the bodies.

    Parameters
    ----------
    inside : ndarray of bool, shape (slices + 2, rows + 2, columns + 2)
        The mask of the working volume, padded by one voxel.
    centres : ndarray, shape (n, 3)
        Centres of the bodies in the slices that show them, (slice, row, column) of the working volume, mm.
    spacing : ndarray, shape (3,)
        mm.
    """
    pieces, count = ndimage.label(inside, CORNERS)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    large = (sizes == sizes.max(initial=0)) | (sizes * np.prod(spacing) >= LEAST_CANAL_MM3)
    kept = []
    for piece, part in enumerate(ndimage.find_objects(pieces), 1):
        if not large[piece - 1]:
            continue
        where = np.argwhere(pieces[part] == piece) + [s.start - 1 for s in part]
        rows = where[:, 1].min() * spacing[1], where[:, 1].max() * spacing[1]
        beside = (centres[:, 1] >= rows[0]) & (centres[:, 1] <= rows[1])
        column = centres[beside if beside.any() else slice(None), 2].mean()
        if abs(where[:, 2].mean() * spacing[2] - column) <= CANAL_REACH_MM:
            kept.append(piece)
    return np.isin(pieces, kept)
