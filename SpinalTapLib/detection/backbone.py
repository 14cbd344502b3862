"""Select the bodies that form one spine, in order.

Dynamic programming finds the best path from body to body: each body adds its score, and each step has a cost that
grows with its difference from a usual step up a spine. Bodies off the best path are false positives: a bladder, a
skin fold, a round organ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FREE_TURN_DEGREES = 30.0
"""Angle between a step and the axis of either body up to which there is no cost; a slip of a third of the depth makes
20 degrees."""

TURN_COST = 1 / 30
"""Cost of each further degree, at either end of a step."""

USUAL_STEP = 1.35
"""Usual distance of neighbouring centroids, in mean heights of the two bodies."""

LEAST_STEP = (0.75, 0.95)
"""Steps shorter than the first are impossible (bodies do not overlap); steps shorter than the second have a cost."""

MISSING_COST = 0.4
"""Cost of each body that a step skips."""

LONG_STEP = 1.55
"""A step this many times as long as both steps beside it skips a body: thoracic bodies are so close to one another that
two steps of theirs may be no longer than one usual step and a half."""

FREE_SIZE_RATIO = 1.6
"""Ratio of the sizes (square root of the area) of neighbours up to which there is no cost."""

SIZE_COST = 2.0
"""Cost of each further factor of e."""


@dataclass(frozen=True, eq=False)
class FollowedBodies:
    """Bodies followed through the slices, in the frame of the slices: (across, row, column), mm; rows run downwards.

    Attributes
    ----------
    centroids : ndarray, shape (n, 3)
        mm.
    up : ndarray, shape (n, 3)
        Unit axes from the lower to the upper endplate.
    heights, depths : ndarray, shape (n,)
        mm.
    scores : ndarray, shape (n,)
        Score of each body, at most 1. A negative score is accepted only where the body closes a gap.
    """

    centroids: np.ndarray
    up: np.ndarray
    heights: np.ndarray
    depths: np.ndarray
    scores: np.ndarray


def missing_between(bodies: FollowedBodies) -> np.ndarray:
    """Return the number of bodies that fit between each pair, (n, n), rounded; meaningful for actual steps only."""
    return np.maximum(np.rint(_ratios(bodies) / USUAL_STEP) - 1, 0)


def gaps_on(way: np.ndarray, bodies: FollowedBodies) -> np.ndarray:
    """Return whether each step of a path, from the bottom up, skips a body, (len(way) - 1,)."""
    low, high = way[:-1], way[1:]
    lengths = np.linalg.norm(bodies.centroids[high] - bodies.centroids[low], axis=1)
    gaps = missing_between(bodies)[low, high] > 0
    if len(lengths) > 2:
        gaps[1:-1] |= lengths[1:-1] > LONG_STEP * np.maximum(lengths[:-2], lengths[2:])
    return gaps


def step_costs(bodies: FollowedBodies) -> np.ndarray:
    """Return the costs, (n, n), of a step from body i up to body j at [i, j]; infinite where j is not above i."""
    step = bodies.centroids[None] - bodies.centroids[:, None]
    length = np.maximum(np.linalg.norm(step, axis=-1), 1e-9)
    cost = np.zeros_like(length)
    for end in (bodies.up[:, None], bodies.up[None]):
        cosine = np.clip((step * end).sum(-1) / length, -1, 1)
        cost += TURN_COST * np.maximum(np.rad2deg(np.arccos(cosine)) - FREE_TURN_DEGREES, 0)
    ratio, missing = _ratios(bodies), missing_between(bodies)
    impossible, short = LEAST_STEP
    cost += np.maximum(short - ratio, 0) / (short - impossible) + MISSING_COST * missing
    size = np.log(bodies.heights * bodies.depths) / 2
    change = np.abs(size[None] - size[:, None]) / (1 + missing)
    cost += SIZE_COST * np.maximum(change - np.log(FREE_SIZE_RATIO), 0)
    # Rows run downwards, so the upper body has the smaller row.
    return np.where((ratio >= impossible) & (step[..., 1] < 0), cost, np.inf)


def backbone(bodies: FollowedBodies) -> np.ndarray:
    """Return the indices of the bodies that form the spine, from the bottom up.

    Parameters
    ----------
    bodies : FollowedBodies

    Returns
    -------
    ndarray of int
        The path with the largest sum of scores minus costs; empty only if there are no bodies.
    """
    n = len(bodies.scores)
    if n == 0:
        return np.zeros(0, int)
    costs = step_costs(bodies)
    order = np.argsort(-bodies.centroids[:, 1], kind="stable")
    best, before = bodies.scores.astype(float).copy(), np.full(n, -1)
    for position, j in enumerate(order):
        below = order[:position]
        if len(below):
            gains = best[below] - costs[below, j]
            k = int(np.argmax(gains))
            if gains[k] > 0:
                best[j] += gains[k]
                before[j] = below[k]
    way = [int(np.argmax(best))]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.array(way[::-1])


def _ratios(bodies: FollowedBodies) -> np.ndarray:
    """Return the distances of the centroids, in mean heights of the two bodies, (n, n)."""
    distance = np.linalg.norm(bodies.centroids[None] - bodies.centroids[:, None], axis=-1)
    return distance / np.maximum((bodies.heights[None] + bodies.heights[:, None]) / 2, 1e-9)
