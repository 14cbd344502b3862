"""Tiles cover the image, are brought to common intensities, and blend into what was cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiles_by_hand import blend, normalise_tile

from SpinalTapLib.detection.tiling import Blender, normalise_tiles, tile_grid


@given(rows=st.integers(1, 900), columns=st.integers(1, 900), tile=st.integers(32, 352), part=st.floats(0, 0.9))
@settings(max_examples=150, deadline=None)
def test_tiles_cover_every_pixel_and_overlap_as_asked(rows: int, columns: int, tile: int, part: float) -> None:
    overlap = int(part * tile)
    windows = tile_grid((rows, columns), tile, overlap)
    covered = np.zeros((rows, columns), int)
    for window in windows:
        covered[window] += 1
    assert covered.min() >= 1
    assert {(r.stop - r.start, c.stop - c.start) for r, c in windows} == {covered[windows[0]].shape}
    assert max(covered[windows[0]].shape) <= tile
    for axis in (0, 1):
        bounds = sorted({(w[axis].start, w[axis].stop) for w in windows})
        assert all(stop - start >= overlap for (_, stop), (start, _) in zip(bounds, bounds[1:]))
        assert bounds[0][0] == 0
        assert bounds[-1][1] == (rows, columns)[axis]


def test_a_whole_spine_needs_three_tiles_and_a_lumbar_one_needs_one() -> None:
    assert len(tile_grid((900, 350))) == 3
    assert tile_grid((300, 300)) == [(slice(0, 300), slice(0, 300))]


@pytest.mark.parametrize(("shape", "tile", "overlap"), [((0, 5), 32, 8), ((9, 9), 32, 32), ((9, 9), 32, -1)])
def test_impossible_grids_are_refused(shape: tuple[int, int], tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="cannot"):
        tile_grid(shape, tile, overlap)


def naive_normalise(tile: np.ndarray) -> np.ndarray:
    values = np.sort(tile.astype(float).ravel())
    last = len(values) - 1
    clipped = np.clip(tile.astype(float), values[round(0.005 * last)], values[round(0.995 * last)])
    return (clipped - clipped.mean()) / clipped.std()


@given(gain=st.floats(1e-6, 1e6), offset=st.floats(-1e3, 1e3), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_gain_and_offset_of_the_scanner_do_not_matter(gain: float, offset: float, seed: int) -> None:
    tile = np.random.default_rng(seed).gamma(2.0, 50.0, (32, 40))
    expected = naive_normalise(tile)
    np.testing.assert_allclose(normalise_tile(gain * (tile + offset)), expected, atol=2e-3)
    assert abs(normalise_tile(tile).mean()) < 1e-4
    assert normalise_tile(tile).std() == pytest.approx(1, abs=1e-3)


def test_a_few_hot_pixels_do_not_set_the_scale() -> None:
    tile = np.random.default_rng(0).normal(100, 10, (64, 64))
    spoilt = tile.copy()
    spoilt[3, :15] = 1e5
    difference = np.abs(normalise_tile(spoilt) - normalise_tile(tile))
    difference[3, :15] = 0
    assert np.median(difference) < 0.03  # the tail between the old and the new quantile moves more
    assert normalise_tile(spoilt).max() < 4


@pytest.mark.parametrize("value", [0.0, 7.0, -1e30])
def test_a_constant_tile_becomes_zeros(value: float) -> None:
    assert not normalise_tile(np.full((16, 16), value)).any()


def test_each_tile_of_a_batch_stands_for_itself_and_integers_are_welcome() -> None:
    tiles = np.random.default_rng(0).integers(0, 4000, (3, 1, 20, 24)).astype(np.int16)
    tiles[1] //= 10
    together = normalise_tiles(torch.from_numpy(tiles))
    assert together.dtype == torch.float32
    for i in range(3):
        np.testing.assert_allclose(together[i, 0].numpy(), normalise_tile(tiles[i, 0]), atol=1e-6)


def test_a_tile_that_is_not_contiguous_is_read_right() -> None:
    image = np.random.default_rng(0).random((50, 60)).astype(np.float32)
    np.testing.assert_array_equal(normalise_tile(image[5:40, ::2]), normalise_tile(image[5:40, ::2].copy()))


def naive_blend(maps: list, windows: list, shape: tuple[int, int], overlap: int) -> np.ndarray:
    """One pixel after another: the mean of all tiles, weighted by the cosine of the distance to the tile's edge."""

    def weight(position: int, bounds: slice) -> float:
        length = bounds.stop - bounds.start
        width = max(1, min(overlap, length // 2))
        distance = min(position - bounds.start, bounds.stop - 1 - position) + 0.5
        return 0.5 - 0.5 * np.cos(np.pi * min(distance / width, 1))

    out = np.zeros((maps[0].shape[0], *shape))
    for r in range(shape[0]):
        for c in range(shape[1]):
            total = 0.0
            for tile, (rows, columns) in zip(maps, windows):
                if rows.start <= r < rows.stop and columns.start <= c < columns.stop:
                    w = weight(r, rows) * weight(c, columns)
                    out[:, r, c] += w * tile[:, r - rows.start, c - columns.start]
                    total += w
            out[:, r, c] /= total
    return out


def test_blending_agrees_with_the_naive_mean() -> None:
    rng = np.random.default_rng(0)
    windows = tile_grid((45, 38), 24, 8)
    assert len(windows) > 4
    maps = [rng.random((2, w[0].stop - w[0].start, w[1].stop - w[1].start)) for w in windows]
    np.testing.assert_allclose(blend(maps, windows, (45, 38), 8), naive_blend(maps, windows, (45, 38), 8), atol=1e-5)


@pytest.mark.parametrize("shape", [(45, 38), (24, 60), (10, 10), (100, 25)])
def test_tiles_of_one_image_blend_into_that_image(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((3, *shape)).astype(np.float32)
    windows = tile_grid(shape, 24, 7)
    np.testing.assert_allclose(blend([image[:, r, c] for r, c in windows], windows, shape, 7), image, atol=1e-6)


def test_the_seam_between_two_tiles_that_disagree_is_smooth() -> None:
    windows = tile_grid((16, 100), 64, 28)
    steps = np.diff(blend([np.full((1, 16, 64), v) for v in (0.0, 1.0)], windows, (16, 100), 28)[0, 8])
    assert np.abs(steps).max() < 0.07
    assert (steps > -1e-6).all()


def test_pixels_without_a_tile_are_zero() -> None:
    blender = Blender(1, (8, 8), 2)
    blender.add(torch.ones((1, 4, 8)), (slice(0, 4), slice(0, 8)))
    assert blender.result()[0].sum() == pytest.approx(32)
