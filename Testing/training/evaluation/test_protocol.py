"""The evaluation protocol on boxes: what is counted, and what is neither right nor wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from spines_by_hand import box_corners, column, painted, spine_of, vertebra

from SpinalTapLib.files.spine_json import spine_json
from SpinalTapLib.scans.volume import volume_from_array
from SpinalTapLib.spine import levels
from SpinalTapLib.training.evaluation.bootstrap import ratio
from SpinalTapLib.training.evaluation.cases import Case, find_cases, group_of, subject_of
from SpinalTapLib.training.evaluation.matching import LabelledBody, bodies_in, match, positions
from SpinalTapLib.training.evaluation.overlap import dice, surface_distance_mm
from SpinalTapLib.training.evaluation.protocol import METRICS, evaluate_folders
from SpinalTapLib.training.evaluation.reference import Truth
from SpinalTapLib.training.evaluation.scoring import score

NAMES = ("S1", "L5", "L4", "L3", "L2")


def value(name: str) -> int:
    return levels.level(name).value


def case(name: str = "a_t2") -> Case:
    return Case(name, subject_of(name), group_of(name), None, None)


@pytest.fixture(scope="module")
def truth():
    volume, labels = painted(column(NAMES), (4.0, 1.0, 1.0))
    return Truth(labels.astype(np.int32), volume.matrix, bodies_in(labels, volume.matrix))


def scored(truth, labels, predicted=None, name="a_t2"):
    bodies = bodies_in(labels, truth.matrix) if predicted is None else predicted
    return score(truth, labels, bodies, case(name))


def shifted(labels, rows=0, columns=0):
    return np.roll(labels, (rows, columns), (1, 2))


def relabelled(labels, names):
    """The levels of `NAMES` become those in `names` (a name, a number, or None for nothing)."""
    out = np.zeros_like(labels)
    for old, new in zip(NAMES, names):
        if new is not None:
            out[labels == value(old)] = new if isinstance(new, int) else value(new)
    return out


# Overlap


def test_a_mask_overlaps_itself_wholly_and_lies_on_itself():
    mask = np.zeros((5, 20, 20), bool)
    mask[1:4, 5:15, 5:15] = True
    assert dice(mask, mask) == 1
    assert surface_distance_mm(mask, mask, np.ones(3)) == 0
    assert np.isnan(dice(mask & False, mask & False))
    assert np.isnan(surface_distance_mm(mask, mask & False, np.ones(3)))


def test_a_bar_moved_by_three_pixels_is_three_pixels_away():
    one, other = np.zeros((2, 40), bool)
    one[10], other[13] = True, True
    assert surface_distance_mm(one, other, np.array([0.5])) == pytest.approx(1.5)
    assert dice(one, other) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), spacing=st.tuples(st.floats(0.5, 4), st.floats(0.3, 2)))
def test_surface_distance_agrees_with_all_pairs_of_surface_pixels(seed, spacing):
    rng = np.random.default_rng(seed)
    masks = [rng.random((9, 8)) < p for p in (0.3, 0.6)]
    surfaces = []
    for mask in masks:
        padded = np.pad(mask, 1)
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        surfaces.append(np.argwhere(mask & ~inner) * spacing)
    away = np.linalg.norm(surfaces[0][:, None] - surfaces[1][None], axis=-1)
    naive = (away.min(0).sum() + away.min(1).sum()) / sum(away.shape)
    assert surface_distance_mm(*masks, np.array(spacing)) == pytest.approx(naive)
    assert surface_distance_mm(*masks[::-1], np.array(spacing)) == pytest.approx(naive)
    common = sum(a and b for a, b in zip(masks[0].ravel(), masks[1].ravel()))
    assert dice(*masks) == pytest.approx(2 * common / (masks[0].sum() + masks[1].sum()))


# Matching and scoring


def test_the_truth_itself_is_right_in_every_way(truth):
    found = scored(truth, truth.labels)
    assert (found.reference, found.predicted, found.matched, found.identified) == (5, 5, 5, 5)
    assert (found.from_s1, found.shifted, found.all_right) == (5, 5, True)
    assert found.centroid_mm == pytest.approx([0] * 5)
    assert found.dice_3d == found.dice_2d == (1.0,) * 5
    assert found.distance_3d_mm == found.distance_2d_mm == (0.0,) * 5


def test_a_shift_of_three_pixels_is_three_millimetres_and_costs_overlap(truth):
    found = scored(truth, shifted(truth.labels, rows=3))
    assert found.identified == 5
    assert found.centroid_mm == pytest.approx([3] * 5)
    height = 26  # the boxes' height in pixels, give or take one for where the pixels fall
    assert found.dice_2d == pytest.approx([1 - 3 / height] * 5, abs=0.01)


def test_a_missed_vertebra_costs_recall_and_has_no_overlap(truth):
    found = scored(truth, relabelled(truth.labels, ("S1", "L5", None, "L3", "L2")))
    assert (found.reference, found.predicted, found.matched) == (5, 4, 4)
    assert sorted(found.dice_3d) == [0, 1, 1, 1, 1]
    assert len(found.distance_3d_mm) == 4
    assert not found.all_right


def test_a_vertebra_where_none_is_costs_precision(truth):
    labels = truth.labels.copy()
    labels[:, 40:50, 2:9] = value("L1")
    found = scored(truth, labels)
    assert (found.predicted, found.matched, found.all_right) == (6, 5, False)


def test_of_two_in_one_body_the_nearer_counts_and_the_other_is_false(truth):
    own = truth.bodies[0]
    near = LabelledBody(own.value, own.centroid_lps_mm + np.array([0, 2, 0]))
    far = LabelledBody(value("T1"), own.centroid_lps_mm + np.array([0, 0, 9]))
    for predicted in ((near, far), (far, near)):
        found = scored(truth, truth.labels, predicted)
        assert (found.predicted, found.matched, found.identified) == (2, 1, 1)


def test_levels_one_too_high_are_wrong_but_right_after_one_shift(truth):
    found = scored(truth, relabelled(truth.labels, ("L5", "L4", "L3", "L2", "L1")))
    assert (found.matched, found.identified, found.from_s1, found.shifted) == (5, 0, 0, 5)


def test_numbers_from_the_bottom_up_are_no_levels_but_in_the_right_order(truth):
    found = scored(truth, relabelled(truth.labels, (101, 102, 103, 104, 105)))
    assert (found.identified, found.from_s1, found.shifted) == (0, 0, 5)


def test_a_spine_with_l6_is_right_from_s1_where_the_names_are_not():
    names = ("S1", "L6", "L5", "L4", "L3")
    volume, labels = painted(column(names), (4.0, 1.0, 1.0))
    truth = Truth(labels.astype(np.int32), volume.matrix, bodies_in(labels, volume.matrix))
    out = np.zeros_like(labels)
    for old, new in zip(names, NAMES):
        out[labels == value(old)] = value(new)
    found = scored(truth, out)
    assert (found.identified, found.from_s1, found.shifted) == (1, 5, 5)


def test_steps_above_s1_skip_nothing_and_count_the_extra_ones():
    usual = positions([value(name) for name in levels.COMMON])
    assert usual == list(range(24))
    more = [level.value for level in levels.LEVELS if level.name != "C1"]
    assert positions(more) == list(range(26))
    assert positions([101, 105, levels.CANAL_VALUE, 223, value("C1")]) == [0, 4, None, None, None]


def test_a_body_cut_by_the_edge_is_neither_right_nor_wrong(truth):
    part = truth.labels[:, 40:]  # through L2
    cut = Truth(part, truth.matrix, bodies_in(part, truth.matrix))
    assert [body.cut for body in cut.bodies] == [body.value == value("L2") for body in cut.bodies]
    for labels in (part, np.where(part == value("L2"), 0, part)):
        found = scored(cut, labels)
        assert (found.reference, found.predicted, found.matched) == (4, 4, 4)


def test_discs_and_the_canal_are_no_vertebrae(truth):
    labels = truth.labels.copy()
    labels[:, 40:50, 2:9] = levels.CANAL_VALUE
    labels[:, 50:60, 2:9] = levels.disc_value(value("L4"))
    assert scored(truth, labels).predicted == 5


def test_a_centroid_outside_of_the_image_matches_nothing(truth):
    far = LabelledBody(value("L4"), np.array([0.0, 0, 5000]))
    assert match([far], truth.bodies, truth.labels, truth.matrix) == {}


# Folders


@pytest.fixture
def folders(tmp_path):
    """Two subjects, three scans, one of them not predicted, one predicted on another grid."""
    (tmp_path / "truth").mkdir()
    (tmp_path / "found").mkdir()
    vertebrae = column(NAMES)
    volume, labels = painted(vertebrae, (4.0, 1.0, 1.0))
    volume = volume_from_array(volume.array, volume.matrix)
    image = volume.to_source(labels.astype(np.uint8))
    for name in ("p1_t1", "p1_t2", "p2_t2"):
        sitk.WriteImage(image, str(tmp_path / "truth" / f"{name}.nii.gz"))
    sitk.WriteImage(image, str(tmp_path / "found" / "p1_t1.nii.gz"))
    fine = sitk.Resample(image, [n * 2 for n in image.GetSize()], sitk.Transform(), sitk.sitkNearestNeighbor,
                         image.GetOrigin(), [s / 2 for s in image.GetSpacing()], image.GetDirection())  # fmt: skip
    result = tmp_path / "found" / "p1_t2"
    result.mkdir()
    sitk.WriteImage(fine, str(result / "vertebrae.nii.gz"))
    moved = tuple(replace(v, centroid_lps_mm=v.centroid_lps_mm + np.array([0, 0, 2.0])) for v in vertebrae)
    (result / "spine.json").write_text(spine_json(spine_of(moved, labels), volume))
    return tmp_path / "truth", tmp_path / "found"


def test_folders_are_paired_scored_and_grouped(folders):
    found = evaluate_folders(*folders)
    assert [score.name for score in found.scores] == ["p1_t1", "p1_t2", "p2_t2"]
    assert [score.missing for score in found.scores] == [False, False, True]
    assert found.groups == ("all", "T1", "T2")
    values = {metric.name: found.estimate(metric) for metric in METRICS}
    assert values["recall"].value == pytest.approx(10 / 15)
    assert values["precision"].value == 1
    assert values["dice_3d"].value == pytest.approx(10 / 15, abs=0.02)
    assert values["centroid_mm"].value == pytest.approx(1.0, abs=0.05)  # spine.json says where the centroids are
    assert values["recall"].low == 0 and values["recall"].high == 1
    by_group = found.estimate(METRICS[0], "T1")
    assert by_group.value == 1 and np.isnan(by_group.low)


def test_regions_are_groups_of_their_own_and_add_up_to_the_whole(folders):
    whole, parts = (evaluate_folders(*folders, by_region=by_region) for by_region in (False, True))
    assert parts.groups == ("all", "lumbar", "sacral")
    for count in ("reference", "predicted", "matched", "identified"):
        assert sum(getattr(s, count) for s in parts.scores) == sum(getattr(s, count) for s in whole.scores)
    for metric in METRICS[:3]:
        assert parts.estimate(metric).value == pytest.approx(whole.estimate(metric).value)
    assert parts.estimate(METRICS[0], "sacral").value == pytest.approx(2 / 3)
    assert "| 3 (2) " in parts.markdown() and parts.markdown().count("p2_t2") == 1


def test_a_false_vertebra_counts_in_the_region_of_its_name_and_a_wrong_name_in_that_of_its_place(truth):
    lumbar = {value(name) for name in NAMES[1:]}
    far = LabelledBody(value("L3"), np.array([500.0, 0.0, 0.0]))
    found = list(bodies_in(truth.labels, truth.matrix))
    right = score(truth, truth.labels, found, case(), lumbar)
    assert right.predicted == right.matched == right.reference == len(found) - 1
    assert score(truth, truth.labels, [*found, far], case(), lumbar).predicted == right.predicted + 1
    high = replace(far, value=value("T3"))
    assert score(truth, truth.labels, [*found, high], case(), lumbar).predicted == right.predicted
    named = [replace(body, value=value("T3")) if body.value == value("L4") else body for body in found]
    wrong = score(truth, truth.labels, named, case(), lumbar)
    assert (wrong.matched, wrong.identified) == (right.matched, right.identified - 1)


def test_the_table_and_the_json_say_the_same(folders):
    found = evaluate_folders(*folders)
    table = found.markdown()
    assert "| Recall " in table and "0.667 (0.000–1.000)" in table
    assert "counted as nothing found: p2_t2" in table
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert content["groups"]["all"]["recall"]["value"] == pytest.approx(0.66667)
    assert content["groups"]["all"]["corner_mm"]["value"] is None
    assert content["scans"][0]["matched"] == 5


def test_other_label_values_are_converted(folders, tmp_path):
    for path in folders[0].iterdir():
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        spider = sum((array == value(name)) * number for number, name in enumerate(("L5", "L4", "L3", "L2"), 1))
        other = sitk.GetImageFromArray(spider.astype(np.uint8))
        other.CopyInformation(image)
        sitk.WriteImage(other, str(path))
    (tmp_path / "c.csv").write_text("from,to\n1,24\n2,23\n3,22\n4,21\n")
    found = evaluate_folders(*folders, conversion=tmp_path / "c.csv")
    assert [score.identified for score in found.scores] == [4, 4, 0]
    with pytest.raises(ValueError, match="columns from and to"):
        (tmp_path / "c.csv").write_text("a,b\n1,24\n")
        evaluate_folders(*folders, conversion=tmp_path / "c.csv")


def test_corners_are_compared_where_the_truth_has_them(tmp_path):
    body = vertebra("L4", box_corners((0, 0, 0)))
    points = {"centroid_lps_mm": np.zeros(3), "corners_lps_mm": body.corners_lps_mm}
    known = LabelledBody(body.label_value, points["centroid_lps_mm"], points["corners_lps_mm"])
    found = LabelledBody(body.label_value, np.zeros(3), body.corners_lps_mm + np.array([0, 3, 4]))
    volume, labels = painted((body,), (4.0, 1.0, 1.0))
    truth = Truth(labels.astype(np.int32), volume.matrix, (known,))
    assert score(truth, labels, (found,), case()).corner_mm == pytest.approx([5, 5, 5, 5])


@pytest.mark.parametrize(
    ("name", "group", "subject"),
    [
        ("104_t2", "T2", "104"),
        ("104_t2_SPACE", "T2 SPACE", "104"),
        ("sub-01_T1w", "T1", "sub-01"),
        ("sub-01_acq-sag_T2w_run-1", "T2", "sub-01_acq-sag_run-1"),
        ("patient STIR", "STIR", "patient"),
        ("phantom-3-lumbar-t1", "T1", "phantom-3-lumbar"),
        ("stirling", "other", "stirling"),
        ("t2", "T2", "t2"),
    ],
)
def test_names_tell_the_sequence_and_the_subject(name, group, subject):
    assert (group_of(name), subject_of(name)) == (group, subject)


def touch(folder, *names):
    folder.mkdir()
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_where_some_files_are_marked_as_labels_the_others_are_their_scans(tmp_path):
    truth = touch(tmp_path / "a", "x_t1.nii.gz", "x_t1_labels.nii.gz", "x_t1_truth.json")
    found = touch(tmp_path / "b", "x_t1/vertebrae.nii.gz", "x_t1/spine.json")
    (one,) = find_cases(truth, found)
    assert (one.name, one.reference.name, one.prediction) == (
        "x_t1",
        "x_t1_labels.nii.gz",
        found / "x_t1/vertebrae.nii.gz",
    )


def test_a_table_has_the_last_word_on_groups_and_subjects(tmp_path):
    truth, found = touch(tmp_path / "a", "x_t1.nii.gz", "y.nii.gz"), touch(tmp_path / "b", "x_t1.nii.gz")
    (tmp_path / "t.csv").write_text("name,group,subject\nx_t1,fat,one\ny,fat,one\n")
    assert {(c.group, c.subject) for c in find_cases(truth, found, tmp_path / "t.csv")} == {("fat", "one")}
    (tmp_path / "t.csv").write_text("scan\nx\n")
    with pytest.raises(ValueError, match="columns name and group"):
        find_cases(truth, found, tmp_path / "t.csv")


def test_folders_that_do_not_fit_are_refused(tmp_path):
    one, other, empty = touch(tmp_path / "a", "x.nii.gz"), touch(tmp_path / "b", "y.nii.gz"), touch(tmp_path / "c")
    with pytest.raises(ValueError, match="There is no folder"):
        find_cases(tmp_path / "none", one)
    with pytest.raises(ValueError, match="There is no label map"):
        find_cases(empty, one)
    with pytest.raises(ValueError, match="has the name of one"):
        find_cases(one, other)
    mixed = touch(tmp_path / "d", "x.nii.gz", "phantom-1-whole-t2.nii.gz")
    with pytest.raises(ValueError, match="phantoms and real scans"):
        find_cases(mixed, one)


# Bootstrap


def test_a_ratio_over_subjects_is_that_of_the_sums():
    found = ratio([9, 10, 5], [10, 10, 10], ["a", "b", "c"])
    assert found.value == pytest.approx(0.8)
    assert found.low < 0.8 < found.high
    assert found.low >= 0.5 and found.high <= 1.0


def test_scans_of_one_subject_are_drawn_together():
    together = ratio([10, 0] * 10, [10] * 20, [str(i // 2) for i in range(20)])
    apart = ratio([10, 0] * 10, [10] * 20, [str(i) for i in range(20)])
    assert (together.low, together.high) == (0.5, 0.5)
    assert apart.high - apart.low > 0.3


def test_the_interval_covers_the_true_rate_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        rates = rng.beta(8, 2, 40)
        found = ratio(rng.binomial(20, rates), [20] * 40, [str(i) for i in range(40)], resamples=400)
        covered += found.low <= 0.8 <= found.high
    assert 0.88 < covered / 200 <= 1.0


def test_nothing_to_count_is_not_a_number():
    found = ratio([], [], [])
    assert np.isnan(found.value) and found.words(3) == "–"
    assert ratio([1], [2], ["a"]).words(2) == "0.50"
