"""Names on real scans: what is right, what a cut leaves, and the tables."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from SpinalTapLib.training.evaluation import spider_names
from SpinalTapLib.training.evaluation.spider_names import (
    CUTS,
    NamedScan,
    NamesEvaluation,
    cut_row,
    evaluate_slices,
    evaluate_stacks,
    numbered_centres,
    true_levels,
)

DISCS = np.array([[20.0 + 36 * k, 50] for k in range(6)])  # the lowest, L5-S1, in row 200


def _rows(*rows: float) -> np.ndarray:
    return np.array([[row, 50.0] for row in rows])


def test_levels_are_counted_by_the_discs_below_a_body():
    rows = (255, 218, 182, 146, 38, 2, -34)
    assert true_levels(DISCS, _rows(*rows)) == ["sacrum", "S1", "L5", "L4", "L1", "T12", "T11"]


@pytest.mark.parametrize(("cut", "low", "high"), [("s1", 205, 225), ("l5s1", 200, 210), ("top3", 110, 130)])
def test_a_cut_ends_the_picture_where_it_says(cut, low, high):
    assert low < cut_row(DISCS, cut) < high


@pytest.mark.parametrize(
    ("said", "verdict", "sure"),
    [
        ((), "not named", False),
        ((("S1", 0.95, True), ("L5", 0.9, True)), "right", False),
        ((("S1", 0.8, False),), "wrong", False),
        ((("S1", 0.8, True), ("L5", 0.9, False)), "wrong", True),
    ],
)
def test_one_wrong_name_makes_a_scan_wrong(said, verdict, sure):
    scan = NamedScan("a", "a", "T1", said)
    assert (scan.verdict, scan.wrong_and_sure) == (verdict, sure)


def test_the_tables_count_scans_and_odds():
    scans = [NamedScan("a", "1", "T1", (("S1", 0.95, True),)), NamedScan("b", "2", "T2", (("S1", 0.6, False),)),
             NamedScan("c", "3", "T2", ())]  # fmt: skip
    found = NamesEvaluation(tuple(scans), "slices")
    assert found.count() == {"scans": 3, "right": 1, "wrong and sure": 0, "wrong": 1, "not named": 1}
    assert found.count("T2")["right"] == 0
    assert found.reliability()[2] == ("0.9-1", 1, 1.0)
    assert "| T2" in found.markdown() and "0.9-1" in found.markdown()
    json.dumps(found.as_json(), allow_nan=False)


def _vertebra(level: str, place_mm, p: float = 0.9) -> SimpleNamespace:
    centre = np.array(place_mm, float)
    return SimpleNamespace(
        level=level, centroid_lps_mm=centre, corners_lps_mm=np.tile(centre, (4, 1)), level_probability=p
    )


@pytest.fixture
def folder(tmp_path):
    """One picture of 300 x 100 px at 1 mm, with six discs."""
    (tmp_path / "images").mkdir()
    picture = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (300, 100)).astype(np.uint8))
    sitk.WriteImage(picture, str(tmp_path / "images" / "7_t2.png"))
    lines = [f"7_t2,{i},{c - 15},{r - 4},{c + 15},{r + 4}" for i, (r, c) in enumerate(DISCS)]
    (tmp_path / "disc_boxes.csv").write_text("image,idx_top_to_bottom,x0,y0,x1,y1\n" + "\n".join(lines) + "\n")
    return tmp_path


def test_slices_are_named_whole_and_cut(folder):
    seen = []

    def namer(volume):
        seen.append(volume.array.shape[1])
        return [_vertebra("S1", (0, 50, -218)), _vertebra("L5", (0, 50, -182)), _vertebra("L4", (0, 50, -146))]

    found = evaluate_slices(folder, namer)
    assert found.count()["right"] == 1 and found.groups == ("all", "T2")
    cut = evaluate_slices(folder, namer, "l5s1")
    assert seen[0] > seen[1] and CUTS["l5s1"][0] in cut.markdown()
    with pytest.raises(ValueError, match="no cut called 's2'"):
        evaluate_slices(folder, namer, "s2")


def test_stacks_are_judged_by_their_numbered_bodies(tmp_path):
    bodies = np.zeros((5, 120, 40), np.uint8)
    for k in range(3):
        bodies[1:4, 90 - 36 * k : 110 - 36 * k, 10:30] = k + 1
    noise = np.random.default_rng(0).integers(0, 250, bodies.shape)
    for kind, array in (("image", noise), ("bodies", bodies)):
        image = sitk.GetImageFromArray(array.transpose(1, 2, 0)[::-1].astype(np.uint8))
        sitk.WriteImage(image, str(tmp_path / f"001_{kind}.nii.gz"))

    def namer(volume):
        centres = numbered_centres(tmp_path / "001_bodies.nii.gz")
        below = centres[0] + (centres[0] - centres[1])
        return [_vertebra(name, c) for name, c in zip(("S1", "L5", "L4", "L2"), (below, *centres))]

    found = evaluate_stacks(tmp_path, namer)
    assert [right for _, _, right in found.scans[0].said] == [True, True, True, False]
    with pytest.raises(ValueError, match="no NNN_image"):
        evaluate_stacks(tmp_path / "none", namer)


def test_the_sacrum_below_s1_and_a_column_without_numbers_have_no_level():
    assert spider_names._levels_of_stack(np.array([[0.0, 0, 0]]), np.zeros((0, 3))) == []
    far = np.array([[0.0, 0, 500]])
    assert spider_names._levels_of_stack(np.array([[0.0, 0, 0]]), far) == ["sacrum"]
