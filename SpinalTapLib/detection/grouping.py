"""Group parts into vertebrae: each corner is assigned to the centroid that its vector points to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spine import quadrilaterals as quads
from ..spine.structures import BODY_CLASSES
from ..spine.vertebra import CORNERS
from .networks import CENTROID, N_CORNERS
from .part_maps import PartMaps, SliceVertebra
from .peaks import CENTROID_THRESHOLD, CORNER_THRESHOLD, find_peaks, kept_apart

JOIN_LIMIT = 0.5
"""Largest distance between a corner's target and a centroid, as a fraction of the vector's length (half the body's
diagonal)."""

DUPLICATE_DISTANCE = 0.8
"""Distance, in half diagonals, below which two centroids lie in one body; those of neighbours are 1.7 apart, even
where a body has collapsed."""

DUPLICATE_OVERLAP = 0.3
"""Fraction of a quadrilateral that another covers above which the two are one body."""

MAX_TILT_DEGREES = 100.0
"""Largest angle between a body's upward axis and the image's vertical; S1 may lie nearly horizontal."""

AREA_RANGE_MM2 = (45.0, 2600.0)
"""Area of a body: from a child's C5 to a large man's L4 with osteophytes, both with a margin of a third."""

ASPECT_RANGE = (0.4, 6.0)
"""Depth over height: from C2 with its dens to a crushed lumbar body."""

MAX_SIDE_RATIO = 4.0
"""Largest ratio of opposite sides: S1's upper side is about twice its lower one; crushed wedges have a larger ratio."""

MIN_EVIDENCE = 0.4
"""Least mean probability of a body, S1 or C2 inside the quadrilateral, according to the mask."""

STRONG_EVIDENCE = 0.75
"""The same for a vertebra of which only two corners were detected."""


@dataclass(frozen=True, eq=False)
class CornerParts:
    """All corner peaks of a slice, of all four kinds.

    Attributes
    ----------
    kinds : ndarray, shape (m,), int
        Index into `vertebra.CORNERS`.
    positions, targets : ndarray, shape (m, 2)
        Position of the corner, and the point that its vector points to, (row, column), px.
    scores : ndarray, shape (m,)
        Height of the peak, 0-1.
    """

    kinds: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    scores: np.ndarray

    @property
    def reach(self) -> np.ndarray:
        """Length of the vectors, px, shape (m,)."""
        return np.linalg.norm(self.targets - self.positions, axis=-1)


def group(maps: PartMaps, slice_index: int = 0) -> tuple[SliceVertebra, ...]:
    """Return the vertebrae of one slice, by falling score.

    Parameters
    ----------
    maps : PartMaps
        Part maps at 1 mm per pixel.
    slice_index : int
        Index of the slice, stored with every vertebra.
    """
    parts = corner_parts(maps)
    peaks = find_peaks(maps.heatmaps[CENTROID], CENTROID_THRESHOLD)
    centroids, scores = add_orphans(peaks.positions, peaks.scores, parts)
    kept = one_a_body(centroids, parts)
    centroids, scores = centroids[kept], scores[kept]
    members = join(centroids, parts)
    # Without a detected centroid, three corners with a common target suffice; two do not.
    enough = (members >= 0).sum(1) >= np.where(scores > 0, 2, 3)
    centroids, scores, members = centroids[enough], scores[enough], members[enough]
    if not len(centroids):
        return ()
    members = without_misfits(centroids, parts, members)
    corners, corner_scores = complete(centroids, parts, members)
    return _vertebrae(maps, slice_index, corners, centroids, scores, corner_scores)


