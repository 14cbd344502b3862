"""What the level network sees of a candidate: the structures around it in its own frame, its size and its tilt."""

from __future__ import annotations

import numpy as np

from ..detection.networks import VIEW_NUMBERS
from .rungs import Rung

VIEW_SIZES = (6.4, 4.8)
"""Height and width of the view, in sizes of the candidate: two to three bodies up and down."""

USUAL_SIZE_MM = 26.0
"""Size of a usual body (root of height times depth), mm: the unit of the network's size input."""

GREATEST_TILT = np.deg2rad(75)
"""A body tilted further than this against the picture's own vertical lies in a picture on its side: its tilt then
tells nothing."""


def view_points(rung: Rung, rows: int, columns: int, stretch: float = 1.0) -> np.ndarray:
    """Return the image positions, (rows, columns, 2) as (row, column), px, of a view's pixels.

    Parameters
    ----------
    rung : Rung
        The candidate.
    rows, columns : int
        Size of the view, px.
    stretch : float
        Factor on the view's width, 1 but in training.
    """
    down = ((np.arange(rows) + 0.5) / rows - 0.5) * VIEW_SIZES[0]
    back = ((np.arange(columns) + 0.5) / columns - 0.5) * VIEW_SIZES[1] * stretch
    return rung.to_image(np.stack(np.meshgrid(down, back, indexing="ij"), axis=-1))


def level_view(
    structures: np.ndarray, rung: Rung, rows: int, columns: int, stretch: float = 1.0
) -> np.ndarray:
    """Return the level network's view of a candidate.

    It shows the structures that the part network found, not the image: these look alike in synthetic and real scans.

    Parameters
    ----------
    structures : ndarray, shape (N_STRUCTURES, rows, columns)
        Probabilities of the structures in the plane through the candidate's middle.
    rung : Rung
        The candidate, px of this plane.
    rows, columns, stretch
        See `view_points`.

    Returns
    -------
    ndarray of float32, shape (9, rows, columns)
        The candidate's quadrilateral, 0-1; 1 where there is image; and the structures without the background.
    """
    points = view_points(rung, rows, columns, stretch)
    shown, seen = _sampled(np.asarray(structures[1:], np.float32), points)
    own = rung.to_own(rung.corners) / [1.0, stretch]
    corners = (own / VIEW_SIZES + 0.5) * [rows, columns] - 0.5
    return np.concatenate([_inside(corners, rows, columns)[None], seen[None], shown * seen], dtype=np.float32)


def level_numbers(size_mm: float | None, tilt: float | None) -> np.ndarray:
    """Return what the level network is told beside its view, shape (5,), float32.

    Parameters
    ----------
    size_mm : float or None
        Root of height times depth, mm; None where there is no scale.
    tilt : float or None
        Forward tilt against the picture's vertical, rad; None where it tells nothing.
    """
    out = np.zeros(VIEW_NUMBERS, np.float32)
    if size_mm is not None:
        out[:2] = 1.0, 2 * np.log(size_mm / USUAL_SIZE_MM)
    if tilt is not None and abs(tilt) <= GREATEST_TILT:
        out[2:] = 1.0, np.sin(tilt), np.cos(tilt)
    return out


def tilt_of(rung: Rung) -> float:
    """Return how far a candidate leans forward against the picture's vertical, rad."""
    row, column = rung.up
    return float(np.arctan2(-column, -row))


def _sampled(images: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images (planes, rows, columns) interpolated at points (..., 2), and which points lie in them."""
    _, rows, columns = images.shape
    r, c = points[..., 0], points[..., 1]
    seen = (r > -0.5) & (r < rows - 0.5) & (c > -0.5) & (c < columns - 0.5)
    r, c = np.clip(r, 0, rows - 1), np.clip(c, 0, columns - 1)
    r0, c0 = r.astype(np.intp), c.astype(np.intp)
    fr, fc = (r - r0).astype(np.float32), (c - c0).astype(np.float32)
    r1, c1 = np.minimum(r0 + 1, rows - 1), np.minimum(c0 + 1, columns - 1)
    flat = images.reshape(len(images), -1)
    r0, r1 = r0 * columns, r1 * columns
    top = flat.take(r0 + c0, axis=1) * (1 - fc) + flat.take(r0 + c1, axis=1) * fc
    bottom = flat.take(r1 + c0, axis=1) * (1 - fc) + flat.take(r1 + c1, axis=1) * fc
    return top * (1 - fr) + bottom * fr, seen


def _inside(corners: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return a quadrilateral, corners (4, 2), px, as a mask (rows, columns), 0-1, its edges one pixel soft."""
    r, c = np.arange(rows)[:, None], np.arange(columns)[None]
    inside = np.full((rows, columns), np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        edge = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
        inside = np.minimum(inside, edge[1] * (r - a[0]) - edge[0] * (c - a[1]))
    return np.clip(inside + 0.5, 0, 1)
