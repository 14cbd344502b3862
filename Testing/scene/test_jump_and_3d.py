"""Jumps of the slice views, surfaces in 3-D, and where the worker runs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
from scene_fixtures import add_blocks, only

from SpinalTapLib.scene import worker_python
from SpinalTapLib.scene.frames import array_of

pytest_plugins = ("scene_fixtures",)

RAS = np.diag([-1.0, -1, 1])


def test_outside_of_slicer_the_worker_runs_in_this_python():
    import sys

    assert worker_python() == sys.executable


def test_jumping_moves_the_slice_views(scene, segmented):
    session, _ = segmented
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Yellow")
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    view.SetOrientation("Sagittal")
    session.jump_to("L3")
    target = session.result.spine["L3"].centroid_lps_mm @ RAS
    matrix = view.GetSliceToRAS()
    origin = np.array([matrix.GetElement(i, 3) for i in range(3)])
    normal = np.array([matrix.GetElement(i, 2) for i in range(3)])
    assert abs((target - origin) @ normal) < 0.5


def test_the_first_result_is_looked_at_in_3d_and_later_ones_leave_the_camera_alone(scene, make_session):
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode", "camera")
    session = make_session()
    session.set_volume(add_blocks(scene).GetID())
    session.segment()
    session.wait(60)
    bounds = np.zeros(6)
    only(scene, "vtkMRMLSegmentationNode").GetRASBounds(bounds)
    assert session.is_shown_3d
    assert np.allclose(camera.GetFocalPoint(), bounds.reshape(3, 2).mean(1), atol=1e-6)
    camera.SetFocalPoint(1, 2, 3)
    session.shift_labels(1)
    session.wait(60)
    assert camera.GetFocalPoint() == (1, 2, 3)


def test_surfaces_are_shown_in_3d_and_hidden(scene, segmented):
    session, _ = segmented
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode", "camera")
    session.show_3d(False)
    assert not session.is_shown_3d
    session.show_3d()
    assert session.is_shown_3d
    bounds = np.zeros(6)
    only(scene, "vtkMRMLSegmentationNode").GetRASBounds(bounds)
    assert np.allclose(camera.GetFocalPoint(), bounds.reshape(3, 2).mean(1), atol=1e-6)


@pytest.mark.parametrize("mode", ["OffsetJumpSlice", "CenteredJumpSlice"])
def test_a_zoomed_view_shows_the_vertebra_after_a_jump_whatever_its_own_mode_is(scene, segmented, mode):
    session, _ = segmented
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Yellow")
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    view.SetOrientation("Sagittal")
    view.SetJumpMode(getattr(slicer.vtkMRMLSliceNode, mode))
    view.SetFieldOfView(30, 30, 1)
    session.jump_to("S1")
    session.jump_to("L1")
    to_view = np.linalg.inv(array_of(view.GetSliceToRAS()))
    place = to_view @ [*(session.result.spine["L1"].centroid_lps_mm @ RAS), 1]
    assert np.abs(place[:3]).max() < 0.5
