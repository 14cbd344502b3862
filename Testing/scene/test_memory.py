"""A saved scene comes back with a result that can be counted again."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import edit, load_bundle, nodes_of, only, save_bundle, segment_names

from SpinalTapLib.scene.segmentation import node as segments
from SpinalTapLib.scene.segmentation import surfaces
from SpinalTapLib.scene.segmentation.node import closed_surfaces

pytest_plugins = ("scene_fixtures",)

BLOCK_LEVELS = ["S1", "L5", "L4", "L3", "L2", "L1"]


class TestASavedScene:
    def test_comes_back_with_a_result_that_can_be_counted_again(self, scene, segmented, tmp_path, make_session):
        session = segmented[0]
        rows = session.rows
        surfaces = only(scene, "vtkMRMLSegmentationNode").GetSegmentation().GetNumberOfSegments()
        made = closed_surfaces(only(scene, "vtkMRMLSegmentationNode"))["S1"]
        points, bounds = made.GetNumberOfPoints(), made.GetBounds()
        save_bundle(scene, tmp_path / "saved.mrb")
        session.set_volume(None)
        scene.Clear(False)
        assert not nodes_of(scene, "vtkMRMLSegmentationNode")
        load_bundle(scene, tmp_path / "saved.mrb", tmp_path / "unpacked")
        volume = only(scene, "vtkMRMLScalarVolumeNode")
        again = make_session()
        again.set_volume(volume.GetID())
        assert again.rows == rows
        assert again.result.spine.model["sha256"] == "b" * 64
        loaded = closed_surfaces(only(scene, "vtkMRMLSegmentationNode"))["S1"]
        assert loaded.GetNumberOfPoints() == points  # smooth at once, not Slicer's steps
        assert np.allclose(loaded.GetBounds(), bounds, atol=0.01)
        counts = scene.GetNumberOfNodes()
        again.shift_labels(1)
        again.wait(60)
        assert again.failure is None, again.failure
        node = only(scene, "vtkMRMLSegmentationNode")
        assert segment_names(node) == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert node.GetSegmentation().GetNumberOfSegments() == surfaces
        assert scene.GetNumberOfNodes() == counts
        assert closed_surfaces(node)["L5"].GetNumberOfPoints() == points
        again.undo()
        assert segment_names(node) == BLOCK_LEVELS
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1

    def test_remembers_which_segments_were_changed_by_hand(self, scene, segmented, tmp_path, make_session):
        session, _ = segmented
        edit(only(scene, "vtkMRMLSegmentationNode"), "L4")
        save_bundle(scene, tmp_path / "saved.mrb")
        session.set_volume(None)
        scene.Clear(False)
        load_bundle(scene, tmp_path / "saved.mrb", tmp_path / "unpacked")
        volume = only(scene, "vtkMRMLScalarVolumeNode")
        again = make_session()
        again.set_volume(volume.GetID())
        assert tuple(again._scene.edited_segments(volume.GetID())) == ("L4",)
        made = segments.ours(only(scene, "vtkMRMLSegmentationNode")).values()
        assert {s.GetName() for s in made if not surfaces.is_own(s)} == {"L4"}  # its surface is that of the edit

    def test_with_a_damaged_memory_says_so_and_can_be_segmented_again(self, scene, segmented, make_session):
        volume = segmented[1]
        nodes_of(scene, "vtkMRMLTextNode")[0].SetText('{"matrix": [1]}')
        again = make_session()
        again.set_volume(volume.GetID())
        assert again.result is None and "damaged" in again.progress.sentence
        assert again.can_segment
