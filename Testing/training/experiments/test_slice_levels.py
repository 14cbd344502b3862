"""Counting axial slices that are named rightly, and the repeatability of measurements."""

from __future__ import annotations

import numpy as np
import pytest
from spines_by_hand import column, spine_of

from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.level_at import LevelMap
from SpinalTapLib.training.experiments.repeatability import measure_repeatability, pooled, repeatability_table, scanned
from SpinalTapLib.training.experiments.slice_levels import SliceScore, score_axial
from SpinalTapLib.training.synthetic.phantom import Phantom

NAMES = ("S1", "L5", "L4")


def axial_phantom():
    """Return an axial stack, 4 mm apart, of boxes 26 mm high and 36 mm apart, S1 at the origin."""
    labels = np.zeros((12, 30, 12), np.uint16)
    matrix = np.array([(4.0, 0, 0, -22), (0, 0, 4.0, -22), (0, -4.0, 0, 90), (0, 0, 0, 1)])
    z = 90 - 4 * np.arange(30)
    for i, name in enumerate(NAMES):
        value = levels.level(name).value
        labels[3:9, np.abs(z - 36 * i) < 13, 3:9] = value
        labels[3:9, np.abs(z - 36 * i + 18) < 5, 3:9] = levels.disc_value(value) if i else 0
    return Phantom(SagittalVolume(np.zeros(labels.shape, np.float32), matrix), labels, None, NAMES)


def test_names_of_the_true_levels_are_right_and_shifted_ones_far_off():
    phantom = axial_phantom()
    right = score_axial(LevelMap(spine_of(column(NAMES))), phantom)
    assert right.slices == right.right == right.largest > 18
    thick = score_axial(LevelMap(spine_of(column(NAMES))), phantom, 3)
    assert abs(3 * thick.slices - right.slices) <= 4
    assert thick.right == thick.slices - 1 and thick.empty == 1  # the lowest slice shows little of S1
    shifted = score_axial(LevelMap(spine_of(column(("L5", "L4", "L3")))), phantom)
    assert shifted.right == 0 and shifted.far == shifted.slices
    assert score_axial(LevelMap(spine_of(())), phantom).empty == right.slices
    assert (SliceScore(2, 1) + SliceScore(3, 2)) == SliceScore(5, 3)


def test_the_deviation_of_repetitions_is_pooled_over_vertebrae():
    rows = pooled([[{"a": 1.0}, {"a": 3.0}], [{"a": 5.0}, {"a": 5.0}, {"b": 1.0}]])
    assert [(row.name, row.bodies) for row in rows] == [("a", 2)]
    assert rows[0].deviation == pytest.approx(1.0) and rows[0].limit == pytest.approx(2.77, abs=0.01)
    assert "| a | 2 | 1.000 | 2.77 |" in repeatability_table(rows)


def test_a_repeated_scan_shows_the_same_body_on_another_grid():
    array = np.zeros((12, 40, 40), np.float32)
    array[4:8, 15:25, 15:25] = 800
    matrix = np.array([(2.0, 0, 0, -12), (0, 0, 1.0, -20), (0, -1.0, 0, 20), (0, 0, 0, 1)])
    fine = SagittalVolume(array, matrix)
    one, two = (scanned(fine, 4.0, 1.0, np.random.default_rng(k)) for k in (0, 1))
    assert not np.allclose(one.matrix, two.matrix, atol=0.05)
    for scan in (one, two):
        assert scan.spacing_mm == pytest.approx([4, 1, 1])
        centre = scan.to_lps(np.argwhere(scan.array > 400).astype(float)).mean(0)
        assert np.linalg.norm(centre - fine.to_lps(np.argwhere(array > 0).mean(0))) < 1.5


def test_one_scan_has_no_repeatability():
    with pytest.raises(ValueError, match="at least two"):
        measure_repeatability([1], 1)
