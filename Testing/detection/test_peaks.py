"""Peaks are found where they were put."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from SpinalTapLib.detection.peaks import MAX_PEAKS, find_peaks

SHAPE = (60, 50)


def gaussians(points: np.ndarray, sigma: float = 1.8, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Return a map with a unit Gaussian at each (row, column)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    heat = np.zeros(shape)
    for r, c in points:
        heat = np.maximum(heat, np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * sigma**2)))
    return heat


@given(row=st.floats(3, 56), column=st.floats(3, 46), sigma=st.floats(1.3, 2.4))
@settings(max_examples=60, deadline=None)
def test_a_clean_gaussian_is_located_to_a_hundredth_of_a_pixel(row: float, column: float, sigma: float) -> None:
    peaks = find_peaks(gaussians(np.array([[row, column]]), sigma), 0.3)
    assert len(peaks) == 1
    np.testing.assert_allclose(peaks.positions[0], [row, column], atol=0.01)


def test_noise_of_five_percent_moves_a_peak_by_less_than_half_a_pixel() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        point = rng.uniform(10, 40, 2)
        heat = gaussians(point[None]) + rng.normal(0, 0.05, SHAPE)
        assert np.linalg.norm(find_peaks(heat, 0.4).positions[0] - point) < 0.5


def test_without_spacing_the_peaks_are_those_of_a_maximum_filter() -> None:
    rng = np.random.default_rng(1)
    heat = ndimage.gaussian_filter(rng.random((80, 70)), 1.0)
    threshold = float(np.median(heat))
    expected = (heat == ndimage.maximum_filter(heat, 3, mode="nearest")) & (heat >= threshold)
    peaks = find_peaks(heat, threshold, 0.0)
    order = np.argsort(-heat[expected])[:MAX_PEAKS]
    np.testing.assert_array_equal(peaks.scores, heat[expected][order])
    nearest = np.argwhere(expected)[order]
    assert np.abs(peaks.positions - nearest).max() <= 0.5


def test_of_two_close_peaks_the_higher_stays() -> None:
    heat = np.maximum(0.8 * gaussians(np.array([[30, 20]]), 1.3), gaussians(np.array([[30, 24]]), 1.3))
    peaks = find_peaks(heat, 0.3, min_distance_px=6)
    assert len(peaks) == 1
    np.testing.assert_allclose(peaks.positions[0], [30, 24], atol=0.1)
    assert len(find_peaks(heat, 0.3, min_distance_px=3)) == 2


def test_peaks_come_in_order_of_their_height_and_low_ones_are_left_out() -> None:
    heat = sum(h * gaussians(np.array([p])) for h, p in ((0.5, (10, 10)), (0.9, (30, 30)), (0.15, (50, 10))))
    peaks = find_peaks(np.asarray(heat), 0.2)
    np.testing.assert_allclose(peaks.scores, [0.9, 0.5], atol=1e-3)


def test_a_plateau_counts_once_and_a_peak_may_sit_on_the_edge() -> None:
    heat = np.zeros(SHAPE)
    heat[20:22, 30:32] = 0.7
    heat[0, 0] = heat[59, 49] = heat[0, 25] = 0.9
    positions = find_peaks(heat, 0.3).positions
    assert len(positions) == 4
    assert np.abs(positions - [[0, 0], [0, 25], [59, 49], [20.5, 30.5]]).max() <= 1.0


def test_values_above_one_are_cut_in_the_score() -> None:
    assert find_peaks(1.4 * gaussians(np.array([[9, 9]])), 0.3).scores[0] == 1.0


def test_an_empty_map_has_no_peaks() -> None:
    peaks = find_peaks(np.zeros(SHAPE), 0.2)
    assert len(peaks) == 0
    assert peaks.positions.shape == (0, 2)


def test_an_image_of_noise_gives_a_bounded_number_of_peaks() -> None:
    assert len(find_peaks(np.random.default_rng(0).random((200, 200)), 0.2, 0.0)) == MAX_PEAKS


def test_a_stack_of_maps_is_refused() -> None:
    with pytest.raises(ValueError, match="two axes"):
        find_peaks(np.zeros((5, 9, 9)), 0.2)
