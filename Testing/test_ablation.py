"""Ablations: each row differs from the recipe in what its name says, and in nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.training.ablation import ABLATIONS, ablation_table, painted_over
from SpinalTapLib.training.anatomy import random_spine
from SpinalTapLib.training.canvases import random_canvas
from SpinalTapLib.training.config import load_config
from SpinalTapLib.training.spider import SliceScore
from SpinalTapLib.training.spider_evaluation import SpiderEvaluation
from SpinalTapLib.training.tissues import Tissue


@pytest.mark.parametrize("row", ABLATIONS, ids=lambda row: row.name)
def test_each_row_is_a_recipe_that_can_be_trained_and_differs_from_the_whole(row):
    base = load_config("small")
    config = row.config(base)
    assert (config != base or row.painted is not None) == (row.name != "nothing")


def test_names_are_all_different():
    assert len({row.name for row in ABLATIONS}) == len(ABLATIONS)


def test_painting_over_replaces_the_tissues_and_leaves_the_truth():
    rng = np.random.default_rng(4)
    canvas = random_canvas(random_spine(rng), rng)
    plain = painted_over(canvas, ((Tissue.FAT, Tissue.GAS), Tissue.MUSCLE))
    assert (canvas.tissue == Tissue.FAT).any() and not np.isin(plain.tissue, (Tissue.FAT, Tissue.GAS)).any()
    untouched = ~np.isin(canvas.tissue, (Tissue.FAT, Tissue.GAS))
    assert np.array_equal(plain.tissue[untouched], canvas.tissue[untouched])
    assert plain.structure is canvas.structure and plain.corners_px is canvas.corners_px


def test_the_table_has_a_line_a_row():
    score = SliceScore("1_t2", "1", "t2", bodies=4, once=3, missed=1, dice=(0.9,))
    table = ablation_table({"nothing": SpiderEvaluation((score,), (score,)), "noise": SpiderEvaluation((score,))})
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["nothing", "noise"]
    assert "0.750" in table
