"""A sagittal frame for tests, and ways to turn and scale it."""

from __future__ import annotations

import numpy as np

SPACING = np.array([3.5, 0.8, 0.7])
"""Slice, row, column, mm."""
# Slices to the left, rows to the feet, columns to the back; the first voxel is right, anterior and superior.
MATRIX = np.array([[3.5, 0, 0, -20], [0, 0, 0.7, -60], [0, -0.8, 0, 90], [0, 0, 0, 1.0]])


def rotation(axis, degrees: float) -> np.ndarray:
    """Rodrigues' formula, as a (4, 4) matrix about the world's origin."""
    x, y, z = np.asarray(axis, dtype=float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


def scaled(*spacing_mm: float) -> np.ndarray:
    matrix = MATRIX.copy()
    matrix[:3, :3] *= np.array(spacing_mm) / SPACING
    return matrix
