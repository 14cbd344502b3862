"""The session: what happens at each command and each act of the user, on a real scene."""

from __future__ import annotations

import ast
import subprocess
import sys
import time

import numpy as np
import pytest
from paths import ROOT, SUPPORT

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
from scene_fixtures import DirectWorker, Listener, add_blocks, load_bundle, nodes_of, save_bundle, segment_names

from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.session.session import Session
from SpinalTapLib.session.state import Change, Settings, State

pytest_plugins = ("scene_fixtures",)

LIBRARY = ROOT / "SpinalTapLib"
UP = ["L1", "L2", "L3", "L4", "L5", "S1"]
RAS = np.array([-1.0, -1, 1])
EVENTS = slicer.vtkMRMLMarkupsNode


def levels_of(session):
    return [row.level for row in session.rows]


def box_node(scene):
    (node,) = (node for node in nodes_of(scene, "vtkMRMLMarkupsROINode") if node.GetName() == "S1 box")
    return node


def new_box_node(scene):
    return next(node for node in nodes_of(scene, "vtkMRMLMarkupsROINode") if node.GetName() == "missed vertebra")


def drag(scene, target_lps, steps=4, end=True):
    """Move the box as a drag does: start, moves, end."""
    node = box_node(scene)
    start = np.array(node.GetCenter())
    node.InvokeEvent(EVENTS.PointStartInteractionEvent)
    for part in np.linspace(0, 1, steps + 1)[1:]:
        node.SetCenter(*(start + part * (np.asarray(target_lps) * RAS - start)))
    if end:
        node.InvokeEvent(EVENTS.PointEndInteractionEvent)


def segmentation_names(scene):
    return [segment_names(node) for node in nodes_of(scene, "vtkMRMLSegmentationNode")]


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
        assert session.progress.sentence == "6 vertebrae, L1 to S1, counted from S1."
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
            session.wait(0.1)
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


