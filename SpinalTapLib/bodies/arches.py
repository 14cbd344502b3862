"""Divide the mask of arches among the vertebrae, and join each arch with its body.

The mask does not distinguish one arch from another, and the nearest body is often the wrong one: in the lumbar spine an
articular process lies beside the vertebra below, in the chest a spinous process lies behind it. The network therefore
predicts, for each pixel of an arch, where the body of the same vertebra lies (`Detections.homes`). Every pixel votes
for the bodies near that place, and the votes are averaged over the surrounding bone, across slices too, so that single
wrong pixels do not count. Distances to the bodies, straight or through bone, give far fewer pixels to the right
vertebra (``spinaltap experiment arches``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..detection.part_maps import Candidate, Detections
from ..machine import in_threads
from ..spine.notes import Note
from ..spine.quadrilaterals import height
from ..spine.structures import BODY_CLASSES, Structure
from .outlines import Outline
from .pieces import CORNERS
from .solids import Solid, interpolated
from .tracks import Window

VOTE_WIDTH = 1 / 3
"""Standard deviation of a vote around the middle of a body, in body heights; neighbours are 1.2 to 1.5 apart."""
LEAST_VOTE = 0.05
"""Least averaged vote; pixels with less point to a vertebra that was not found."""
SPREAD_MM = 3.0
"""Standard deviation of the average of the votes over the surrounding bone."""
ROOT_MM = 3.0
"""Depth of an arch's root in its body, in which both overlap, so that they join without a gap."""
UP_MM, DOWN_MM, FRONT_MM, BACK_MM = 50.0, 80.0, 20.0, 115.0
"""Largest extent of an arch from the middle of its body; the spinous processes of large thoracic vertebrae reach 75 mm
down."""
LEAST_PIECE_MM3 = 100.0
"""Least volume of a piece of an arch that is separate from the body; smaller ones are noise. It is a third of a
cervical spinous process."""
LEAST_ARCH = 0.03
"""Least volume of an arch in volumes of its body; whole arches have 0.25 and more."""
MIDLINE_MM = 6.0
LEAST_MIDLINE = 0.02
"""Least mean area of lamina and spinous process in the slices within `MIDLINE_MM` of the middle, in body areas."""
MERGED = 0.32
"""Area of contact with a neighbour's arch, in squares of the body height, from which both may be merged. On phantoms
with perfect masks, facet joints in thick slices reach 0.09, fused arches 0.33."""
MERGED_MORE = 2.5
"""The same in median areas of the pairs nearby, as a network often does not see the gaps of the facet joints: 0.3 to
0.5 in each pair of a healthy lumbar spine, 0.1 in thoracic ones."""
NEARBY = 2
"""Pairs above and below a pair that count as nearby."""
_FAINT = 0.05
"""Probability below which a pixel is background."""
_SPECK_MM3 = 15.0
"""Volume below which a separate piece of a solid is an artefact of the interpolation."""


@dataclass(frozen=True, eq=False)
class Arch:
    """The arch of one vertebra.

    Attributes
    ----------
    solid : Solid or None
        The arch with its root, which reaches up to `ROOT_MM` into the body; None if no arch was seen.
    flags : tuple of str
        Notes in plain English.
    """

    solid: Solid | None
    flags: tuple[str, ...] = ()


def separate_arches(
    detections: Detections, candidates: Sequence[Candidate], bodies: Sequence[Outline | None]
) -> tuple[Arch, ...]:
    """Return the arch of every candidate.

    Parameters
    ----------
    detections : Detections
        With `Detections.homes`; see `Detections.has_arches`.
    candidates : sequence of Candidate
        From the bottom up.
    bodies : sequence of Outline or None
        The outline of each candidate's body.
    """
    working = detections.working
    share = detections.probabilities[:, Structure.ARCH].astype(np.float32)
    owner = _tidied(owners(detections, candidates), share, bodies, working.spacing_mm)
    found = list(
        in_threads(
            lambda j: _arch(j, candidates[j], bodies[j], owner, share, detections),
            range(len(candidates)),
        )
    )
    contact_mm2 = _contacts(np.where(share > 0.5, owner, -1), len(found), working.spacing_mm)
    heights = [height(np.median([m.corners for m in c.members], axis=0)) for c in candidates]
    merged = _merged(contact_mm2 / np.square(np.array(heights) * working.spacing_mm[1])[:, None])
    at_sides = np.unique(owner[[0, -1]][share[[0, -1]] > 0.5])
    narrow = np.count_nonzero(at_sides >= 0) > sum(arch.solid is not None for arch in found) / 2
    said_once = {Note.ARCH_APART} if narrow else set()  # the stack ends before the pedicles: one warning tells of all
    return tuple(
        replace(a, flags=(*(f for f in a.flags if f not in said_once), *([Note.ARCH_MERGED] if merged[j] else [])))
        for j, a in enumerate(found)
    )


