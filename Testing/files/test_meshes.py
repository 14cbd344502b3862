"""Mesh files: what other programs read back, names that every system takes, and all or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import trimesh
from drawn_bodies import detect, spine
from full_disk import limit_disk
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader

from SpinalTapLib.bodies.segmentation import separate_bodies
from SpinalTapLib.bodies.surfaces import body_surface
from SpinalTapLib.bodies.triangle_mesh import enclosed_volume, mesh_arrays, poly_data
from SpinalTapLib.files.meshes import (
    FORMATS,
    NamedSurface,
    count_triangles,
    export_surfaces,
    file_names,
    safe_name,
    write_surface,
    write_surfaces,
)
from SpinalTapLib.options import SURFACE_FORMATS

READERS = {"stl": vtkSTLReader, "obj": vtkOBJReader, "ply": vtkPLYReader}


@pytest.fixture(scope="module")
def case():
    detections, candidates, volume = detect(spine(2))
    bodies = separate_bodies(detections, candidates, volume)
    surfaces = [
        NamedSurface(name, body_surface(solid, max_triangles=4000), colour)
        for name, solid, colour in zip(("L5", "L4"), bodies.solids, ((200, 10, 20), (10, 200, 30)))
    ]
    return bodies, volume, surfaces


def read(path: Path):
    reader = READERS[path.suffix[1:]]()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def test_a_body_and_its_arch_are_joined_and_keep_their_colour(case, tmp_path):
    l5, l4 = (part.surface for part in case[2])
    points, triangles = mesh_arrays(l5)
    arch = poly_data(points + [0, 12, 0], triangles)  # overlaps the body
    surfaces = {"L4": l4, "L5": l5, "Arch of L5": arch}
    files = export_surfaces(surfaces, {"L5": (200, 10, 20)}, tmp_path, "scan", "ply", merged=False, joined=True)
    assert [file.name for file in files] == ["scan_L4.ply", "scan_L5_whole.ply"]
    whole = trimesh.load(files[1])
    assert whole.is_watertight and len(whole.split()) == 1
    assert enclosed_volume(points, triangles) < whole.volume < 2 * enclosed_volume(points, triangles)
    assert whole.visual.vertex_colors[0, :3].tolist() == [200, 10, 20]
    assert len(mesh_arrays(read(files[0]))[1]) == len(mesh_arrays(l4)[1]), "a body without an arch stays as it is"


@pytest.mark.parametrize("kind", SURFACE_FORMATS)
def test_vtk_and_trimesh_read_back_what_was_written(case, tmp_path, kind):
    path = tmp_path / f"L5.{kind}"
    points, triangles = mesh_arrays(case[2][0].surface)
    assert write_surface(path, case[2][0].surface) == len(triangles)
    back = mesh_arrays(read(path))
    assert back[1].shape == triangles.shape
    assert enclosed_volume(*back) == pytest.approx(enclosed_volume(points, triangles), rel=1e-4)
    mesh = trimesh.load(path)
    assert mesh.is_watertight and mesh.euler_number == 2
    np.testing.assert_allclose(mesh.bounds, [points.min(0), points.max(0)], atol=1e-3)


def test_an_stl_lies_on_the_label_map_in_lps(case, tmp_path):
    bodies, volume, surfaces = case
    write_surface(tmp_path / "L4.stl", surfaces[1].surface)
    image = volume.to_source(bodies.label_map((24, 23)))  # by SimpleITK's geometry, not the library's own
    points = mesh_arrays(read(tmp_path / "L4.stl"))[0]
    index = np.array([image.TransformPhysicalPointToContinuousIndex(p.tolist()) for p in points])
    import SimpleITK as sitk

    voxels = np.argwhere(sitk.GetArrayFromImage(image) == 23)[:, ::-1]
    assert np.abs(index.min(0) - voxels.min(0)).max() <= 1.1
    assert np.abs(index.max(0) - voxels.max(0)).max() <= 1.1


def test_every_file_says_that_it_is_in_lps_millimetres(case, tmp_path):
    for kind in SURFACE_FORMATS:
        write_surface(tmp_path / f"a.{kind}", case[2][0].surface)
        head = (tmp_path / f"a.{kind}").read_bytes()[:120]
        assert b"SPACE=LPS" in head and b"UNIT=mm" in head
    assert not (tmp_path / "a.stl").read_bytes().startswith(b"solid"), "or readers take it for a text file"


def test_several_surfaces_make_one_file_with_names_and_colours(case, tmp_path):
    surfaces = case[2]
    total = sum(len(mesh_arrays(s.surface)[1]) for s in surfaces)
    for kind in SURFACE_FORMATS:
        (path,) = write_surfaces(tmp_path, surfaces, kind, merged="spine")
        assert path.name == f"spine.{kind}" and count_triangles(path) == total
        assert len(mesh_arrays(read(path))[1]) == total
    assert trimesh.load(tmp_path / "spine.stl").body_count == 2
    assert [line for line in (tmp_path / "spine.obj").read_text().splitlines() if line[0] == "o"] == ["o L5", "o L4"]
    colours = trimesh.load(tmp_path / "spine.ply").visual.vertex_colors[:, :3]
    assert {tuple(c) for c in np.unique(colours, axis=0)} == {(10, 200, 30), (200, 10, 20)}


def test_one_file_a_level_named_after_it(case, tmp_path):
    paths = write_surfaces(tmp_path / "new" / "surfaces", case[2], "stl")
    assert [p.name for p in paths] == ["L5.stl", "L4.stl"]
    assert all(p.is_file() for p in paths)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("L5", "L5"), ("L5/S1", "L5_S1"), ("../../etc/passwd", "etc_passwd"), ("T 12: left", "T_12_left"), ("", "_"),
        ("con", "_con"), ("NUL.x", "_NUL.x"), (".hidden", "hidden"), ("Wirbel ö", "Wirbel"), ("a" * 300, "a" * 80),
    ],
)  # fmt: skip
def test_names_become_safe_file_names(name, safe):
    assert safe_name(name) == safe


def test_file_names_are_never_the_same_even_where_case_does_not_count():
    assert file_names(["L5", "l5", "L5/S1", "L5 S1"], "stl") == ["L5.stl", "l5_2.stl", "L5_S1.stl", "L5_S1_2.stl"]


def test_a_level_name_with_a_slash_stays_in_its_folder(case, tmp_path):
    (path,) = write_surfaces(tmp_path, [NamedSurface("../L5/S1", case[2][0].surface)])
    assert path == tmp_path / "L5_S1.stl" and path.is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["L5_S1.stl"]


def test_a_full_disk_leaves_no_file_and_says_so(case, tmp_path, monkeypatch):
    folder = tmp_path / "surfaces"
    limit_disk(monkeypatch, lambda path: "L4" in path.name)  # the second file
    with pytest.raises(ValueError, match="disk is full"):
        write_surfaces(folder, case[2])
    assert list(tmp_path.rglob("*")) == []


def test_a_full_disk_leaves_an_older_file_as_it_was(case, tmp_path, monkeypatch):
    path = tmp_path / "L5.stl"
    path.write_bytes(b"older")
    limit_disk(monkeypatch)
    with pytest.raises(ValueError, match="disk is full"):
        write_surface(path, case[2][0].surface)
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]


def test_a_write_that_silently_stops_short_is_noticed(case, tmp_path, monkeypatch):
    limit_disk(monkeypatch, silent=True)
    for kind in SURFACE_FORMATS:
        with pytest.raises(ValueError, match=r"of \d+ triangles arrived"):
            write_surface(tmp_path / f"L5.{kind}", case[2][0].surface)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="an administrator may write anywhere")
def test_a_folder_without_the_right_to_write_is_named(case, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(ValueError, match=r"locked.*not writable"):
        write_surfaces(locked, case[2])


def test_a_file_where_the_folder_should_be_is_named(case, tmp_path):
    (tmp_path / "surfaces").write_text("x")
    with pytest.raises(ValueError, match=r"surfaces is a file, not a folder"):
        write_surfaces(tmp_path / "surfaces", case[2])


def test_an_unknown_ending_an_empty_list_and_an_empty_surface_are_refused(case, tmp_path):
    with pytest.raises(ValueError, match=r"stl, obj, ply; L5\.vtk"):
        write_surface(tmp_path / "L5.vtk", case[2][0].surface)
    with pytest.raises(ValueError, match="'step'"):
        write_surfaces(tmp_path, case[2], "step")
    with pytest.raises(ValueError, match="no surface"):
        write_surfaces(tmp_path, [])
    with pytest.raises(ValueError, match="no surface"):
        write_surface(tmp_path / "a.stl", [])
    empty = NamedSurface("L4", poly_data(np.zeros((0, 3)), np.zeros((0, 3), int)))
    with pytest.raises(ValueError, match="empty"):
        write_surfaces(tmp_path / "out", [case[2][0], empty])
    assert list(tmp_path.iterdir()) == []


def test_the_formats_are_those_of_the_options():
    assert tuple(FORMATS) == SURFACE_FORMATS
