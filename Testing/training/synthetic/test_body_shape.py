"""The implicit vertebral body: sizes, walls and corners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SpinalTapLib.training.synthetic.body_shape import Body, body_distance, corners_in_plane
from SpinalTapLib.training.synthetic.posture import rotation
from SpinalTapLib.training.synthetic.random_spine import random_spine

BOX = Body("L3", np.zeros(3), np.eye(3), 26.0, 0.0, 34.0, 34.0, 46.0, 46.0, 0.0, 0.0, 0.0, 0.0)


def test_the_body_fills_its_height_depth_and_width():
    axis = np.arange(-40, 40.01, 0.1)
    zero = np.zeros_like(axis)
    for values, size in (
        (body_distance(BOX, zero, zero, axis), 26.0),
        (body_distance(BOX, zero, axis, zero), 34.0),
        (body_distance(BOX, axis, zero, zero), 46.0),
    ):
        assert (values > 0).sum() * 0.1 == pytest.approx(size, abs=0.3)


def test_planes_beyond_the_sides_show_no_body():
    v, w = np.meshgrid(np.arange(-30, 30, 0.5), np.arange(-20, 20, 0.5))
    assert (body_distance(BOX, np.full_like(v, 21.0), v, w) > 0).any()
    assert not (body_distance(BOX, np.full_like(v, 23.5), v, w) > 0).any()


def test_a_concave_endplate_takes_bone_away_in_the_middle_only():
    hollow = replace(BOX, concavity_lower=3.0)
    point = np.array([0.0, 2.0, -12.0])
    rim = np.array([0.0, -15.0, -12.0])
    assert body_distance(BOX, *point) > 0 > body_distance(hollow, *point)
    assert body_distance(hollow, *rim) > 0


def test_corners_in_the_middle_plane_are_the_box_corners():
    points = corners_in_plane(BOX, 0.0)
    assert points is not None
    expected = np.array([[-17, 13], [17, 13], [17, -13], [-17, -13], [0, 0]])
    assert np.allclose(points, expected, atol=1e-6)
    assert corners_in_plane(BOX, 30.0) is None


@pytest.mark.parametrize("seed", range(4))
def test_corners_of_tilted_bodies_lie_on_their_walls(seed):
    spine = random_spine(np.random.default_rng(seed), healthy=True)
    for body in spine.vertebrae:
        points = corners_in_plane(body, float(body.centre[0]) + 3.0)
        assert points is not None
        corners = np.column_stack([np.full(4, body.centre[0] + 3.0), points[:4]])
        u, v, w = body.local(corners)
        assert np.allclose(body_distance(body, u, v, w), 0, atol=1.0)


def test_corners_move_with_the_body():
    turned = replace(BOX, axes=rotation(0.3, 0, 0), centre=np.array([0, 5.0, -7.0]))
    points, plain = corners_in_plane(turned, 0.0), corners_in_plane(BOX, 0.0)
    expected = plain @ rotation(0.3, 0, 0)[1:, 1:].T + np.array([5.0, -7.0])
    assert np.allclose(points, expected, atol=1e-6)


def test_the_back_wall_is_hollow_and_the_body_is_waisted_all_around():
    body = replace(BOX, kidney=2.0, waist=2.0)
    half = np.array([0.0, body.height / 2 - 1.5])  # at mid height, near the upper plate

    def reach(u: float, direction: float, w: float) -> float:
        v = np.linspace(0, 30, 3001) * direction
        return float(np.abs(v[body_distance(body, np.full_like(v, u), v, np.full_like(v, w)) > 0]).max())

    assert reach(0.0, 1.0, 0.0) < reach(8.0, 1.0, 0.0) - 0.5
    for u, direction in ((0.0, -1.0), (8.0, 1.0)):
        assert reach(u, direction, half[0]) < reach(u, direction, half[1]) - 0.5
    wide = np.linspace(0, 40, 4001)
    width = [wide[body_distance(body, wide, np.zeros_like(wide), np.full_like(wide, w)) > 0].max() for w in half]
    assert width[0] < width[1] - 1
