"""Measure how many voxels of the arches go to the right vertebra, on phantoms with a perfect mask.

Compared are the nearest centre of a body, the shortest way through bone, and the averaged votes of `bodies.arches`. The
offsets that these are based on are exact, or disturbed as a network's may be: blurred over the borders between arches,
with smooth noise, and with patches that point to a neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...bodies.arches import owners
from ...detection.linking import link
from ...detection.part_maps import Candidate, Detections, SliceVertebra
from ...scans.volume import SagittalVolume
from ...spine.structures import BODY_CLASSES, N_STRUCTURES, Structure
from ..evaluation.tables import markdown_table
from ..synthetic.drawing import Canvas, draw_slice
from ..synthetic.random_spine import random_spine

SCANS = (("T11", "L5", 4.0), ("T11", "L5", 6.0), ("C3", "T1", 3.0), ("T2", "T10", 4.0), ("T11", "L5", 2.0))
"""Highest and lowest level in view, and slice distance, mm; used in turn."""
NOISE = {"exact": (0.1, 0.0, 0.0), "disturbed": (3.0, 3.0, 0.0), "worse": (4.0, 6.0, 0.0), "patches": (3.0, 3.0, 0.15)}
"""Width of the blur and sd of the noise, px, and fraction of the pixels that point one vertebra too high or too low."""

_THROUGH_BONE_STEPS = 200


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn scan: its perfect detections, without noise, and the vertebra of each voxel of bone (0: none)."""

    name: str
    detections: Detections
    instance: np.ndarray


def study_owners(scans: int, progress: Callable[[float, str], None] | None = None) -> str:
    """Return a table with the fraction of the voxels of arches that each method gives to the right vertebra.

    Parameters
    ----------
    scans : int
        Number of phantoms, with pathology, drawn as `SCANS` says.
    progress : callable, optional
        Called with the fraction done and the scan's name.
    """
    rows = [["scan", "nearest centre", "through bone", *(f"votes, {name}" for name in NOISE)]]
    shares = []
    for seed in range(scans):
        drawn = draw_scan(seed, *SCANS[seed % len(SCANS)])
        if progress is not None:
            progress(seed / scans, drawn.name)
        shares.append(_shares_right(drawn, np.random.default_rng(seed)))
        rows.append([drawn.name, *(f"{share:.3f}" for share in shares[-1])])
    return markdown_table([*rows, ["mean", *(f"{share:.3f}" for share in np.mean(shares, axis=0))]])