class TestTheBox:
    def test_let_go_on_another_vertebra_recounts(self, scene, segmented):
        session, _ = segmented
        target = session.result.spine["L5"].centroid_lps_mm
        drag(scene, target)
        assert session.state is State.RUNNING
        assert session.wait(60) is State.DONE
        assert levels_of(session) == ["L2", "L3", "L4", "L5", "S1"]
        assert segmentation_names(scene) == [["S1", "L5", "L4", "L3", "L2"]]
        assert np.allclose(np.array(box_node(scene).GetCenter()) * RAS, target)  # it stays where it was put
        assert session.result.spine.anchor == "pinned"

    def test_let_go_where_it_was_brings_the_old_levels_back(self, scene, segmented):
        session, _ = segmented
        first = session.result.spine["S1"].centroid_lps_mm
        drag(scene, session.result.spine["L5"].centroid_lps_mm)
        session.wait(60)
        drag(scene, first)
        session.wait(60)
        assert levels_of(session) == UP

    def test_says_on_its_way_what_letting_go_would_do(self, scene, segmented):
        session, face = segmented[0], Listener()
        session.subscribe(face)
        drag(scene, session.result.spine["L4"].centroid_lps_mm, steps=1, end=False)
        assert session.preview == "Let go to make this vertebra S1 (now L4)."
        assert Change.PREVIEW in face.changes and Change.RESULT not in face.changes
        assert levels_of(session) == UP
        time.sleep(0.12)
        box_node(scene).SetCenter(0, 0, 1000)
        assert session.preview.startswith("No vertebra was found there yet.")
        box_node(scene).InvokeEvent(EVENTS.PointEndInteractionEvent)
        assert session.preview == ""

    def test_let_go_on_nothing_fails_with_a_sentence_and_changes_nothing(self, scene, segmented):
        session, _ = segmented
        drag(scene, [0, 0, 1000])
        assert session.wait(60) is State.FAILED
        assert "S1 box" in session.failure.sentence and "lies outside the scan" in session.failure.sentence
        assert levels_of(session) == UP and segmentation_names(scene) == [UP[::-1]]

    def test_under_a_transform_that_bends_fails_with_a_sentence(self, scene, segmented):
        import vtk

        session, _ = segmented
        bend = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
        bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
        box_node(scene).SetAndObserveTransformNodeID(bend.GetID())
        drag(scene, session.result.spine["L4"].centroid_lps_mm)
        assert session.state is State.FAILED and "bends space" in session.failure.sentence

    def test_let_go_while_the_worker_counts_is_counted_next(self, scene, segmented):
        session, _ = segmented
        spine = session.result.spine
        drag(scene, spine["L5"].centroid_lps_mm)
        drag(scene, spine["L4"].centroid_lps_mm)
        session.wait(60)
        assert levels_of(session) == ["L3", "L4", "L5", "S1"]

    def test_let_go_while_the_network_runs_is_counted_next_and_not_moved(self, scene, segmented):
        session, _ = segmented
        target = session.result.spine["L5"].centroid_lps_mm
        session.segment()
        drag(scene, target)
        session.wait(60)
        assert levels_of(session) == ["L2", "L3", "L4", "L5", "S1"]
        assert np.allclose(np.array(box_node(scene).GetCenter()) * RAS, target)

    def test_placed_before_the_first_run_is_its_seed(self, scene, make_session):
        session = make_session()
        volume = add_blocks(scene, "no anchor", s1=False)
        session.set_volume(volume.GetID())
        session.place_box()
        bounds = np.zeros(6)
        volume.GetRASBounds(bounds)
        center = np.array(box_node(scene).GetCenter())
        low, high = bounds.reshape(3, 2).T
        assert ((center > low) & (center < high)).all() and center[2] < (low + high)[2] / 2
        assert session.box_is_shown
        from block_spine import BlockSpine

        blocks = BlockSpine()
        row = blocks.top(1) + 13
        drag(scene, blocks.volume().to_lps([3, row, 47]))
        assert session.state is State.READY
        session.segment()
        session.wait(60)
        assert levels_of(session) == ["L2", "L3", "L4", "L5", "S1"]

    def test_that_only_marks_the_s1_found_is_no_seed(self, segmented):
        session, _ = segmented
        session.segment()
        session.wait(60)
        assert session.result.spine.anchor == "S1" and session.result.spine.seed is None

    def test_goes_back_to_the_s1_that_was_found(self, scene, segmented):
        session, _ = segmented
        first = session.result.spine["S1"].centroid_lps_mm
        drag(scene, session.result.spine["L5"].centroid_lps_mm)
        session.wait(60)
        session.put_box_on_s1()
        session.wait(60)
        assert levels_of(session) == UP and session.result.spine.anchor == "S1"
        assert np.allclose(np.array(box_node(scene).GetCenter()) * RAS, first, atol=1e-6)

    def test_moved_by_a_script_counts_when_asked(self, scene, segmented):
        session, _ = segmented
        box_node(scene).SetCenter(*(session.result.spine["L5"].centroid_lps_mm * RAS))
        assert session.state is State.DONE
        session.reseed()
        session.wait(60)
        assert levels_of(session)[-1] == "S1" and len(session.rows) == 5

    def test_may_mark_another_level(self, segmented):
        session, _ = segmented
        session.reseed("L5")
        session.wait(60)
        assert levels_of(session) == ["T12", "L1", "L2", "L3", "L4", "L5"]
        with pytest.raises(ValueError, match="no vertebral level"):
            session.reseed("X9")

    def test_warms_the_worker_while_it_moves(self, scene, segmented, make_session):
        _, volume = segmented
        worker = DirectWorker()
        again = make_session(worker)
        again.set_volume(volume.GetID())
        drag(scene, again.result.spine["L5"].centroid_lps_mm, end=False)
        assert [request["command"] for request in worker.requests] == ["warm"]


