"""Measure how close reconstructed surfaces are to bodies of known shape.

Bodies of synthetic spines are sampled into slices as a scanner would, with the fraction of bone in every voxel, and
reconstructed: by this library, and by marching cubes on the stack of masks. No network is involved, so the figures
measure the geometry alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

from ...bodies.segmentation import separate_bodies
from ...bodies.surfaces import body_surface
from ...bodies.triangle_mesh import mesh_arrays
from ...detection.detector import Detections
from ...scans.resampling import working_volume
from ...scans.volume import SagittalVolume
from ...spine.structures import N_STRUCTURES, Structure
from ..evaluation.overlap import dice
from ..synthetic.body_shape import Body, corners_in_plane
from ..synthetic.posture import rotation
from ..synthetic.random_spine import random_spine
from .true_surface import FINE_MM, TrueBody, compare_surface, overlap, true_body

SLICES_MM = (1.0, 3.0, 4.0, 5.0)
PIXELS_MM = (0.5, 0.8, 1.2)
LEVELS = ("L5", "L2", "T11", "T7", "T3", "C5")
"""Bodies of different sizes and shapes."""

_OBLIQUE_DEG = 8.0
"""Standard deviation of the rotation of the stack against the body, about each axis."""
_CORNER_ERROR_PX = 0.5
"""Standard deviation of the errors added to the corners, in place of a detector's errors."""


@dataclass(frozen=True)
class Fidelity:
    """Agreement of one reconstructed surface with the true surface.

    Attributes
    ----------
    dice : float
        Overlap in 3-D, on a grid of 0.5 mm.
    distance_mm : float
        Mean distance between the surfaces, in both directions.
    distance95_mm : float
        95th percentile of these distances.
    volume_percent : float
        Volume error, % of the true volume, signed.
    """

    dice: float
    distance_mm: float
    distance95_mm: float
    volume_percent: float


