"""Sampling between pixels."""

import numpy as np

from SpinalTapLib.scans.sampling import bilinear

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
