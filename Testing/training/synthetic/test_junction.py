"""The lumbosacral junction: how often a disc lies below S1, what shape S1 has, and what is transitional."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from SpinalTapLib.training.synthetic.junction import (
    NONE,
    REMNANT,
    SHARES,
    SQUARED,
    SQUARED_RATIO,
    WELL_FORMED,
    random_junction,
)
from SpinalTapLib.training.synthetic.random_spine import random_spine


def _many(n: int = 1500, **settings):
    rng = np.random.default_rng(0)
    return [random_junction(rng, **{"healthy": True, **settings}) for _ in range(n)]


def test_people_have_the_discs_that_o_driscoll_counted():
    counts = Counter(junction.kind for junction in _many())
    assert all(abs(counts[kind] / 1500 - share) < 0.04 for kind, share in SHARES.items())


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_training_may_ask_for_more_well_formed_discs(share):
    kinds = [junction.kind for junction in _many(600, well_formed=share)]
    assert np.mean([kind in (WELL_FORMED, SQUARED) for kind in kinds]) == pytest.approx(share, abs=0.06)


def test_well_formed_discs_have_every_height_and_brightness_and_reach_through():
    discs = [junction for junction in _many(well_formed=1.0)]
    heights = np.array([junction.disc_mm for junction in discs])
    assert heights.min() < 3.2 and heights.max() > 9 and all(junction.disc_reach == 1 for junction in discs)
    assert np.ptp([junction.disc_degeneration for junction in discs]) > 0.95


def test_remnants_do_not_reach_through_the_sacrum_and_none_is_none():
    by_kind = {kind: [j for j in _many() if j.kind == kind] for kind in (NONE, REMNANT)}
    assert all(junction.disc_reach == 0 for junction in by_kind[NONE])
    assert all(0 < junction.disc_reach < 1 for junction in by_kind[REMNANT])


def test_a_squared_s1_is_nearly_as_deep_below_as_above():
    spines = [random_spine(np.random.default_rng(seed), healthy=True, well_formed=1.0) for seed in range(40)]
    squared = {True: [], False: []}
    for spine in spines:
        s1 = spine.vertebrae[0]
        squared[spine.junction.kind == SQUARED].append(s1.depth_lower / s1.depth_upper)
    assert min(squared[True]) >= 1 / SQUARED_RATIO >= max(squared[False])


def test_the_healthy_have_no_transitional_vertebra_and_some_others_have():
    assert not any(junction.misread_by for junction in _many())
    shifts = Counter(junction.misread_by for junction in _many(healthy=False))
    assert shifts[1] > 15 and shifts[-1] > 15


def test_what_the_junction_draws_changes_nothing_else_of_a_person():
    one, other = (random_spine(np.random.default_rng(4), healthy=True, well_formed=share) for share in (0.0, 1.0))
    assert one.junction.kind != other.junction.kind
    assert one.names == other.names and one.seed == other.seed
    assert [b.depth_upper for b in one.vertebrae] == [b.depth_upper for b in other.vertebrae]
