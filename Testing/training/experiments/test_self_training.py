"""Self-training: tiles of real slices with a network's output as labels, added to synthetic ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from SpinalTapLib.detection.networks import N_CORNERS
from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.training.config import load_config
from SpinalTapLib.training.evaluation.spider_evaluation import SpiderEvaluation
from SpinalTapLib.training.evaluation.spider_slices import SliceScore
from SpinalTapLib.training.experiments.self_training import (
    AnsweredSlice,
    cut_tile,
    of_half,
    run_self_training,
    with_real_tiles,
)

CONFIG = load_config("self_training")


def one_bright_body() -> AnsweredSlice:
    image = np.full((300, 260), 100, np.float32)
    structure = np.zeros(image.shape, np.uint8)
    body = slice(140, 166), slice(110, 144)
    image[body], structure[body] = 900, Structure.BODY
    points = np.array([[(139.5, 109.5), (139.5, 143.5), (165.5, 143.5), (165.5, 109.5), (152.5, 126.5)]])
    return AnsweredSlice(image, points, structure)


@pytest.mark.parametrize("seed", range(4))
def test_image_and_answers_move_together(seed):
    still = replace(CONFIG, placement=replace(CONFIG.placement, jitter_mm=5.0))
    tile = cut_tile(one_bright_body(), np.random.default_rng(seed), still)
    side = CONFIG.placement.tile_px
    assert tile.image.shape == (1, 1, side, side)
    body = tile.targets.structure[0, Structure.BODY]
    bright = tile.image[0, 0] > (tile.image.max() + tile.image.median()) / 2
    assert (bright == (body > 0.5)).float().mean() > 0.995
    rows, columns = np.nonzero(body.numpy() > 0.5)
    peaks = [divmod(int(heatmap.argmax()), side) for heatmap in tile.targets.heatmaps[0]]
    assert peaks[N_CORNERS] == pytest.approx((rows.mean(), columns.mean()), abs=1.5)
    assert np.mean(peaks[:N_CORNERS], axis=0) == pytest.approx(peaks[N_CORNERS], abs=2)
    assert peaks[0][0] == pytest.approx(rows[columns < np.percentile(columns, 10)].min(), abs=3)


def test_what_lies_beyond_the_slice_is_black_and_background():
    lone = one_bright_body()
    corner = AnsweredSlice(lone.image[100:190, 80:170], lone.points - (100, 80), lone.structure[100:190, 80:170])
    tile = cut_tile(corner, np.random.default_rng(0), CONFIG)
    assert tile.targets.structure[0, Structure.BACKGROUND, :20].min() == 1
    assert torch.isfinite(tile.image).all()


def test_every_batch_is_half_synthetic():
    synthetic = [cut_tile(one_bright_body(), np.random.default_rng(k), CONFIG) for k in range(3)]
    mixed = list(with_real_tiles(iter(synthetic), [one_bright_body()], CONFIG))
    assert [len(batch.image) for batch in mixed] == [2, 2, 2]
    for batch, own in zip(mixed, synthetic):
        assert torch.equal(batch.image[:1], own.image)
        assert batch.targets.structure.shape[0] == 2


def test_only_patients_that_were_not_learnt_from_are_counted():
    scores = tuple(SliceScore(f"{p}_t2", p, "T2", bodies=5, once=5) for p in ("1", "2", "3"))
    masked = (SliceScore("9_t2", "9", "masks", dice=(0.9,)),)
    found = [of_half(SpiderEvaluation(scores, masked), {"1": 0, "2": 1, "3": 0}, half) for half in (0, 1)]
    assert [[s.subject for s in part.scores] for part in found] == [["1", "3"], ["2"]]
    assert [len(part.masked) for part in found] == [1, 0]


def test_without_weights_to_go_on_from_it_says_so(tmp_path):
    with pytest.raises(ValueError, match="initial_weights"):
        run_self_training(replace(CONFIG, initial_weights=None), tmp_path, tmp_path)
