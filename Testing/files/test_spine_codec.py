"""A spine as JSON: what it says comes back, also from results that an earlier version stored."""

import json

import numpy as np
import pytest
import worker_road
from block_spine import BlockSpine

from SpinalTapLib.files.spine_codec import answer_of, seed_in, seed_out, spine_of
from SpinalTapLib.spine.notes import Note
from SpinalTapLib.spine.vertebra import SeedBox, Spine, Vertebra

BODY = Vertebra("L4", 23, 0.9, np.zeros(3), np.ones((4, 3)), (3, 4), {"depth_mm": 30.0}, (Note.CUT,), candidate=2)


def stored():
    return json.loads(json.dumps(answer_of(Spine((BODY,)))))


def test_a_vertebra_comes_back_with_its_candidate_and_its_notes():
    (vertebra,) = spine_of(stored()).vertebrae
    assert vertebra.candidate == 2 and vertebra.flags == (Note.CUT,) and vertebra.name == "L4"


def test_a_result_stored_without_candidates_can_still_be_read():
    answer = stored()
    del answer["vertebrae"][0]["candidate"]
    assert spine_of(answer).vertebrae[0].candidate is None


def test_a_spine_survives_json():
    spine = worker_road.segment_spine(BlockSpine().volume())
    again = spine_of(json.loads(json.dumps(answer_of(spine))), spine.label_map)
    assert json.dumps(answer_of(again)) == json.dumps(answer_of(spine))


def test_a_seed_box_survives_json():
    box = SeedBox(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.eye(3)[[1, 2, 0]], "C2")
    again = seed_in(json.loads(json.dumps(seed_out(box))))
    assert np.array_equal(again.axes, box.axes) and again.level == "C2"
    assert np.array_equal(again.center_lps_mm, box.center_lps_mm) and np.array_equal(again.size_mm, box.size_mm)
    assert seed_in(seed_out(None)) is None


@pytest.mark.parametrize("answer", [{}, {"format": 1}, {"format": 99}, {"format": 1, "vertebrae": [{}]}])
def test_a_damaged_answer_is_refused_with_a_sentence(answer):
    with pytest.raises(ValueError, match="segment the volume again"):
        spine_of(answer)
