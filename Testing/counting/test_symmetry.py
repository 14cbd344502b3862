"""The plane of symmetry: found from either side, in any contrast, and the guess kept where nothing can be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from SpinalTapLib.counting.rungs import Rung
from SpinalTapLib.counting.symmetry import HALF_WIDTH_MM, REACH_MM, settled
from SpinalTapLib.scans.volume import SagittalVolume, volume_from_array

RUNG = Rung(0.0, np.array([[47.0, 43], [47, 77], [73, 77], [73, 43]]))


def _volume(middle: float, slices: int = 16, slice_mm: float = 4.0, seed: int = 0, noise: float = 0.05):
    """A pattern that changes with the distance from the middle, the same on both sides of it."""
    rng = np.random.default_rng(seed)
    grain = gaussian_filter(rng.normal(size=(60, 120, 120)), (2.5, 3, 3))  # mm off the middle, row, column
    grain /= grain.std()
    away = np.minimum(np.abs(np.arange(slices) - middle) * slice_mm, 58)
    low = away.astype(int)
    part = (away - low)[:, None, None]
    array = grain[low] * (1 - part) + grain[low + 1] * part + rng.normal(0, noise, (slices, 120, 120))
    matrix = np.array([[slice_mm, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    return volume_from_array(array.astype(np.float32), matrix)


@settings(max_examples=25)
@given(
    middle=st.floats(6.0, 9.0),
    off_mm=st.floats(-9.0, 9.0),
    slice_mm=st.sampled_from([3.0, 4.0, 5.0]),
    seed=st.integers(0, 5),
)
def test_the_middle_is_found_from_either_side(middle, off_mm, slice_mm, seed):
    volume = _volume(middle, slice_mm=slice_mm, seed=seed)
    found = settled(volume, replace(RUNG, slice=middle + off_mm / slice_mm))
    assert abs(found.slice - middle) * slice_mm < 1.5
    assert np.array_equal(found.corners, RUNG.corners)


def test_contrast_and_its_inversion_change_nothing():
    volume = _volume(7.3)
    guess = replace(RUNG, slice=8.6)
    plain = settled(volume, guess).slice
    for factor, offset in ((250.0, 1000.0), (-3.0, 5.0)):
        assert settled(replace(volume, array=volume.array * factor + offset), guess).slice == pytest.approx(
            plain, abs=0.01
        )


def test_a_scan_from_left_to_right_gives_the_mirrored_answer():
    volume = _volume(7.3)
    flipped = replace(volume, array=np.ascontiguousarray(volume.array[::-1]))
    last = len(volume.array) - 1
    one, other = (settled(v, replace(RUNG, slice=s)).slice for v, s in ((volume, 8.0), (flipped, last - 8.0)))
    assert last - other == pytest.approx(one, abs=0.02)


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_with_few_slices_the_guess_is_kept(slices):
    volume = SagittalVolume(np.random.default_rng(0).normal(size=(slices, 120, 120)).astype(np.float32), np.eye(4))
    rung = replace(RUNG, slice=slices / 2)
    assert settled(volume, rung) is rung


def test_where_all_slices_are_the_same_the_guess_is_kept():
    volume = _volume(7.0)
    same = replace(volume, array=np.repeat(volume.array[7:8], 16, axis=0))
    assert settled(same, replace(RUNG, slice=6.0)).slice == pytest.approx(6.0, abs=0.26)
    flat = replace(volume, array=np.zeros_like(volume.array))
    assert settled(flat, replace(RUNG, slice=6.0)).slice == pytest.approx(6.0, abs=0.26)


def test_it_never_goes_further_than_its_reach_and_never_raises():
    rng = np.random.default_rng(3)
    noise = replace(_volume(7.0), array=rng.normal(size=(16, 120, 120)).astype(np.float32))
    for at in (-30.0, -1.0, 0.0, 7.4, 15.0, 40.0):
        found = settled(noise, replace(RUNG, slice=at))
        assert found.slice == at or abs(found.slice - at) * 4.0 <= REACH_MM + 2
    outside = Rung(7.0, RUNG.corners + 5000)
    assert np.isfinite(settled(noise, outside).slice)
    nowhere = Rung(7.0, np.full((4, 2), np.nan))
    assert settled(noise, nowhere) is nowhere


def test_thin_slices_far_away_do_not_matter():
    volume = _volume(30.0, slices=61, slice_mm=1.0)
    far = int((REACH_MM + HALF_WIDTH_MM) + 5)
    other = volume.array.copy()
    other[30 + far :] = 0
    guess = replace(RUNG, slice=31.0)
    assert settled(replace(volume, array=other), guess).slice == settled(volume, guess).slice
