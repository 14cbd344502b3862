"""Follow each body from slice to slice.

Positions are (row, column) in mm, so that distances are those of the LPS frame; `across` is the position of the slice
along the normal of the slices, mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..spine import quadrilaterals as quads

MISFIT_LIMIT = 0.55
"""Two outlines are of one body only if they are closer than this part of its height; neighbours are at 1.2 or more."""

SIDEWAYS_WEIGHT = 0.6
"""Weight of an offset along the depth: towards the sides a body gets shallower, and its centre moves back."""

SIZE_WEIGHT = 0.25
"""Cost of one e-fold of difference in size."""

CRUSHED_HEIGHT = 0.4
"""A body's height counts as at least this part of its depth, or a crushed body would fit nothing."""

GAP_MM = 10.0
"""A body may be missed over this distance (always over one slice) and still be followed."""

FAR_GAP_MM, FAR_MISFIT_LIMIT = 25.0, 0.35
"""Over up to this distance, half of a body's width, two fragments still become one body if they fit this well."""

DRIFT_REACH_MM = 45.0
"""The drift of a body is estimated together with those of its neighbours, weighted by a Gaussian of this width:
tilt changes over four vertebrae or more, single drifts are noisy."""

MAX_DRIFT = 1.2
"""Largest credible drift, mm a mm across: the coronal tilt of 50 degrees at the end of a very severe curve."""

_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Outlines:
    """All bodies in all slices.

    Attributes
    ----------
    slices : ndarray, shape (n,), int
        Slice index.
    corners : ndarray, shape (n, 4, 2)
        (row, column), mm.
    centroids : ndarray, shape (n, 2)
        (row, column), mm.
    slice_mm : float
        Distance of neighbouring slices.
    """

    slices: np.ndarray
    corners: np.ndarray
    centroids: np.ndarray
    slice_mm: float

    @cached_property
    def across(self) -> np.ndarray:
        """Position of each outline's slice, mm, shape (n,)."""
        return self.slices * self.slice_mm

    @cached_property
    def depths(self) -> np.ndarray:
        """mm, shape (n,)."""
        return quads.depth(self.corners)

    @cached_property
    def heights(self) -> np.ndarray:
        """mm, shape (n,); crushed bodies count as higher than they are."""
        return np.maximum(quads.height(self.corners), CRUSHED_HEIGHT * self.depths)

    @cached_property
    def up(self) -> np.ndarray:
        """Unit axes (row, column), shape (n, 2)."""
        return quads.up(self.corners)


def follow(outlines: Outlines) -> tuple[list[np.ndarray], np.ndarray]:
    """Follow every body through the slices.

    The outlines of neighbouring slices are matched one to one, so that no chain has two in one slice. The first round
    expects bodies to stay where they are; the next ones expect them to drift as the first has found that they and
    their neighbours do, which is what keeps them apart in scoliosis.

    Parameters
    ----------
    outlines : Outlines

    Returns
    -------
    chains : list of ndarray of int
        Indices of the outlines of each body, slice by slice.
    drifts : ndarray, shape (n, 2)
        Expected movement of each outline, (row, column) mm for each mm across.
    """
    drifts = np.zeros_like(outlines.centroids)
    chains: list[np.ndarray] = []
    for _ in range(_ROUNDS):
        chains = _chains(_links(outlines, drifts))
        drifts = smooth_drifts(outlines, chains)
    return chains, drifts


def misfit(outlines: Outlines, one: np.ndarray, two: np.ndarray, drifts: np.ndarray) -> np.ndarray:
    """Return how badly outlines fit together as one body, shape (len(one), len(two)); see `MISFIT_LIMIT`.

    Parameters
    ----------
    outlines : Outlines
    one, two : ndarray of int
        Indices of outlines.
    drifts : ndarray, shape (n, 2)
        Expected movement of every outline, mm a mm.
    """
    centroids, across, up = outlines.centroids, outlines.across, outlines.up
    depth, height = outlines.depths, outlines.heights
    step = (across[two][None] - across[one][:, None])[..., None]
    offset = centroids[two][None] - centroids[one][:, None] - step * (drifts[one][:, None] + drifts[two][None]) / 2
    axis = up[one][:, None] + up[two][None]
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    along = (offset * axis).sum(-1)
    sideways = offset[..., 0] * axis[..., 1] - offset[..., 1] * axis[..., 0]
    along /= (height[one][:, None] + height[two][None]) / 2
    sideways /= (depth[one][:, None] + depth[two][None]) / 2
    size = np.log(height * depth)
    return np.hypot(along, SIDEWAYS_WEIGHT * sideways) + SIZE_WEIGHT * np.abs(size[two][None] - size[one][:, None]) / 2


def smooth_drifts(outlines: Outlines, chains: Sequence[np.ndarray]) -> np.ndarray:
    """Return the expected movement at every outline, (n, 2): the weighted median of the chains' slopes around it."""
    long = [chain for chain in chains if len(chain) > 1]
    if not long:
        return np.zeros_like(outlines.centroids)
    slopes = np.clip([_slope(outlines.across[c], outlines.centroids[c]) for c in long], -MAX_DRIFT, MAX_DRIFT)
    rows = np.array([outlines.centroids[c, 0].mean() for c in long])
    extent = np.array([np.ptp(outlines.across[c]) for c in long])
    distance = (outlines.centroids[:, :1] - rows) / DRIFT_REACH_MM
    weights = extent * np.exp(-0.5 * distance**2)
    return np.stack([_weighted_median(slopes[:, k], weights) for k in (0, 1)], axis=-1)


def _slope(across: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the median of the slopes between all pairs, (2,) (Theil and Sen): one bad outline does not turn it."""
    i, j = np.triu_indices(len(across), 1)
    return np.median((positions[j] - positions[i]) / (across[j] - across[i])[:, None], axis=0)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the medians, (n,), of values, (m,), under each row of weights, (n, m)."""
    order = np.argsort(values)
    total = np.cumsum(weights[:, order], axis=1)
    middle = (total < total[:, -1:] / 2).sum(1)
    return values[order][np.minimum(middle, len(values) - 1)]


def _links(outlines: Outlines, drifts: np.ndarray) -> np.ndarray:
    """Return for each outline the index of the same body's next one, or -1: neighbouring slices first, then gaps."""
    n = len(outlines.slices)
    following, followed = np.full(n, -1), np.zeros(n, bool)
    near = max(2, int(GAP_MM / outlines.slice_mm))
    for gap in range(1, max(near, int(FAR_GAP_MM / outlines.slice_mm)) + 1):
        limit = MISFIT_LIMIT if gap <= near else FAR_MISFIT_LIMIT
        for start in np.unique(outlines.slices):
            one = np.flatnonzero((outlines.slices == start) & (following < 0))
            two = np.flatnonzero((outlines.slices == start + gap) & ~followed)
            if not len(one) or not len(two):
                continue
            cost = np.minimum(misfit(outlines, one, two, drifts), limit)
            for i, j in zip(*linear_sum_assignment(cost)):
                if cost[i, j] < limit:
                    following[one[i]], followed[two[j]] = two[j], True
    return following


def _chains(following: np.ndarray) -> list[np.ndarray]:
    """Return the chains that the links make, each from its first outline on."""
    first = np.setdiff1d(np.arange(len(following)), following)
    chains = []
    for start in first:
        chain = [start]
        while following[chain[-1]] >= 0:
            chain.append(following[chain[-1]])
        chains.append(np.array(chain))
    return chains
