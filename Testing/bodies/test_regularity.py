"""Regularity: spurs are removed, bites are filled, plain shapes lose little."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.bodies.regularity import irregularity


def _ball(radius: float = 12.0) -> np.ndarray:
    axes = np.mgrid[-16:17, -16:17, -16:17]
    return (axes**2).sum(0) <= radius**2


def test_a_ball_loses_and_gains_next_to_nothing():
    removed, filled = irregularity(_ball(), 4.0)
    assert removed < 0.02 and filled < 0.02


def test_a_spur_is_removed_and_a_bite_is_filled():
    spur, bite = _ball(), _ball()
    spur[16, 2:6, 14:19] = True
    bite[:, 15:18, :12] = False
    plain = irregularity(_ball(), 4.0)
    removed, _ = irregularity(spur, 4.0)
    assert removed == pytest.approx(plain[0] + (spur.sum() - _ball().sum()) / spur.sum(), abs=0.003)
    _, filled = irregularity(bite, 4.0)
    assert filled > 0.02 > plain[1]


def test_a_body_that_the_outermost_slices_cut_is_not_blamed_for_it():
    pole = np.zeros((9, 40, 40), bool)
    rows, columns = np.mgrid[-20:20, -20:20]
    pole[:] = rows**2 + columns**2 <= 150
    assert irregularity(pole, 4.0)[0] < 0.03
    short = np.pad(pole, ((3, 3), (0, 0), (0, 0)))
    assert irregularity(short, 4.0)[0] > irregularity(pole, 4.0)[0]


def test_what_is_thinner_than_the_ball_goes_whole_and_nothing_is_not_a_number():
    sheet = np.zeros((20, 20, 20), bool)
    sheet[9:11, 4:16, 4:16] = True
    assert irregularity(sheet, 4.0)[0] == 1.0
    assert np.isnan(irregularity(np.zeros((3, 3, 3), bool), 4.0)).all()