class TestRelabelling:
    def test_up_and_down(self, segmented):
        session, _ = segmented
        session.shift_labels(1)
        session.wait(60)
        assert levels_of(session) == ["T12", "L1", "L2", "L3", "L4", "L5"]
        session.shift_labels(-1)
        session.wait(60)
        assert levels_of(session) == UP

    def test_beyond_the_end_is_refused(self, segmented):
        session, _ = segmented
        with pytest.raises(ValueError, match="cannot be moved any further"):
            session.shift_labels(40)

    def test_a_pinned_level_counts_for_the_next_run_too_until_it_is_taken_back(self, segmented):
        session, _ = segmented
        session.pin_level(2, "T12")
        session.wait(60)
        assert levels_of(session) == ["T9", "T10", "T11", "T12", "L1", "L2"]
        session.segment()
        session.wait(60)
        assert levels_of(session) == ["T9", "T10", "T11", "T12", "L1", "L2"]
        session.put_box_on_s1()
        session.wait(60)
        assert levels_of(session) == UP

    def test_of_vertebrae_without_levels_needs_a_mark_first(self, scene, make_session):
        session = make_session()
        session.set_volume(add_blocks(scene, "no anchor", s1=False).GetID())
        session.segment()
        session.wait(60)
        assert session.rows[0].level == "Vertebra 6"
        assert "levels are not known" in session.warnings[0] and "--seed" not in " ".join(session.warnings)
        assert not session.can_shift_up and "say which vertebra is which" in session.can_shift_up.reason
        session.pin_level(0, "L5")
        session.wait(60)
        assert levels_of(session) == ["T12", "L1", "L2", "L3", "L4", "L5"]
        assert session.can_shift_up

    def test_undo_goes_back_step_by_step(self, scene, segmented):
        session, _ = segmented
        names = []
        for steps in (1, 1, -1):
            names.append(levels_of(session))
            session.shift_labels(steps)
            session.wait(60)
        while session.can_undo:
            session.undo()
            assert levels_of(session) == names.pop()
        assert names == [] and segmentation_names(scene) == [UP[::-1]]

    def test_nonsense_is_refused_with_a_sentence(self, segmented):
        session, _ = segmented
        with pytest.raises(ValueError, match="no vertebra number 9"):
            session.pin_level(9, "L5")
        with pytest.raises(ValueError, match="no vertebral level"):
            session.pin_level(0, "Q1")
        with pytest.raises(ValueError, match="T5 was not found"):
            session.jump_to("T5")


