"""Drags of the S1 box: what is said on the way, and the recount at the end."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import DirectWorker, Listener, add_blocks
from session_helpers import EVENTS, RAS, UP, box_node, drag, levels_of, segmentation_names

from SpinalTapLib.session.state import Change, State

pytest_plugins = ("scene_fixtures",)


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

    def test_says_on_its_way_what_letting_go_would_do(self, scene, segmented, monkeypatch):
        monkeypatch.setattr("SpinalTapLib.scene.observers.PREVIEW_S", 0.0)
        session, face = segmented[0], Listener()
        session.subscribe(face)
        drag(scene, session.result.spine["L4"].centroid_lps_mm, steps=1, end=False)
        assert session.preview == "Let go to make this vertebra S1 (now L4)."
        assert Change.PREVIEW in face.changes and Change.RESULT not in face.changes
        assert levels_of(session) == UP
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

    def test_is_reported_no_more_often_than_anybody_reads(self, scene, segmented, monkeypatch):
        import math

        session, face = segmented[0], Listener()
        session.subscribe(face)
        monkeypatch.setattr("SpinalTapLib.scene.observers.PREVIEW_S", math.inf)
        drag(scene, session.result.spine["L4"].centroid_lps_mm, steps=5, end=False)
        assert face.changes.count(Change.PREVIEW) <= 1
