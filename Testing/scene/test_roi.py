"""A box node is written, read, shown and hidden."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import vtk
from scene_fixtures import add_blocks, only, transform_above, turned

from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.spine.vertebra import SeedBox

pytest_plugins = ("scene_fixtures",)


class TestTheBox:
    def box_node(self, scene):
        return only(scene, "vtkMRMLMarkupsROINode")

    def test_is_written_and_read_without_change(self, scene):
        volume = add_blocks(scene)
        adapter = SlicerScene(scene)
        box = SeedBox(np.array([3.0, -20, 40]), np.array([40.0, 35, 30]), turned(20)[:3, :3])
        adapter.place_box(volume.GetID(), box, by_user=True)
        read = adapter.box(volume.GetID())
        assert np.allclose(read.center_lps_mm, box.center_lps_mm)
        assert np.allclose(read.size_mm, box.size_mm)
        corners = np.array(list(product((-0.5, 0.5), repeat=3)))
        ours, theirs = ((corners * b.size_mm) @ np.asarray(b.axes).T + b.center_lps_mm for b in (box, read))
        assert all(np.linalg.norm(theirs - corner, axis=1).min() < 1e-6 for corner in ours)
        assert adapter.box_is_users(volume.GetID())

    def test_under_a_transform_of_its_own_counts_where_it_is_seen(self, scene, segmented):
        session, volume = segmented
        node = self.box_node(scene)
        centre = session._scene.box(volume.GetID()).center_lps_mm
        matrix = np.diag([2.0, 2.0, 2.0, 1.0])
        matrix[:3, 3] = 7, 8, 9
        transform_above(scene, node, matrix)
        read = session._scene.box(volume.GetID())
        expected = np.diag([2.0, 2, 2]) @ (centre * [-1, -1, 1]) + [7, 8, 9]
        assert np.allclose(read.center_lps_mm, expected * [-1, -1, 1], atol=1e-6)
        assert np.allclose(np.sort(read.size_mm), np.sort(2 * np.array(node.GetSize())), atol=1e-6)

    def test_under_a_transform_that_bends_is_refused_with_a_sentence(self, scene, segmented):
        session, _ = segmented
        bend = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
        bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
        self.box_node(scene).SetAndObserveTransformNodeID(bend.GetID())
        with pytest.raises(ValueError, match="bends space"):
            session.reseed()

    def test_without_a_size_is_refused(self, scene, segmented):
        session, _ = segmented
        self.box_node(scene).SetSize(0, 0, 0)
        with pytest.raises(ValueError, match="flat"):
            session.reseed()

    def test_is_shown_and_hidden(self, scene, segmented):
        session, _ = segmented
        assert session.box_is_shown
        session.show_box(False)
        assert not session.box_is_shown and not self.box_node(scene).GetDisplayNode().GetVisibility()
