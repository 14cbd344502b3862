"""SourceGrid: the voxel grid of an input, and the mapping of its axes to (slice, row, column)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

ORTHONORMAL_TOLERANCE = 0.01
"""Largest cosine between two axes (0.6 degrees off perpendicular) that is attributed to rounding in a header."""

CLEAR_PLANE_TILT = 30.0
"""Largest tilt in the sagittal plane, degrees, at which the axis nearest to the body's is the row axis without doubt.
Between this and 60 degrees, where the other axis is as near, the patient's position may have tilted the scan."""

ACROSS_SLICES = 2.0
"""So many times coarser than the other axis in the sagittal plane, an axis runs across axial or coronal slices."""

SAME_LENGTH = 0.01
"""Largest difference between the sides of a square picture, as a fraction of them."""

# World axis (LPS) and direction of (slice, row, column): right to left, superior to inferior, anterior to posterior.
_WORLD_AXES = (0, 2, 1)
_WORLD_SIGNS = (1.0, -1.0, 1.0)


@dataclass(frozen=True)
class SourceGrid:
    """The voxel grid of an input, as ITK describes it, and the mapping of its axes to the sagittal frame.

    Attributes
    ----------
    size : tuple of int
        Number of voxels along the input's axes i, j, k.
    spacing : tuple of float
        Distance between voxel centres along i, j, k, mm.
    origin : tuple of float
        Centre of voxel (0, 0, 0), LPS, mm.
    direction : tuple of float
        Direction cosines, nine numbers, row by row; the columns are the axes i, j, k in LPS.
    axes : tuple of int
        The input's axis (0, 1, 2 for i, j, k) that becomes slice, row and column.
    flips : tuple of bool
        Whether slice, row and column run against that axis.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    axes: tuple[int, int, int] = (2, 1, 0)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of (slices, rows, columns)."""
        return (self.size[self.axes[0]], self.size[self.axes[1]], self.size[self.axes[2]])

    @property
    def matrix(self) -> np.ndarray:
        """(slice, row, column, 1) to LPS mm at voxel centres, shape (4, 4)."""
        steps = np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing)
        matrix = np.eye(4)
        matrix[:3, 3] = self.origin
        for ours, theirs in enumerate(self.axes):
            matrix[:3, ours] = steps[:, theirs]
            if self.flips[ours]:
                matrix[:3, 3] += steps[:, theirs] * (self.size[theirs] - 1)
                matrix[:3, ours] *= -1
        return matrix

    def to_sagittal(self, array: np.ndarray) -> np.ndarray:
        """Reorder an array (k, j, i), as ITK stores it, to (slice, row, column); returns a view, no copy."""
        turned = array.transpose([2 - axis for axis in self.axes])
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def from_sagittal(self, array: np.ndarray) -> np.ndarray:
        """Reorder an array (slice, row, column) to (k, j, i), as ITK stores it; returns a contiguous array."""
        turned = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return np.ascontiguousarray(turned.transpose(np.argsort([2 - axis for axis in self.axes])))