class TestDropAndAdd:
    def test_a_dropped_vertebra_leaves_the_count_and_the_scene(self, scene, segmented):
        session, _ = segmented
        session.drop_vertebra(2)
        assert session.wait(60) is State.DONE, session.failure
        assert levels_of(session) == ["L2", "L3", "L4", "L5", "S1"]
        assert segmentation_names(scene) == [["S1", "L5", "L4", "L3", "L2"]]
        assert len(nodes_of(scene, "vtkMRMLMarkupsFiducialNode")) == 5

    def test_a_drop_holds_in_later_recounts_until_it_is_undone(self, scene, segmented):
        session, _ = segmented
        session.drop_vertebra(2)
        session.wait(60)
        session.shift_labels(1)
        session.wait(60)
        assert levels_of(session) == ["L1", "L2", "L3", "L4", "L5"]
        session.undo()
        session.undo()
        assert levels_of(session) == UP
        session.shift_labels(1)
        assert session.wait(60) is State.DONE, session.failure
        assert levels_of(session) == ["T12", "L1", "L2", "L3", "L4", "L5"]

    def test_what_was_missed_is_added_from_the_box(self, scene, segmented):
        session, _ = segmented
        body = session.result.spine["L4"]
        centre, label_map = body.centroid_lps_mm, session.result.spine.label_map
        session.drop_vertebra(2)
        session.wait(60)
        session.show_new_box()
        box = new_box_node(scene)
        assert np.allclose(np.array(box.GetCenter()) * RAS, centre, atol=2)  # it lies in the gap by itself
        box.SetCenter(*(centre * RAS))
        box.InvokeEvent(EVENTS.PointEndInteractionEvent)
        assert session.state is State.DONE  # this box recounts nothing when it is dragged
        session.add_vertebra()
        assert session.wait(60) is State.DONE, session.failure
        assert levels_of(session) == UP
        assert "added by hand" in session.rows[3].note
        assert not session.can_add_vertebra and box_node(scene)  # the box has done its work
        assert (session.result.spine.label_map == body.label_value).sum() > 0.5 * (label_map == body.label_value).sum()
        session.shift_labels(1)  # from the folder that the new evidence is in
        session.wait(60)
        assert levels_of(session) == ["T12", "L1", "L2", "L3", "L4", "L5"]

    def test_the_box_stands_above_the_top_where_there_is_no_gap(self, scene, segmented):
        session, _ = segmented
        spine = session.result.spine
        session.show_new_box()
        expected = 2 * spine["L1"].centroid_lps_mm - spine["L2"].centroid_lps_mm
        assert np.allclose(np.array(new_box_node(scene).GetCenter()) * RAS, expected, atol=1e-3)

    def test_an_addition_where_there_is_a_vertebra_fails_with_a_sentence(self, scene, segmented):
        session, _ = segmented
        session.show_new_box()
        new_box_node(scene).SetCenter(*(session.result.spine["L4"].centroid_lps_mm * RAS))
        session.add_vertebra()
        assert session.wait(60) is State.FAILED
        assert "There is a vertebra in that box already" in session.failure.sentence
        assert levels_of(session) == UP

    def test_both_are_still_known_after_saving_and_loading(self, scene, segmented, tmp_path, make_session):
        session, _ = segmented
        centre = session.result.spine["L5"].centroid_lps_mm
        session.drop_vertebra(1)
        session.wait(60)
        session.show_new_box()
        new_box_node(scene).SetCenter(*(centre * RAS))
        session.add_vertebra()
        session.wait(60)
        session.drop_vertebra(3)
        session.wait(60)
        rows = session.rows
        save_bundle(scene, tmp_path / "saved.mrb")
        session.set_volume(None)
        scene.Clear(False)
        load_bundle(scene, tmp_path / "saved.mrb", tmp_path / "unpacked")
        again = make_session()
        again.set_volume(nodes_of(scene, "vtkMRMLScalarVolumeNode")[0].GetID())
        assert again.rows == rows
        again.shift_labels(1)
        assert again.wait(60) is State.DONE, again.failure
        assert levels_of(again) == ["L1", "L2", "L3", "L4", "L5"]

    def test_what_cannot_be_done_is_refused_with_a_sentence(self, scene, segmented):
        session, _ = segmented
        with pytest.raises(ValueError, match="no vertebra number 9"):
            session.drop_vertebra(9)
        assert not session.can_add_vertebra
        with pytest.raises(ValueError, match="Show the box for a missed vertebra first"):
            session.add_vertebra()
        for _ in range(5):
            session.drop_vertebra(0)
            session.wait(60)
        assert len(session.rows) == 1
        with pytest.raises(ValueError, match="only vertebra"):
            session.drop_vertebra(0)

    def test_leave_one_folder_a_result_that_undo_may_need(self, segmented):
        session, _ = segmented
        session.drop_vertebra(2)
        session.wait(60)
        home = session.result.folder.parent
        assert len(list(home.iterdir())) == 2
        session.undo()
        session.segment()
        session.wait(60)
        assert len(list(home.iterdir())) == 2


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


