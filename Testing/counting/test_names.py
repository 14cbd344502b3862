"""Counting levels from one that is known, with one vertebra more or fewer than usual."""

from __future__ import annotations

import pytest

from SpinalTapLib.counting.names import count_levels
from SpinalTapLib.spine import levels


def test_a_usual_spine_is_counted_from_any_level_to_the_same_names():
    for position, name in enumerate(levels.COMMON):
        count = count_levels(24, position, name, top_is_c2=True)
        assert count.names == levels.COMMON and not count.warnings and count.certain


def test_a_lumbar_scan_is_counted_from_s1():
    assert count_levels(7, 0, "S1").names == ("S1", "L5", "L4", "L3", "L2", "L1", "T12")


def test_what_lies_below_s1_or_above_c2_has_no_name():
    count = count_levels(26, 1, "S1")
    assert count.names[0] is None and count.names[1] == "S1" and count.names[-2] == "C2" and count.names[-1] is None


def test_25_levels_up_to_c2_give_a_t13_and_say_so():
    count = count_levels(25, 0, "S1", top_is_c2=True)
    assert count.names[0] == "S1" and count.names[5:7] == ("L1", "T13") and count.names[-1] == "C2"
    assert "one more" in count.warnings[0] and "L6" in count.flags[6]


def test_23_levels_up_to_c2_leave_one_out_and_say_so():
    count = count_levels(23, 0, "S1", top_is_c2=True)
    assert count.names[5:7] == ("L1", "T11") and count.names[-1] == "C2"
    assert "one fewer" in count.warnings[0]


def test_two_ends_that_contradict_each_other_are_not_certain():
    count = count_levels(20, 0, "S1", top_is_c2=True)
    assert not count.certain and "check the levels" in count.warnings[0]


def test_a_user_may_call_a_vertebra_l6():
    assert count_levels(4, 1, "L6").names == ("S1", "L6", "L5", "L4")


def test_an_unknown_level_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="L5"):
        count_levels(5, 0, "L9")


@pytest.mark.parametrize("total", [23, 24, 25, 26])
def test_a_spine_with_an_l6_that_the_user_has_seen_is_counted_to_the_top(total):
    count = count_levels(total, 1, "L6", top_is_c2=True)
    assert count.names[:3] == ("S1", "L6", "L5")
    if total != 23:
        assert count.names[-1] == "C2" and count.certain
        assert len(set(count.names)) == total
    if total in (24, 26):
        assert f"{total} levels were counted from S1 to C2" in count.warnings[0] and "with an L6" in count.warnings[0]
    if total == 25:
        assert not count.warnings