def sagittal_grid(
    size: tuple[int, int, int],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    direction: tuple[float, ...],
    name: str,
) -> SourceGrid:
    """Return the grid of an input, with its axes mapped to slices, rows and columns from the geometry alone.

    Parameters
    ----------
    size, spacing, origin, direction
        As in `SourceGrid`.
    name : str
        Name of the input in error messages.

    Returns
    -------
    SourceGrid
        With the `axes` and `flips` that maximise the sum of the cosines with left, inferior and posterior. Only in a
        scan with sagittal slices that are tilted by 30 to 60 degrees in their plane, the longer side of the picture
        runs from head to foot; in a square one the later axis, as in DICOM images.

    Raises
    ------
    ValueError
        If the spacing is not above zero, or the direction is not finite and orthonormal.
    """
    check_geometry(spacing, origin, direction, name)
    cosines = np.reshape(direction, (3, 3))[list(_WORLD_AXES)] * np.reshape(_WORLD_SIGNS, (3, 1))

    def fit(axes: tuple[int, ...]) -> tuple[float, float]:
        total = sum(abs(cosines[ours, theirs]) for ours, theirs in enumerate(axes))
        # At 45 degrees two axes fit equally well: the one with the larger spacing is the slice direction.
        return round(float(total), 6), spacing[axes[0]]

    slice_axis, row_axis, column_axis = max(permutations(range(3)), key=fit)
    if abs(cosines[1, column_axis]) >= np.sin(np.deg2rad(CLEAR_PLANE_TILT)) - 1e-6:
        row_axis, column_axis = _upright(row_axis, column_axis, size, spacing)
    axes = (slice_axis, row_axis, column_axis)
    flips = (bool(cosines[0, axes[0]] < 0), bool(cosines[1, axes[1]] < 0), bool(cosines[2, axes[2]] < 0))
    return SourceGrid(size, spacing, origin, direction, axes, flips)


def _upright(
    row_axis: int, column_axis: int, size: tuple[int, ...], spacing: tuple[float, ...]
) -> tuple[int, int]:
    """Return the row axis and the column axis of a scan that is so tilted that the header leaves open which is which.

    The two axes are given as they lie nearest to the body's; the row axis runs from head to foot.
    """
    pair = (row_axis, column_axis)
    finer, coarser = sorted(spacing[axis] for axis in pair)
    if coarser >= ACROSS_SLICES * finer:  # axial or coronal slices: as their planes are called
        return pair
    lengths = [size[axis] * spacing[axis] for axis in pair]
    if abs(lengths[0] - lengths[1]) <= SAME_LENGTH * max(lengths):
        return max(pair), min(pair)
    return pair if lengths[0] > lengths[1] else (column_axis, row_axis)


def check_geometry(
    spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...], name: str
) -> None:
    """Raise ValueError unless spacing, origin and direction (as in `SourceGrid`) can describe a real grid."""
    if not (np.isfinite(spacing).all() and min(spacing) > 0):
        numbers = " x ".join(f"{value:g}" for value in spacing)
        raise ValueError(
            f"{name} has a voxel spacing of {numbers} mm, but every spacing must be above zero; repair its header."
        )
    if not (np.isfinite(origin).all() and np.isfinite(direction).all()):
        raise ValueError(f"{name} has a position or direction that is not a number; repair its header.")
    axes = np.reshape(direction, (3, 3))
    if np.abs(axes.T @ axes - np.eye(3)).max() > ORTHONORMAL_TOLERANCE:
        raise ValueError(
            f"{name} has a direction matrix that is not orthonormal (its axes are sheared, scaled or parallel); "
            "resample it onto a grid with perpendicular axes first."
        )


def grid_of_matrix(shape: tuple[int, ...], matrix: np.ndarray, name: str) -> SourceGrid:
    """Return the grid of an array from its affine matrix, as ITK would describe it.

    Parameters
    ----------
    shape : tuple of int
        Shape (a, b, c) of the array; i, j, k of ITK are its axes from the last to the first.
    matrix : ndarray, shape (4, 4)
        (a, b, c, 1) to LPS mm at voxel centres.
    name : str
        Name of the array in error messages.

    Raises
    ------
    ValueError
        If the matrix is not a finite affine matrix with perpendicular axes of lengths above zero.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise ValueError(f"{name} needs a finite 4 x 4 matrix from voxel index to LPS mm; got {matrix.tolist()}.")
    steps = matrix[:3, 2::-1]
    lengths = np.linalg.norm(steps, axis=0)
    direction = steps / np.where(lengths > 0, lengths, 1)
    return sagittal_grid(
        (int(shape[2]), int(shape[1]), int(shape[0])),
        (float(lengths[0]), float(lengths[1]), float(lengths[2])),
        (float(matrix[0, 3]), float(matrix[1, 3]), float(matrix[2, 3])),
        tuple(float(value) for value in direction.ravel()),
        name,
    )
