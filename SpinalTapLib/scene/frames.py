"""Positions of volumes: matrices between voxels, node space and world, now and when a volume was read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from ..spine.vertebra import SeedBox

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""RAS to LPS or back; both flip the first two axes."""

SAME_PLACE_MM = 1e-3
"""Smaller differences in position are rounding of the header, not a move."""

_SHEAR_TOLERANCE = 0.01  # largest cosine between two axes (0.6 degrees), as in `orientation.ORTHONORMAL_TOLERANCE`


@dataclass(frozen=True, eq=False)
class Frame:
    """Position of a volume.

    Attributes
    ----------
    ijk_to_local : ndarray, shape (4, 4)
        (i, j, k, 1) to RAS mm in the volume's own space, below its parent transform.
    local_to_world : ndarray, shape (4, 4)
        The parent transform: own space to world, RAS mm; the identity without a parent.
    """

    ijk_to_local: np.ndarray
    local_to_world: np.ndarray

    @property
    def ijk_to_world(self) -> np.ndarray:
        """(i, j, k, 1) to RAS world, mm, shape (4, 4)."""
        return self.local_to_world @ self.ijk_to_local

    @property
    def local_from_lps(self) -> np.ndarray:
        """LPS world, mm, to RAS mm in the volume's own space, shape (4, 4)."""
        return np.linalg.inv(self.local_to_world) @ RAS_FROM_LPS

    def to_local(self, points_lps_mm: np.ndarray) -> np.ndarray:
        """Return points, shape (..., 3), LPS world, in the volume's own RAS space."""
        return moved(points_lps_mm, self.local_from_lps)

    def to_text(self) -> str:
        """Return the frame as text for a node attribute."""
        return json.dumps([self.ijk_to_local.ravel().tolist(), self.local_to_world.ravel().tolist()])

    @classmethod
    def from_text(cls, text: str | None) -> Frame | None:
        """Return the frame written by `to_text`, or None if there is none."""
        try:
            pair = np.array(json.loads(text or ""), dtype=float).reshape(2, 4, 4)
        except (TypeError, ValueError):
            return None
        return cls(pair[0], pair[1]) if np.isfinite(pair).all() else None


def frame_of(volume: Any) -> Frame:
    """Return the present frame of a volume node.

    Raises
    ------
    ValueError
        If a transform above it bends, shears or flattens space.
    """
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return Frame(array_of(matrix), parent_to_world(volume))