def _merged(contact: np.ndarray) -> np.ndarray:
    """Return which of n arches have an unusually large contact with a neighbour; contacts (n, n) in squared heights."""
    pairs = np.diagonal(contact, 1)
    usual = np.array([np.median(pairs[max(i - NEARBY, 0) : i + NEARBY + 1]) for i in range(len(pairs))])
    large = pairs > np.maximum(MERGED, MERGED_MORE * usual)
    return np.append(large, False)[: len(contact)] | np.append(False, large)[: len(contact)]


def _contacts(owner: np.ndarray, count: int, spacing_mm: np.ndarray) -> np.ndarray:
    """Return the area, mm², in which the voxels of each two of `count` owners touch, shape (count, count)."""
    out = np.zeros((count, count))
    for axis in range(3):
        face_mm2 = float(np.prod(spacing_mm) / spacing_mm[axis])
        along = np.moveaxis(owner, axis, 0)
        one, other = along[:-1], along[1:]
        touching = (one >= 0) & (other >= 0) & (one != other)
        np.add.at(out, (one[touching], other[touching]), face_mm2)
    return out + out.T


def owners(detections: Detections, candidates: Sequence[Candidate]) -> np.ndarray:
    """Return the vertebra that each voxel of an arch belongs to.

    Parameters
    ----------
    detections : Detections
        With `Detections.homes`.
    candidates : sequence of Candidate

    Returns
    -------
    ndarray of int16, shape (slices, rows, columns)
        Position in `candidates`; -1 where there is no arch, and on arches of vertebrae that were not found.
    """
    shape = detections.probabilities[:, Structure.ARCH].shape
    most = np.full(shape, LEAST_VOTE, np.float32)
    owner = np.full(shape, -1, np.int16)
    for j, (box, vote) in enumerate(in_threads(lambda candidate: _votes(detections, candidate), candidates)):
        better = vote > most[box]
        owner[box] = np.where(better, j, owner[box])
        most[box] = np.where(better, vote, most[box])
    return owner


def _votes(detections: Detections, candidate: Candidate) -> tuple[tuple[slice, ...], np.ndarray]:
    """Return the votes for a candidate, 0 where there is no arch, and the box of the working volume that they fill."""
    working, homes = detections.working, detections.homes
    assert homes is not None
    share = detections.probabilities[:, Structure.ARCH]
    pixel_mm = float(working.spacing_mm[1])
    corners = np.median([m.corners for m in candidate.members], axis=0)
    middle = corners.mean(0)
    low = np.clip(np.floor(middle - np.array([UP_MM, FRONT_MM]) / pixel_mm), 0, share.shape[1:]).astype(int)
    high = np.clip(np.ceil(middle + np.array([DOWN_MM, BACK_MM]) / pixel_mm), 0, share.shape[1:]).astype(int)
    box = (slice(None), slice(low[0], high[0]), slice(low[1], high[1]))
    seen = share[box].astype(np.float32)
    if not (seen > _FAINT).any():
        return box, np.zeros(seen.shape, np.float32)
    rows, columns = np.ogrid[low[0] : high[0], low[1] : high[1]]
    off = np.square(rows + homes[:, 0][box].astype(np.float32) - middle[0])
    off += np.square(columns + homes[:, 1][box].astype(np.float32) - middle[1])
    width = VOTE_WIDTH * float(height(corners))
    vote = _averaged(np.exp(-off / (2 * width**2)), seen, working.spacing_mm)
    return box, np.where(seen > _FAINT, vote, 0)


