"""Rods: distances to their walls, and the smooth union of several."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.training.synthetic.rods import Rod, rod_distance, smooth_union


def _at(rod: Rod, *points: tuple[float, float, float]) -> np.ndarray:
    u, v, w = np.array(points, np.float32).T
    return rod_distance(rod, u, v, w)


def test_a_round_rod_is_a_capsule():
    rod = Rod((0, 0, 0), (0, 10, 0), (3, 3, 3))
    found = _at(rod, (0, 5, 0.5), (3, 5, 0), (0, 15, 0), (0, -1, 2))
    assert found == pytest.approx([2.5, 0, -2, 3 - 5**0.5], abs=0.01)


def test_an_elliptical_rod_has_its_walls_at_its_half_axes_and_true_distances_near_them():
    rod = Rod((0, 0, 0), (0, 20, 0), (2, 4, 8))
    assert _at(rod, (2, 10, 0), (0, 10, 8), (0, 24, 0)) == pytest.approx([0, 0, 0], abs=0.01)
    assert _at(rod, (1.5, 10, 0), (0, 10, 7.5), (0, 10, 8.5)) == pytest.approx([0.5, 0.5, -0.5], abs=0.08)


def test_a_tapered_rod_is_thinner_at_its_end_and_a_leaning_one_moves_backwards_downwards():
    tapered = Rod((0, 0, 0), (0, 20, 0), (4, 4, 4), taper=0.5)
    assert _at(tapered, (4, 0, 0), (2, 20, 0)) == pytest.approx([0, 0], abs=0.2)
    leaning = Rod((0, 0, 0), (5, 0, 0), (3, 3, 9), lean=0.5)
    assert _at(leaning, (2, 2.0, -4)) > 2.5 and _at(leaning, (2, -2.0, -4)) < 0


def test_the_smooth_union_holds_both_shapes_and_fills_only_the_groove_between_them():
    a, b = np.array([3.0, -4.0, 0.0, -1.0]), np.array([-4.0, 2.0, 0.0, -1.2])
    together = smooth_union(a, b, 2.0)
    assert together[:2] == pytest.approx([3, 2])
    assert (together >= np.maximum(a, b)).all() and (together <= np.maximum(a, b) + 0.5).all()
    assert together[2] == pytest.approx(0.5)
