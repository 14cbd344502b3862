"""Paint the posterior elements in one sagittal plane: arches, ribs, and the lateral and posterior parts of the sacrum.

Each bone is a signed distance field, cut at the facet joints. Tissues and mask classes are derived from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...spine.structures import Structure
from .arch import sacral_mass
from .body_shape import Body
from .published_sizes import TABLE
from .random_spine import SyntheticSpine
from .rods import Rod, rod_distance, smooth_union
from .spinal_frame import Grid
from .tissues import Tissue

T = Tissue

EXPERT_RIM = 0.5
"""Fraction of the cortical line outside the mask classes. Experts' outlines follow its middle: outlines around the line
are 0.8-0.9 mm outside the SPIDER masks."""

ARCH_RIM = 0.8
"""The same for arches, whose dark line is thicker because of attached ligaments: on T2-SPACE stacks, experts' outlines
are 0.9 mm inside its middle (0.65 mm at the bodies)."""

_FAR_MM = -6.0  # signed distance used far from the bone
_MARGIN_MM = 2.0

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Field:
    """A signed distance field, mm, positive inside, in a window of a plane.

    Attributes
    ----------
    window : tuple of slice
        Rows and columns of the grid.
    distance : ndarray, shape of the window
        Distance to the surface of the bone of this vertebra.
    depth : ndarray, shape of the window
        Distance to the outer surface of all bone fused with it, on which the cortical shell is painted.
    """

    window: Window
    distance: np.ndarray
    depth: np.ndarray

    def on(self, window: Window) -> np.ndarray:
        """Return the distance in another window; `_FAR_MM` where the two do not overlap."""
        out = np.full(tuple(s.stop - s.start for s in window), _FAR_MM, np.float32)
        there, here = _overlap(window, self.window)
        if there is not None:
            out[there] = self.distance[here]
        return out


def rods_field(rods: Sequence[Rod], body: Body, grid: Grid) -> Field | None:
    """Return the distance to the smooth union of rods in the frame of a body; None if the plane misses all of them."""
    hit = [(rod, window) for rod in rods if (window := _window(rod, body, grid)) is not None]
    if not hit:
        return None
    whole = _around([window for _, window in hit])
    field = np.full(tuple(s.stop - s.start for s in whole), _FAR_MM, np.float32)
    for rod, window in hit:
        part = field[tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(window, whole))]
        part[:] = smooth_union(part, rod_distance(rod, *local_points(body, grid, window)), rod.blend)
    return Field(whole, field, field)


def local_points(body: Body, grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return u, v, w (mm) of the pixels of a window in the frame of a body."""
    z = (grid.z0_mm - body.centre[2]) - grid.pixel_mm * np.arange(window[0].start, window[0].stop)
    y = (grid.y0_mm - body.centre[1]) + grid.pixel_mm * np.arange(window[1].start, window[1].stop)
    x = grid.x_mm - body.centre[0]
    u, v, w = (
        ((x * axis[0] + z * axis[2])[:, None] + (y * axis[1])[None, :]).astype(np.float32) for axis in body.axes.T
    )
    return u, v, w


def _window(rod: Rod, body: Body, grid: Grid) -> Window | None:
    """Return the window that contains a rod's cross-section; None if the plane misses the rod."""
    p, q = (body.centre + body.axes @ np.array(end) for end in (rod.start, rod.end))
    reach = rod.reach + _MARGIN_MM
    ahead = q[0] - p[0]
    if abs(ahead) < 1e-3:
        if abs(grid.x_mm - p[0]) > reach:
            return None
        low, high = 0.0, 1.0
    else:
        low, high = sorted(((grid.x_mm - reach - p[0]) / ahead, (grid.x_mm + reach - p[0]) / ahead))
        low, high = max(low, 0.0), min(high, 1.0)
        if low >= high:
            return None
    ends = p + np.outer((low, high), q - p)
    rows = (grid.z0_mm - ends[:, 2]) / grid.pixel_mm
    columns = (ends[:, 1] - grid.y0_mm) / grid.pixel_mm
    r = reach / grid.pixel_mm
    r0, r1 = max(int(rows.min() - r), 0), min(int(rows.max() + r) + 2, grid.rows)
    c0, c1 = max(int(columns.min() - r), 0), min(int(columns.max() + r) + 2, grid.columns)
    return (slice(r0, r1), slice(c0, c1)) if r0 < r1 and c0 < c1 else None


def arch_fields(spine: SyntheticSpine, grid: Grid) -> tuple[dict[int, Field], list[tuple[Window, np.ndarray, Tissue]]]:
    """Return the arches in a plane, cut at the facet joints.

    Returns
    -------
    fields : dict of int to Field
        Index of the vertebra to its arch.
    joints : list of (window, bool ndarray, Tissue)
        Cartilage or fluid of the joints.
    """
    fields = {}
    for i, (body, arch) in enumerate(zip(spine.vertebrae, spine.arches)):
        field = rods_field(arch.rods, body, grid) if i else _sacral_field(spine, grid)
        if field is not None:
            fields[i] = field
    joints: list[tuple[Window, np.ndarray, Tissue]] = []
    for i in sorted(fields):
        if i + 1 in fields:
            _cut_joint(fields, i, spine, joints)
    return fields, joints


