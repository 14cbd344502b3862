"""The losses: zero for the right answer, larger for worse ones, the same as their formulas."""

import numpy as np
import pytest
import torch

from SpinalTapLib.training.config import LossConfig
from SpinalTapLib.training.losses import (
    CLASS_WEIGHTS,
    dice_loss,
    entropy_loss,
    heatmap_loss,
    home_loss,
    part_losses,
    vector_loss,
)
from SpinalTapLib.training.tiles.targets import Targets


def random_targets(n: int = 2, side: int = 16, seed: int = 0) -> Targets:
    generator = torch.Generator().manual_seed(seed)
    structure = torch.rand(n, 8, side, side, generator=generator)
    homes = torch.randn(n, 2, side, side, generator=generator)
    homes[:, :, : side // 2] = float("nan")  # no arch there
    return Targets(
        torch.rand(n, 5, side, side, generator=generator),
        torch.randn(n, 4, 2, side, side, generator=generator),
        (torch.rand(n, 4, side, side, generator=generator) > 0.8).float(),
        structure / structure.sum(1, keepdim=True),
        homes,
    )


def answer(targets: Targets) -> torch.Tensor:
    mask = targets.structure.clamp(min=1e-9).log()
    return torch.cat((targets.heatmaps, targets.vectors.flatten(1, 2), mask, targets.homes.nan_to_num(7.0)), 1)


def test_the_right_answer_costs_nothing_but_entropy():
    targets = random_targets()
    losses = part_losses(answer(targets), targets, LossConfig())
    assert float(losses.heatmap) == pytest.approx(0, abs=1e-6)
    assert float(losses.vector) == pytest.approx(0, abs=1e-6)
    assert float(losses.dice) == pytest.approx(0, abs=1e-5)
    assert float(losses.home) == 0


@pytest.mark.parametrize("part", ["heatmap", "vector", "entropy", "dice", "home"])
def test_every_part_grows_when_the_answer_gets_worse(part):
    targets = random_targets()
    good = answer(targets)
    worse = [good + step * torch.randn(good.shape, generator=torch.Generator().manual_seed(1)) for step in (0, 0.5, 2)]
    values = [float(getattr(part_losses(output, targets, LossConfig()), part)) for output in worse]
    assert values == sorted(values) and values[0] < values[2]


def test_the_total_is_the_weighted_sum():
    targets = random_targets()
    config = LossConfig(heatmap=2.0, vector=3.0, mask=0.5, home=0.25)
    losses = part_losses(torch.randn(2, 23, 16, 16), targets, config).numbers()
    expected = 2 * losses["heatmap"] + 3 * losses["vector"] + 0.5 * (losses["entropy"] + losses["dice"])
    expected += 0.25 * losses["home"]
    assert losses["total"] == pytest.approx(expected, rel=1e-5)


def test_a_missed_peak_costs_more_than_a_false_hint():
    target = torch.zeros(1, 5, 8, 8)
    target[0, 0, 4, 4] = 1
    missed = heatmap_loss(torch.zeros_like(target), target, 40.0)
    false = heatmap_loss(target + target.roll(3, 3), target, 40.0)
    assert float(missed) == pytest.approx(41 / (5 * 64))
    assert float(false) == pytest.approx(1 / (5 * 64))


def test_a_corner_of_the_wrong_kind_costs_as_much_as_a_missed_one():
    target = torch.zeros(1, 5, 8, 8)
    target[0, 0, 4, 4] = 1
    both = target.clone()
    both[0, 3, 4, 4] = 1
    missed = heatmap_loss(torch.zeros_like(target), target, 40.0)
    assert float(heatmap_loss(both, target, 40.0)) == pytest.approx(float(missed))


def test_a_network_that_cannot_tell_two_kinds_apart_does_best_with_half_a_peak_of_each():
    """Neither none, which would teach nothing, nor both, which would never part."""
    target = torch.zeros(2, 5, 8, 8)
    target[0, 0, 4, 4] = target[1, 3, 4, 4] = 1
    losses = {}
    for height in (0.0, 0.25, 0.5, 0.75, 1.0):
        answer = torch.zeros_like(target)
        answer[:, [0, 3], 4, 4] = height
        losses[height] = float(heatmap_loss(answer, target, 40.0))
    assert min(losses, key=losses.__getitem__) == 0.5


def test_vectors_count_only_where_they_are_supervised():
    targets = random_targets()
    wrong = targets.vectors + 5 * (1 - targets.vector_weight[:, :, None])
    assert float(vector_loss(wrong, targets.vectors, targets.vector_weight)) == pytest.approx(0, abs=1e-10)
    off = targets.vectors + torch.tensor((3.0, 4.0))[:, None, None]
    assert float(vector_loss(off, targets.vectors, targets.vector_weight)) == pytest.approx(25, rel=1e-5)
    assert float(vector_loss(wrong, targets.vectors, torch.zeros_like(targets.vector_weight))) == 0


def test_cross_entropy_is_the_weighted_mean_of_the_formula():
    targets = random_targets().structure
    log_probability = torch.randn(2, 8, 16, 16).log_softmax(1)
    weight = np.array(CLASS_WEIGHTS)[None, :, None, None]
    t, logp = targets.numpy(), log_probability.numpy()
    naive = -(weight * t * logp).sum() / (weight * t).sum()
    assert float(entropy_loss(log_probability, targets)) == pytest.approx(naive, rel=1e-5)


def test_absent_classes_do_not_count_in_the_dice():
    target = torch.zeros(1, 8, 8, 8)
    target[:, 0] = 1
    target[0, 0, 2:6, 2:6], target[0, 1, 2:6, 2:6] = 0, 1
    assert float(dice_loss(target, target)) == pytest.approx(0, abs=1e-6)
    empty = torch.zeros(1, 8, 8, 8)
    empty[:, 0] = 1
    assert float(dice_loss(empty, empty)) == 0


def test_half_precision_answers_are_scored_in_single_precision():
    targets = random_targets()
    output = answer(targets).to(torch.bfloat16)
    assert part_losses(output, targets, LossConfig()).total.dtype == torch.float32


def test_networks_that_do_not_give_arches_their_bodies_pay_nothing_for_it():
    targets = random_targets()
    assert float(part_losses(answer(targets)[:, :21], targets, LossConfig()).home) == 0


def test_the_way_home_counts_on_arches_alone_and_softly_where_it_is_far_off():
    target = torch.full((1, 2, 4, 4), float("nan"))
    target[0, :, 1, 1] = 0
    assert float(home_loss(torch.full((1, 2, 4, 4), 3.0), torch.full_like(target, float("nan")))) == 0
    near, far = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    near[0, 0, 1, 1], far[0, 0, 1, 1] = 0.1, 2.0
    assert float(home_loss(near, target)) == pytest.approx(0.1**2 / 2, rel=1e-5)
    assert float(home_loss(far, target)) == pytest.approx(0.25 * (2.0 - 0.125), rel=1e-5)
