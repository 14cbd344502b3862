"""What has changed between two results of one person."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from paths import ROOT
from spines_by_hand import column, spine_of

from SpinalTapLib.spine.change import COMPARED, LIMITS, TITLES, compare
from SpinalTapLib.spine.measurements import measure_spine
from SpinalTapLib.spine.notes import Note

NAMES = ("S1", "L5", "L4", "L3", "L2")


def measured(names=NAMES, **more):
    return measure_spine(spine_of(column(names), **more))


def collapsed(spine, level, lost_mm):
    """Return the spine with one body whose front has lost some height, from above."""
    bodies = []
    for body in spine.vertebrae:
        corners = body.corners_lps_mm.copy()
        if body.level == level:
            corners[0, 2] -= lost_mm
        bodies.append(replace(body, corners_lps_mm=corners))
    return measure_spine(replace(spine, vertebrae=tuple(bodies)))


def test_two_results_of_the_same_spine_are_within_the_error():
    found = compare(measured(), measured())
    assert found.levels == NAMES and not found.losses and not found.notes
    assert {change.verdict for change in found.changes} == {"within the error"}
    assert all(LIMITS[name] > 0 for name in COMPARED)
    assert found.summary == f"None of {len(found.changes)} measurements changed by more than the measurement error."


def test_the_document_has_the_limits_of_the_program():
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) (?:mm|degrees) \| ([\d.]+) (?:mm|degrees) \|$", text, re.MULTILINE)
    said = {name: (float(deviation), float(limit)) for name, deviation, limit in rows}
    assert {title: limit for title, (_, limit) in said.items()} == {TITLES[name]: LIMITS[name] for name in COMPARED}
    assert all(limit == pytest.approx(1.96 * 2**0.5 * deviation, abs=0.15) for deviation, limit in said.values())


def test_a_new_loss_of_height_has_its_amount_and_grade():
    found = compare(measured(), collapsed(measured(), "L3", 8))
    (loss,) = found.losses
    assert (loss.level, loss.place, loss.severity) == ("L3", "anterior", "moderate")
    assert loss.percent == pytest.approx(100 * 8 / 26)
    assert found.between == ("the earlier result", "the later result") and found.sentences == (loss.sentence,)
    assert {c.level for c in found.from_the_top[:5]} == {"L2"} and len(found.from_the_top) == len(found.changes)
    assert "L3 has lost 31 % of its anterior height" in loss.sentence
    beyond = {(change.level, change.name) for change in found.changes if change.is_beyond_error}
    assert ("L3", "height_anterior_mm") in beyond and ("L3", "wedge_angle_deg") in beyond
    assert not {level for level, _ in beyond} - {"L3", "L2"}  # the disc above it belongs to L2


def test_a_small_loss_has_no_grade_and_one_within_the_error_none_either():
    assert not compare(measured(), collapsed(measured(), "L3", 4)).losses


def test_levels_of_one_result_only_another_number_and_doubtful_names_are_said():
    later = measured(("L5", "L4", "L3", "L2", "L1"))
    doubtful = replace(later, vertebrae=(replace(later.vertebrae[0], confidence=0.5), *later.vertebrae[1:]))
    found = compare(measured(("S1", "L5", "L4", "L3")), doubtful)
    assert found.notes[0] == "Only in the earlier result, so not compared: S1."
    assert found.notes[1] == "Only in the later result, so not compared: L2, L1."
    assert "The earlier result has 4 vertebrae, the later one 5" in found.notes[2]
    assert "later result is not sure of L5" in found.notes[3]


def test_estimated_corners_are_compared_but_not_judged():
    spine = measured()
    cut = replace(spine, vertebrae=(replace(spine.vertebrae[0], flags=(Note.CUT,)), *spine.vertebrae[1:]))
    found = compare(spine, cut)
    unsure = [c for c in found.changes if c.level == "S1"]
    assert {c.verdict for c in unsure} == {"not sure"}
    unjudged = f"{len(unsure)} cannot be judged: corners were cut off or estimated."
    assert found.summary.endswith(f"measurement error. {unjudged}")


def test_results_without_a_common_level_are_refused():
    with pytest.raises(ValueError, match=r"no level in common \(L2 to S1 and C3 to C5\)"):
        compare(measured(), measured(("C5", "C4", "C3")))
    with pytest.raises(ValueError, match="no level"):
        compare(measured(), measured(()))