def corner_parts(maps: PartMaps) -> CornerParts:
    """Return the corner peaks of a slice and the targets of their vectors.

    Each target is the mean over 3 x 3 pixels, each with its own vector, which reduces the noise to a third.
    """
    peaks = [find_peaks(maps.heatmaps[k], CORNER_THRESHOLD) for k in range(N_CORNERS)]
    kinds = np.repeat(np.arange(N_CORNERS), [len(p) for p in peaks])
    positions = np.concatenate([p.positions for p in peaks])
    last = np.array(maps.heatmaps.shape[1:]) - 1
    steps = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1), indexing="ij"), axis=-1).reshape(-1, 2)
    pixels = np.clip(np.rint(positions).astype(int)[:, None] + steps, 0, last)
    vectors = maps.vectors[kinds[:, None], :, pixels[..., 0], pixels[..., 1]]
    return CornerParts(kinds, positions, (pixels + vectors).mean(1), np.concatenate([p.scores for p in peaks]))


def misses(centroids: np.ndarray, parts: CornerParts) -> np.ndarray:
    """Return the distance from each corner's target to each centroid, (centroids, corners), in units of the limit."""
    distance = np.linalg.norm(centroids[:, None] - parts.targets[None], axis=-1)
    return distance / np.maximum(JOIN_LIMIT * parts.reach, 1.0)


def add_orphans(centroids: np.ndarray, scores: np.ndarray, parts: CornerParts) -> tuple[np.ndarray, np.ndarray]:
    """Return the centroids and scores, extended by the targets of corners that match no centroid, with score 0."""
    miss = misses(centroids, parts)
    orphans = ~(miss <= 1).any(0)
    order = np.argsort(-parts.scores[orphans], kind="stable")
    extra = parts.targets[orphans][order]
    return np.concatenate((centroids, extra)), np.concatenate((scores, np.zeros(len(extra))))


def one_a_body(centroids: np.ndarray, parts: CornerParts) -> np.ndarray:
    """Return the indices of the centroids without those in the body of a better one.

    The size of a body is the median length of the vectors that point near its centroid; a centroid without vectors
    has size 0 and excludes no other.

    Parameters
    ----------
    centroids : ndarray, shape (n, 2)
        (row, column), px, by falling score.
    parts : CornerParts
    """
    miss = misses(centroids, parts)
    size = np.array([np.median(parts.reach[row <= 1]) if (row <= 1).any() else 0.0 for row in miss])
    distance = np.linalg.norm(centroids[:, None] - centroids[None], axis=-1)
    return kept_apart(distance < DUPLICATE_DISTANCE * size)


def join(centroids: np.ndarray, parts: CornerParts) -> np.ndarray:
    """Assign each corner to the centroid closest to its target, and keep the best corner of each kind per centroid.

    Parameters
    ----------
    centroids : ndarray, shape (n, 2)
        (row, column), px.
    parts : CornerParts

    Returns
    -------
    ndarray, shape (n, 4), int
        Index of the corner of each kind, -1 if there is none within the limit.
    """
    members = np.full((len(centroids), N_CORNERS), -1)
    if not len(centroids) or not len(parts.kinds):
        return members
    miss = misses(centroids, parts)
    owner = miss.argmin(0)
    closest = miss[owner, np.arange(len(owner))]
    # Assign from the worst to the best, so that the best corner of a kind overwrites the others.
    order = np.argsort(-(closest - parts.scores), kind="stable")
    order = order[closest[order] <= 1]
    members[owner[order], parts.kinds[order]] = order
    return members


def without_misfits(centroids: np.ndarray, parts: CornerParts, members: np.ndarray) -> np.ndarray:
    """Return the members, (n, 4), less the corner with the worst target where all four make no plausible body."""
    whole = np.flatnonzero((members >= 0).all(1))
    if not len(whole):
        return members
    with np.errstate(invalid="ignore", divide="ignore"):
        odd = whole[~is_plausible(parts.positions[members[whole]])]
    worst = misses(centroids, parts)[odd[:, None], members[odd]].argmax(1)
    members = members.copy()
    members[odd, worst] = -1
    return members