def _averaged(vote: np.ndarray, weight: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Return the average of the votes over the surrounding bone, weighted with the probability of bone."""
    sd = SPREAD_MM / spacing_mm
    above, below = (ndimage.gaussian_filter(a, sd, mode="constant", truncate=2.5) for a in (vote * weight, weight))
    return above / np.maximum(below, 1e-6)


def _tidied(
    owner: np.ndarray, share: np.ndarray, bodies: Sequence[Outline | None], spacing_mm: np.ndarray
) -> np.ndarray:
    """Return the owners without small separate pieces, which go to the vertebra whose bone surrounds them."""
    voxel_mm3 = float(np.prod(spacing_mm))
    bone = (share > 0.5) & (owner >= 0)
    lost = np.zeros(share.shape, bool)
    for j, box in enumerate(ndimage.find_objects(np.where(bone, owner + 1, 0), len(bodies))):
        if box is None:
            continue
        pieces, count = ndimage.label(bone[box] & (owner[box] == j), CORNERS)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:] * voxel_mm3
        small = np.flatnonzero(sizes < np.maximum(LEAST_PIECE_MM3, 0.02 * sizes.max())) + 1
        lost[box] |= np.isin(pieces, small)
    if not lost.any():
        return owner
    kept = bone & ~lost
    if not kept.any():
        return np.full_like(owner, -1)
    out = owner.copy()
    for part in ndimage.find_objects(ndimage.label(lost, CORNERS)[0]):
        near = tuple(slice(max(s.start - 3, 0), s.stop + 3) for s in part)
        away, at = ndimage.distance_transform_edt(~kept[near], spacing_mm, return_indices=True)
        given = np.where(kept[near].any() & (away <= SPREAD_MM), owner[near][tuple(at)], -1)
        out[near] = np.where(lost[near], given, out[near])
    return out


def _arch(
    j: int, candidate: Candidate, body: Outline | None, owner: np.ndarray, share: np.ndarray, detections: Detections
) -> Arch:
    """Return the arch of candidate `j`."""
    working = detections.working
    is_s1 = candidate.evidence[BODY_CLASSES].argmax() == Structure.S1 - BODY_CLASSES.start
    nothing = Arch(None, () if is_s1 else (Note.NO_ARCH,))  # the arch of S1 is part of the sacrum
    (box,) = ndimage.find_objects(((owner == j) & (share > 0.5)).astype(np.int8), 1)
    if box is None or body is None:
        return nothing
    voxel_mm3 = float(np.prod(working.spacing_mm))
    body_mm3 = float((body.probability > 0.5).sum()) * voxel_mm3
    window = _around(box, working.spacing_mm, share.shape)
    mine = np.where(_seen_in(window, owner, -1) == j, _seen_in(window, share, 0), 0).astype(np.float32)
    if (mine > 0.5).sum() * voxel_mm3 < LEAST_ARCH * body_mm3:
        return nothing
    own = _moved(body, window)
    root = _root(mine, own, working.spacing_mm)
    solid = interpolated(Outline(np.minimum(mine + root, 1), window), working.matrix)
    solid = None if solid is None else _without_specks(solid)
    if solid is None:
        return nothing
    return Arch(solid, () if is_s1 else _flags(candidate, mine, own, window, share.shape, working.spacing_mm))


def _around(box: tuple[slice, ...], spacing_mm: np.ndarray, shape: tuple[int, ...]) -> Window:
    """Return the window around an arch and its root; its outermost slices are empty."""
    room = int(np.ceil(ROOT_MM / float(spacing_mm[1]))) + 2
    first, last = box[0].start - 1, box[0].stop
    low = np.array([box[1].start - room, box[2].start - room])
    size = np.array([box[1].stop + room, box[2].stop + room]) - low
    return Window(first, low, (last - first + 1, int(size[0]), int(size[1])))


def _seen_in(window: Window, array: np.ndarray, outside: float) -> np.ndarray:
    """Return the part of an array of the working volume in a window; `outside` where it extends beyond the volume."""
    out = np.full(window.shape, outside, array.dtype)
    low = np.array([window.first, *window.corner])
    start, stop = np.maximum(low, 0), np.minimum(low + window.shape, array.shape)
    if (stop > start).all():
        inner = tuple(slice(a, b) for a, b in zip(start - low, stop - low))
        out[inner] = array[tuple(slice(a, b) for a, b in zip(start, stop))]
    return out


def _moved(outline: Outline, window: Window) -> np.ndarray:
    """Return the probability of an outline in another window."""
    out = np.zeros(window.shape, np.float32)
    here, there = (np.array([w.first, *w.corner]) for w in (window, outline.window))
    start = np.maximum(here, there)
    stop = np.minimum(here + window.shape, there + outline.window.shape)
    if (stop > start).all():
        inner, source = (tuple(slice(a, b) for a, b in zip(start - low, stop - low)) for low in (here, there))
        out[inner] = outline.probability[source]
    return out


def _root(arch: np.ndarray, body: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Return the part of a body's probability within `ROOT_MM` of its arch, in the slices that show both."""
    near = ndimage.distance_transform_edt(arch <= 0.5, [1e3, *spacing_mm[1:]]) <= ROOT_MM
    return np.where(near, body, 0)


def _without_specks(solid: Solid) -> Solid | None:
    """Return a solid without tiny separate pieces and cavities, trimmed; None if nothing is left."""
    solid = solid.trimmed()
    inside = solid.field > 0
    inside[[0, -1]] = inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    pieces, count = ndimage.label(inside)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * solid.voxel_mm3
    sizes[0] = 0
    inside = ndimage.binary_fill_holes((sizes >= min(_SPECK_MM3, sizes.max()))[pieces] & inside)
    least = np.maximum(np.abs(solid.field), 0.05).astype(np.float32)
    return Solid(np.where(inside, least, -least), solid.matrix) if inside.any() else None


def _flags(
    candidate: Candidate, arch: np.ndarray, body: np.ndarray, window: Window, shape: tuple[int, ...],
    spacing_mm: np.ndarray,
) -> tuple[str, ...]:  # fmt: skip
    """Return the notes on an arch, given as probability in a window, as the body is; `shape` is that of the volume."""
    where = np.argwhere(arch > 0.5) + [window.first, *window.corner]
    cut = (where[:, 1:] == 0).any() or (where[:, 1:] == np.array(shape[1:]) - 1).any()
    pieces = ndimage.label(arch + body > 0.5, CORNERS)[0]
    apart = np.isin(pieces[arch > 0.5], np.unique(pieces[body > 0.5])).mean() < 0.5
    notes = {Note.ARCH_CUT: cut, Note.ARCH_APART: apart, Note.NO_SPINOUS: _lacks_middle(candidate, where, spacing_mm)}
    return tuple(note for note, present in notes.items() if present)


def _lacks_middle(candidate: Candidate, where: np.ndarray, spacing_mm: np.ndarray) -> bool:
    """Return whether an arch, given by its voxels, has hardly anything behind the canal in the middle slices."""
    corners = np.median([m.corners for m in candidate.members], axis=0)
    depth_px = float(np.ptp(corners[:, 1]))
    middle = np.mean([m.slice for m in candidate.members])
    near = np.abs(where[:, 0] - middle) * spacing_mm[0] <= max(MIDLINE_MM, float(spacing_mm[0]))
    behind = where[:, 2] > corners[:, 1].max() + 0.25 * depth_px
    area_mm2 = depth_px * float(height(corners)) * float(np.prod(spacing_mm[1:]))
    planes = len(np.unique(where[near, 0])) if near.any() else 1
    return bool((near & behind).sum() * float(np.prod(spacing_mm[1:])) / planes < LEAST_MIDLINE * area_mm2)


def whole(body: Solid, arch: Solid) -> Solid:
    """Return a whole vertebra: the union of a body and its arch (which includes its root)."""
    matrix, shape = _shared_grid(body, arch)
    field = np.maximum(body.sample(matrix, shape), arch.sample(matrix, shape))
    out = _without_specks(Solid(field, matrix))
    return body if out is None else out


def without_root(arch: Solid, body: Solid) -> Solid | None:
    """Return an arch that ends at the wall of its body, or None if nothing is left."""
    field = np.minimum(arch.field, -body.sample(arch.matrix, arch.field.shape))
    return _without_specks(Solid(field, arch.matrix))


def _shared_grid(body: Solid, arch: Solid) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return matrix and shape of the arch's grid, extended to include the body."""
    change = np.linalg.inv(arch.matrix) @ body.matrix
    ends = np.array(np.meshgrid(*((0, n - 1) for n in body.field.shape), indexing="ij")).reshape(3, -1)
    places = change[:3, :3] @ ends + change[:3, 3:]
    low = np.minimum(np.floor(places.min(1)), 0).astype(int) - 1
    high = np.maximum(np.ceil(places.max(1)), np.array(arch.field.shape) - 1).astype(int) + 1
    matrix = arch.matrix.copy()
    matrix[:3, 3] += matrix[:3, :3] @ low
    return matrix, tuple(int(n) for n in high - low + 1)
