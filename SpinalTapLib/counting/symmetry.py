"""Mirror: a vertebra's middle, across the slices, is where its left side looks most like its right side.

The ladder sees three planes, and its guess of how far to step sideways is its weakest one: errors add up, and in a
spine that bends sideways a climb walks off it. A body, its pedicles and what lies beside them are nearly symmetric,
whatever the contrast, so no training is needed to find their plane of symmetry.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..scans.sampling import bilinear
from ..scans.volume import SagittalVolume
from .rungs import FLAT, Rung

SIDE_PX = 20
"""Points a side of the patch that is compared."""

PATCH_SIZES = (1.6, 2.6)
"""Height and depth of the patch, in sizes of the vertebra: its neighbours, which may lie elsewhere, stay out of it."""

HALF_WIDTH_MM = 20.0
"""Slices up to this far from the middle are compared with those on the other side: a lumbar body and its pedicles."""

REACH_MM = 12.0
"""The middle is looked for this far from where the ladder expects it."""

PULL = 0.15
"""Correlation that the ladder's own guess is worth at 10 mm from it; it grows with the square of the distance. Chosen
on 16 phantoms among 0.1-1.5."""

LEAST_PAIRS = 2
"""With fewer pairs of slices there is nothing to compare, and the guess stays."""


def settled(volume: SagittalVolume, rung: Rung) -> Rung:
    """Return a rung moved across the slices onto the plane of symmetry of what it shows.

    Parameters
    ----------
    volume : SagittalVolume
        At the working resolution.
    rung : Rung
        Its place in the plane is kept.
    """
    if not (np.isfinite(rung.corners).all() and np.isfinite(rung.slice)):
        return rung
    slice_mm = float(volume.spacing_mm[0])
    first = max(int(np.floor(rung.slice - (REACH_MM + HALF_WIDTH_MM) / slice_mm)), 0)
    last = min(int(np.ceil(rung.slice + (REACH_MM + HALF_WIDTH_MM) / slice_mm)), len(volume.array) - 1)
    if last - first < 2 * LEAST_PAIRS - 1:
        return rung
    patches = _patches(volume.array[first : last + 1], rung)
    alike = patches @ patches.T
    places = np.arange(0, 2 * (last - first) + 1) / 2
    values = np.array([_symmetry(alike, place, HALF_WIDTH_MM / slice_mm) for place in places])
    away_mm = (places + first - rung.slice) * slice_mm
    values = np.where(np.abs(away_mm) <= REACH_MM, values - PULL * (away_mm / 10) ** 2, np.nan)
    if np.isnan(values).all():
        return rung
    return replace(rung, slice=float(first + _peak(places, values)))


def _patches(slices: np.ndarray, rung: Rung) -> np.ndarray:
    """Return the patch around a rung in every slice, shape (slices, points), with mean 0 and length 1."""
    steps = (np.arange(SIDE_PX) + 0.5) / SIDE_PX - 0.5
    own = np.stack(np.meshgrid(steps * PATCH_SIZES[0], steps * PATCH_SIZES[1], indexing="ij"), axis=-1)
    points = rung.to_image(own).reshape(-1, 2)
    patches = bilinear(slices, points)
    least = FLAT * float(np.abs(patches).max()) or 1.0
    patches = patches - patches.mean(1, keepdims=True)
    return patches / np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), least)


def _symmetry(alike: np.ndarray, place: float, half_width: float) -> float:
    """Return the mean correlation of the slices on both sides of a place, or NaN where there are too few."""
    lower = np.arange(max(int(np.ceil(place - half_width)), 0), int(np.ceil(place)))
    upper = (2 * place - lower).astype(int)
    lower, upper = lower[upper < len(alike)], upper[upper < len(alike)]
    return float(alike[lower, upper].mean()) if len(lower) >= max(LEAST_PAIRS, 0.5 * half_width) else float("nan")


def _peak(places: np.ndarray, values: np.ndarray) -> float:
    """Return where the highest value stands, between the places by a parabola."""
    i = int(np.nanargmax(values))
    if not 0 < i < len(values) - 1 or not np.isfinite(values[i - 1 : i + 2]).all():
        return float(places[i])
    before, here, after = values[i - 1 : i + 2]
    bend = before - 2 * here + after
    return float(places[i] + (0.5 * (before - after) / bend * (places[1] - places[0]) if bend < -1e-9 else 0.0))
