"""The synthetic spine: its counts, its sizes, its curve."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.training.synthetic.posture import rotation
from SpinalTapLib.training.synthetic.published_sizes import LIVING_FACTOR, TABLE
from SpinalTapLib.training.synthetic.random_spine import level_names, random_spine


def test_the_same_seed_draws_the_same_spine():
    one, other = (random_spine(np.random.default_rng(3)) for _ in range(2))
    assert one.names == other.names
    assert all(np.array_equal(a.centre, b.centre) for a, b in zip(one.vertebrae, other.vertebrae, strict=True))


def test_most_people_have_24_levels_and_some_have_one_more_or_fewer():
    counts = [len(level_names(np.random.default_rng(seed))) for seed in range(600)]
    usual = counts.count(24) / len(counts)
    assert 0.88 < usual < 0.96
    assert {23, 24, 25} >= set(counts) and len(set(counts)) == 3


@pytest.mark.parametrize("seed", range(6))
def test_neighbouring_bodies_are_one_body_and_one_disc_apart(seed):
    spine = random_spine(np.random.default_rng(seed), healthy=True)
    assert spine.names[0] == "S1" and spine.names[-1] == "C2" and len(spine.names) == 24
    for below, above in zip(spine.vertebrae, spine.vertebrae[1:], strict=False):
        distance = np.linalg.norm(above.centre - below.centre)
        expected = (TABLE[below.name]["height"] + TABLE[above.name]["height"]) / 2 + TABLE[above.name]["disc_below"]
        assert 0.6 * expected < distance < 1.6 * expected
        assert above.centre[2] > below.centre[2]


def test_the_backs_of_thoracic_bodies_are_as_high_as_the_table_says():
    spines = [random_spine(np.random.default_rng(seed), healthy=True) for seed in range(60)]
    for name in ("T4", "T7", "T10", "L3"):
        bodies = [s.vertebrae[s.index(name)] for s in spines]
        backs = [b.height - np.tan(b.wedge / 2) * (b.depth_upper + b.depth_lower) / 2 for b in bodies]
        assert np.mean(backs) == pytest.approx(LIVING_FACTOR * TABLE[name]["height"], rel=0.03)


def test_the_lumbar_spine_of_a_crowd_is_lordotic_and_the_chest_kyphotic():
    pitches = []
    for seed in range(40):
        spine = random_spine(np.random.default_rng(seed), healthy=True)
        pitches.append([np.rad2deg(np.arctan2(-b.axes[1, 2], b.axes[2, 2])) for b in spine.vertebrae])
    mean = np.mean(pitches, axis=0)
    lordosis, kyphosis = mean[0] - mean[5], mean[15] - mean[6]
    assert 25 < lordosis < 60  # S1 against L1, lying down (PMC6680033: 37 +- 13 between the endplates)
    assert 10 < kyphosis < 50


def test_rotation_gives_right_handed_unit_axes():
    axes = rotation(0.4, -0.2, 0.1)
    assert np.allclose(axes.T @ axes, np.eye(3)) and np.linalg.det(axes) == pytest.approx(1)
    leaning_forward = rotation(0.5, 0, 0)[:, 2]
    assert leaning_forward[1] < 0 < leaning_forward[2]  # the front is towards negative y in LPS
