"""Labelling: names from what is seen, from boxes, along the ladder, and none where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SpinalTapLib.counting.labelling import Labelling, distances, label
from SpinalTapLib.counting.names import N_CLASSES
from SpinalTapLib.counting.rungs import Rung
from SpinalTapLib.detection.linking import Candidate
from SpinalTapLib.scans.volume import volume_from_array
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.confidence import LIKELY, SURE
from SpinalTapLib.spine.measurements import measure
from SpinalTapLib.spine.notes import Note
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure
from SpinalTapLib.spine.vertebra import SeedBox

BODY, S1, C2 = Structure.BODY, Structure.S1, Structure.C2


def _found(n: int, special: dict[int, int] | None = None) -> list[Candidate]:
    """A straight column of n bodies, 30 mm apart, the lowest at z = 0; `special` gives single ones a class."""
    half = np.array([[0, -15, 11], [0, 15, 11], [0, 15, -11], [0, -15, -11]], float)
    out = []
    for i in range(n):
        evidence = np.zeros(N_STRUCTURES)
        evidence[(special or {}).get(i, BODY)] = 0.9
        centre = np.array([0.0, 0.0, 30.0 * i])
        out.append(Candidate((), centre, centre + half, 7, evidence, 0.9, (), (6, 7, 8), number=i))
    return out


def _levels(vertebrae) -> list[str | None]:
    return [v.level for v in vertebrae]


def _box(z: float, level: str = "S1", size: float = 30.0) -> SeedBox:
    return SeedBox(np.array([0.0, 0.0, z]), np.full(3, size), level=level)


def _sees(*classes: int, sure: float = 5.0):
    """A level network that sees one class at each place, from the bottom up."""

    def look(rungs) -> np.ndarray:
        order = np.argsort([-rung.centre[0] for rung in rungs])
        out = np.full((len(rungs), N_CLASSES), -sure)
        for place, rung in enumerate(order):
            out[rung, classes[place]] = 0.0
        return out

    return look


def _unsure(rungs) -> np.ndarray:
    """A level network that sees S1, L5, ... from the bottom up, or one level higher, 65 to 35."""
    below, above = (_sees(*range(first, first + len(rungs)), sure=9)(rungs) for first in (0, 1))
    return np.logaddexp(below + np.log(0.65), above + np.log(0.35))


def test_the_count_starts_at_the_s1_that_the_detector_is_sure_of():
    found = label(_found(4, {0: S1}))
    assert _levels(found.vertebrae) == ["S1", "L5", "L4", "L3"] and found.anchor == "S1" and not found.warnings
    assert all(v.level_probability > 0.95 for v in found.vertebrae)


def test_a_dens_apart_from_its_c2_is_left_out_and_noted():
    found = label(_found(6, {4: C2, 5: C2})).vertebrae
    assert _levels(found) == ["C6", "C5", "C4", "C3", "C2"]
    assert [Note.DENS_APART in v.flags for v in found] == [False] * 4 + [True]


def test_what_lies_below_s1_is_left_out():
    assert _levels(label(_found(4, {1: S1})).vertebrae) == ["S1", "L5", "L4"]


def test_without_s1_the_count_goes_down_from_c2():
    found = label(_found(4, {3: C2}))
    assert _levels(found.vertebrae) == ["C5", "C4", "C3", "C2"] and found.anchor == "C2"


def test_the_level_network_names_vertebrae_of_which_neither_end_is_in_view():
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    found = label(_found(4), working=volume, levels_look=_sees(3, 4, 5, 6))
    assert _levels(found.vertebrae) == ["L3", "L2", "L1", "T12"] and found.anchor == "estimated"


def test_the_level_network_outweighs_an_s1_that_only_the_parts_see():
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    found = label(_found(4, {0: S1}), working=volume, levels_look=_sees(24, 0, 1, 2))
    assert _levels(found.vertebrae) == ["S1", "L5", "L4"]


@pytest.mark.parametrize("n", [1, 3, 12])
def test_where_nothing_tells_the_levels_none_is_claimed_and_a_warning_says_so(n):
    found = label(_found(n))
    assert _levels(found.vertebrae) == [None] * n and found.anchor == "none"
    assert [v.label_value for v in found.vertebrae] == list(range(101, 101 + n))
    assert "not known" in found.warnings[0] and "--" not in found.warnings[0]
    assert "may be turned or mirrored" in found.warnings[0]  # the sacrum may be in view, but upside down
    assert all(v.level_probability < 0.5 for v in found.vertebrae)


def test_one_vertebra_alone_that_looks_like_s1_is_s1():
    assert _levels(label(_found(1, {0: S1})).vertebrae) == ["S1"]


@pytest.mark.parametrize(("n", "named"), [(1, False), (2, False), (3, True)])
def test_a_name_that_is_not_sure_is_claimed_only_within_a_column(n, named):
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    found = label(_found(n), working=volume, levels_look=_unsure)
    assert found.vertebrae[0].level == ("S1" if named else None)
    assert 0.5 < found.vertebrae[0].level_probability < SURE
    if not named:
        assert "Most likely the vertebra" in found.warnings[1]


def test_a_name_that_is_not_sure_is_claimed_in_the_users_box():
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    found = label(_found(1), _box(0, "L5"), working=volume, levels_look=_unsure)
    assert _levels(found.vertebrae) == ["L5"]


@pytest.mark.parametrize(("n", "said"), [(1, "vertebra is L5"), (3, "vertebrae are L3 to L5")])
def test_an_even_chance_is_told_as_the_most_likely_range(n, said):
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())

    def look(rungs) -> np.ndarray:
        chances = [_sees(*range(first, first + n), sure=3)(rungs) for first in (0, 1, 2)]
        return np.logaddexp.reduce(chances)

    found = label(_found(n), working=volume, levels_look=look)
    assert found.anchor == "none" and f"Most likely the {said} (" in found.warnings[1]
    assert found.alternatives and found.alternatives[0].probability >= found.alternatives[-1].probability


def test_a_probable_other_count_is_told_with_its_odds():
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())

    def look(rungs) -> np.ndarray:
        return np.logaddexp(_sees(0, 1, 2, sure=9)(rungs), _sees(1, 2, 3, sure=9)(rungs) + 0.2)

    found = label(_found(3, {0: S1}), working=volume, levels_look=look)
    assert _levels(found.vertebrae) == ["S1", "L5", "L4"]
    other = found.alternatives[0]
    assert (other.index, other.level) == (0, "L5") and 0.1 < other.probability < 0.5
    assert found.warnings[0].startswith("S1 or L5? ") and "transitional" in found.warnings[0]
    assert Note.TRANSITIONAL in found.vertebrae[0].flags
    assert all(v.confidence < 0.9 for v in found.vertebrae)


def test_a_box_pins_its_level_and_the_rest_follow_both_ways():
    found = label(_found(5), _box(60.0, "L3"))
    assert _levels(found.vertebrae) == ["L5", "L4", "L3", "L2", "L1"] and found.anchor == "pinned"
    assert found.vertebrae[2].level_probability == pytest.approx(1)


@pytest.mark.parametrize("offset", [(0, 12, 0), (0, -12, 0), (0, 0, 12), (0, 0, -12), (8, 6, 6)])
@pytest.mark.parametrize("size", [20.0, 42.0])
def test_a_loosely_drawn_box_still_marks_its_vertebra(offset, size):
    box = SeedBox(np.array(offset, float), np.full(3, size))
    lowest = label(_found(5), box).vertebrae[0]
    assert lowest.level == "S1" and lowest.centroid_lps_mm[2] == 0


def test_a_box_that_contradicts_the_picture_is_obeyed_and_it_is_said():
    found = label(_found(5, {0: S1}), _box(30.0))
    assert {v.level: v.centroid_lps_mm[2] for v in found.vertebrae}["S1"] == 30.0
    assert "S1 box lies on a vertebra that looks like L5" in found.warnings[0]
    assert Note.AGAINST_PICTURE in found.vertebrae[0].flags


def test_a_box_that_agrees_with_the_picture_says_nothing():
    assert not label(_found(5, {0: S1}), _box(0.0)).warnings


def test_a_box_far_from_every_vertebra_is_refused_in_words():
    with pytest.raises(ValueError, match="no vertebra in the S1 box"):
        label(_found(4), _box(-200.0))


def test_steps_limit_the_names_above_s1():
    assert len(label(_found(20, {0: S1}), steps=6).vertebrae) == 7


def test_two_ends_that_contradict_each_other_are_never_sure():
    found = label(_found(20, {0: S1, 19: C2}))
    assert found.warnings and all(v.level is None or v.confidence < 0.9 for v in found.vertebrae)


def test_one_vertebra_more_than_usual_becomes_a_flagged_t13():
    found = label(_found(25, {0: S1, 24: C2}))
    assert "T13" in _levels(found.vertebrae) and found.vertebrae[-1].level == "C2" and "one more" in found.warnings[0]


def test_one_vertebra_fewer_than_usual_leaves_t12_out_and_says_so():
    found = label(_found(23, {0: S1, 22: C2}))
    assert "T12" not in _levels(found.vertebrae) and found.vertebrae[-1].level == "C2"
    assert "one fewer" in found.warnings[0]


def test_a_vertebra_that_only_the_ladder_sees_is_counted():
    found = _found(8, {0: S1})
    volume = volume_from_array(np.random.default_rng(0).random((9, 320, 120)), _matrix())
    truth = [_rung(volume, f) for f in found]

    def look(rung: Rung) -> tuple[Rung, Rung]:
        i = int(np.argmin([np.linalg.norm(r.centre - rung.centre) for r in truth]))
        nothing = replace(rung, presence=0.0)
        return truth[i + 1] if i < 7 else nothing, truth[i - 1] if i else nothing

    vertebrae = label(found[:3] + found[4:], working=volume, look=look).vertebrae
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11"]
    missed = vertebrae[3]
    assert np.allclose(missed.centroid_lps_mm, found[3].centroid_lps_mm, atol=1e-6)
    assert missed.confidence < vertebrae[2].confidence and missed.flags


def _matrix() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = (4, 0, 0), (0, 0, -1), (0, 1, 0)
    matrix[:3, 3] = (-16, -60, 270)
    return matrix


def _rung(volume, found: Candidate) -> Rung:
    index = volume.to_index(found.corners_lps_mm)
    return Rung(float(index[:, 0].mean()), index[:, 1:], 0.95)


def test_nothing_found_gives_nothing():
    assert label([]) == Labelling()


def test_a_box_on_c2_counts_downwards_and_steps_count_with_it():
    found = _found(10)
    assert _levels(label(found, _box(270.0, "C2")).vertebrae)[0] == "T4"
    named = label(found, _box(270.0, "C2"), steps=3)
    assert _levels(named.vertebrae) == ["C5", "C4", "C3", "C2"] and named.anchor == "pinned"


@pytest.mark.parametrize("name", ["C1", "S1"])
def test_a_pin_at_an_end_of_the_spine_leaves_out_what_lies_beyond(name):
    vertebrae = label(_found(5), _box(60.0, name)).vertebrae
    assert _levels(vertebrae) == (["C3", "C2", "C1"] if name == "C1" else ["S1", "L5", "L4"])


def test_the_offered_levels_may_be_pinned():
    assert _levels(label(_found(4), _box(30.0, "L6")).vertebrae) == ["S1", "L6", "L5", "L4"]
    assert _levels(label(_found(4), _box(30.0, "T13")).vertebrae) == ["L1", "T13", "T12", "T11"]


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
    named = label(seen, box, working=volume, look=look)
    vertebrae, anchor = named.vertebrae, named.anchor
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11"] and anchor == "pinned"
    assert np.allclose(vertebrae[0].corners_lps_mm, missed.corners_lps_mm, atol=1e-6)
    assert Note.FROM_BOX in vertebrae[0].flags and vertebrae[0].confidence < vertebrae[1].confidence


def test_a_box_on_the_abdomen_is_refused_by_the_ladder_too():
    seen, _, volume, look = _missed(0)
    with pytest.raises(ValueError, match="no vertebra in the S1 box"):
        label(seen, SeedBox(np.array([0.0, -45, 60]), np.full(3, 20.0)), working=volume, look=look)


def test_a_box_outside_the_scan_is_said_to_be_outside():
    seen, _, volume, look = _missed(0)
    with pytest.raises(ValueError, match="outside the scan"):
        label(seen, SeedBox(np.array([0.0, 0, -2000]), np.full(3, 20.0)), working=volume, look=look)


def test_a_box_of_a_hundred_metres_takes_the_vertebra_nearest_to_its_middle():
    vertebrae = label(_found(5), SeedBox(np.array([0.0, 0, 62]), np.full(3, 1e5), level="L3")).vertebrae
    assert {v.level: v.centroid_lps_mm[2] for v in vertebrae}["L3"] == 60


def test_the_ladder_alone_names_what_it_climbs():
    seen, missed, volume, look = _missed(3)
    named = label(seen, _box(0.0), working=volume, look=look, method="ladder")
    vertebrae, anchor = named.vertebrae, named.anchor
    assert _levels(vertebrae) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12", "T11"] and anchor == "pinned"
    assert np.allclose(vertebrae[3].centroid_lps_mm, missed.centroid_lps_mm, atol=1e-6)
    assert [Note.LADDER_ONLY in v.flags for v in vertebrae] == [k == 3 for k in range(8)]
    assert all(np.allclose(v.corners_lps_mm, f.corners_lps_mm) for v, f in zip(vertebrae[4:], seen[3:], strict=True))
    assert len(label(seen, _box(0.0), 6, working=volume, look=look, method="ladder").vertebrae) == 7


def test_the_ladder_alone_climbs_down_from_c2():
    seen, _, volume, look = _missed(3)
    seen[-1].evidence[[BODY, C2]] = 0.0, 0.9
    named = label(seen, working=volume, look=look, method="ladder")
    vertebrae, anchor = named.vertebrae, named.anchor
    assert _levels(vertebrae) == ["T2", "T1", "C7", "C6", "C5", "C4", "C3", "C2"] and anchor == "C2"


# Gaps


def _gapped(n: int, gap: int, special: dict[int, int]) -> list[Candidate]:
    """A column in which the body at place `gap` was missed, and the one above it says so."""
    column = _found(n, special)
    column[gap + 1] = replace(column[gap + 1], flags=(Note.MISSING_BELOW,))
    return column[:gap] + column[gap + 1 :]


def test_across_a_gap_the_count_goes_on_with_one_warning():
    found = label(_gapped(7, 3, {0: S1}))
    assert _levels(found.vertebrae) == ["S1", "L5", "L4", "L2", "L1", "T12"]
    assert len(found.warnings) == 1 and "Between L2 and L4 a vertebra was counted" in found.warnings[0]
    assert [Note.MISSING_BELOW in v.flags for v in found.vertebrae] == [False, False, False, True, False, False]


def test_a_gap_below_c2_is_counted_across_too():
    assert _levels(label(_gapped(6, 2, {5: C2})).vertebrae) == ["C7", "C6", "C4", "C3", "C2"]


def test_a_seam_of_four_vertebrae_is_counted_across():
    column = _found(12, {0: S1, 11: S1})
    column[11] = replace(column[11], evidence=np.eye(7)[BODY])
    found = label([*column[:4], *column[8:]])
    assert _levels(found.vertebrae)[:5] == ["S1", "L5", "L4", "L3", levels.COMMON[8]]


def test_a_body_in_a_signal_void_is_noted_and_never_sure():
    column = _found(7, {0: S1})
    array = np.full((15, 320, 120), 10.0, np.float32)
    for place in (0, 1, 3, 4, 5, 6):
        array[:, 300 - 30 * place - 11 : 300 - 30 * place + 11, 45:75] = 200
    matrix = np.array([[4.0, 0, 0, -28], [0, 0, 1, -60], [0, -1, 0, 300], [0, 0, 0, 1]])
    plain, dark = label(column).vertebrae, label(column, working=volume_from_array(array, matrix)).vertebrae
    assert _levels(dark) == _levels(plain) == ["S1", "L5", "L4", "L3", "L2", "L1", "T12"]
    assert [Note.NO_SIGNAL in v.flags for v in dark] == [False, False, True, False, False, False, False]
    assert dark[2].confidence < LIKELY and dark[1].confidence == pytest.approx(plain[1].confidence, abs=0.02)
    assert dark[3].level_probability < SURE <= dark[1].level_probability, "nothing above confirms the count"


def test_no_disc_and_no_slip_is_measured_across_a_gap():
    vertebrae = measure(label(_gapped(6, 3, {0: S1})).vertebrae)
    assert ["slip_mm" in v.measurements for v in vertebrae] == [False, True, True, False, True]


def test_distances_are_in_sizes_of_the_vertebrae():
    corners = np.array([f.corners_lps_mm for f in _found(3)])
    assert distances(corners)[0] == pytest.approx([0, 30 / np.sqrt(22 * 30), 60 / np.sqrt(22 * 30)])
