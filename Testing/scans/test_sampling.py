"""Sampling between pixels."""

import numpy as np
import pytest
from scipy import ndimage

from SpinalTapLib.scans.sampling import bilinear, on_parallel_grid

IMAGES = np.random.default_rng(0).normal(0, 100, (3, 7, 9)).astype(np.float32)


def by_hand(image, row, column):
    r, c = min(int(row), 5), min(int(column), 7)
    down, across = row - r, column - c
    upper = image[r, c] * (1 - across) + image[r, c + 1] * across
    lower = image[r + 1, c] * (1 - across) + image[r + 1, c + 1] * across
    return upper * (1 - down) + lower * down


def test_values_between_pixels_are_those_of_the_formula():
    points = np.random.default_rng(1).uniform(0, [6, 8], (4, 5, 2))
    expected = [[[by_hand(image.astype(float), *p) for p in row] for row in points] for image in IMAGES]
    np.testing.assert_allclose(bilinear(IMAGES, points), expected, atol=1e-6)
    np.testing.assert_allclose(bilinear(IMAGES[1], points), expected[1], atol=1e-6)


def test_beyond_the_image_the_nearest_pixel_counts():
    assert bilinear(IMAGES[0], np.array([[-3.0, 2.0], [9.0, 20.0]])).tolist() == [IMAGES[0, 0, 2], IMAGES[0, 6, 8]]


@pytest.mark.parametrize("outside", [None, -7.0])
def test_a_parallel_grid_gives_what_a_general_transform_gives(outside):
    array = np.random.default_rng(3).normal(size=(7, 9, 11)).astype(np.float32)
    start, step, shape = np.array([-1.5, 2.0, 0.25]), np.array([1.0, 0.5, 0.8]), (9, 16, 14)
    mode = {"mode": "nearest"} if outside is None else {"mode": "constant", "cval": outside}
    expected = ndimage.affine_transform(array, np.diag(step), start, shape, order=1, **mode)
    found = on_parallel_grid(array, start, step, shape, outside)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_points_on_voxel_centres_are_taken_as_they_are():
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    found = on_parallel_grid(array, [1 - 1e-12, 0, -1e-12], [1, 1, 1], (2, 4, 5), outside=99.0)
    np.testing.assert_array_equal(found, array[1:])