def measure_fidelity(
    slices_mm: Sequence[float] = SLICES_MM,
    pixels_mm: Sequence[float] = PIXELS_MM,
    *,
    spines: int = 4,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[tuple[float, float], list[tuple[Fidelity, Fidelity]]]:
    """Measure surfaces on synthetic bodies.

    Parameters
    ----------
    slices_mm, pixels_mm : sequence of float
        Slice spacings and pixel edges of the scans.
    spines : int
        Number of synthetic people; of each, the bodies of `LEVELS` are measured.
    seed : int
        Seed of the synthetic people.
    progress : callable, optional
        Called with the fraction done.

    Returns
    -------
    dict
        (slice, pixel) in mm to a list of pairs, one per body: fidelity of this library, and of the plain stack.
    """
    out: dict[tuple[float, float], list[tuple[Fidelity, Fidelity]]] = {
        (s, p): [] for s in slices_mm for p in pixels_mm
    }
    for done, truth in enumerate(_truths(spines, seed)):
        for number, (key, found) in enumerate(out.items()):
            rng = np.random.default_rng([seed, done, number])
            pair = _compared(truth, *key, rng)
            if pair is not None:
                found.append(pair)
        if progress is not None:
            progress((done + 1) / (spines * len(LEVELS)))
    return out


def fidelity_table(results: dict[tuple[float, float], list[tuple[Fidelity, Fidelity]]]) -> str:
    """Return a Markdown table of the means over the bodies; for the volume error, of its absolute value."""
    head = (
        "| slices, mm | pixels, mm | bodies | Dice | mean distance, mm | 95 %, mm | volume error, % "
        "| plain: Dice | mean, mm | 95 %, mm | volume, % | plain / ours |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    )
    lines = []
    for (slice_mm, pixel_mm), pairs in results.items():
        ours, plain = (mean_fidelity([pair[side] for pair in pairs]) for side in (0, 1))
        cells = [f"{slice_mm:g}", f"{pixel_mm:g}", str(len(pairs)), *_cells(ours), *_cells(plain)]
        lines.append(f"| {' | '.join([*cells, f'{plain.distance_mm / ours.distance_mm:.1f}'])} |\n")
    return head + "".join(lines)


def mean_fidelity(found: Sequence[Fidelity]) -> Fidelity:
    """Return the means; for the volume error, the mean of its absolute value."""
    return Fidelity(*(float(np.mean([abs(getattr(f, item.name)) for f in found])) for item in fields(Fidelity)))


def _cells(f: Fidelity) -> list[str]:
    return [f"{f.dice:.3f}", f"{f.distance_mm:.2f}", f"{f.distance95_mm:.2f}", f"{f.volume_percent:.1f}"]


def _truths(spines: int, seed: int) -> Iterator[TrueBody]:
    for person in range(spines):
        rng = np.random.default_rng([seed, person, 5])
        spine = random_spine(rng, healthy=True)
        for name in LEVELS:
            if name in spine.names:
                body = spine.vertebrae[spine.index(name)]
                turn = rotation(*np.radians(rng.normal(0, _OBLIQUE_DEG, 3)))
                yield true_body(replace(body, centre=np.zeros(3), axes=turn @ body.axes))


def _compared(
    truth: TrueBody, slice_mm: float, pixel_mm: float, rng: np.random.Generator
) -> tuple[Fidelity, Fidelity] | None:
    """Return the fidelity of this library and of the plain stack on one body; None if no slice shows its corners."""
    volume = _scan(truth, slice_mm, pixel_mm, rng)
    working = working_volume(volume)
    members = _members(truth.body, working, rng)
    if not members:
        return None
    probabilities = np.zeros((len(working.array), N_STRUCTURES, *working.array.shape[1:]), np.float16)
    probabilities[:, Structure.BODY] = np.clip(working.array, 0, 1)
    probabilities[:, Structure.BACKGROUND] = 1 - probabilities[:, Structure.BODY]
    candidate: Any = SimpleNamespace(members=members)  # bodies need no more of it
    solid = separate_bodies(Detections(working, (), probabilities), [candidate], volume).solids[0]
    if solid is None:
        return None
    distances = compare_surface(*mesh_arrays(body_surface(solid)), truth)
    return Fidelity(overlap(solid, truth), *distances), plain_stack(volume.array > 0.5, volume, truth)


def _scan(truth: TrueBody, slice_mm: float, pixel_mm: float, rng: np.random.Generator) -> SagittalVolume:
    """Return a stack with the fraction of bone in every voxel, at a random offset."""
    share = np.clip(truth.field / FINE_MM + 0.5, 0, 1).astype(np.float64)
    starts = []
    for axis, step in enumerate((slice_mm, pixel_mm, pixel_mm)):
        share, start = _thickened(share, axis, step / FINE_MM, rng.random())
        starts.append(start)
    matrix = truth.matrix.copy()
    matrix[:3, :3] *= np.array([slice_mm, pixel_mm, pixel_mm]) / FINE_MM
    matrix[:3, 3] += truth.matrix[:3, :3] @ starts
    return SagittalVolume(share.astype(np.float32), matrix)


def _thickened(share: np.ndarray, axis: int, step: float, offset: float) -> tuple[np.ndarray, float]:
    """Return means over intervals of `step` voxels along an axis, and the index of the first interval's centre."""
    total = np.insert(np.cumsum(share, axis), 0, 0, axis)  # integral up to the edges of the voxels
    edges = np.arange(offset * step, share.shape[axis], step)
    low = np.clip(np.floor(edges).astype(int), 0, share.shape[axis] - 1)
    part = np.expand_dims(edges - low, tuple(a for a in range(3) if a != axis))
    at = np.take(total, low, axis) * (1 - part) + np.take(total, low + 1, axis) * part
    return np.diff(at, axis=axis) / step, float(edges[0] + step / 2 - 0.5)


def _members(body: Body, working: SagittalVolume, rng: np.random.Generator) -> tuple[SimpleNamespace, ...]:
    """Return the corners in every slice in which a detector would find them."""
    members = []
    for index in range(len(working.array)):
        x = float(working.to_lps(np.array([index, 0, 0]))[0])
        corners = corners_in_plane(body, x)
        if corners is not None:
            lps = np.column_stack([np.full(4, x), corners[:4]])
            pixels = working.to_index(lps)[:, 1:] + rng.normal(0, _CORNER_ERROR_PX, (4, 2))
            members.append(SimpleNamespace(slice=index, corners=pixels))
    return tuple(members)


def plain_stack(mask: np.ndarray, volume: SagittalVolume, truth: TrueBody) -> Fidelity:
    """Return the fidelity of plain marching cubes on a stack of masks, shape (slice, row, column)."""
    vertices, triangles, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5)
    change = np.linalg.inv(volume.matrix) @ truth.matrix
    there = ndimage.affine_transform(
        mask.astype(np.uint8), change[:3, :3], change[:3, 3], truth.field.shape, order=0, mode="constant"
    )
    common = dice(there > 0, truth.field > 0)
    return Fidelity(common, *compare_surface(volume.to_lps(vertices - 1), triangles, truth))
