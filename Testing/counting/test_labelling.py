"""Labelling: where the count starts, what it does with S1 boxes, and what it does when nothing is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from SpinalTapLib.counting.fusion import FLAG_LADDER_ONLY, Place
from SpinalTapLib.counting.gaps import open_gaps, unflagged
from SpinalTapLib.counting.labelling import label
from SpinalTapLib.counting.rungs import Rung
from SpinalTapLib.counting.start import DISAGREEMENT_CONFIDENCE, FLAG_BOX, FLAG_TRANSITIONAL
from SpinalTapLib.detection.linking import FLAG_GAP
from SpinalTapLib.scans.volume import volume_from_array
from SpinalTapLib.spine.measurements import measure
from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.spine.vertebra import SeedBox


@dataclass(frozen=True, eq=False)
class Found:
    centroid_lps_mm: np.ndarray
    corners_lps_mm: np.ndarray
    evidence: np.ndarray
    score: float = 0.9
    flags: tuple[str, ...] = ()
    slices: tuple[int, ...] = (6, 7, 8)


def _found(n: int, special: dict[int, int] | None = None) -> list[Found]:
    """A straight column of n bodies, 30 mm apart, the lowest at z = 0; `special` gives single ones a class."""
    half = np.array([[0, -15, 11], [0, 15, 11], [0, 15, -11], [0, -15, -11]], float)
    out = []
    for i in range(n):
        evidence = np.zeros(7)
        evidence[(special or {}).get(i, Structure.BODY)] = 0.9
        centre = np.array([0.0, 0.0, 30.0 * i])
        out.append(Found(centre, centre + half, evidence))
    return out


def _levels(vertebrae) -> list[str | None]:
    return [v.level for v in vertebrae]


def _box(z: float, level: str = "S1", size: float = 30.0) -> SeedBox:
    return SeedBox(np.array([0.0, 0.0, z]), np.full(3, size), level=level)


def test_the_count_starts_at_the_s1_that_the_detector_is_sure_of():
    vertebrae, anchor, warnings = label(_found(4, {0: Structure.S1}))
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3"] and anchor == "S1" and not warnings


def test_what_lies_below_s1_is_left_out():
    vertebrae, _, _ = label(_found(4, {1: Structure.S1}))
    assert _levels(vertebrae) == ["S1", "L5", "L4"]


def test_without_s1_the_count_goes_down_from_c2():
    vertebrae, anchor, _ = label(_found(4, {3: Structure.C2}))
    assert _levels(vertebrae) == ["C5", "C4", "C3", "C2"] and anchor == "C2"


def test_without_s1_and_c2_no_level_is_claimed_and_a_warning_says_so():
    vertebrae, anchor, warnings = label(_found(3))
    assert _levels(vertebrae) == [None] * 3 and anchor == "none"
    assert [v.label_value for v in vertebrae] == [101, 102, 103]
    assert "not known" in warnings[0] and "--" not in warnings[0]


def test_a_box_pins_its_level_and_the_rest_follow_both_ways():
    vertebrae, anchor, _ = label(_found(5), _box(60.0, "L3"))
    assert _levels(vertebrae) == ["L5", "L4", "L3", "L2", "L1"] and anchor == "pinned"


@pytest.mark.parametrize("offset", [(0, 12, 0), (0, -12, 0), (0, 0, 12), (0, 0, -12), (8, 6, 6)])
@pytest.mark.parametrize("size", [20.0, 42.0])
def test_a_loosely_drawn_box_still_marks_its_vertebra(offset, size):
    box = SeedBox(np.array(offset, float), np.full(3, size))
    vertebrae, _, _ = label(_found(5), box)
    assert vertebrae[0].level == "S1" and vertebrae[0].centroid_lps_mm[2] == 0


def test_a_box_on_another_vertebra_than_the_s1_that_is_seen_is_obeyed_but_doubted():
    plain, _, _ = label(_found(5, {0: Structure.S1}))
    vertebrae, _, warnings = label(_found(5, {0: Structure.S1}), _box(30.0))
    assert {v.level: v.centroid_lps_mm[2] for v in vertebrae}["S1"] == 30.0
    assert "looks like S1" in warnings[0] and "below" in warnings[0]
    assert vertebrae[-1].confidence < plain[-1].confidence


def test_a_box_far_from_every_vertebra_is_refused_in_words():
    with pytest.raises(ValueError, match="no vertebra in the S1 box"):
        label(_found(4), _box(-200.0))


def test_steps_limit_the_names_above_s1():
    assert len(label(_found(20, {0: Structure.S1}), steps=6)[0]) == 7


def test_a_count_that_does_not_end_at_the_c2_that_is_seen_warns():
    vertebrae, _, warnings = label(_found(20, {0: Structure.S1, 19: Structure.C2}))
    assert "looks like C2" in warnings[0]
    assert all(v.confidence < 0.9 for v in vertebrae)


def test_one_vertebra_more_than_usual_becomes_a_flagged_t13():
    vertebrae, _, warnings = label(_found(25, {0: Structure.S1, 24: Structure.C2}))
    assert "T13" in _levels(vertebrae) and vertebrae[-1].level == "C2" and "one more" in warnings[0]


def test_a_vertebra_that_only_the_ladder_sees_is_counted():
    found = _found(8, {0: Structure.S1})
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    truth = [_rung(volume, f) for f in found]

    def look(rung: Rung) -> tuple[Rung, Rung]:
        i = int(np.argmin([np.linalg.norm(r.centre - rung.centre) for r in truth]))
        nothing = replace(rung, presence=0.0)
        return truth[i + 1] if i < 7 else nothing, truth[i - 1] if i else nothing

    vertebrae, _, _ = label(found[:3] + found[4:], working=volume, look=look)
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11"]
    missed = vertebrae[3]
    assert np.allclose(missed.centroid_lps_mm, found[3].centroid_lps_mm, atol=1e-6)
    assert missed.confidence < vertebrae[2].confidence and missed.flags


def _matrix() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = (4, 0, 0), (0, 0, -1), (0, 1, 0)
    matrix[:3, 3] = (-16, -60, 270)
    return matrix


def _rung(volume, found: Found) -> Rung:
    index = volume.to_index(found.corners_lps_mm)
    return Rung(float(index[:, 0].mean()), index[:, 1:], 0.95)


def test_nothing_found_gives_nothing():
    assert label([]) == ((), "none", ())


def test_a_box_on_c2_counts_downwards_and_steps_count_with_it():
    found = _found(10)
    assert _levels(label(found, _box(270.0, "C2"))[0])[0] == "T4"
    vertebrae, anchor, _ = label(found, _box(270.0, "C2"), steps=3)
    assert _levels(vertebrae) == ["C5", "C4", "C3", "C2"] and anchor == "pinned"


def test_a_c2_box_on_another_vertebra_than_the_one_that_looks_like_c2_is_doubted():
    _, _, warnings = label(_found(6, {5: Structure.C2}), _box(120.0, "C2"))
    assert "looks like C2" in warnings[0] and "1 above it" in warnings[0]


def test_an_s1_that_looks_half_lumbar_is_called_transitional_with_a_question_mark():
    found = _found(4, {0: Structure.S1})
    found[0].evidence[[Structure.S1, Structure.BODY]] = 0.6, 0.3
    vertebrae, anchor, warnings = label(found)
    assert anchor == "S1" and vertebrae[0].flags == (FLAG_TRANSITIONAL,)
    assert "transitional" in warnings[0] and not vertebrae[1].flags


@pytest.mark.parametrize(("place", "where"), [(2, "right above S1"), (0, "right below S1")])
def test_a_neighbour_of_s1_that_looks_a_little_like_it_is_called_transitional_too(place, where):
    found = _found(5, {1: Structure.S1})
    found[place].evidence[[Structure.S1, Structure.BODY]] = 0.3, 0.6
    vertebrae, _, warnings = label(found)
    assert where in warnings[0]
    assert [FLAG_TRANSITIONAL in v.flags for v in vertebrae] == [False, place == 2, False, False]


def test_the_offered_levels_may_be_pinned():
    assert _levels(label(_found(4), _box(30.0, "L6"))[0]) == ["S1", "L6", "L5", "L4"]
    assert _levels(label(_found(4), _box(30.0, "T13"))[0]) == ["L1", "T13", "T12", "T11"]


def _missed(place: int):
    """Eight vertebrae, one of which the detector missed, and a ladder that knows them all."""
    found = _found(8)
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    truth = [_rung(volume, f) for f in found]

    def look(rung: Rung) -> tuple[Rung, Rung]:
        i = int(np.argmin([np.linalg.norm(r.centre - rung.centre) for r in truth]))
        nothing = replace(rung, presence=0.0)
        if np.linalg.norm(truth[i].centre - rung.centre) > 20:
            return nothing, nothing
        return truth[i + 1] if i < 7 else nothing, truth[i - 1] if i else nothing

    return found[:place] + found[place + 1 :], found[place], volume, look


def test_a_box_on_an_s1_that_the_detector_missed_starts_the_ladder_all_the_same():
    seen, missed, volume, look = _missed(0)
    box = SeedBox(missed.centroid_lps_mm + [0, 8, 6], np.array([30.0, 40, 30]))
    vertebrae, anchor, _ = label(seen, box, working=volume, look=look)
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11"] and anchor == "pinned"
    assert np.allclose(vertebrae[0].corners_lps_mm, missed.corners_lps_mm, atol=1e-6)
    assert FLAG_BOX in vertebrae[0].flags and vertebrae[0].confidence < vertebrae[1].confidence


def test_a_box_on_the_abdomen_is_refused_by_the_ladder_too():
    seen, _, volume, look = _missed(0)
    with pytest.raises(ValueError, match="no vertebra in the S1 box"):
        label(seen, SeedBox(np.array([0.0, -45, 60]), np.full(3, 20.0)), working=volume, look=look)


def test_a_box_outside_the_scan_is_said_to_be_outside():
    seen, _, volume, look = _missed(0)
    with pytest.raises(ValueError, match="outside the scan"):
        label(seen, SeedBox(np.array([0.0, 0, -2000]), np.full(3, 20.0)), working=volume, look=look)


def test_a_box_of_a_hundred_metres_takes_the_vertebra_nearest_to_its_middle():
    vertebrae, _, _ = label(_found(5), SeedBox(np.array([0.0, 0, 62]), np.full(3, 1e5), level="L3"))
    assert {v.level: v.centroid_lps_mm[2] for v in vertebrae}["L3"] == 60


def test_the_ladder_alone_names_what_it_climbs():
    seen, missed, volume, look = _missed(3)
    vertebrae, anchor, _ = label(seen, _box(0.0), working=volume, look=look, method="ladder")
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11"] and anchor == "pinned"
    assert np.allclose(vertebrae[3].centroid_lps_mm, missed.centroid_lps_mm, atol=1e-6)
    assert [FLAG_LADDER_ONLY in v.flags for v in vertebrae] == [k == 3 for k in range(8)]
    assert all(np.allclose(v.corners_lps_mm, f.corners_lps_mm) for v, f in zip(vertebrae[4:], seen[3:], strict=True))
    assert len(label(seen, _box(0.0), 6, working=volume, look=look, method="ladder")[0]) == 7


def test_the_ladder_alone_climbs_down_from_c2():
    seen, _, volume, look = _missed(3)
    seen[-1].evidence[[Structure.BODY, Structure.C2]] = 0.0, 0.9
    vertebrae, anchor, _ = label(seen, working=volume, look=look, method="ladder")
    assert _levels(vertebrae) == ["T2", "T1", "C7", "C6", "C5", "C4", "C3", "C2"] and anchor == "C2"


# Gaps


def _gapped(n: int, gap: int, special: dict[int, int]) -> list[Found]:
    """A column in which the body at place `gap` was missed, and the one above it says so."""
    column = _found(n, special)
    column[gap + 1] = replace(column[gap + 1], flags=(FLAG_GAP,))
    return column[:gap] + column[gap + 1 :]


def test_beyond_a_gap_the_levels_are_doubted_and_it_is_said():
    vertebrae, _, warnings = label(_gapped(7, 3, {0: Structure.S1}))
    assert [v.confidence for v in vertebrae] == pytest.approx([0.9] * 3 + [0.9 * DISAGREEMENT_CONFIDENCE] * 3)
    assert len(warnings) == 1 and "L3 and L4 lie so far apart" in warnings[0] and "levels above" in warnings[0]


def test_a_gap_below_c2_makes_those_below_doubtful():
    vertebrae, _, warnings = label(_gapped(6, 2, {5: Structure.C2}))
    assert [v.confidence < 0.8 for v in vertebrae] == [True, True, False, False, False]
    assert "levels below" in warnings[0]


def test_no_disc_and_no_slip_is_measured_across_a_gap():
    vertebrae = measure(label(_gapped(6, 3, {0: Structure.S1}))[0])
    assert ["slip_mm" in v.measurements for v in vertebrae] == [False, True, True, False, True]


def test_a_gap_that_the_ladder_has_filled_is_none():
    column, nowhere = _gapped(5, 2, {0: Structure.S1}), Rung(0.0, np.zeros((4, 2)))
    places = [Place(k, nowhere, 1.0) for k in range(4)]
    assert open_gaps(places, column) == (2,)
    filled = [*places[:2], Place(None, nowhere, 1.0), *places[2:]]
    assert open_gaps(filled, column) == ()
    vertebra = label(column)[0][2]
    assert FLAG_GAP in unflagged(vertebra, 2, places).flags
    assert FLAG_GAP not in unflagged(vertebra, 3, filled).flags
