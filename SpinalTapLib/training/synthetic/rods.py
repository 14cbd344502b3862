"""Rods, the implicit primitives of the posterior elements, and their smooth union."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Rod:
    """A rounded rod with an elliptical cross-section, in a vertebra's frame, mm.

    Attributes
    ----------
    start, end : tuple of float
        The ends of its axis: u (left), v (posterior), w (up).
    radii : tuple of float
        Half axes along u, v and w at the start.
    taper : float
        Half axes at the end, relative to the start.
    lean : float
        Shear: backward shift per mm below the start (laminae overlap like shingles).
    blend : float
        Width of the rounded transition to the rods before it in the union, mm.
    """

    start: Point
    end: Point
    radii: Point
    taper: float = 1.0
    lean: float = 0.0
    blend: float = 2.5

    @property
    def reach(self) -> float:
        """Largest distance from the axis to the surface, mm."""
        return max(self.radii) * max(1.0, self.taper) * (1 + abs(self.lean))


def rod_distance(rod: Rod, u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the signed distance (mm) of points to the surface, positive inside; first-order exact near it."""
    if rod.lean:
        v = v + rod.lean * (w - rod.start[2])
    start, radii = np.array(rod.start), np.array(rod.radii)
    axis = (np.array(rod.end) - start) / radii
    p = [(x - np.float32(a)) * np.float32(1 / r) for x, a, r in zip((u, v, w), start, radii)]
    along = p[0] * np.float32(axis[0]) + p[1] * np.float32(axis[1]) + p[2] * np.float32(axis[2])
    t = np.clip(along * np.float32(1 / max(float(axis @ axis), 1e-6)), 0, 1)
    q = [x - t * np.float32(a) for x, a in zip(p, axis)]
    scaled = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2])
    slope = np.sqrt(sum((x * np.float32(1 / r)) ** 2 for x, r in zip(q, radii)))
    size = 1 + (rod.taper - 1) * t
    return (size - scaled) * (scaled + np.float32(1e-3)) / (slope + np.float32(1e-3 / radii.min()))


def smooth_union(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Return the signed distance to the union of two shapes, with the crease rounded over `blend_mm`."""
    h = np.clip(0.5 + (0.5 / blend_mm) * (a - b), 0, 1)
    return b + (a - b) * h + blend_mm * h * (1 - h)
