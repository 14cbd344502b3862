"""Triangle meshes: to VTK and back, and what is said of a shape that one can calculate."""

from __future__ import annotations

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersSources import vtkCubeSource

from SpinalTapLib.bodies.triangle_mesh import enclosed_volume, mesh_arrays, poly_data, surface_area, with_normals

CORNERS = np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0], [0, 0, 5]], float) + (100, -50, 800)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
"""A corner cut off a box, its triangles facing outwards."""


def test_arrays_go_to_vtk_and_back():
    points, triangles = np.random.default_rng(0).random((5, 3)), np.array([[0, 1, 2], [2, 3, 4]])
    back = mesh_arrays(poly_data(points, triangles))
    np.testing.assert_allclose(back[0], points, atol=1e-6)
    assert (back[1] == triangles).all()


def test_meshes_of_other_polygons_or_none_are_refused():
    with pytest.raises(ValueError, match="empty"):
        mesh_arrays(vtkPolyData())
    cube = vtkCubeSource()
    cube.Update()
    with pytest.raises(ValueError, match="not triangles"):
        mesh_arrays(cube.GetOutput())


def test_volume_and_area_are_those_of_the_shape_wherever_it_lies():
    assert enclosed_volume(CORNERS, FACES) == pytest.approx(3 * 4 * 5 / 6)
    assert enclosed_volume(CORNERS, FACES[:, ::-1]) == pytest.approx(-3 * 4 * 5 / 6)
    slanted = np.linalg.norm(np.cross([-3, 4, 0], [-3, 0, 5])) / 2
    assert surface_area(CORNERS, FACES) == pytest.approx((3 * 4 + 3 * 5 + 4 * 5) / 2 + slanted)


def test_normals_point_away_from_the_middle_and_move_no_point():
    surface = with_normals(poly_data(CORNERS, FACES))
    normals = vtk_to_numpy(surface.GetPointData().GetNormals())
    np.testing.assert_allclose(mesh_arrays(surface)[0], CORNERS, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert (((CORNERS - CORNERS.mean(0)) * normals).sum(1) > 0).all()
