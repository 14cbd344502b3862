"""Examples for the level network: what is in view, what it is called, and how it is shown."""

from __future__ import annotations

import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from SpinalTapLib.counting.names import N_CLASSES, NOTHING, SACRUM
from SpinalTapLib.detection.inference import PartInference
from SpinalTapLib.detection.networks import VIEW_CHANNELS, LevelNetwork
from SpinalTapLib.detection.weights import load_network
from SpinalTapLib.spine.levels import COMMON
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure
from SpinalTapLib.training.config import load_config
from SpinalTapLib.training.level_examples import PIXEL_MM, draw_scene, level_targets, make_examples
from SpinalTapLib.training.synthetic.junction import MISREAD_SHARE
from SpinalTapLib.training.synthetic.random_spine import random_spine
from SpinalTapLib.training.train_levels import LevelConfig, train_levels

KINDS = {"levels": LevelConfig}
TINY = {"widths": (4, 6, 8), "rows": 32, "columns": 24, "batch": 4, "mixed": 4, "scenes": 1, "workers": 0}


@pytest.fixture(scope="module")
def scene():
    return draw_scene(np.random.default_rng(2), well_formed=1.0)


@pytest.fixture(scope="module")
def parts():
    """The shipped part network, which finds the structures."""
    return PartInference(load_network("parts", pixel_mm=PIXEL_MM)[0])


def _blank(image, *_):
    """Find no structure, for tests of everything else."""
    return SimpleNamespace(probabilities=np.zeros((N_STRUCTURES, *image.shape), np.float32))


def test_a_scene_shows_the_sacrum_the_vertebrae_and_the_dens(scene):
    called = scene.targets.argmax(1)
    assert called[0] == SACRUM and set(called) & set(range(len(COMMON)))
    rows = [rung.centre[0] for rung in scene.rungs]
    assert rows == sorted(rows, reverse=True)
    assert np.allclose(scene.targets.sum(1), 1)


def test_examples_are_whole_and_reproducible(scene, parts):
    one, other = (make_examples(scene, np.random.default_rng(3), parts, 64, 48) for _ in range(2))
    assert one and len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.view.shape == (VIEW_CHANNELS, 64, 48) and a.view.dtype == a.target.dtype == np.float32
        assert a.view.min() >= 0 and a.view.max() <= 1 + 1e-3 and a.target.sum() == pytest.approx(1)
        assert np.array_equal(a.view, b.view)


def test_fields_of_view_cut_s1_and_miss_it_and_show_it(scene):
    rng = np.random.default_rng(0)
    lowest = [make_examples(scene, rng, _blank, 32, 24)[0] for _ in range(60)]
    called = [int(example.target.argmax()) for example in lowest]
    assert {SACRUM, 0} & set(called) and any(0 < k < 24 for k in called)
    assert any(example.view[1].min() == 0 for example in lowest)


def test_the_structures_are_sometimes_taken_for_others(scene, parts):
    rng = np.random.default_rng(4)
    views = [e.view for _ in range(12) for e in make_examples(scene, rng, parts, 32, 24, times=2)]
    discs = np.array([view[2 + Structure.DISC - 1].max() for view in views])
    assert 0 < np.mean(discs == 0) < 0.5, "the disc is missing from some, and seen in most"


def test_some_examples_are_no_vertebra(scene):
    rng = np.random.default_rng(1)
    assert any(e.target[NOTHING] == 1 for _ in range(20) for e in make_examples(scene, rng, _blank, 32, 24))


def test_size_and_tilt_are_kept_back_from_some(scene):
    rng = np.random.default_rng(5)
    known = np.array([e.numbers[[0, 2]] for _ in range(40) for e in make_examples(scene, rng, _blank, 32, 24)[:1]])
    assert 0 < known[:, 0].mean() < 1 and 0 < known[:, 1].mean() < 1


@functools.cache
def _drawn(seed):
    return random_spine(np.random.default_rng(seed))


def _spine(condition):
    return next(spine for spine in map(_drawn, range(2000)) if condition(spine))


def test_usual_vertebrae_are_called_by_their_names():
    spine = _spine(lambda s: len(s.names) == 24 and not s.junction.misread_by)
    assert np.array_equal(level_targets(spine), np.eye(N_CLASSES)[:24])


@pytest.mark.parametrize("n", [23, 25])
def test_unusual_counts_are_told_from_below_at_the_sacrum_and_from_above_at_the_neck(n):
    spine = _spine(lambda s: len(s.names) == n and not s.junction.misread_by)
    targets = level_targets(spine)
    assert targets[:6].argmax(1).tolist() == list(range(6))
    assert targets[-8:].argmax(1).tolist() == list(range(16, 24))


@pytest.mark.parametrize(("by", "s1", "l5"), [(1, SACRUM, 0), (-1, 1, 2)])
def test_a_transitional_junction_shares_its_target_with_the_count_that_starts_one_off(by, s1, l5):
    targets = level_targets(_spine(lambda s: s.junction.misread_by == by))
    assert targets[0, s1] == pytest.approx(MISREAD_SHARE) and targets[1, l5] == pytest.approx(MISREAD_SHARE)
    assert targets[0, 0] == pytest.approx(1 - MISREAD_SHARE)


# The training


def test_a_short_training_writes_weights_a_card_and_a_checkpoint(tmp_path):
    config = LevelConfig(name="tiny", steps=2, **TINY)
    weights = train_levels(config, tmp_path)
    network, card = load_network(weights)
    assert isinstance(network, LevelNetwork) and card["steps"] == 2
    assert len(card["class_shares"]) == N_CLASSES and sum(card["class_shares"]) == pytest.approx(1, abs=1e-3)
    with torch.inference_mode():
        logits = network(torch.zeros(2, VIEW_CHANNELS, 32, 24), torch.zeros(2, 5))
    assert logits.shape == (2, N_CLASSES) and torch.isfinite(logits).all()
    longer = train_levels(LevelConfig(name="tiny", steps=3, **TINY), tmp_path, resume=tmp_path)
    assert load_network(longer)[1]["steps"] == 3


def test_a_broken_checkpoint_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "levels_checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="Cannot resume from"):
        train_levels(LevelConfig(steps=1, **TINY), tmp_path, resume=tmp_path)


def test_the_recipe_is_the_shipped_one():
    assert load_config("levels", KINDS).well_formed == 0.4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rows": 100}, "'rows' must be a multiple of 32"),
        ({"well_formed": 1.5}, "'well_formed' must be 0 or more and below 1"),
        ({"batch": 0}, "'batch' must be 1 or more"),
        ({"side_px": 64}, "Unknown setting 'side_px'"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(values, message, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({"network": "levels", **values}))
    with pytest.raises(ValueError, match=message):
        load_config(tmp_path / "mine.json", KINDS)
