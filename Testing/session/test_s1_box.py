"""The boxes of a session: where a count starts after the scan was moved, another one chosen, or a run cancelled."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
import vtk
from scene_fixtures import DirectWorker, add_blocks, add_volume, nodes_of

from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.scene.nodes import VOLUME_REFERENCE
from SpinalTapLib.session.session import Session
from SpinalTapLib.session.state import State

pytest_plugins = ("scene_fixtures",)

UP = ["L1", "L2", "L3", "L4", "L5", "S1"]
ONE_HIGHER = ["L2", "L3", "L4", "L5", "S1"]
RAS = np.array([-1.0, -1, 1])
PITCH_MM = 36.0  # of the blocks
EVENTS = slicer.vtkMRMLMarkupsNode


def levels_of(session):
    return [row.level for row in session.rows]


def heights_of(session):
    return {v.level: float(v.centroid_lps_mm[2]) for v in session.result.spine.vertebrae}


def box_of(scene, volume):
    return next(
        node
        for node in nodes_of(scene, "vtkMRMLMarkupsROINode")
        if node.GetName() == "S1 box" and node.GetNodeReferenceID(VOLUME_REFERENCE) == volume.GetID()
    )


def centre_of(node):
    centre = np.zeros(3)
    node.GetCenterWorld(centre)
    return centre * RAS


def begin_drag(node, target_lps):
    node.InvokeEvent(EVENTS.PointStartInteractionEvent)
    node.SetCenterWorld(np.asarray(target_lps) * RAS)


def end_drag(session, node):
    node.InvokeEvent(EVENTS.PointEndInteractionEvent)
    session.wait(60)


def drag(session, node, target_lps):
    begin_drag(node, target_lps)
    end_drag(session, node)


def move(scene, volume, up_mm):
    """Put the volume under a transform that lifts it."""
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, up_mm)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(node.GetID())


def run(session):
    session.segment()
    assert session.wait(60) is State.DONE


class TestAMovedScan:
    def test_counts_from_the_box_that_was_dragged_where_it_lies_now(self, scene, segmented):
        session, volume = segmented
        truth = heights_of(session)
        move(scene, volume, -PITCH_MM)
        s1 = session.result.spine["S1"].centroid_lps_mm
        drag(session, box_of(scene, volume), s1 - [0, 0, PITCH_MM])
        assert levels_of(session) == UP
        run(session)
        assert heights_of(session) == pytest.approx({k: z - PITCH_MM for k, z in truth.items()}, abs=0.5)
        assert centre_of(box_of(scene, volume))[2] == pytest.approx(truth["S1"] - PITCH_MM, abs=1)

    @pytest.mark.parametrize("hardened", [False, True])
    def test_takes_what_the_user_has_said_along(self, scene, segmented, hardened):
        session, volume = segmented
        truth = heights_of(session)
        session.pin_level(1, "S1")
        session.wait(60)
        assert levels_of(session) == ONE_HIGHER
        move(scene, volume, -PITCH_MM)
        if hardened:
            volume.HardenTransform()
        run(session)
        assert heights_of(session)["S1"] == pytest.approx(truth["L5"] - PITCH_MM, abs=0.5)
        assert not session.can_undo  # the results before lie where the scan was

    def test_that_was_not_segmented_after_all_keeps_its_result(self, scene, make_session):
        worker = DirectWorker()
        session, volume = make_session(worker=worker), add_blocks(scene)
        session.set_volume(volume.GetID())
        run(session)
        move(scene, volume, -PITCH_MM)
        worker.is_held = True
        session.segment()
        session.cancel()
        worker.is_held = False
        drag(session, box_of(scene, volume), session.result.spine["L5"].centroid_lps_mm - [0, 0, PITCH_MM])
        assert levels_of(session) == ONE_HIGHER


class TestAnotherScan:
    def test_that_is_given_the_id_of_one_that_is_gone_starts_anew(self, scene, segmented):
        session, volume = segmented
        before, there = volume.GetID(), SlicerScene(scene).read_volume(volume.GetID())
        scene.Clear(False)
        matrix = there.matrix.copy()
        matrix[2, 3] -= PITCH_MM
        other = add_volume(scene, there.array, matrix)
        assert other.GetID() == before
        session.set_volume(before)
        session.place_box()
        low, high = SlicerScene(scene).volume_bounds(before)[2]
        assert low < centre_of(box_of(scene, other))[2] < high
        run(session)
        assert levels_of(session) == UP

    def test_hides_the_box_of_the_first_until_that_is_chosen_again(self, scene, segmented):
        session, volume = segmented
        session.show_new_box()
        other = add_blocks(scene, "other", count=4)
        session.set_volume(other.GetID())
        assert not box_of(scene, volume).GetDisplayNode().GetVisibility()
        assert not SlicerScene(scene).has_new_box(volume.GetID())
        later = Session(SlicerScene(scene), DirectWorker())
        later.set_volume(volume.GetID())
        assert later.box_is_shown
        later.close()
        session.set_volume(volume.GetID())
        assert session.box_is_shown
        session.show_box(False)
        session.set_volume(other.GetID())
        session.set_volume(volume.GetID())
        assert not session.box_is_shown


class TestABoxUnderTheHand:
    def test_is_left_alone_by_a_result_that_arrives(self, scene, make_session):
        worker = DirectWorker()
        session, volume = make_session(worker=worker), add_blocks(scene)
        session.set_volume(volume.GetID())
        run(session)
        worker.is_held = True
        session.pin_level(1, "S1")
        target = session.result.spine["L4"].centroid_lps_mm
        begin_drag(box_of(scene, volume), target)
        worker.is_held = False
        session.wait(60)
        assert np.allclose(centre_of(box_of(scene, volume)), target)
        end_drag(session, box_of(scene, volume))
        assert levels_of(session) == ["L3", "L4", "L5", "S1"]

    @pytest.mark.parametrize("outcome", ["cancelled", "failed"])
    def test_goes_back_if_the_recount_comes_to_nothing(self, scene, make_session, outcome):
        worker = DirectWorker()
        session, volume = make_session(worker=worker), add_blocks(scene)
        session.set_volume(volume.GetID())
        run(session)
        box = box_of(scene, volume)
        place = centre_of(box)
        if outcome == "cancelled":
            worker.is_held = True
            drag_target = session.result.spine["L5"].centroid_lps_mm
            begin_drag(box, drag_target)
            box.InvokeEvent(EVENTS.PointEndInteractionEvent)
            session.cancel()
            worker.is_held = False
        else:
            drag(session, box, place + [0, 300, 0])
            assert session.state is State.FAILED
        assert levels_of(session) == UP
        assert np.allclose(centre_of(box), place)
        assert not SlicerScene(scene).box_is_users(volume.GetID())
        run(session)
        assert levels_of(session) == UP


class TestTheBoxForAMissedVertebra:
    def test_can_be_put_away_again(self, scene, segmented):
        session, volume = segmented
        assert not session.can_hide_new_box
        session.show_new_box()
        session.hide_new_box()
        assert not SlicerScene(scene).has_new_box(volume.GetID())
        with pytest.raises(ValueError, match="not shown"):
            session.hide_new_box()

    def test_goes_with_a_new_run(self, scene, segmented):
        session, volume = segmented
        session.show_new_box()
        run(session)
        assert not SlicerScene(scene).has_new_box(volume.GetID())


class TestARemovedScan:
    def test_leaves_no_hidden_nodes_and_no_box(self, scene, segmented):
        session, volume = segmented
        session.show_new_box()
        scene.RemoveNode(volume)
        assert not nodes_of(scene, "vtkMRMLTextNode") and not nodes_of(scene, "vtkMRMLMarkupsROINode")
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1  # that is the user's to keep

    def test_that_was_not_the_chosen_one_leaves_no_files(self, scene, segmented):
        session, volume = segmented
        folder = session.result.folder
        session.set_volume(add_blocks(scene, "other", count=4).GetID())
        assert folder.is_dir()
        scene.RemoveNode(volume)
        assert not folder.exists() and session.volume is not None


def test_a_session_takes_up_what_a_script_has_done(scene, segmented):
    session, volume = segmented
    scripted = Session(SlicerScene(scene), DirectWorker())
    scripted.set_volume(volume.GetID())
    scripted.pin_level(1, "S1")
    scripted.wait(60)
    scripted.close()
    assert levels_of(session) == UP
    session.take_up()
    assert levels_of(session) == ONE_HIGHER
    drag(session, box_of(scene, volume), session.result.spine["S1"].centroid_lps_mm - [0, 0, PITCH_MM])
    assert levels_of(session) == UP