class TestTheHouse:
    def test_only_the_scene_package_imports_slicer_and_nothing_imports_qt(self):
        for path in LIBRARY.rglob("*.py"):
            names = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names.add(str(node.module).split(".")[0])
            assert not names & {"qt", "ctk", "PythonQt"}, path
            assert "slicer" not in names or "scene" in path.parts, path

    @pytest.mark.parametrize("module", ["session", "session.ports", "workerlink"])
    def test_a_face_loads_neither_the_network_nor_slicer(self, module):
        code = (
            f"import sys, SpinalTapLib.{module}; print([n for n in ('torch', 'slicer', 'skimage') if n in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=LIBRARY.parent, check=True
        )
        assert done.stdout.strip() == "[]"

    def test_two_sessions_on_one_scene_do_not_disturb_each_other(self, scene, segmented):
        session, _ = segmented
        other = Session(SlicerScene(scene), DirectWorker(), Settings(structures="all"))
        volume = add_blocks(scene, "second", count=4)
        other.set_volume(volume.GetID())
        other.segment()
        other.wait(60)
        scene.RemoveNode(volume)
        assert other.state is State.EMPTY and session.state is State.DONE
        other.close()


class TestWithAProcess:
    @pytest.fixture
    def link(self, monkeypatch):
        from SpinalTapLib.worker.link import WorkerLink

        monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
        return WorkerLink(arguments=("--road", "worker_road"))

    def test_a_drag_changes_the_scene(self, scene, make_session, link):
        session = make_session(link)
        session.set_volume(add_blocks(scene).GetID())
        session.segment()
        assert session.wait(120) is State.DONE, session.failure
        spine = session.result.spine
        for level, left in (("L5", 5), ("L4", 4), ("L5", 5), ("S1", 6)):
            drag(scene, spine[level].centroid_lps_mm)
            assert session.wait(60) is State.DONE
            assert levels_of(session) == UP[-left:]

    @pytest.mark.skipif(sys.platform == "win32", reason="signal 9 is one of POSIX")
    def test_its_death_by_signal_9_leaves_the_scene_as_it_was_and_the_next_run_works(self, scene, make_session, link):
        import os
        import signal

        session = make_session(link)
        volume = add_blocks(scene, "slow scan")
        session.set_volume(volume.GetID())
        before = scene.GetNumberOfNodes()
        session.segment()
        end = time.monotonic() + 120
        while "Looking at slice" not in session.progress.sentence and time.monotonic() < end:
            session.poll()
            time.sleep(0.02)
        os.kill(link.pid, signal.SIGKILL)
        assert session.wait(10) is State.FAILED
        assert "was killed (signal 9)" in session.failure.sentence
        assert scene.GetNumberOfNodes() == before
        volume.SetName("blocks")
        session.segment()
        assert session.wait(120) is State.DONE and levels_of(session) == UP


class TestTheScriptsInTheDocumentation:
    def scripts(self):
        text = (LIBRARY.parent / "docs" / "scripting.md").read_text(encoding="utf-8")
        return [part.split("```")[0] for part in text.split("```python\n")[1:]]

    @pytest.mark.parametrize("number", [0, 1])
    def test_run_as_they_stand(self, scene, tmp_path, monkeypatch, capsys, number):
        add_blocks(scene, "t2_lumbar")
        monkeypatch.setattr("SpinalTapLib.worker.link.WorkerLink", lambda python: DirectWorker())
        monkeypatch.chdir(tmp_path)
        exec(compile(self.scripts()[number], "docs/scripting.md", "exec"), {"slicer": slicer})
        said = capsys.readouterr().out
        if number == 0:
            assert "('L1', 'sure')" in said
            assert sorted(p.name for p in (tmp_path / "vertebrae").iterdir()) == [
                "t2_lumbar_L4.stl",
                "t2_lumbar_L5.stl",
            ]
        else:
            assert said == "t2_lumbar 6 vertebrae, L1 to S1, counted from S1.\n"

    def test_the_first_has_ten_lines(self):
        assert len(self.scripts()[0].splitlines()) == 10
