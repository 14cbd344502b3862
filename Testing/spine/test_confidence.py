"""Confidence: the map from scores to probabilities, where its numbers come from, and the three words."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spines_by_hand import column, spine_of

from SpinalTapLib import pipeline
from SpinalTapLib.detection.weights import load_network
from SpinalTapLib.files.evidence_file import evidence_bytes, read_evidence, read_scores
from SpinalTapLib.pipeline import calibrated, segment_spine
from SpinalTapLib.report.style import confidence_colour
from SpinalTapLib.spine.confidence import HIGHEST, WORDS, Calibration, calibration_of, word, word_of
from SpinalTapLib.spine.summary import other_count_words, rows_of, source_sentence, warnings_of
from SpinalTapLib.spine.vertebra import Alternative

WORDS_OF = {
    1: "sure", 0.9: "sure", 0.8951: "sure", 0.8949: "likely", 0.6: "likely", 0.596: "likely", 0.59: "check", 0: "check",
}  # fmt: skip


@pytest.mark.parametrize(("confidence", "expected"), WORDS_OF.items())
def test_a_confidence_has_one_of_three_words(confidence, expected):
    assert word(confidence) == expected


def test_panel_and_report_use_the_same_words(block_spine):
    spine, _ = block_spine()
    found = segment_spine(spine.volume())
    for confidence in (0.95, 0.7, 0.2):
        one = replace(found, vertebrae=tuple(replace(v, confidence=confidence) for v in found.vertebrae))
        assert {row.confidence_words for row in rows_of(one)} == {word(confidence)}
        assert any("Check" in text for text in warnings_of(one)) == (word(confidence) == "check")
    assert len({confidence_colour(words) for words in WORDS}) == 3


def doubtful_spine(level_probability=0.95, other=0.0, anchor="S1", confidence=0.97):
    vertebrae = tuple(
        replace(v, confidence=confidence, level_probability=level_probability) for v in column(("S1", "L5", "L4"))
    )
    return spine_of(vertebrae, anchor=anchor, alternatives=(Alternative(0, "L5", other),) if other else ())


@pytest.mark.parametrize(
    ("level_probability", "other", "expected"),
    [(0.95, 0, "sure"), (None, 0, "sure"), (0.9, 0.1, "sure"), (0.899, 0, "likely"), (0.95, 0.11, "likely")],
)
def test_sure_needs_a_probable_level_and_no_other_probable_count(level_probability, other, expected):
    spine = doubtful_spine(level_probability, other)
    assert {word_of(v, spine) for v in spine.vertebrae} == {expected}
    assert {row.confidence_words for row in rows_of(spine)} == {expected}


@given(
    confidence=st.floats(0, 1), level_probability=st.floats(0, 1), other=st.floats(0, 1),
    anchor=st.sampled_from(("S1", "C2", "estimated", "none")),
)  # fmt: skip
def test_a_doubt_never_raises_a_word(confidence, level_probability, other, anchor):
    spine = doubtful_spine(level_probability, other, anchor, confidence)
    given_word = word_of(spine.vertebrae[0], spine)
    assert WORDS.index(given_word) >= WORDS.index(word(confidence))
    assert given_word != "sure" or (level_probability >= 0.9 and other <= 0.1)


def test_a_level_that_is_not_sure_says_how_probable_it_is():
    doubt = rows_of(doubtful_spine(0.714))[0].doubt
    assert doubt == "The probability that this is L4 is 71 %."
    assert not rows_of(doubtful_spine(0.95))[0].doubt and not rows_of(doubtful_spine(None))[0].doubt


def test_another_probable_count_is_offered_in_words():
    spine = doubtful_spine(0.71, 0.29)
    assert source_sentence(spine) == "S1 or L5? 71 : 29"
    assert other_count_words(spine) == "Take the other count: S1 is L5 (29 %)"
    assert not other_count_words(doubtful_spine(0.9, 0.1))
    assert not other_count_words(doubtful_spine(0.71, 0.29, anchor="pinned"))
    nameless = replace(spine.vertebrae[0], level=None, label_value=101)
    unknown = replace(spine, vertebrae=(nameless,), anchor="none")
    assert other_count_words(unknown) == "Take this count: Vertebra 1 is L5 (29 %)"


@given(offset=st.floats(-1e3, 1e3), slope=st.floats(1e-3, 1e3), one=st.floats(0, 1), other=st.floats(0, 1))
def test_a_better_score_is_never_a_worse_probability(offset, slope, one, other):
    curve = Calibration(offset, slope)
    low, high = sorted((one, other))
    assert 0 <= curve(low) <= curve(high) <= 1


@pytest.mark.parametrize("numbers", [(0, 0), (0, -1), (float("nan"), 1), (0, float("inf"))])
def test_a_curve_that_does_not_rise_is_refused(numbers):
    with pytest.raises(ValueError, match="slope above zero"):
        Calibration(*numbers)


def test_a_card_without_a_calibration_leaves_the_scores_as_they_are():
    candidates = (Scored(0.3), Scored(0.8))
    assert calibration_of({"name": "parts"}) is None
    assert calibrated(candidates, None) == candidates


@pytest.mark.parametrize("entry", [{}, {"offset": 1}, {"offset": "x", "slope": 1}, 3, {"offset": 0, "slope": 0}])
def test_a_card_with_nonsense_is_refused(entry):
    with pytest.raises(ValueError, match="card of parts"):
        calibration_of({"name": "parts", "calibration": entry})


def test_the_card_s_numbers_reach_every_vertebra_and_the_detector_s_own_score_is_kept(
    block_spine, tiny_weights, monkeypatch, tmp_path
):
    spine, _ = block_spine()
    network, card = load_network(tiny_weights)
    plain = segment_spine(spine.volume())
    curve = {"offset": -1.5, "slope": 5.0, "fitted_on": "nothing"}
    monkeypatch.setattr(pipeline, "_part_network", lambda *_: (network, {**card, "calibration": curve}))
    found = segment_spine(spine.volume())
    for before, after in zip(plain.vertebrae, found.vertebrae, strict=True):
        score = before.confidence / before.level_probability
        assert after.confidence == pytest.approx(Calibration(-1.5, 5.0)(score) * after.level_probability)
    (tmp_path / "evidence.npz").write_bytes(evidence_bytes(found.evidence))
    again = read_evidence(tmp_path / "evidence.npz", found.evidence.volume)
    assert [c.score for c in again.candidates] == [c.score for c in found.evidence.candidates]
    centroids, scores = read_scores(tmp_path / "evidence.npz")
    assert np.allclose(centroids, [c.centroid_lps_mm for c in found.evidence.candidates])
    # A vertebra's centroid is that of its smoothed body, close to its candidate's; the order is the same.
    assert np.allclose(centroids, [v.centroid_lps_mm for v in plain.vertebrae], atol=0.5)
    assert np.allclose(scores, [v.confidence / v.level_probability for v in plain.vertebrae])


def test_every_card_that_ships_has_a_usable_calibration_or_none():
    from SpinalTapLib.resources import resource_path

    for name in ("parts", "ladder"):
        card = json.loads(resource_path("Models", f"{name}.json").read_text())
        curve = calibration_of(card)
        assert curve is None or curve(0.0) < 0.5 < curve(1.0)


@dataclass(frozen=True)
class Scored:
    score: float
    raw_score: float | None = None


def test_a_calibration_never_promises_certainty():
    assert Calibration(offset=-2.0, slope=30.0)(1.0) == HIGHEST < 1
