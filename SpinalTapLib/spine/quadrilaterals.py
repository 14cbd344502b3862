"""Geometry of bodies as quadrilaterals in a sagittal plane: size, direction, points inside.

All functions take ``corners`` of shape (..., 4, 2): (row, column) in the order of `vertebra.CORNERS`, which runs
clockwise on a screen with the front of the body on the left.
"""

from __future__ import annotations

import numpy as np

_SAMPLES = 12
"""Sample points along each side."""
_INSET = 0.06
"""Distance of the sample points from the edges, as a fraction of the side: at the edges, partial volume blurs every
class."""


def _sample_weights() -> np.ndarray:
    """Return the weights, (points, 4), of the corners in an even grid of points inside a quadrilateral."""
    t = np.linspace(_INSET, 1 - _INSET, _SAMPLES)
    down, back = (g.ravel() for g in np.meshgrid(t, t, indexing="ij"))
    return np.stack(((1 - down) * (1 - back), (1 - down) * back, down * back, down * (1 - back)), axis=-1)


_WEIGHTS = _sample_weights()


def sample_points(corners: np.ndarray) -> np.ndarray:
    """Return an even grid of points inside each quadrilateral, (..., 144, 2)."""
    return np.einsum("pc,...cx->...px", _WEIGHTS, corners)


def area(corners: np.ndarray) -> np.ndarray:
    """Return the area, (...), in the square of the corners' unit; negative where the corners run anticlockwise."""
    one, two = corners[..., 2, :] - corners[..., 0, :], corners[..., 3, :] - corners[..., 1, :]
    return (one[..., 1] * two[..., 0] - one[..., 0] * two[..., 1]) / 2


def is_convex(corners: np.ndarray) -> np.ndarray:
    """Return whether each quadrilateral, (...), is convex, not self-crossing and not mirrored."""
    edge = np.roll(corners, -1, axis=-2) - corners
    following = np.roll(edge, -1, axis=-2)
    return (edge[..., 1] * following[..., 0] - edge[..., 0] * following[..., 1] > 0).all(-1)


def sides(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the lengths of the upper, posterior, lower and anterior side, each (...)."""
    lengths = np.linalg.norm(np.roll(corners, -1, axis=-2) - corners, axis=-1)
    return lengths[..., 0], lengths[..., 1], lengths[..., 2], lengths[..., 3]


def height(corners: np.ndarray) -> np.ndarray:
    """Return the mean of the anterior and the posterior height, (...)."""
    _, posterior, _, anterior = sides(corners)
    return (anterior + posterior) / 2


def depth(corners: np.ndarray) -> np.ndarray:
    """Return the mean of the upper and the lower endplate's length, (...)."""
    upper, _, lower, _ = sides(corners)
    return (upper + lower) / 2


def up(corners: np.ndarray) -> np.ndarray:
    """Return the unit vectors, (..., 2) as (row, column), from the lower to the upper endplate's middle."""
    vector = corners[..., :2, :].mean(-2) - corners[..., 2:, :].mean(-2)
    return vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9)


def contains(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return which of the points, (..., n, 2), lie inside convex quadrilaterals, (..., n)."""
    edge = np.roll(corners, -1, axis=-2) - corners
    offset = points[..., :, None, :] - corners[..., None, :, :]
    return (edge[..., None, :, 1] * offset[..., 0] - edge[..., None, :, 0] * offset[..., 1] >= 0).all(-1)


def overlap(corners: np.ndarray) -> np.ndarray:
    """Return the fraction of quadrilateral j, of n, that quadrilateral i covers, at [i, j] of shape (n, n)."""
    return contains(corners[:, None], sample_points(corners)[None]).mean(-1)
