"""Results under transforms lie on their volume and go with it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import vtk
from scene_fixtures import (
    add_blocks,
    nodes_of,
    only,
    only_first_list,
    segment_names,
    transform_above,
    turned,
    world_of_point,
)

from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.scene.segmentation.node import closed_surfaces

pytest_plugins = ("scene_fixtures",)

BLOCK_LEVELS = ["S1", "L5", "L4", "L3", "L2", "L1"]
RAS = np.diag([-1.0, -1, 1])


class TestUnderATransform:
    def test_results_lie_on_the_volume_and_go_with_it(self, scene, make_session):
        volume = add_blocks(scene)
        parent = transform_above(scene, volume, turned(8, (10, 20, 30)))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        points = only_first_list(scene)
        truth = session.result.spine["S1"].centroid_lps_mm @ RAS
        assert np.allclose(world_of_point(points, 4), truth, atol=1e-4)
        node = only(scene, "vtkMRMLSegmentationNode")
        assert node.GetParentTransformNode() is parent
        bounds = np.zeros(6)
        closed_surfaces(node)["S1"].GetBounds(bounds)
        local = np.linalg.inv(turned(8, (10, 20, 30))) @ [*truth, 1]
        assert np.allclose(bounds.reshape(3, 2).mean(1), local[:3], atol=2.5)
        matrix = vtk.vtkMatrix4x4()
        parent.SetMatrixTransformToParent(matrix)
        session.shift_labels(1)
        session.wait(60)
        assert np.allclose(world_of_point(points, 4), local[:3], atol=1e-4)
        surfaces = SlicerScene(scene).surfaces(volume.GetID())
        centre = np.array(surfaces["L5"].GetBounds()).reshape(3, 2).mean(1) @ RAS
        assert np.allclose(centre, local[:3], atol=2.5)

    def test_the_box_is_read_where_the_run_saw_the_volume(self, scene, make_session):
        volume = add_blocks(scene)
        parent = transform_above(scene, volume, turned(8, (10, 20, 30)))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        before = session._scene.box(volume.GetID())
        parent.SetMatrixTransformToParent(vtk.vtkMatrix4x4())
        after = session._scene.box(volume.GetID())
        assert np.allclose(before.center_lps_mm, after.center_lps_mm, atol=1e-6)
        assert np.allclose(before.axes, after.axes, atol=1e-6)

    @pytest.mark.parametrize("everything", [False, True])
    def test_a_hardened_transform_changes_nothing(self, scene, make_session, everything):
        volume = add_blocks(scene)
        transform_above(scene, volume, turned(8, (10, 20, 30)))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        truth = session.result.spine["S1"].centroid_lps_mm @ RAS
        volume.HardenTransform()
        if everything:
            results = (*nodes_of(scene, "vtkMRMLMarkupsFiducialNode"), only(scene, "vtkMRMLSegmentationNode"))
            for node in (*results, only(scene, "vtkMRMLMarkupsROINode")):
                node.HardenTransform()
        session.shift_labels(1)
        session.wait(60)
        assert session.failure is None
        assert np.allclose(world_of_point(only_first_list(scene), 4), truth, atol=1e-4)
        assert segment_names(only(scene, "vtkMRMLSegmentationNode"))[0] == "L5"
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1

    def test_a_volume_whose_own_geometry_changed_asks_for_a_new_run(self, scene, segmented):
        session, volume = segmented
        volume.SetSpacing(2, 2, 2)
        session.shift_labels(1)
        session.wait(60)
        assert "has changed since it was read" in session.failure.sentence
        assert segment_names(only(scene, "vtkMRMLSegmentationNode")) == BLOCK_LEVELS
