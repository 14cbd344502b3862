"""A spine as JSON: what it says comes back, also from results that an earlier version stored."""

import json

import numpy as np

from SpinalTapLib.files.spine_codec import answer_of, spine_of
from SpinalTapLib.spine.notes import Note
from SpinalTapLib.spine.vertebra import Spine, Vertebra

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
