"""review.json: judgements are added whole, read back, and never lost."""

from __future__ import annotations

import json

import pytest

from SpinalTapLib.files.review_file import REVIEW_NAME, Judgement, add_judgement, fingerprint, read_review

GOOD = Judgement("accepted", "", "Dr Reader", "2026-01-02T03:04:05+00:00", "abc")


def test_judgements_are_read_back_in_their_order(tmp_path):
    assert read_review(tmp_path) == ()
    second = Judgement("rejected", "L5 über S1", "B", "2026-01-03T03:04:05+00:00", "abc")
    add_judgement(tmp_path, GOOD)
    assert add_judgement(tmp_path, second) == (GOOD, second) == read_review(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "judgements": [{}]}', '{"format": 2}']
)
def test_a_file_that_cannot_be_read_is_refused_and_kept(tmp_path, text):
    (tmp_path / REVIEW_NAME).write_text(text)
    with pytest.raises(ValueError, match="judge again"):
        add_judgement(tmp_path, GOOD)
    assert (tmp_path / REVIEW_NAME).read_text() == text


@pytest.mark.parametrize("change", [{"verdict": "perhaps"}, {"note": "x" * 4001}])
def test_a_judgement_has_a_known_verdict_and_a_note_of_reasonable_length(change):
    with pytest.raises(ValueError, match=r"got 'perhaps'|has 4001"):
        Judgement(**{**json.loads(json.dumps(GOOD.__dict__)), **change})


def test_the_fingerprint_follows_names_and_places_but_not_the_seconds():
    vertebra = {"level": "L5", "label_value": 24, "centroid_lps_mm": [1, 2, 3]}
    content = {"vertebrae": [vertebra], "seed": None, "seconds": {"read": 1}}
    assert fingerprint(content) == fingerprint({**content, "seconds": {}})
    for other in ({"level": "L4"}, {"centroid_lps_mm": [1, 2, 4]}):
        assert fingerprint(content) != fingerprint({**content, "vertebrae": [{**vertebra, **other}]})
