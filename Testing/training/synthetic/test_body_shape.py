"""The implicit vertebral body: sizes, walls and corners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SpinalTapLib.training.synthetic.body_shape import Body, Capsule, body_distance, capsule_distance, corners_in_plane
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


def test_a_capsule_out_of_reach_of_the_plane_is_skipped():
    rod = Capsule((10, 0, 0), (12, 0, 5), 2.0, 3.0)
    far, near = np.zeros(5), np.full(5, 11.0)
    assert capsule_distance(rod, far, np.zeros(5), np.zeros(5)) is None
    inside = capsule_distance(rod, near, np.zeros(5), np.full(5, 2.5))
    assert inside is not None and (inside > 0).all()
