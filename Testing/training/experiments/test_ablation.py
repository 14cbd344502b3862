"""Ablations: each row differs from the recipe in what its name says, and in nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.detection.detector import PartDetector
from SpinalTapLib.detection.weights import load_network
from SpinalTapLib.training.config import load_config
from SpinalTapLib.training.evaluation.spider_evaluation import SpiderEvaluation, comparison_table
from SpinalTapLib.training.evaluation.spider_slices import Found, SliceScore
from SpinalTapLib.training.experiments.ablation import ABLATIONS, AveragingDetector, at_pixel, painted_over
from SpinalTapLib.training.synthetic.random_spine import random_spine
from SpinalTapLib.training.synthetic.tissues import Tissue
from SpinalTapLib.training.tiles.canvases import random_canvas


@pytest.mark.parametrize("row", ABLATIONS, ids=lambda row: row.name)
def test_each_row_is_a_recipe_that_can_be_trained_and_differs_from_the_whole(row):
    base = load_config("small")
    config = row.config(base)
    changed = config != base or row.painted is not None or row.detector is not PartDetector
    assert changed == (row.name != "nothing")


def test_names_are_all_different():
    assert len({row.name for row in ABLATIONS}) == len(ABLATIONS)


def test_painting_over_replaces_the_tissues_and_leaves_the_truth():
    rng = np.random.default_rng(4)
    canvas = random_canvas(random_spine(rng), rng)
    plain = painted_over(canvas, ((Tissue.FAT, Tissue.GAS), Tissue.MUSCLE))
    assert (canvas.tissue == Tissue.FAT).any() and not np.isin(plain.tissue, (Tissue.FAT, Tissue.GAS)).any()
    untouched = ~np.isin(canvas.tissue, (Tissue.FAT, Tissue.GAS))
    assert np.array_equal(plain.tissue[untouched], canvas.tissue[untouched])
    assert plain.structures is canvas.structures and plain.corners_px is canvas.corners_px


def test_the_table_has_a_line_a_row():
    score = SliceScore("1_t2", "1", "t2", bodies=4, once=3, missed=1, dice=(0.9,))
    found = {"nothing": SpiderEvaluation((score,), (score,)), "noise": SpiderEvaluation((score,))}
    table = comparison_table("Taken out", found)
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["nothing", "noise"]
    assert "0.750" in table


def test_a_finder_sees_the_slice_at_its_own_pixels_and_answers_in_the_slices():
    slice_mm = np.zeros((90, 60), np.float32)
    slice_mm[40:52, 20:32] = 100
    seen = []

    def finder(image):
        seen.append(image.shape)
        mask = image > 50
        return Found(np.argwhere(mask).mean(0, keepdims=True), mask, np.argwhere(mask).mean(0))

    found = at_pixel(finder, 1.5)(slice_mm)
    assert seen == [(60, 40)]
    assert found.centroids == pytest.approx(np.array([[45.5, 25.5]]), abs=0.8)
    assert found.s1 == pytest.approx(found.centroids[0])
    assert found.mask is not None and found.mask.shape == slice_mm.shape
    assert found.mask.sum() == pytest.approx(144, rel=0.15)
    assert at_pixel(finder, 1.0) is finder


def test_three_looks_are_averaged(tiny_weights):
    network, _ = load_network(str(tiny_weights))
    image = np.random.default_rng(1).random((64, 64)).astype(np.float32) * 900
    once, thrice = PartDetector(network).part_maps(image), AveragingDetector(network).part_maps(image)
    looks = [PartDetector(network).part_maps(900 * (image / 900) ** g).heatmaps for g in AveragingDetector.GAMMAS]
    assert thrice.heatmaps == pytest.approx(np.mean(looks, axis=0), abs=1e-2)
    assert thrice.probabilities.shape == once.probabilities.shape
    assert thrice.probabilities.sum(0) == pytest.approx(1, abs=1e-2)
