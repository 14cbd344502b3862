"""Convert triangle meshes between NumPy and VTK; compute their volume, area and normals."""

from __future__ import annotations

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals


def poly_data(points: np.ndarray, triangles: np.ndarray) -> vtkPolyData:
    """Return points, shape (n, 3), and triangles, shape (m, 3), as vtkPolyData."""
    coordinates = vtkPoints()
    coordinates.SetData(numpy_to_vtk(np.ascontiguousarray(points, np.float32), deep=1))
    cells = vtkCellArray()
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles, np.int64).ravel(), deep=1))
    out = vtkPolyData()
    out.SetPoints(coordinates)
    out.SetPolys(cells)
    return out


def mesh_arrays(surface: vtkPolyData) -> tuple[np.ndarray, np.ndarray]:
    """Return the points, float64, shape (n, 3), and the triangles, int64, shape (m, 3), of a triangle mesh.

    Raises
    ------
    ValueError
        If the mesh is empty or has polygons other than triangles.
    """
    cells = surface.GetPolys()
    if cells.GetNumberOfCells() == 0:
        raise ValueError("The surface is empty; give a mesh of triangles.")
    if cells.GetMaxCellSize() != 3 or cells.IsHomogeneous() != 3:
        raise ValueError("The surface has polygons that are not triangles; triangulate it first.")
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    return points, vtk_to_numpy(cells.GetConnectivityArray()).reshape(-1, 3).astype(np.int64)


def enclosed_volume(points: np.ndarray, triangles: np.ndarray) -> float:
    """Return the volume enclosed by a mesh, mm³; negative if its triangles face inwards."""
    corners = (points - points.mean(0))[triangles]
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def surface_area(points: np.ndarray, triangles: np.ndarray) -> float:
    """Return the surface area of a mesh, mm²."""
    start, one, two = np.moveaxis(points[triangles], 1, 0)
    return float(np.linalg.norm(np.cross(one - start, two - start), axis=1).sum() / 2)


def with_normals(surface: vtkPolyData) -> vtkPolyData:
    """Return a surface, whose triangles face outwards, with point normals."""
    maker = vtkPolyDataNormals()
    maker.SetInputData(surface)
    maker.SplittingOff()
    maker.ConsistencyOff()
    maker.Update()
    return maker.GetOutput()
