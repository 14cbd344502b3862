"""Store all surfaces of a run in one compact file, for the exchange folder and for saved scenes.

Coordinates are rounded to `STEP_MM`, and points and triangles are stored as differences from the one before, which
are small: the file is a seventh of the size of the raw meshes. Normals are computed when it is read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..bodies.triangle_mesh import poly_data, with_normals
from ..errors import ARRAY_DAMAGE
from ..files.atomic import write_whole

STEP_MM = 0.005
"""A hundredth of the smallest voxel edge, far below what a printer resolves."""


def write_meshes(path: Path, meshes: Mapping[int, Any]) -> None:
    """Write triangle meshes (vtkPolyData, mm) by number; raise ValueError if the disk is full."""
    arrays: dict[str, Any] = {}
    for i, mesh in meshes.items():
        points = vtk_to_numpy(mesh.GetPoints().GetData())
        triangles = vtk_to_numpy(mesh.GetPolys().GetConnectivityArray())
        if mesh.GetPolys().GetMaxCellSize() != 3 or len(triangles) != 3 * mesh.GetNumberOfPolys():
            raise ValueError("Only triangle meshes can be stored.")
        steps = np.rint(np.asarray(points, float) / STEP_MM).astype(np.int32)
        arrays[f"points_{i}"] = np.diff(steps, axis=0, prepend=np.int32(0))
        arrays[f"triangles_{i}"] = np.diff(triangles.astype(np.int32), prepend=np.int32(0))
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_whole(path, content.getvalue())


def read_meshes(path: Path) -> dict[int, vtkPolyData]:
    """Return the meshes of a file, with normals at their points.

    Raises
    ------
    ValueError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            numbers = sorted({int(name.split("_")[1]) for name in file.files})
            return {i: _mesh(file[f"points_{i}"], file[f"triangles_{i}"]) for i in numbers}
    except ARRAY_DAMAGE as error:
        raise ValueError(f"The surfaces in {path.name} could not be read ({error}).") from error


def _mesh(point_steps: np.ndarray, triangle_steps: np.ndarray) -> vtkPolyData:
    points = (np.cumsum(point_steps, axis=0) * STEP_MM).astype(np.float32)
    triangles = np.cumsum(triangle_steps).astype(np.int64)
    if len(triangles) % 3 or (len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(points)):
        raise ValueError("a triangle without points")
    return with_normals(poly_data(points, triangles.reshape(-1, 3)))