def draw_scan(seed: int, highest: str, lowest: str, slice_mm: float) -> Drawn:
    """Draw a spine between two levels and return what a perfect network would detect in it."""
    spine = random_spine(np.random.default_rng([seed, 11]), healthy=False)
    ends = (name if name in spine.names else name[0] + str(int(name[1:]) - 1) for name in (lowest, highest))
    low, high = map(spine.index, ends)
    bodies = spine.vertebrae[low : high + 1]
    centres = np.array([b.centre for b in bodies])
    half = max(b.half_width for b in bodies) + 6
    (x0, y0, _), (x1, y1, _) = centres.min(0), centres.max(0)
    z = float(centres[0, 2] - bodies[0].height), float(centres[-1, 2] + bodies[-1].height)
    canvases = [
        draw_slice(
            spine, float(x), y_range_mm=(y0 - 30, y1 + 75), z_range_mm=z, thickness_mm=0.9 * slice_mm, planes=3,
            pixel_mm=1.0,
        )
        for x in np.arange(x0 - half, x1 + half, slice_mm)
    ]  # fmt: skip
    seen = [v for k, canvas in enumerate(canvases) for v in _vertebrae(canvas, k)]
    masks = np.stack([np.stack([(c.structures == s).mean(0) for s in range(N_STRUCTURES)]) for c in canvases])
    instance = np.stack([c.instance for c in canvases])
    homes = np.stack([_homes(canvas) for canvas in canvases])
    matrix = np.array([[slice_mm, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    volume = SagittalVolume(np.zeros(instance.shape, np.float32), matrix)
    name = f"{highest}-{lowest}, {slice_mm:g} mm"
    return Drawn(name, Detections(volume, tuple(seen), masks.astype(np.float16), homes), instance)


def _vertebrae(canvas: Canvas, index: int) -> list[SliceVertebra]:
    """Return the bodies with all corners in a slice."""
    classes = np.eye(N_STRUCTURES)[Structure.BODY]
    shown = [points for points in canvas.corners_px if np.isfinite(points).all()]
    return [SliceVertebra(index, p[:4].astype(float), p[4].astype(float), 0.95, classes) for p in shown]


def _homes(canvas: Canvas) -> np.ndarray:
    """Return the exact offset from each pixel of bone to the centre of its body, (2, rows, columns), px."""
    owner = canvas.instance.astype(int)
    pixels = np.indices(owner.shape)
    centres = canvas.centres_px[np.maximum(owner - 1, 0)]
    return np.where(owner > 0, np.moveaxis(centres, -1, 0) - pixels, 0).astype(np.float32)


def _shares_right(drawn: Drawn, rng: np.random.Generator) -> list[float]:
    """Return the fraction of voxels that each method gives to the right vertebra; those cut from view don't count."""
    detections = drawn.detections
    candidates = link(detections)
    truth = _numbers(drawn, candidates)[drawn.instance]
    arch = (detections.probabilities[:, Structure.ARCH] > 0.5) & (truth >= 0)
    found = [_nearest(detections, candidates), _through_bone(drawn, truth)]
    for blur, sd, wrong in NOISE.values():
        homes = np.stack([_disturbed(plane, rng, blur, sd, wrong) for plane in np.asarray(detections.homes)])
        found.append(owners(Detections(detections.working, (), detections.probabilities, homes), candidates))
    return [float((owner[arch] == truth[arch]).mean()) for owner in found]


def _numbers(drawn: Drawn, candidates: Sequence[Candidate]) -> np.ndarray:
    """Return the candidate of each value of `Drawn.instance`; -1 for those that were not found."""
    out = np.full(256, -1)
    for j, candidate in enumerate(candidates):
        member = candidate.members[len(candidate.members) // 2]
        row, column = np.round(member.centroid).astype(int)
        out[int(drawn.instance[member.slice, row, column])] = j
    return out


def _nearest(detections: Detections, candidates: Sequence[Candidate]) -> np.ndarray:
    """Return the candidate with the nearest centre for each voxel."""
    places = np.moveaxis(np.indices(detections.working.array.shape, np.float32), 0, -1) * detections.working.spacing_mm
    centres = [detections.working.to_index(c.centroid_lps_mm) * detections.working.spacing_mm for c in candidates]
    return np.argmin([np.square(places - centre).sum(-1) for centre in centres], axis=0)


def _through_bone(drawn: Drawn, truth: np.ndarray) -> np.ndarray:
    """Return the candidate that is nearest by a way through bone, in steps of 1 mm, for each voxel; -1 for none.

    `truth` is the candidate of each voxel of bone, of which only the bodies are used.
    """
    masks = drawn.detections.probabilities
    body = masks[:, BODY_CLASSES].sum(1) > 0.5
    bone = body | (masks[:, Structure.ARCH] > 0.5)
    owner = np.where(body, truth, -1)
    slice_steps = max(1, round(float(drawn.detections.working.spacing_mm[0])))
    plane = ndimage.generate_binary_structure(3, 1)
    plane[[0, 2]] = False
    for step in range(_THROUGH_BONE_STEPS):
        shape = ndimage.generate_binary_structure(3, 1) if step % slice_steps == slice_steps - 1 else plane
        grown = ndimage.grey_dilation(owner, footprint=shape)
        owner = np.where(bone & (owner < 0), grown, owner)
    return owner


def _disturbed(homes: np.ndarray, rng: np.random.Generator, blur: float, sd: float, wrong: float) -> np.ndarray:
    """Return the offsets of one slice, (2, rows, columns), blurred, with smooth noise and with wrong patches."""
    weight = ndimage.gaussian_filter((homes != 0).any(0).astype(np.float32), blur)
    out = np.stack([ndimage.gaussian_filter(part, blur) / np.maximum(weight, 1e-3) for part in homes])
    for part in out:
        noise = ndimage.gaussian_filter(rng.normal(size=part.shape), 4)
        part += sd * noise / noise.std()
    place = ndimage.gaussian_filter(rng.normal(size=homes.shape[1:]), 5)
    out[0][place > np.quantile(place, 1 - wrong)] += rng.choice([-30.0, 30.0])
    return out
