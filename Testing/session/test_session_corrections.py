"""Corrections as commands of a session, and undo."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import add_blocks, load_bundle, nodes_of, save_bundle
from session_helpers import EVENTS, RAS, UP, box_node, levels_of, new_box_node, segmentation_names

from SpinalTapLib.session.state import State

pytest_plugins = ("scene_fixtures",)


@pytest.fixture
def in_doubt(scene, make_session):
    """A session whose result is "S1 or L5? 71 : 29"."""
    session = make_session()
    session.set_volume(add_blocks(scene, "in doubt").GetID())
    session.segment()
    session.wait(60)
    return session


class TestTheOtherCount:
    def test_is_told_in_the_status_line_and_in_no_row_as_sure(self, in_doubt):
        assert in_doubt.progress.sentence == "6 vertebrae, L1 to S1. S1 or L5? 71 : 29."
        assert in_doubt.other_count == "Take the other count: S1 is L5 (29 %)"
        assert {row.confidence_words for row in in_doubt.rows} == {"likely"}
        assert in_doubt.rows[-1].doubt == "The probability that this is S1 is 71 %."

    def test_is_taken_with_one_command_and_taken_back(self, in_doubt):
        assert in_doubt.can_take_alternative
        in_doubt.take_alternative()
        assert in_doubt.wait(60) is State.DONE, in_doubt.failure
        assert levels_of(in_doubt) == ["T12", "L1", "L2", "L3", "L4", "L5"]
        assert not in_doubt.other_count
        in_doubt.undo()
        assert levels_of(in_doubt) == UP and in_doubt.other_count

    def test_is_still_there_after_saving_and_loading(self, scene, in_doubt, tmp_path, make_session):
        said = in_doubt.other_count
        save_bundle(scene, tmp_path / "saved.mrb")
        in_doubt.set_volume(None)
        scene.Clear(False)
        load_bundle(scene, tmp_path / "saved.mrb", tmp_path / "unpacked")
        session = make_session()
        session.set_volume(nodes_of(scene, "vtkMRMLScalarVolumeNode")[0].GetID())
        assert session.other_count == said
        session.take_alternative()
        assert session.wait(60) is State.DONE, session.failure
        assert levels_of(session)[-1] == "L5"

    def test_is_refused_where_there_is_none(self, segmented, in_doubt):
        session, _ = segmented
        assert not session.other_count and not session.can_take_alternative
        with pytest.raises(ValueError, match="No other count is probable"):
            session.take_alternative()
        with pytest.raises(ValueError, match="no other count number 2"):
            in_doubt.take_alternative(2)
        assert in_doubt.state is State.DONE


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
        with pytest.raises(ValueError, match="no vertebra would keep a level"):
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
        assert not session.can_shift_up and "set the level of one vertebra first" in session.can_shift_up.reason
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

    def test_the_box_stands_above_the_top_where_there_is_no_gap_but_inside_the_scan(self, scene, segmented):
        session, volume = segmented
        session.show_new_box()
        box = new_box_node(scene)
        centre = np.array(box.GetCenter())
        expected = (2 * session.result.spine["L1"].centroid_lps_mm - session.result.spine["L2"].centroid_lps_mm) * RAS
        assert session.result.spine["L1"].centroid_lps_mm[2] + 5 < centre[2] <= expected[2] + 1e-3
        bounds = np.zeros(6)
        volume.GetRASBounds(bounds)
        assert centre[2] + box.GetSize()[2] / 2 <= bounds[5] + 1e-3

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
