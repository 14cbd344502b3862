"""Follow each vertebral body from slice to slice.

Positions are (row, column) in mm, so distances equal those in LPS; `across` is the position of a slice along the
slice normal, mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..spine import quadrilaterals as quads

MISFIT_LIMIT = 0.55
"""Largest misfit, in body heights, of two outlines of the same body; outlines of neighbours have 1.2 or more."""

SIDEWAYS_WEIGHT = 0.6
"""Weight of an offset along the depth: towards its sides, a body is less deep and its centre lies further back."""

SIZE_WEIGHT = 0.25
"""Cost of a size difference by a factor of e."""

CRUSHED_HEIGHT = 0.4
"""Least height of a body, as a fraction of its depth; without this limit, the outlines of a crushed body would not
match."""

GAP_MM = 10.0
"""Distance over which a body may be missed and still be followed (one slice is always allowed)."""

FAR_GAP_MM, FAR_MISFIT_LIMIT = 25.0, 0.35
"""Distance (half of a body's width) up to which two fragments are joined if their misfit is below the second value."""

DRIFT_REACH_MM = 45.0
"""Width of the Gaussian weights with which the drifts of neighbouring bodies are combined: tilt changes over four
vertebrae or more, and single drifts are noisy."""

MAX_DRIFT = 1.2
"""Largest plausible drift, mm per mm across: a coronal tilt of 50 degrees, at the end of a very severe curve."""

_ROUNDS = 3
"""Iterations of matching and drift estimation."""


@dataclass(frozen=True, eq=False)
class Outlines:
    """The outlines of all bodies in all slices.

    Attributes
    ----------
    slices : ndarray, shape (n,), int
        Slice index of each outline.
    corners : ndarray, shape (n, 4, 2)
        (row, column), mm, in the order of `vertebra.CORNERS`.
    centroids : ndarray, shape (n, 2)
        (row, column), mm.
    slice_mm : float
        Distance of neighbouring slices, mm.
    """

    slices: np.ndarray
    corners: np.ndarray
    centroids: np.ndarray
    slice_mm: float

    @cached_property
    def across(self) -> np.ndarray:
        """Position of each outline's slice along the slice normal, mm, shape (n,)."""
        return self.slices * self.slice_mm

    @cached_property
    def depths(self) -> np.ndarray:
        """Depth of each outline, mm, shape (n,)."""
        return quads.depth(self.corners)

    @cached_property
    def heights(self) -> np.ndarray:
        """Height of each outline, mm, shape (n,), at least `CRUSHED_HEIGHT` times its depth."""
        return np.maximum(quads.height(self.corners), CRUSHED_HEIGHT * self.depths)

    @cached_property
    def up(self) -> np.ndarray:
        """Unit axis (row, column) from the lower to the upper endplate, shape (n, 2)."""
        return quads.up(self.corners)


def follow(outlines: Outlines) -> tuple[list[np.ndarray], np.ndarray]:
    """Follow every body through the slices.

    The outlines of neighbouring slices are matched one to one, so no chain has two outlines in one slice. The first
    round assumes that bodies do not move from slice to slice; each further round assumes the drifts that the round
    before estimated from each body and its neighbours, which keeps bodies apart in scoliosis.

    Parameters
    ----------
    outlines : Outlines

    Returns
    -------
    chains : list of ndarray of int
        Indices of the outlines of each body, slice by slice.
    drifts : ndarray, shape (n, 2)
        Expected movement of each outline, (row, column), mm per mm across.
    """
    drifts = np.zeros_like(outlines.centroids)
    chains: list[np.ndarray] = []
    for _ in range(_ROUNDS):
        chains = _chains(_links(outlines, drifts))
        drifts = smooth_drifts(outlines, chains)
    return chains, drifts


def misfit(outlines: Outlines, one: np.ndarray, two: np.ndarray, drifts: np.ndarray) -> np.ndarray:
    """Return the misfit of each pair of outlines as one body, shape (len(one), len(two)); see `MISFIT_LIMIT`.

    Parameters
    ----------
    outlines : Outlines
    one, two : ndarray of int
        Indices of outlines.
    drifts : ndarray, shape (n, 2)
        Expected movement of every outline, (row, column), mm per mm across.
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
    """Return the expected movement of every outline, (n, 2): the weighted median of the slopes of nearby chains."""
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
    """Return the Theil-Sen slope, (2,): the median over all pairs, which is robust against single bad outlines."""
    i, j = np.triu_indices(len(across), 1)
    return np.median((positions[j] - positions[i]) / (across[j] - across[i])[:, None], axis=0)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the medians, (n,), of values, (m,), under each row of weights, (n, m)."""
    order = np.argsort(values)
    total = np.cumsum(weights[:, order], axis=1)
    middle = (total < total[:, -1:] / 2).sum(1)
    return values[order][np.minimum(middle, len(values) - 1)]


def _links(outlines: Outlines, drifts: np.ndarray) -> np.ndarray:
    """Return for each outline the next outline of the same body, or -1; adjacent slices are linked first, then gaps."""
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
    """Return the chains of linked outlines, each from its first outline on."""
    first = np.setdiff1d(np.arange(len(following)), following)
    chains = []
    for start in first:
        chain = [start]
        while following[chain[-1]] >= 0:
            chain.append(following[chain[-1]])
        chains.append(np.array(chain))
    return chains
