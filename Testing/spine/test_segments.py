"""What a label value is called, how it is coloured and coded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from paths import ROOT

from SpinalTapLib.spine import levels
from SpinalTapLib.spine.segments import TERMINOLOGY, segment_of, segments_in

TERMS = ROOT / "Resources" / "Terminology" / "SpinalTap.term.json"


@pytest.mark.parametrize(
    ("value", "present", "name"),
    [
        (24, (), "L5"), (26, (), "S1"), (101, (), "Vertebra 1"), (60, (), "Dural sac"),
        (223, (24, 23), "L4-L5"), (224, (26, 24), "L5-S1"), (224, (26, 25, 24), "L5-L6"), (225, (26, 25), "L6-S1"),
        (219, (28, 20, 19), "T12-T13"), (207, (8, 7), "C7-T1"), (223, (26, 23), "L4-S1"),
        (602, (101, 102), "Vertebra 2-Vertebra 1"), (322, (22, 23), "Arch of L3"), (301, (), "Arch of C1"),
        (402, (101, 102), "Arch of Vertebra 2"), (29, (), "Sacrum below S1"),
    ],
)  # fmt: skip
def test_names_and_discs_by_both_neighbours_that_are_there(value, present, name):
    assert segment_of(value, present).name == name


def test_segments_of_a_label_map_run_from_the_bottom_up_then_arches_discs_sacrum_and_canal():
    labels = np.array([[[0, 60, 223, 22, 26, 323, 24, 224, 23, 324, 29]]], np.uint16)
    assert [s.value for s in segments_in(labels)] == [26, 24, 23, 22, 324, 323, 224, 223, 29, 60]
    assert segments_in(np.zeros((2, 2, 2), np.uint8)) == ()
    assert segments_in(np.zeros((0, 2, 2), np.uint8)) == ()


def test_codes_and_colours_are_those_of_the_table_of_levels():
    for level in levels.LEVELS:
        segment = segment_of(level.value)
        assert (segment.name, segment.colour, segment.code) == (level.name, level.colour, level.code)
    assert segment_of(223).code == levels.DISC_CODE and segment_of(60).code == levels.CANAL_CODE
    assert segment_of(25).meaning == "Vertebra", "L6 has no code of its own"


def test_an_arch_has_the_colour_of_its_vertebra_and_a_code_of_its_own():
    for value in (24, 5, 103):
        arch = segment_of(levels.arch_value(value))
        assert arch.colour == segment_of(value).colour and arch.code == levels.ARCH_CODE


def test_no_label_value_has_two_meanings():
    vertebrae = [*(level.value for level in levels.LEVELS), *(levels.unanchored_value(i) for i in range(30))]
    arches, discs = ([make(v) for v in vertebrae] for make in (levels.arch_value, levels.disc_value))
    values = [*vertebrae, *arches, *discs, levels.CANAL_VALUE, levels.SACRUM_VALUE]
    assert len(set(values)) == len(values)
    assert [levels.owner_value(v) for v in (*arches, *discs)] == [*vertebrae, *vertebrae]
    assert all(map(levels.is_arch, arches)) and all(map(levels.is_disc, discs))
    assert not any(levels.is_disc(v) for v in (*arches, *vertebrae)) and not any(map(levels.is_arch, discs))


def test_a_disc_is_named_by_its_neighbours():
    assert segment_of(218, [19, 18]).name == "T11-T12"
    assert segment_of(218, [20, 18]).name == "T11-L1", "T12 was not found"
    assert segment_of(217, [19, 18]).name == "T10-T11", "T10 is cut by the edge of the image"
    assert segment_of(602, [101, 102]).name == "Vertebra 2-Vertebra 1"
    assert segment_of(603, [101, 102]).name == "Disc above Vertebra 2"


def test_the_next_vertebra_up_follows_the_usual_count():
    pairs = {26: 24, 25: 24, 24: 23, 20: 19, 28: 19, 19: 18, 8: 7, 3: 2, 2: 0, 103: 104}
    assert {value: levels.value_above(value) for value in pairs} == pairs


def test_unanchored_neighbours_have_different_colours():
    colours = [segment_of(101 + i).colour for i in range(24)]
    assert all(one != other for one, other in zip(colours, colours[1:]))


def test_terminology_is_the_one_that_ships():
    content = json.loads(TERMS.read_text(encoding="utf-8"))
    assert content["SegmentationCategoryTypeContextName"] == TERMINOLOGY
    (category,) = content["SegmentationCodes"]["Category"]
    types = {(t["CodingSchemeDesignator"], t["CodeValue"], t["CodeMeaning"]) for t in category["Type"]}
    for value in (*(level.value for level in levels.LEVELS), 101, 223, 60, 29, 323):
        parts = segment_of(value).terminology_entry.split("~")
        assert len(parts) == 7
        assert tuple(parts[1].split("^")) == tuple(
            category[k] for k in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")
        )
        assert tuple(parts[2].split("^")) in types


def test_identifiers_hold_no_character_that_slicer_could_trip_over():
    for value in (24, 60, 101, 223):
        assert segment_of(value, (24, 23)).identifier.replace("-", "").replace("_", "").isalnum()