def complete(centroids: np.ndarray, parts: CornerParts, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of each vertebra, (n, 4, 2), missing ones rebuilt, and their scores, (n, 4), 0 if rebuilt.

    A single missing corner completes the parallelogram of the other three. If more are missing, each is the opposite
    corner mirrored at the centroid, or NaN if both opposite corners are missing.
    """
    seen = members >= 0
    if not len(parts.kinds):
        return np.full((len(centroids), N_CORNERS, 2), np.nan), np.zeros(seen.shape)
    corners = np.where(seen[..., None], parts.positions[members], np.nan)
    beside = np.roll(corners, 1, axis=1) + np.roll(corners, -1, axis=1) - np.roll(corners, 2, axis=1)
    mirrored = 2 * centroids[:, None] - np.roll(corners, 2, axis=1)
    rebuilt = np.where(seen.sum(1)[:, None, None] == N_CORNERS - 1, beside, mirrored)
    return np.where(seen[..., None], corners, rebuilt), np.where(seen, parts.scores[members], 0.0)


def is_plausible(corners: np.ndarray) -> np.ndarray:
    """Return whether each quadrilateral, (n, 4, 2), px of 1 mm, has the shape of a vertebral body, bool, (n,)."""
    upper, posterior, lower, anterior = quads.sides(corners)
    ratio = np.maximum(np.maximum(upper, lower) / np.minimum(upper, lower), 1.0)
    ratio = np.maximum(ratio, np.maximum(posterior, anterior) / np.minimum(posterior, anterior))
    aspect = (upper + lower) / (posterior + anterior)
    area = quads.area(corners)
    upright = -quads.up(corners)[:, 0] >= np.cos(np.deg2rad(MAX_TILT_DEGREES))
    return (
        quads.is_convex(corners)
        & upright
        & (area >= AREA_RANGE_MM2[0])
        & (area <= AREA_RANGE_MM2[1])
        & (aspect >= ASPECT_RANGE[0])
        & (aspect <= ASPECT_RANGE[1])
        & (ratio <= MAX_SIDE_RATIO)
    )


def mask_evidence(probabilities: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return the mean probabilities, (n, classes), inside quadrilaterals, (n, 4, 2), px; edge pixels are repeated."""
    last = np.array(probabilities.shape[1:]) - 1
    pixels = np.clip(np.rint(quads.sample_points(corners)).astype(int), 0, last)
    return probabilities[:, pixels[..., 0], pixels[..., 1]].mean(-1).T


def _vertebrae(
    maps: PartMaps,
    slice_index: int,
    corners: np.ndarray,
    centroids: np.ndarray,
    centroid_scores: np.ndarray,
    corner_scores: np.ndarray,
) -> tuple[SliceVertebra, ...]:
    """Return the vertebrae that pass the checks of shape, mask and overlap, in falling order of score."""
    with np.errstate(invalid="ignore", divide="ignore"):
        good = np.isfinite(corners).all((1, 2)) & is_plausible(corners)
        good &= quads.contains(corners, centroids[:, None])[:, 0]
    corners, centroids = corners[good], centroids[good]
    centroid_scores, corner_scores = centroid_scores[good], corner_scores[good]
    evidence = mask_evidence(maps.probabilities, corners)
    body = evidence[:, BODY_CLASSES].sum(1)
    least = np.where((corner_scores == 0).sum(1) > 1, STRONG_EVIDENCE, MIN_EVIDENCE)
    score = (centroid_scores + corner_scores.mean(1) + body) / 3
    order = np.flatnonzero(body >= least)
    order = order[np.argsort(-score[order], kind="stable")]
    return tuple(
        SliceVertebra(
            slice=slice_index,
            corners=corners[i],
            centroid=centroids[i],
            score=float(np.clip(score[i], 0.0, 1.0)),
            evidence=evidence[i],
            rebuilt=tuple(name for name, s in zip(CORNERS, corner_scores[i]) if s == 0),
        )
        for i in order[_apart(corners[order])]
    )


def _apart(corners: np.ndarray) -> np.ndarray:
    """Return the indices of the quadrilaterals that do not overlap with an earlier one that is kept."""
    covered = quads.overlap(corners)
    covered = np.maximum(covered, covered.T)
    return kept_apart(covered > DUPLICATE_OVERLAP)
