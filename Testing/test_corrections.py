"""Corrections by the user: each does what it says, none runs the detector, and each can be taken back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SpinalTapLib import pipeline
from SpinalTapLib.corrections import (
    Add,
    Count,
    Drop,
    Pin,
    Seed,
    Shift,
    TakeAlternative,
    Undo,
    correct,
    position_of,
    undo,
)
from SpinalTapLib.pipeline import Options, segment_spine
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.vertebra import Alternative, SeedBox, Spine, Vertebra

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
    shifted = correct(answer, Shift(1), options=ALONE)
    assert _levels(shifted) == ["L5", "L4", "L3", "L2", "L1", "T12"]
    before = answer.label_map == levels.level("S1").value
    assert (shifted.label_map[before] == levels.level("L5").value).all()


def test_shifting_up_and_down_gives_the_first_answer(answer):
    again = correct(correct(answer, Shift(1), options=ALONE), Shift(-1), options=ALONE)
    assert _levels(again) == _levels(answer) and np.array_equal(again.label_map, answer.label_map)


def test_a_pinned_vertebra_keeps_its_level_and_the_others_follow(answer):
    pinned = correct(answer, Pin(3, "T12"), options=ALONE)
    assert _levels(pinned) == ["L3", "L2", "L1", "T12", "T11", "T10"] and pinned.anchor == "pinned"


def test_another_count_is_taken_and_taken_back(answer):
    doubtful = replace(answer, alternatives=(Alternative(0, "L5", 0.3), Alternative(1, "S1", 0.1)))
    other = correct(doubtful, TakeAlternative(), options=ALONE)
    assert _levels(other) == ["L5", "L4", "L3", "L2", "L1", "T12"] and other.anchor == "pinned"
    assert undo(other) is doubtful
    assert _levels(correct(doubtful, TakeAlternative(2), options=ALONE)) == ["S1", "L5", "L4", "L3", "L2"]


@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_count_that_is_not_there_is_refused(answer, number):
    with pytest.raises(ValueError, match=f"no other count number {number}: this result has none"):
        correct(replace(answer, alternatives=()), TakeAlternative(number))


def test_a_dropped_vertebra_leaves_the_count_and_the_label_map(answer):
    body = answer.label_map == levels.level("L4").value
    fewer = correct(answer, Drop(2), options=ALONE)
    assert _levels(fewer) == ["S1", "L5", "L4", "L3", "L2"]
    assert not fewer.label_map[body].any()


def test_an_added_vertebra_takes_its_place_in_the_count(answer):
    without = correct(answer, Drop(2), options=ALONE)
    gone = answer.vertebrae[2]
    size = np.maximum(np.ptp(gone.corners_lps_mm, axis=0), [20.0, 1, 1])
    with pytest.raises(ValueError, match="already"):
        correct(answer, Add(SeedBox(gone.centroid_lps_mm, size)), options=ALONE)
    more = correct(without, Add(SeedBox(gone.centroid_lps_mm, size)), options=ALONE)
    assert _levels(more) == _levels(answer) and "added by hand" in more.vertebrae[2].flags
    assert (more.label_map == levels.level("L4").value).sum() > 100


def test_every_change_can_be_taken_back_step_by_step(answer):
    one = correct(answer, Shift(1), options=ALONE)
    two = correct(one, Drop(0), options=ALONE)
    assert undo(two) is one and undo(undo(two)) is answer
    with pytest.raises(ValueError, match="nothing to undo"):
        undo(answer)


def test_a_shift_down_makes_l5_the_new_s1_and_leaves_the_old_one_out(answer):
    assert _levels(answer)[:2] == ["S1", "L5"]
    down = correct(answer, Shift(-1), options=ALONE)
    assert _levels(down) == ["S1", "L5", "L4", "L3", "L2"]
    lifted = down.vertebrae[0].centroid_lps_mm - answer.vertebrae[1].centroid_lps_mm
    assert np.abs(lifted).max() < 0.5  # what was L5
    assert _levels(correct(answer, Seed(), options=ALONE)) == _levels(answer)


def test_impossible_corrections_are_refused_in_words(answer):
    with pytest.raises(ValueError, match="no vertebra number 9"):
        correct(answer, Pin(9, "L3"))
    with pytest.raises(ValueError, match="no vertebral level called 'L9'"):
        Pin(1, "L9")
    with pytest.raises(ValueError, match="by -6: no vertebra would keep a level"):
        correct(answer, Shift(-6))
    with pytest.raises(ValueError, match="by \\+40: no vertebra would keep a level"):
        correct(answer, Shift(40))
    with pytest.raises(ValueError, match="changes nothing"):
        correct(answer, Shift(0))
    with pytest.raises(ValueError, match="outside the scan"):
        correct(answer, Add(SeedBox(np.array([0.0, 900, 900]), np.full(3, 20.0))))


# --- counts, without any evidence ------------------------------------------------------------------------------


def row_of(*names):
    """A spine with these levels, 30 mm apart, from the bottom up."""
    corners = np.array([[0, -10, 10], [0, 10, 10], [0, 10, -10], [0, -10, -10.0]])
    known = [(np.array([0, 0, 30.0 * i]), name) for i, name in enumerate(names)]
    return Spine(tuple(Vertebra(n, levels.level(n).value if n else 101 + i, 0.9, c, c + corners)
                       for i, (c, n) in enumerate(known)))  # fmt: skip


@pytest.mark.parametrize(
    ("names", "steps", "height", "level"),
    [
        (("S1", "L5", "L4"), 1, 0, "L5"),
        (("S1", "L5", "L4"), -1, 30, "S1"),
        (("S1", "L5", "L4"), -2, 60, "S1"),
        (("S1", "L6", "L5"), -1, 30, "S1"),  # the sixth lumbar vertebra, not the fifth
        (("L4", "L3"), -1, 0, "L5"),
        ((None, "L3", "L2"), 1, 30, "L2"),
    ],
)
def test_a_shift_counts_from_the_lowest_vertebra_that_keeps_a_level(names, steps, height, level):
    seed = Shift(steps).count(row_of(*names), Count()).seed
    assert (seed.center_lps_mm[2], seed.level) == (height, level)


def test_levels_that_are_not_known_cannot_be_shifted():
    with pytest.raises(ValueError, match="no levels to shift yet"):
        Shift(1).count(row_of(None, None), Count())


def test_a_drop_of_the_seeded_vertebra_drops_the_seed_too():
    spine = row_of("S1", "L5", "L4")
    seeded = Seed(SeedBox(np.array([1.0, 2, 31]), np.full(3, 20.0), level="L5")).count(spine, Count(steps=5))
    spine = replace(spine, seed=seeded.seed)
    assert Drop("L5").count(spine, seeded).seed is None
    kept = Drop("L4").count(spine, seeded)
    assert kept.seed is seeded.seed and kept.steps == 5 and kept.edits[-1].dropped_lps_mm[2] == 60


def test_a_history_grows_with_corrections_and_undo_shortens_it():
    spine, first = row_of("S1", "L5"), (Count(),)
    history = Shift(1).history(spine, first)
    assert history[:-1] == first and len(history) == 2
    assert Undo().history(spine, history) == first
    with pytest.raises(ValueError, match="has not been changed"):
        Undo().history(spine, first)


def test_a_vertebra_is_found_by_position_name_or_value():
    spine = row_of("S1", "L5", None)
    assert [position_of(spine, v) for v in (1, "l5 ", "24", "Vertebra 3", "103")] == [1, 1, 1, 2, 2]
    with pytest.raises(ValueError, match=r"called 'L9'.*S1, L5, Vertebra 3"):
        position_of(spine, "L9")