def _cut_joint(
    fields: dict[int, Field], i: int, spine: SyntheticSpine, joints: list[tuple[Window, np.ndarray, Tissue]]
) -> None:
    """Separate two neighbouring arches halfway where they overlap, with the gap of the facet joint."""
    low, high = fields[i], fields[i + 1]
    here, there = _overlap(low.window, high.window)
    if here is None or there is None:
        return
    a, b = low.distance[here], high.distance[there]
    if not ((a > -2) & (b > -2)).any():
        return
    arch = spine.arches[i]
    half_gap = 0.0 if arch.fused else arch.gap_mm / 2
    middle = (a - b) / 2
    one, other = np.minimum(a, middle - half_gap), np.minimum(b, -middle - half_gap)
    joined = np.maximum(a, b) if arch.fused else None
    if joined is None:
        between = (np.maximum(a, b) > 0.4) & (one < 0) & (other < 0)
        tissue = T.FLUID if arch.effusion else T.NUCLEUS_DRY
        window = tuple(slice(w.start + s.start, w.start + s.stop) for w, s in zip(low.window, here))
        joints.append((window, between, tissue))  # type: ignore[arg-type]
    fields[i] = _replaced(low, here, one, joined)
    fields[i + 1] = _replaced(high, there, other, joined)


def _replaced(field: Field, part: Window, distance: np.ndarray, depth: np.ndarray | None) -> Field:
    own, deep = field.distance.copy(), field.depth.copy()
    own[part] = distance
    deep[part] = np.maximum(deep[part], depth) if depth is not None else np.minimum(deep[part], distance)
    return replace(field, distance=own, depth=deep)


def _overlap(one: Window, other: Window) -> tuple[Window | None, Window | None]:
    """Return the overlap of two windows in the coordinates of each; None if they do not overlap."""
    spans = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other)]
    if any(low >= high for low, high in spans):
        return None, None
    mine, its = ([slice(low - w.start, high - w.start) for (low, high), w in zip(spans, win)] for win in (one, other))
    return (mine[0], mine[1]), (its[0], its[1])


def paint_arches(
    canvas: np.ndarray, structure: np.ndarray, instance: np.ndarray, spine: SyntheticSpine, grid: Grid
) -> dict[int, Field]:
    """Paint ribs, sacrum and arches; return the distance fields of the arches by index of the vertebra."""
    shell = 0.9 * spine.habit["cortex"]
    for body, arch in zip(spine.vertebrae, spine.arches):
        field = rods_field(arch.ribs, body, grid) if arch.ribs else None
        if field is not None:
            _paint(canvas, structure, field, shell, T.POSTERIOR_MARROW, Structure.BACKGROUND)
    fields, joints = arch_fields(spine, grid)
    for i, field in fields.items():
        sacral = i == 0
        _paint(
            canvas, structure, field, shell, T.SACRAL_MARROW if sacral else T.POSTERIOR_MARROW,
            Structure.SACRUM if sacral else Structure.ARCH,
        )  # fmt: skip
        if not sacral:
            instance[field.window][field.distance > 0] = i + 1
    for window, between, tissue in joints:
        canvas[window][between] = tissue
    return fields


def _sacral_field(spine: SyntheticSpine, grid: Grid) -> Field | None:
    """Return the alae, lateral masses and posterior wall of the sacrum, S1 to S5, as one piece."""
    depths = np.interp(np.arange(1, 5), [0, 1, 4], [float(spine.canal_depth[0]), 12.0, 6.0])
    scale = spine.vertebrae[0].depth_upper / TABLE["S1"]["depth_upper"]
    below = spine.sacrum[: len(depths)]
    masses = [sacral_mass(body, k, scale, float(depth)) for k, (body, depth) in enumerate(zip(below, depths), start=2)]
    bodies = [spine.vertebrae[0], *below]
    found = [rods_field(rods, body, grid) for rods, body in zip([spine.arches[0].rods, *masses], bodies)]
    fields = [field for field in found if field is not None]
    if not fields:
        return None
    window = _around([field.window for field in fields])
    whole = fields[0].on(window)
    for field in fields[1:]:
        whole = smooth_union(whole, field.on(window), 4.0)
    return Field(window, whole, whole)


def _around(windows: Sequence[Window]) -> Window:
    """Return the bounding window of several windows."""
    rows, columns = (slice(min(w[k].start for w in windows), max(w[k].stop for w in windows)) for k in (0, 1))
    return rows, columns


def _paint(
    canvas: np.ndarray, structure: np.ndarray, field: Field, shell: float, marrow: Tissue, kind: Structure
) -> None:
    view, classes = canvas[field.window], structure[field.window]
    inside = field.distance > 0
    view[(field.distance > -0.7) & ~inside & (view != T.CSF) & (view != T.CORD) & (view != T.ROOTS)] = T.LIGAMENT
    view[inside] = T.CORTEX
    view[inside & (field.depth > shell)] = marrow
    classes[inside] = np.where(field.depth[inside] > ARCH_RIM * shell, kind, Structure.BACKGROUND)
