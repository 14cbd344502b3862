"""The SPIDER slices: what counts as found, as false, and as neither, on spines drawn by hand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from spider_slices import DEPTH, PITCH, bodies, spine, vertebra_labels, write_folder

from SpinalTapLib.training.evaluation.spider_evaluation import (
    detector_finder,
    evaluate_spider,
    in_picture,
    mask_in_picture,
)
from SpinalTapLib.training.evaluation.spider_masks import (
    MaskedSlice,
    body_parts,
    load_masked_slices,
    pitch_px,
    score_masked,
)
from SpinalTapLib.training.evaluation.spider_s1 import judge_s1, s1_words
from SpinalTapLib.training.evaluation.spider_slices import (
    Found,
    SliceScore,
    SpiderSlice,
    load_slices,
    name_parts,
    rescaled,
    score_slice,
)


def beyond(item: SpiderSlice, steps: float) -> np.ndarray:
    """A point so many pitches below the last box's centre (above the first one's, if negative)."""
    step = item.centres[1] - item.centres[0]
    return item.centres[-1] + steps * step if steps > 0 else item.centres[0] + steps * step


def counted(item, points):
    score = score_slice(item, points)
    assert score.once + score.double + score.missed == score.bodies == len(item.boxes) - 1
    return score.once, score.double, score.missed, score.false, score.neutral


def test_one_detection_in_each_body_is_right():
    assert counted(spine(), bodies(spine())) == (5, 0, 0, 0, 0)


def test_nothing_found_is_all_missed():
    assert counted(spine(), np.empty((0, 2))) == (0, 0, 5, 0, 0)


def test_two_in_one_body_are_a_double_and_no_false_detection():
    points = np.vstack([bodies(spine()), bodies(spine())[2] + (0, 6)])
    assert counted(spine(), points) == (4, 1, 0, 0, 0)


def test_a_detection_in_a_disc_is_false():
    points = np.vstack([bodies(spine())[1:], spine().centres[2]])
    assert counted(spine(), points) == (4, 0, 1, 1, 0)


@pytest.mark.parametrize(("sideways", "inside"), [(0.9, True), (-0.9, True), (1.1, False), (-1.1, False), (2.0, False)])
def test_a_detection_beside_the_spine_is_false(sideways, inside):
    item = spine(lean=0.0)
    points = bodies(item)
    points[2] += (0, sideways * DEPTH / 2)
    assert counted(item, points) == ((5, 0, 0, 0, 0) if inside else (4, 0, 1, 1, 0))


def test_vertebrae_above_the_top_box_are_neither_right_nor_wrong():
    item = spine()
    above = [beyond(item, -s) for s in (0.5, 1.45, 2.4, 3.3)]
    assert counted(item, np.vstack([bodies(item), above])) == (5, 0, 0, 0, 4)


def test_what_lies_above_but_beside_the_spine_s_way_is_false():
    item = spine()
    points = np.vstack([bodies(item), beyond(item, -0.5) + np.array([0, 2.5 * PITCH])])
    assert counted(item, points) == (5, 0, 0, 1, 0)


def test_s1_is_neither_right_nor_wrong_and_s2_is_false():
    item = spine()
    points = np.vstack([bodies(item), beyond(item, 0.55), beyond(item, 1.3)])
    assert counted(item, points) == (5, 0, 0, 1, 1)


def test_where_a_disc_has_no_box_one_more_is_neither_right_nor_wrong():
    item = spine(unboxed=1)
    points = np.vstack([bodies(item), beyond(item, 0.5), beyond(item, 1.45), beyond(item, 2.2)])
    assert counted(item, points) == (5, 0, 0, 1, 2)


def test_a_second_detection_on_s1_is_false():
    item = spine(unboxed=3)
    points = np.vstack([bodies(item), beyond(item, 0.55), beyond(item, 0.7)])
    assert counted(item, points) == (5, 0, 0, 1, 1)


def test_a_bladder_far_below_is_false_even_where_boxes_lack():
    item = spine(unboxed=2)
    assert counted(item, np.vstack([bodies(item), beyond(item, 2.5)])) == (5, 0, 0, 1, 0)


def test_counts_do_not_depend_on_the_order_of_detections():
    item = spine(unboxed=1)
    points = np.vstack([bodies(item), beyond(item, 0.5), beyond(item, 1.45), beyond(item, -0.5), beyond(item, -1.5)])
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert counted(item, rng.permutation(points)) == (5, 0, 0, 0, 4)


def test_counts_do_not_depend_on_the_picture_s_resolution():
    item = spine(unboxed=1)
    finer = replace(item, boxes=item.boxes * 2.5)
    points = np.vstack([bodies(item), beyond(item, 0.5), beyond(item, 2.9), item.centres[1], bodies(item)[0] + (3, 3)])
    assert counted(finer, points * 2.5) == counted(item, points)


def test_the_pitch_is_that_of_most_discs():
    item = spine(lean=0.0)
    item.boxes[-1] += 40
    assert item.pitch_px == pytest.approx(PITCH)


@pytest.mark.parametrize("scale", [0.4, 0.7, 1.0, 1.9])
def test_a_rescaled_slice_leads_back_to_its_picture(scale):
    rows, columns = np.mgrid[:120, :90]
    blob = np.exp(-((rows - 70.0) ** 2 + (columns - 31.0) ** 2) / (2 * (4 / scale) ** 2)).astype(np.float32)
    image, back = rescaled(blob, scale)
    assert image.shape == pytest.approx((120 * scale, 90 * scale), abs=1.5)
    peak = np.unravel_index(image.argmax(), image.shape)
    assert in_picture(np.array(peak), back)[0] == pytest.approx((70, 31), abs=1.0 / scale)
    mask = np.zeros(image.shape, bool)
    mask[image.shape[0] // 4 : 3 * image.shape[0] // 4, image.shape[1] // 4 : 3 * image.shape[1] // 4] = True
    there = mask_in_picture(mask, back, blob.shape)
    assert there.sum() * scale**2 == pytest.approx(mask.sum(), rel=0.08)


def test_names_tell_patient_and_sequence():
    assert name_parts("104_t2_SPACE") == ("104", "T2 SPACE")
    assert name_parts("7_t1") == ("7", "T1")


# S1


@pytest.mark.parametrize(
    ("steps", "answer"),
    [(0.55, "right"), (0.2, "right"), (-5.6, "further off"), (-0.1, "one level off"), (1.3, "one level off"),
     (2.1, "further off")],
)  # fmt: skip
def test_s1_is_right_where_it_lies_right_below_the_lowest_box(steps, answer):
    item = spine(lean=0.0)
    claimed = item.centres[-1] + steps * (item.centres[1] - item.centres[0])
    assert judge_s1(item, claimed) == answer
    assert judge_s1(replace(item, boxes=item.boxes * 2.5), claimed * 2.5) == answer
    assert judge_s1(replace(item, unboxed=1), claimed) is None


def test_where_nothing_is_called_s1_none_is_claimed():
    assert judge_s1(spine(), None) == "not claimed"
    assert judge_s1(spine(unboxed=1), None) is None


def test_the_sentence_about_s1_counts_the_slices_that_can_tell():
    answers = ("right", "right", "not claimed", "one level off", None)
    scores = [SliceScore("a", "a", "T1", s1=answer) for answer in answers]
    assert s1_words(scores) == (
        "S1: right in 2, one level off in 1, not claimed in 1 of 4 slices all of whose discs have boxes."
    )
    assert "further off in 1, not" in s1_words([*scores, SliceScore("a", "a", "T1", s1="further off")])
    assert s1_words([SliceScore("a", "a", "T1")]) == ""


# Masks


@pytest.mark.parametrize("posterior", [False, True])
def test_bodies_are_cut_out_of_whole_vertebrae(posterior):
    labels, truth = vertebra_labels(posterior)
    found = body_parts(labels)
    for value in range(1, 6):
        one, other = found == value, truth == value
        assert (one & other).sum() / other.sum() > 0.99
        assert (one & ~other).sum() / other.sum() < 0.06  # up to two columns of the pedicle


def test_a_slice_with_posterior_parts_only_does_not_count():
    labels, truth = vertebra_labels()
    labels[:, :80] = 0
    assert truth.any() and body_parts(labels) is None
    assert body_parts(np.zeros_like(labels)) is None


def test_a_body_that_keeps_a_thick_pedicle_is_left_out():
    labels, _ = vertebra_labels(False)
    labels[200:226, 74:110] = 1
    assert set(np.unique(body_parts(labels))) == {0, 2, 3, 4, 5}


def test_only_what_is_predicted_near_a_body_counts():
    _, truth = vertebra_labels()
    item = MaskedSlice("a", "a", "masks", np.zeros(truth.shape, np.float32), truth, 36 / pitch_px(truth))
    assert item.mm_per_px == pytest.approx(36 / np.hypot(38, 1))
    assert score_masked(item, truth > 0).dice == (1.0,) * 5
    more = truth > 0
    more[:10] = True  # a vertebra at the upper edge that nobody labelled
    more[240:] = True  # the sacrum
    assert score_masked(item, more).dice == (1.0,) * 5
    less = (truth > 0) & (truth != 3)
    assert sorted(score_masked(item, less).dice) == [0, 1, 1, 1, 1]
    wider = np.roll(truth > 0, 4, axis=1)
    assert score_masked(item, wider).dice == pytest.approx([1 - 4 / 34] * 5, abs=0.01)


# The folder


@pytest.fixture
def folder(tmp_path):
    """Two slices with boxes and one with masks."""
    return write_folder(tmp_path)


def bright_spots(image: np.ndarray) -> Found:
    """A detector for pictures in which bodies are bright."""
    from scipy import ndimage

    mask = image > 75
    pieces, count = ndimage.label(mask)
    return Found(np.reshape(ndimage.center_of_mass(mask, pieces, range(1, count + 1)), (-1, 2)), mask)


def test_slices_are_read_with_their_boxes_from_top_to_bottom(folder):
    first, second = load_slices(folder)
    assert (first.name, first.patient, first.sequence, first.unboxed) == ("3_t1", "3", "T1", 1)
    assert (second.sequence, second.unboxed) == ("T2 SPACE", 0)
    assert first.boxes == pytest.approx(spine().boxes)


def test_a_picture_that_is_stored_upside_down_is_turned(folder, monkeypatch):
    before = load_slices(folder)
    monkeypatch.setattr("SpinalTapLib.training.evaluation.spider_slices.UPSIDE_DOWN", ("3_t1",))
    after = load_slices(folder)
    assert np.array_equal(after[0].image, before[0].image[::-1])
    assert np.array_equal(after[0].boxes, before[0].boxes)
    assert np.array_equal(after[1].image, before[1].image)


def test_a_whole_folder_is_scored_and_told(folder):
    seen = []
    found = evaluate_spider(folder, bright_spots, lambda fraction, name: seen.append((fraction, name)))
    assert found.groups == ("all", "T1", "T2 SPACE")
    assert found.rate("once").value == 1 and found.rate("false").value == 0
    assert found.dice().value > 0.4  # the spots are whole vertebrae, the truth is bodies
    assert [name for _, name in seen] == ["3_t1", "4_t2_SPACE", "5_slice2"]
    table = found.markdown()
    assert "36 mm" in table and "| T2 SPACE " in table
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert content["groups"]["T1"]["once"] == {"value": 1.0, "low": None, "high": None, "count": 5.0}


def test_the_vertebra_called_s1_is_judged_where_all_discs_have_boxes(folder):
    def find(image: np.ndarray) -> Found:
        found = bright_spots(image)
        step = found.centroids[-1] - found.centroids[-2]
        return replace(found, s1=found.centroids[-1] + step)

    found = evaluate_spider(folder, find)
    assert [score.s1 for score in found.scores] == [None, "right"]  # of the first a disc has no box
    assert "S1: right in 1, one level off in 0, not claimed in 0 of 1 slices" in found.markdown()
    assert found.as_json()["s1"]["right"] == 1
    assert [score.s1 for score in evaluate_spider(folder, bright_spots).scores] == [None, "not claimed"]


def test_the_finder_calls_the_vertebra_s1_that_looks_most_like_it(monkeypatch):
    import SpinalTapLib.detection.linking as linking
    from SpinalTapLib.scans.volume import SagittalVolume
    from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

    def candidate(row: float, sure: float) -> SimpleNamespace:
        evidence = np.zeros(N_STRUCTURES)
        evidence[Structure.S1] = sure
        return SimpleNamespace(centroid_lps_mm=np.array([0.0, 30.0, -row]), evidence=evidence)

    class Detector:
        def detect(self, working: SagittalVolume) -> SimpleNamespace:
            return SimpleNamespace(working=working, probabilities=np.zeros((1, N_STRUCTURES, 90, 60)))

    def s1(*candidates: SimpleNamespace):
        monkeypatch.setattr(linking, "link", lambda _: candidates)
        return detector_finder(Detector())(np.zeros((90, 60), np.float32)).s1

    assert s1(candidate(20, 0.6), candidate(50, 0.9), candidate(80, 0.1)) == pytest.approx((50, 30))
    assert s1(candidate(20, 0.3), candidate(50, 0.49)) is None
    assert s1() is None


def test_without_masks_only_boxes_are_scored(folder):
    for path in (folder / "masks").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="no masks"):
        load_masked_slices(folder)
    (folder / "masks").rmdir()
    assert "Dice" not in evaluate_spider(folder, bright_spots).markdown()


def test_a_folder_that_lacks_something_is_refused(folder):
    (folder / "images" / "3_t1.png").unlink()
    with pytest.raises(ValueError, match=r"3_t1\.png is missing or damaged"):
        load_slices(folder)
    (folder / "disc_boxes.csv").write_text("image\na\n")
    with pytest.raises(ValueError, match="needs a heading with the columns"):
        load_slices(folder)
    with pytest.raises(ValueError, match="cannot be read"):
        load_slices(folder / "none")


@pytest.mark.skipif("SPINALTAP_DATA" not in os.environ, reason="needs the SPIDER slices (SPINALTAP_DATA)")
def test_the_real_slices_are_as_many_as_they_should_be():
    folder = Path(os.environ["SPINALTAP_DATA"]) / "spider"
    slices = load_slices(folder)
    assert len(slices) == 113 and sum(not item.unboxed for item in slices) == 103
    assert sum(len(item.boxes) - 1 for item in slices) == 647
    scales = np.array([36 / item.pitch_px for item in slices])
    assert ((scales > 0.2) & (scales < 1.3)).all()
    masked = load_masked_slices(folder)
    assert 8 <= len(masked) <= 12
    for item in slices[::20]:
        assert score_slice(item, bodies(item)).once == len(item.boxes) - 1
