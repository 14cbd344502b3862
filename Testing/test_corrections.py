"""Corrections by the user: each does what it says, none runs the detector, and each can be taken back."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib import pipeline
from SpinalTapLib.corrections import add_vertebra, drop_vertebra, pin_level, shift_levels, undo
from SpinalTapLib.pipeline import Options, segment_spine
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.vertebra import SeedBox

ALONE = Options(method="detector")


def _levels(spine) -> list[str | None]:
    return [v.level for v in spine.vertebrae]


@pytest.fixture
def answer(block_spine, monkeypatch):
    spine, _ = block_spine()
    found = segment_spine(spine.volume(), options=ALONE)

    def never(*_):
        raise AssertionError("the detector ran again")

    monkeypatch.setattr(pipeline, "_detect", never)
    return found


def test_shifting_by_one_renames_every_vertebra_and_the_label_map(answer):
    shifted = shift_levels(answer, 1, options=ALONE)
    assert _levels(shifted) == ["L5", "L4", "L3", "L2", "L1", "T12"]
    before = answer.label_map == levels.level("S1").value
    assert (shifted.label_map[before] == levels.level("L5").value).all()


def test_shifting_up_and_down_gives_the_first_answer(answer):
    again = shift_levels(shift_levels(answer, 1, options=ALONE), -1, options=ALONE)
    assert _levels(again) == _levels(answer) and np.array_equal(again.label_map, answer.label_map)


def test_a_pinned_vertebra_keeps_its_level_and_the_others_follow(answer):
    pinned = pin_level(answer, 3, "T12", options=ALONE)
    assert _levels(pinned) == ["L3", "L2", "L1", "T12", "T11", "T10"] and pinned.anchor == "pinned"


def test_a_dropped_vertebra_leaves_the_count_and_the_label_map(answer):
    body = answer.label_map == levels.level("L4").value
    fewer = drop_vertebra(answer, 2, options=ALONE)
    assert _levels(fewer) == ["S1", "L5", "L4", "L3", "L2"]
    assert not fewer.label_map[body].any()


def test_an_added_vertebra_takes_its_place_in_the_count(answer):
    without = drop_vertebra(answer, 2, options=ALONE)
    gone = answer.vertebrae[2]
    size = np.maximum(np.ptp(gone.corners_lps_mm, axis=0), [20.0, 1, 1])
    with pytest.raises(ValueError, match="already"):
        add_vertebra(answer, SeedBox(gone.centroid_lps_mm, size), options=ALONE)
    more = add_vertebra(without, SeedBox(gone.centroid_lps_mm, size), options=ALONE)
    assert _levels(more) == _levels(answer) and "added by hand" in more.vertebrae[2].flags
    assert (more.label_map == levels.level("L4").value).sum() > 100


def test_every_change_can_be_taken_back_step_by_step(answer):
    one = shift_levels(answer, 1, options=ALONE)
    two = drop_vertebra(one, 0, options=ALONE)
    assert undo(two) is one and undo(undo(two)) is answer
    with pytest.raises(ValueError, match="nothing to take back"):
        undo(answer)


def test_impossible_wishes_are_refused_in_words(answer):
    with pytest.raises(ValueError, match="no vertebra number 9"):
        pin_level(answer, 9, "L3")
    with pytest.raises(ValueError, match="no vertebral level called 'L9'"):
        pin_level(answer, 1, "L9")
    with pytest.raises(ValueError, match="nothing lies beyond"):
        shift_levels(answer, -1)
    with pytest.raises(ValueError, match="outside the scan"):
        add_vertebra(answer, SeedBox(np.array([0.0, 900, 900]), np.full(3, 20.0)))
