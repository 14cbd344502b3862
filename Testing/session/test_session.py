"""What a session does at each command, on a real scene: states, refusals, failures, nodes that go."""

from __future__ import annotations

import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import DirectWorker, Listener, add_blocks, nodes_of
from session_helpers import RAS, UP, box_node, drag, levels_of, segmentation_names

from SpinalTapLib.options import Options
from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.session.session import Session
from SpinalTapLib.session.state import Change, State

pytest_plugins = ("scene_fixtures",)


class TestStates:
    def test_go_from_empty_to_done(self, scene, make_session):
        session = make_session()
        assert session.state is State.EMPTY
        volume = add_blocks(scene)
        session.set_volume(volume.GetID())
        assert session.state is State.READY
        session.segment()
        assert session.state is State.RUNNING
        assert session.wait(60) is State.DONE
        assert levels_of(session) == UP
        assert session.progress.sentence == "6 vertebrae, L1 to S1. Counted from S1: 99 %."
        assert [row.index for row in session.rows] == [5, 4, 3, 2, 1, 0]

    def test_say_in_plain_words_what_can_not_be_done_now(self, scene, make_session):
        session = make_session()
        assert session.can_segment == (False, "Choose a scan first.")
        with pytest.raises(ValueError, match="Choose a scan first"):
            session.segment()
        session.set_volume(add_blocks(scene).GetID())
        assert session.can_segment.allowed
        names = "export jump show_3d shift_up shift_down pin_level drop_vertebra show_new_box add_vertebra reseed"
        for name in (*names.split(), "put_box_on_s1"):
            can = getattr(session, f"can_{name}")
            assert not can and can.reason == "Segment the spine first."
        for command in (
            lambda: session.export("/nowhere"),
            lambda: session.jump_to("L3"),
            session.show_3d,
            lambda: session.shift_labels(1),
            lambda: session.pin_level(0, "S1"),
            lambda: session.drop_vertebra(0),
            session.show_new_box,
            session.add_vertebra,
            session.reseed,
            session.put_box_on_s1,
        ):
            with pytest.raises(ValueError, match="Segment the spine first"):
                command()
        with pytest.raises(ValueError, match="Nothing is running"):
            session.cancel()
        with pytest.raises(ValueError, match="nothing to undo"):
            session.undo()
        session.segment()
        assert session.can_segment == (False, "Wait until the work is done, or cancel it.")
        with pytest.raises(ValueError, match="Wait until the work is done"):
            session.segment()
        assert session.can_cancel

    def test_a_scan_that_cannot_be_segmented_says_why_before_the_click(self, scene, make_session):
        session = make_session()
        session.set_volume(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty").GetID())
        assert session.can_segment == (False, "'empty' holds no image; load the scan again.")

    def test_faces_are_told_until_they_have_had_enough(self, scene, make_session):
        session, face = make_session(), Listener()
        session.subscribe(face)
        session.set_volume(add_blocks(scene).GetID())
        assert {Change.VOLUME, Change.STATE} <= set(face.changes)
        face.changes.clear()
        session.segment()
        session.wait(60)
        assert set(face.changes) >= {Change.STATE, Change.PROGRESS, Change.RESULT, Change.BOX}
        face.changes.clear()
        session.unsubscribe(face)
        session.unsubscribe(face)
        session.shift_labels(1)
        session.wait(60)
        assert face.changes == []

    def test_the_log_tells_versions_and_weights(self, segmented):
        log = segmented[0].log
        assert log.startswith("SpinalTap ") and "Python 3." in log and "torch" in log
        assert "b" * 64 in log and '"device": "auto"' in log

    def test_waiting_has_an_end(self, scene, make_session):
        worker = DirectWorker()
        worker.is_held = True
        session = make_session(worker)
        session.set_volume(add_blocks(scene).GetID())
        session.segment()
        with pytest.raises(TimeoutError):
            session.wait(0)
        assert session.state is State.RUNNING

    def test_closing_twice_is_fine_and_leaves_no_observer(self, scene, segmented):
        session, volume = segmented
        session.close()
        session.close()
        scene.RemoveNode(volume)
        assert session.state is State.EMPTY


class TestCancel:
    def test_leaves_the_scene_as_it_was(self, scene, make_session):
        worker = DirectWorker()
        session = make_session(worker)
        session.set_volume(add_blocks(scene).GetID())
        count = scene.GetNumberOfNodes()
        worker.is_held = True
        session.segment()
        session.cancel()
        assert session.state is State.READY and session.failure is None
        assert session.progress.sentence == "Cancelled; the scene is as it was."
        worker.is_held = False
        session.poll()
        assert scene.GetNumberOfNodes() == count
        session.segment()
        assert session.wait(60) is State.DONE

    def test_of_a_recount_keeps_the_result(self, segmented):
        session, _ = segmented
        session.shift_labels(1)
        session.cancel()
        assert session.state is State.DONE and levels_of(session) == UP


class TestWhatFails:
    @pytest.mark.parametrize("name", ["memory", "bug", "disk", "nothing"])
    def test_is_told_and_the_next_run_works(self, scene, make_session, name):
        session = make_session()
        volume = add_blocks(scene, name)
        session.set_volume(volume.GetID())
        before = scene.GetNumberOfNodes()
        session.segment()
        assert session.wait(60) is State.FAILED
        assert session.failure.sentence and session.failure.details == "the worker's log"
        assert "Failed: " in session.log
        assert scene.GetNumberOfNodes() == before
        volume.SetName("blocks")
        session.segment()
        assert session.wait(60) is State.DONE and session.failure is None

    def test_in_a_second_run_keeps_the_first_result(self, scene, segmented):
        session, volume = segmented
        volume.SetName("memory")
        session.segment()
        assert session.wait(60) is State.FAILED
        assert levels_of(session) == UP
        assert segmentation_names(scene) == [UP[::-1]]

    def test_for_want_of_room_on_the_disk_is_told_at_once(self, scene, make_session, monkeypatch):
        from SpinalTapLib.worker import exchange

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(exchange, "write_volume", full)
        session = make_session()
        session.set_volume(add_blocks(scene).GetID())
        session.segment()
        assert session.state is State.FAILED and "disk is full" in session.failure.sentence
        monkeypatch.undo()
        session.segment()
        assert session.wait(60) is State.DONE

    def test_a_scan_of_nothing_but_zeros(self, scene, make_session):
        volume = add_blocks(scene)
        volume.GetImageData().GetPointData().GetScalars().Fill(0)
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        assert session.state is State.FAILED and session.failure.sentence


class TestNodesThatGo:
    def held(self, scene, make_session):
        worker = DirectWorker()
        worker.is_held = True
        session = make_session(worker)
        volume = add_blocks(scene)
        session.set_volume(volume.GetID())
        session.segment()
        return session, volume, worker

    def test_the_volume_in_mid_run(self, scene, make_session):
        session, volume, worker = self.held(scene, make_session)
        scene.RemoveNode(volume)
        assert session.state is State.EMPTY and session.volume is None
        assert session.progress.sentence == "The scan was removed from the scene."
        worker.is_held = False
        session.poll()
        assert not nodes_of(scene, "vtkMRMLSegmentationNode")
        session.set_volume(add_blocks(scene).GetID())
        session.segment()
        assert session.wait(60) is State.DONE

    def test_the_whole_scene_in_mid_run(self, scene, make_session):
        session, _, worker = self.held(scene, make_session)
        scene.Clear(False)
        assert session.state is State.EMPTY
        worker.is_held = False
        session.poll()
        assert not nodes_of(scene, "vtkMRMLSegmentationNode")

    def test_another_volume_in_mid_run_cancels(self, scene, make_session):
        session, _, worker = self.held(scene, make_session)
        other = add_blocks(scene, "other", count=4)
        session.set_volume(other.GetID())
        assert session.state is State.READY
        worker.is_held = False
        session.poll()
        assert not nodes_of(scene, "vtkMRMLSegmentationNode")

    def test_the_segmentation(self, scene, segmented):
        session, _ = segmented
        scene.RemoveNode(nodes_of(scene, "vtkMRMLSegmentationNode")[0])
        assert session.state is State.READY and session.rows == ()
        session.segment()
        session.wait(60)
        assert segmentation_names(scene) == [UP[::-1]]
        assert len(nodes_of(scene, "vtkMRMLMarkupsFiducialNode")) == 6
        assert len(nodes_of(scene, "vtkMRMLTableNode")) == 1

    def test_the_box_in_mid_drag(self, scene, segmented):
        session, _ = segmented
        target = session.result.spine["L3"].centroid_lps_mm
        drag(scene, target, end=False)
        assert session.preview
        scene.RemoveNode(box_node(scene))
        assert session.preview == "" and session.state is State.DONE
        assert not session.can_reseed and session.can_reseed.reason == "Place the S1 box first."
        session.place_box()
        assert box_node(scene).IsPointInROIWorld(session.result.spine["S1"].centroid_lps_mm * RAS)
        drag(scene, session.result.spine["L5"].centroid_lps_mm)
        session.wait(60)
        assert levels_of(session) == ["L2", "L3", "L4", "L5", "S1"]

    def test_the_segmentation_while_another_volume_was_chosen(self, scene, segmented):
        session, volume = segmented
        session.set_volume(add_blocks(scene, "other", count=4).GetID())
        scene.RemoveNode(nodes_of(scene, "vtkMRMLSegmentationNode")[0])
        session.set_volume(volume.GetID())
        assert session.state is State.READY and session.rows == ()

    def test_everything_after_the_session_was_closed(self, scene, make_session):
        session, volume, _ = self.held(scene, make_session)
        session.close()
        scene.RemoveNode(volume)
        scene.Clear(False)


def test_a_scan_that_gets_its_voxels_after_it_was_chosen_can_be_segmented(scene, make_session):
    import vtk

    session, face = make_session(), Listener()
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "blocks")
    session.set_volume(volume.GetID())
    session.subscribe(face)
    assert session.can_segment == (False, "'blocks' holds no image; load the scan again.")
    filled = add_blocks(scene)
    matrix = vtk.vtkMatrix4x4()
    filled.GetIJKToRASMatrix(matrix)
    volume.SetIJKToRASMatrix(matrix)
    volume.SetAndObserveImageData(filled.GetImageData())
    assert session.can_segment and face.changes == [Change.STATE]
    volume.GetImageData().Modified()
    assert face.changes == [Change.STATE], "what does not matter is not told"
    session.segment()
    assert session.wait(60) is State.DONE


def test_two_sessions_on_one_scene_do_not_disturb_each_other(scene, segmented):
    session, _ = segmented
    other = Session(SlicerScene(scene), DirectWorker(), Options(structures="all"))
    volume = add_blocks(scene, "second", count=4)
    other.set_volume(volume.GetID())
    other.segment()
    other.wait(60)
    scene.RemoveNode(volume)
    assert other.state is State.EMPTY and session.state is State.DONE
    other.close()
