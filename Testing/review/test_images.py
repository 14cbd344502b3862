"""What the viewer gets: sizes, positions, meshes."""

from __future__ import annotations

import gzip
import struct

import numpy as np
from spines_by_hand import vertebra
from vtkmodules.vtkFiltersSources import vtkSphereSource

from SpinalTapLib.files.meshes import NamedSurface, read_surface, write_surface
from SpinalTapLib.review import images
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.vertebra import Spine


def ball(radius_mm: float, centre: tuple[float, float, float]):
    source = vtkSphereSource()
    source.SetRadius(radius_mm)
    source.SetCenter(*centre)
    source.SetThetaResolution(64)
    source.SetPhiResolution(64)
    source.Update()
    return source.GetOutput()


def test_a_large_scan_is_thinned_along_its_finest_axes_and_stays_in_place(monkeypatch):
    monkeypatch.setattr(images, "MOST_VOXELS", 5000)
    array = np.add.outer(np.arange(10.0), np.add.outer(np.zeros(40), np.arange(40.0)))
    matrix = np.diag([4.0, -1.0, 0.5, 1.0])
    matrix[:3, 3] = 1, 2, 3
    thin, there = images.thinned(array, matrix)
    assert thin.shape == (10, 20, 20)
    assert np.allclose(np.linalg.norm(there[:3, :3], axis=0), (4, 2, 1))
    middle = np.array([4.5, 9.5, 9.5, 1])  # of the thin array: the middle of the first one, too
    assert np.allclose(there @ middle, matrix @ [4.5, 19.5, 19.5, 1])
    assert np.isclose(thin.mean(), array.mean())


def test_a_small_scan_is_not_changed():
    array, matrix = np.ones((3, 4, 5)), np.eye(4)
    assert images.thinned(array, matrix) == (array, matrix)


def test_an_arch_has_the_number_of_its_vertebra_and_discs_and_canal_have_their_own():
    values = (26, 24, 103)  # S1, L5, a vertebra without a name
    labels = np.array([0, 26, 24, 103, levels.arch_value(24), levels.arch_value(103), levels.disc_value(24),
                       levels.disc_value(103), levels.CANAL_VALUE, 23, levels.arch_value(23)], np.uint16)  # fmt: skip
    data = gzip.decompress(images.labels_nifti(labels.reshape(1, 1, -1), np.eye(4), values))
    assert list(data[352:]) == [0, 1, 2, 3, 2, 3, 4, 4, 5, 0, 0], "L4 was left out"
    colours = images.label_colours(values)
    assert len(colours) == 5 and len(set(colours)) == 5
    assert colours[1] == levels.level("L5").colour


def test_the_page_shows_whole_vertebrae_where_there_are_arches(tmp_path):
    spine = Spine(tuple(vertebra(name, np.zeros((4, 3))) for name in ("S1", "L5")))
    (tmp_path / "surfaces").mkdir()
    for name, radius in (("S1", 10), ("L5", 10), ("L5_arch", 20), ("L5_whole", 30)):
        write_surface(tmp_path / "surfaces" / f"{name}.stl", ball(radius, (0, 0, 0)))
    shown = images.stored_surfaces(tmp_path, spine)
    assert [s.name for s in shown] == ["L5", "S1"]
    assert [round(s.surface.GetBounds()[5]) for s in shown] == [30, 10]


def test_the_mesh_of_the_page_is_small_coloured_and_in_ras():
    surface = NamedSurface("L5", ball(20, (10, 20, 30)), (1, 2, 3))
    data = gzip.decompress(images.surfaces_mz3([surface, NamedSurface("L4", ball(20, (10, 20, 70)), (4, 5, 6))]))
    magic, has, faces, points, skip = struct.unpack_from("<HHIII", data)
    assert (magic, has, skip) == (0x5A4D, 7, 0)
    assert 1000 < faces < 0.7 * 2 * surface.surface.GetNumberOfCells()
    triangles = np.frombuffer(data, "<i4", 3 * faces, 16)
    at = np.frombuffer(data, "<f4", 3 * points, 16 + 12 * faces).reshape(-1, 3)
    colours = np.frombuffer(data, np.uint8, 4 * points, 16 + 12 * (faces + points)).reshape(-1, 4)
    assert triangles.max() == points - 1
    assert np.allclose(at.mean(0), (-10, -20, 50), atol=1)
    assert {tuple(colour) for colour in colours.tolist()} == {(1, 2, 3, 255), (4, 5, 6, 255)}


def test_a_surface_is_read_back_in_every_format(tmp_path):
    surface = ball(20, (10, 20, 30))
    for kind in ("stl", "obj", "ply"):
        write_surface(tmp_path / f"L5.{kind}", surface)
        again = read_surface(tmp_path / f"L5.{kind}")
        assert np.allclose(again.GetBounds(), surface.GetBounds(), atol=1e-3)
        assert again.GetNumberOfCells() == surface.GetNumberOfCells()
