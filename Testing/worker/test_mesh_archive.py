"""The mesh file: small, exact to a few micrometres, and told apart from rubbish."""

from __future__ import annotations

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkFiltersSources import vtkCubeSource, vtkSphereSource

from SpinalTapLib.bodies.triangle_mesh import mesh_arrays
from SpinalTapLib.worker.mesh_archive import STEP_MM, read_meshes, write_meshes


def sphere(radius=14.0, centre=(3.0, -120.5, 800.25)):
    source = vtkSphereSource()
    source.SetRadius(radius)
    source.SetCenter(*centre)
    source.SetThetaResolution(60)
    source.SetPhiResolution(60)
    source.Update()
    return source.GetOutput()


def test_meshes_come_back_under_their_numbers_and_in_their_places(tmp_path):
    meshes = {0: sphere(), 7: sphere(5.0, (-40.0, 0.0, -900.0))}
    write_meshes(tmp_path / "meshes.npz", meshes)
    again = read_meshes(tmp_path / "meshes.npz")
    assert list(again) == [0, 7]
    for i, mesh in meshes.items():
        points, triangles = mesh_arrays(mesh)
        found, same = mesh_arrays(again[i])
        assert np.array_equal(triangles, same)
        assert np.abs(found - points).max() <= 0.51 * STEP_MM + 1e-4  # and the rounding of single precision


def test_normals_point_outwards(tmp_path):
    write_meshes(tmp_path / "meshes.npz", {0: sphere(centre=(0, 0, 0))})
    mesh = read_meshes(tmp_path / "meshes.npz")[0]
    normals = vtk_to_numpy(mesh.GetPointData().GetNormals())
    outwards = mesh_arrays(mesh)[0] / 14.0
    assert ((normals * outwards).sum(1) > 0.99).all()


def test_the_file_is_much_smaller_than_the_meshes(tmp_path):
    mesh = sphere()
    write_meshes(tmp_path / "meshes.npz", {0: mesh})
    raw = sum(array.nbytes for array in mesh_arrays(mesh))
    assert (tmp_path / "meshes.npz").stat().st_size < raw / 5


def test_no_meshes_are_a_file_too(tmp_path):
    write_meshes(tmp_path / "meshes.npz", {})
    assert read_meshes(tmp_path / "meshes.npz") == {}


def test_what_is_no_triangle_mesh_is_refused(tmp_path):
    cube = vtkCubeSource()
    cube.Update()
    with pytest.raises(ValueError, match="triangle"):
        write_meshes(tmp_path / "meshes.npz", {0: cube.GetOutput()})


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"rubbish", lambda b: b[:-200], lambda b: b[:300]])
def test_a_damaged_file_is_told_in_one_sentence(tmp_path, damage):
    path = tmp_path / "meshes.npz"
    write_meshes(path, {0: sphere()})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"surfaces in meshes\.npz could not be read"):
        read_meshes(path)


def test_a_triangle_without_points_is_damage(tmp_path):
    path = tmp_path / "meshes.npz"
    np.savez(path, points_0=np.zeros((2, 3), np.int32), triangles_0=np.array([0, 1, 5], np.int32))
    with pytest.raises(ValueError, match="could not be read"):
        read_meshes(path)
