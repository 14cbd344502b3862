"""Export of surfaces from a session."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import nodes_of
from session_helpers import UP

from SpinalTapLib.session.state import State

pytest_plugins = ("scene_fixtures",)


class TestExport:
    @pytest.mark.parametrize("file_format", ["stl", "obj", "ply"])
    def test_one_file_a_level_that_others_can_read(self, segmented, tmp_path, file_format):
        trimesh = pytest.importorskip("trimesh", reason="trimesh, an independent reader, is not installed")
        session, _ = segmented
        files = session.export(tmp_path / "out", file_format)
        assert [file.name for file in files] == [f"blocks_{name}.{file_format}" for name in UP[::-1]]
        for file, name in zip(files, UP[::-1]):
            mesh = trimesh.load(file)
            assert mesh.is_watertight
            assert np.allclose(mesh.bounds.mean(0), session.result.spine[name].centroid_lps_mm, atol=2.5)  # LPS, mm

    def test_chosen_levels_in_one_file(self, segmented, tmp_path):
        trimesh = pytest.importorskip("trimesh", reason="trimesh, an independent reader, is not installed")
        session, _ = segmented
        (file,) = session.export(tmp_path, "stl", levels=("L3", "L4"), merged=True)
        assert file.name == "blocks_spine.stl" and list(tmp_path.iterdir()) == [file]
        assert len(trimesh.load(file).split()) == 2

    def test_in_the_world_under_a_transform(self, scene, segmented, tmp_path):
        import vtk

        trimesh = pytest.importorskip("trimesh", reason="trimesh, an independent reader, is not installed")
        session, _ = segmented
        parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(2, 3, 100)
        parent.SetMatrixTransformToParent(matrix)
        nodes_of(scene, "vtkMRMLSegmentationNode")[0].SetAndObserveTransformNodeID(parent.GetID())
        (file,) = session.export(tmp_path, "stl", levels=("L3",))
        shifted = trimesh.load(file).bounds.mean(0) - session.result.spine["L3"].centroid_lps_mm
        assert np.allclose(shifted, [0, 0, 100], atol=2.5)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"file_format": "docx"}, "stl, obj, ply"),
            ({"levels": ("T5",)}, "no surface of T5"),
            ({"levels": ()}, "no surface to write"),
        ],
    )
    def test_of_what_cannot_be_written_leaves_no_file(self, segmented, tmp_path, arguments, words):
        session, _ = segmented
        with pytest.raises(ValueError, match=words):
            session.export(tmp_path / "out", **arguments)
        assert not (tmp_path / "out").exists() and session.state is State.DONE

    def test_to_a_place_that_is_a_file_is_refused(self, segmented, tmp_path):
        session, _ = segmented
        (tmp_path / "file").write_text("not a folder")
        with pytest.raises(ValueError):
            session.export(tmp_path / "file")
        assert (tmp_path / "file").read_text() == "not a folder"

    def test_after_the_segmentation_was_deleted_is_refused(self, scene, segmented, tmp_path):
        session, _ = segmented
        scene.RemoveNode(nodes_of(scene, "vtkMRMLSegmentationNode")[0])
        with pytest.raises(ValueError, match="Segment the spine first"):
            session.export(tmp_path)

    @pytest.mark.parametrize("folder", ["", "  "])
    def test_to_no_folder_is_refused_instead_of_filling_the_working_directory(
        self, segmented, tmp_path, monkeypatch, folder
    ):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ValueError, match="Choose a folder"):
            segmented[0].export(folder)
        assert not list(tmp_path.iterdir())

    def test_says_what_was_written(self, segmented, tmp_path):
        session, _ = segmented
        session.export(tmp_path / "out", levels=("L3",))
        assert session.progress.sentence == f"1 file written to {tmp_path / 'out'}."
        session.show_3d(False)
        assert session.progress.sentence.startswith("1 file written")
