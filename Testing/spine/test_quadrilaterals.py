"""Sizes and directions of quadrilaterals, against a box whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_parts import box
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from SpinalTapLib.spine import quadrilaterals as quads


@given(tilt=st.floats(-180, 180), height=st.floats(5, 60), depth=st.floats(5, 60))
@settings(deadline=None)
def test_a_turned_box_keeps_its_sizes(tilt: float, height: float, depth: float) -> None:
    corners = box(50, 40, height, depth, tilt)
    assert quads.height(corners) == pytest.approx(height)
    assert quads.depth(corners) == pytest.approx(depth)
    assert quads.area(corners) == pytest.approx(height * depth)
    assert quads.is_convex(corners)
    np.testing.assert_allclose(quads.up(corners), [-np.cos(np.deg2rad(tilt)), -np.sin(np.deg2rad(tilt))], atol=1e-9)
    assert quads.contains(corners, quads.sample_points(corners)).all()


def test_mirrored_crossed_and_dented_shapes_are_not_convex() -> None:
    good = box(50, 40)
    assert not quads.is_convex(good[[1, 0, 3, 2]])
    assert not quads.is_convex(good[[0, 1, 3, 2]])
    dented = good.copy()
    dented[0] = good.mean(0) + 2.0
    assert not quads.is_convex(dented)
    assert quads.area(good[[1, 0, 3, 2]]) < 0


def test_inside_agrees_with_a_painted_polygon() -> None:
    corners = np.array([[10.2, 8.4], [14.7, 40.1], [38.3, 36.6], [33.9, 5.2]])
    points = np.stack(np.mgrid[:50, :50], axis=-1).reshape(-1, 2)
    painted = polygon2mask((50, 50), corners).ravel()
    assert (quads.contains(corners, points) != painted).sum() <= 2


def test_overlap_is_the_covered_part() -> None:
    stack = np.stack([box(50, 50, 20, 20), box(60, 50, 20, 20), box(50, 50, 10, 10), box(90, 50, 20, 20)])
    covered = quads.overlap(stack)
    assert covered[0, 1] == pytest.approx(0.5, abs=0.1)
    assert covered[0, 2] == 1.0
    assert covered[2, 0] == pytest.approx(0.25, abs=0.06)
    assert covered[3].tolist() == [0, 0, 0, 1]
