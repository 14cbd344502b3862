"""The working resolution: every point stays in its place, and nothing is aliased."""

from __future__ import annotations

import numpy as np
import pytest
from frames import rotation, scaled

from SpinalTapLib.scans.resampling import working_volume
from SpinalTapLib.scans.volume import SagittalVolume

pytestmark = pytest.mark.filterwarnings("error")  # NumPy's warnings would reach the terminal too


def blob(spacing: tuple[float, float, float], extent_mm=(60, 60, 60), turn=0.0) -> tuple[SagittalVolume, np.ndarray]:
    """A smooth blob (sd 6 mm) and its centre in LPS."""
    matrix = rotation((1, 1, 2), turn) @ scaled(*spacing)
    shape = np.round(np.array(extent_mm) / spacing).astype(int)
    centre = matrix[:3] @ [*((shape - 1) / 2 + [0.3, -1.7, 2.2]), 1]
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    distance = index @ matrix[:3, :3].T + matrix[:3, 3] - centre
    return SagittalVolume(np.exp(-(distance**2).sum(-1) / 72).astype(np.float32), matrix), centre


def centre_of_mass(volume: SagittalVolume) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, volume.array.shape), indexing="ij"), -1)
    return volume.to_lps((index * volume.array[..., None]).reshape(-1, 3).sum(0) / volume.array.sum())


@pytest.mark.parametrize(
    "spacing",
    [(1, 1, 1), (0.9, 0.9, 0.9), (0.6, 0.5, 0.4), (4, 0.35, 0.6), (3.3, 1.6, 1.45), (1.5, 1.5, 1.5), (5, 1, 1)],
)
@pytest.mark.parametrize("turn", [0, 17])
def test_a_point_keeps_its_place_to_a_twentieth_of_a_millimetre(spacing, turn):
    volume, centre = blob(spacing, turn=turn)
    before, after = centre_of_mass(volume), centre_of_mass(working_volume(volume))
    assert np.linalg.norm(before - centre) < 0.05
    assert np.linalg.norm(after - before) < 0.05


@pytest.mark.parametrize(
    ("slice_mm", "working_mm"),
    [(0.5, 2.0), (0.9, 2.0), (1.0, 2.0), (0.99, 2.0), (1.5, 2.0), (1.95, 1.95), (2.0, 2.0), (4.4, 4.4)],
)
def test_thin_slices_are_averaged_to_about_two_millimetres_over_the_whole_width(slice_mm, working_mm):
    volume, _ = blob((slice_mm, 1, 1))
    working = working_volume(volume)
    assert working.spacing_mm[0] == pytest.approx(working_mm, abs=0.08)
    assert len(working.array) * working.spacing_mm[0] == pytest.approx(len(volume.array) * slice_mm)
    np.testing.assert_allclose(working.array.mean(0), volume.array.mean(0), atol=1e-6)  # every slice counts once


def test_a_slice_on_the_border_of_two_counts_in_part_in_each():
    slices = np.random.default_rng(0).normal(size=(8, 4, 4)).astype(np.float32)
    working = working_volume(SagittalVolume(slices, scaled(1.5, 1, 1)))
    assert working.spacing_mm[0] == 2.0
    np.testing.assert_allclose(working.array[0], (slices[0] + slices[1] / 3) * 0.75, atol=1e-6)
    np.testing.assert_allclose(working.array[1], (slices[1] * 2 / 3 + slices[2] * 2 / 3) * 0.75, atol=1e-6)


def test_pixels_become_one_millimetre_and_cover_the_same_field():
    volume, _ = blob((4, 0.45, 0.7))
    working = working_volume(volume)
    np.testing.assert_allclose(working.spacing_mm, (4, 1, 1))
    extent = np.array(volume.array.shape) * volume.spacing_mm
    np.testing.assert_allclose(np.array(working.array.shape) * working.spacing_mm, extent, atol=0.51)
    middles = [each.to_lps((np.array(each.array.shape) - 1) / 2) for each in (volume, working)]
    np.testing.assert_allclose(*middles, atol=1e-9)


def test_a_volume_at_the_working_resolution_is_left_alone():
    volume, _ = blob((3, 1, 1))
    assert working_volume(volume) is volume


def test_shrinking_averages_fine_stripes_away_instead_of_aliasing_them():
    stripes = np.zeros((2, 200, 200), np.float32)
    stripes[:, ::2] = 1.0
    fine = SagittalVolume(stripes, scaled(4, 0.4, 0.4))
    inner = working_volume(fine).array[:, 4:-4, 4:-4]
    assert np.abs(inner - 0.5).max() < 0.03


def test_a_flat_volume_stays_flat_to_its_edges():
    flat = SagittalVolume(np.full((5, 31, 23), 40, np.float32), scaled(0.8, 0.55, 1.3))
    np.testing.assert_allclose(working_volume(flat).array, 40, rtol=1e-5)


def test_growing_keeps_a_linear_ramp_a_ramp():
    rows = np.arange(40, dtype=np.float32)
    coarse = SagittalVolume(np.tile(rows[:, None], (2, 1, 30)), scaled(4, 1.6, 1.6))
    working = working_volume(coarse)
    index = coarse.to_index(working.to_lps([(0, row, 5) for row in range(working.array.shape[1])]))[:, 1]
    np.testing.assert_allclose(working.array[0, 5:-5, 5], index[5:-5], atol=1e-4)


@pytest.mark.parametrize("wrong", [{"pixel_mm": 0}, {"min_slice_mm": -1}, {"pixel_mm": float("nan")}])
def test_a_working_resolution_of_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match="working resolution must be above zero"):
        working_volume(blob((4, 1, 1))[0], **wrong)
