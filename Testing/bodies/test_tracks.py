"""Where corners lie in slices that did not show them, and boxes of voxels that reach out of the image."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from drawn_parts import box
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.bodies.tracks import Window, polygon_distance, tracks_of

SPACING = np.array([4.0, 1.0, 1.0])
SHAPE = (12, 120, 100)


def members(places: dict[int, tuple[float, float]]):
    return [SimpleNamespace(slice=k, corners=box(*at)) for k, at in places.items()]


def track(places, side_mm=6.0):
    return tracks_of([members(places)], SHAPE, SPACING, reach_mm=7.0, side_mm=side_mm)[0]


def naive_distance(corners: np.ndarray, point: np.ndarray) -> float:
    """Distance to the nearest of many points on the outline; inside where all edges turn the same way."""
    t = np.linspace(0, 1, 400)[:, None]
    following = np.roll(corners, -1, axis=0)
    outline = np.concatenate([a * (1 - t) + b * t for a, b in zip(corners, following)])
    edges, offsets = following - corners, point - corners
    turns = edges[:, 1] * offsets[:, 0] - edges[:, 0] * offsets[:, 1]
    return float(np.linalg.norm(outline - point, axis=1).min()) * (-1 if (turns > 0).all() else 1)


@settings(deadline=None, max_examples=25)
@given(st.floats(-40, 40), st.floats(8, 20), st.floats(10, 24))
def test_distance_to_a_quadrilateral_is_that_of_the_naive_search(tilt, height, depth):
    corners = box(20, 22, height, depth, tilt)
    found = polygon_distance(corners, (40, 44))
    for row, column in ((0, 0), (20, 22), (12, 30), (39, 5), (25, 14)):
        assert found[row, column] == pytest.approx(naive_distance(corners, np.array([row, column])), abs=0.1)


@settings(deadline=None, max_examples=30)
@given(st.integers(-20, 60), st.integers(-20, 60), st.integers(1, 30), st.integers(1, 30))
def test_the_two_views_of_a_window_show_the_same_pixels(row, column, height, width):
    image = np.arange(40 * 50).reshape(40, 50)
    window = Window(0, np.array([row, column]), (1, height, width))
    own = np.full((height, width), -1)
    own[window.of_itself(image.shape)] = image[window.of_image(image.shape)]
    for r in range(height):
        for c in range(width):
            inside = 0 <= row + r < 40 and 0 <= column + c < 50
            assert own[r, c] == (image[row + r, column + c] if inside else -1)


def test_corners_between_two_slices_lie_between_and_beyond_them_go_on_with_the_lean():
    found = track({3: (60, 50), 4: (62, 50), 6: (66, 50)})
    first = found.window.first
    np.testing.assert_allclose(found.shear, [2, 0])
    np.testing.assert_allclose(found.quads[5 - first].mean(0), [64, 50])
    np.testing.assert_allclose(found.quads[2 - first].mean(0), [58, 50])
    np.testing.assert_allclose(found.quads[8 - first].mean(0), [70, 50])
    assert found.seen == (3, 4, 6) and found.middle == 4


def test_one_wrong_slice_does_not_change_the_lean():
    places = {k: (60.0 + k, 50.0) for k in range(3, 10)}
    places[5] = (90.0, 50.0)
    np.testing.assert_allclose(track(places).shear, [1, 0], atol=0.1)


def test_a_vertebra_in_one_slice_leans_like_its_neighbours():
    groups = [members({k: (60 + 1.5 * k, 50) for k in range(3, 9)}), members({5: (30, 50)})]
    straight, alone = tracks_of(groups, SHAPE, SPACING, reach_mm=7.0, side_mm=6.0)
    np.testing.assert_allclose(straight.shear, [1.5, 0], atol=1e-6)
    np.testing.assert_allclose(alone.shear, [1.5, 0], atol=1e-6)


def test_no_lean_is_steeper_than_45_degrees():
    assert track({k: (10.0 * k, 50.0) for k in range(3, 9)}).shear[0] == pytest.approx(4.0)


def test_the_more_a_vertebra_leans_the_further_it_may_go_on_sideways():
    upright = track({k: (60.0, 50.0) for k in range(4, 8)})
    leaning = track({k: (60.0 + 2 * k, 50.0) for k in range(4, 8)})  # its side's rims are 13 mm apart across the slices
    assert (upright.side, leaning.side) == (2, 5)


def test_a_window_leaves_one_empty_slice_at_either_end_and_stops_beyond_the_volume():
    inner = track({5: (60, 50), 6: (60, 50)}).window
    assert (inner.first, inner.first + inner.shape[0] - 1) == (2, 9)
    edge = track({0: (60, 50), 11: (60, 50)}).window
    assert (edge.first, edge.first + edge.shape[0] - 1) == (-1, 12)


def test_a_group_without_members_has_no_track():
    assert tracks_of([[]], SHAPE, SPACING, reach_mm=7.0, side_mm=6.0) == (None,)
