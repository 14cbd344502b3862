"""A spine as JSON: nothing is lost, and damage is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
import worker_road
from block_spine import BlockSpine

from SpinalTapLib.files.spine_codec import answer_of, seed_in, seed_out, spine_of
from SpinalTapLib.spine.vertebra import SeedBox


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