def parent_to_world(node: Any) -> np.ndarray:
    """Return the transform above a node, to world, RAS mm, shape (4, 4).

    Raises
    ------
    ValueError
        If it bends, shears or flattens space.
    """
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise ValueError(
            f"{node.GetName()!r} lies under the transform {parent.GetName()!r}, which bends space; "
            "harden the transform first (Data module, right click), or take the volume out of it."
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    result = array_of(matrix)
    lengths = np.linalg.norm(result[:3, :3], axis=0)
    if not np.isfinite(result).all() or lengths.min() < 1e-6:
        raise ValueError(f"The transform {parent.GetName()!r} above {node.GetName()!r} flattens space; correct it.")
    cosines = np.abs((result[:3, :3] / lengths).T @ (result[:3, :3] / lengths) - np.eye(3))
    if cosines.max() > _SHEAR_TOLERANCE:
        raise ValueError(
            f"{node.GetName()!r} lies under the transform {parent.GetName()!r}, which shears space; "
            "harden the transform first (Data module, right click), or take the volume out of it."
        )
    return result


def array_of(matrix: Any) -> np.ndarray:
    """Return a vtkMatrix4x4 as an array, shape (4, 4)."""
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def matrix_of(array: np.ndarray) -> Any:
    """Return an array, shape (4, 4), as a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    for i in range(4):
        for j in range(4):
            matrix.SetElement(i, j, float(array[i, j]))
    return matrix


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return points, shape (..., 3), moved by a matrix, shape (4, 4)."""
    return np.asarray(points, dtype=float) @ matrix[:3, :3].T + matrix[:3, 3]


def moved_surface(surface: Any, matrix: np.ndarray) -> Any:
    """Return a copy of a vtkPolyData transformed by a matrix, with its faces pointing outwards."""
    transform = vtk.vtkTransform()
    transform.SetMatrix(matrix_of(matrix))
    mover = vtk.vtkTransformPolyDataFilter()
    mover.SetTransform(transform)
    mover.SetInputData(surface)
    mover.Update()
    result = vtk.vtkPolyData()
    if np.linalg.det(matrix[:3, :3]) > 0:
        result.ShallowCopy(mover.GetOutput())
        return result
    turner = vtk.vtkReverseSense()
    turner.SetInputConnection(mover.GetOutputPort())
    turner.ReverseCellsOn()
    turner.Update()
    result.ShallowCopy(turner.GetOutput())
    return result


def moved_box(box: SeedBox, matrix: np.ndarray) -> SeedBox:
    """Return a box moved by a matrix, shape (4, 4), LPS to LPS, without shear."""
    axes = matrix[:3, :3] @ np.asarray(box.axes)
    lengths = np.linalg.norm(axes, axis=0)
    centre = matrix[:3, :3] @ box.center_lps_mm + matrix[:3, 3]
    return SeedBox(centre, np.asarray(box.size_mm) * lengths, axes / lengths, box.level)


def transform_id(volume: Any) -> str | None:
    """Return the ID of the transform node above a volume, or None."""
    parent: slicer.vtkMRMLTransformNode | None = volume.GetParentTransformNode()
    return parent.GetID() if parent is not None else None


class Frames:
    """Frames of the volumes of a scene, as read for the latest run and for the result that is shown.

    The two differ if a volume was moved in between: if the new run is cancelled, the earlier result stays.
    """

    def __init__(self) -> None:
        self._read: dict[str, Frame] = {}
        self._shown: dict[str, Frame] = {}

    def note_read(self, volume: str, frame: Frame) -> None:
        """Store the frame of a volume that is read for a run."""
        self._read[volume] = frame

    def note_shown(self, volume: str, frame: Frame) -> None:
        """Store the frame of a volume whose result is now in the scene."""
        self._shown[volume] = frame

    def forget(self, volume: str | None) -> None:
        """Forget a volume, or all of them, because another scan may get the ID of a removed one."""
        for frames in (self._read, self._shown):
            frames.clear() if volume is None else frames.pop(volume, None)

    def of_run(self, volume: Any) -> Frame:
        """Return the frame of a volume node at its latest run, or its present frame."""
        return self._read.get(volume.GetID()) or frame_of(volume)

    def of_result(self, volume: Any) -> Frame:
        """Return the frame of a volume node at the run of the result in the scene, or its present frame."""
        return self._shown.get(volume.GetID()) or frame_of(volume)

    def has_moved(self, volume: Any) -> bool:
        """Return True if a volume node has moved since the run of the result in the scene."""
        return not np.allclose(self.then_from_now(volume), np.eye(4), atol=SAME_PLACE_MM)

    def now(self, volume: Any, then: SeedBox) -> SeedBox:
        """Return a box of the result in the scene, LPS, at the volume node's present position."""
        return moved_box(then, np.linalg.inv(self.then_from_now(volume)))

    def then(self, volume: Any, now: SeedBox) -> SeedBox:
        """Return a box in the world, LPS, in the coordinates of the result in the scene."""
        return moved_box(now, self.then_from_now(volume))

    def then_from_now(self, volume: Any) -> np.ndarray:
        """Return the LPS matrix, shape (4, 4), from a volume node's present position to that of the result."""
        ras = self.of_result(volume).ijk_to_world @ np.linalg.inv(frame_of(volume).ijk_to_world)
        return RAS_FROM_LPS @ ras @ RAS_FROM_LPS
