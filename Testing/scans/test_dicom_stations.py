"""The stations of a whole spine, cut out of one drawn volume, composed again."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_series import SAGITTAL, write_series
from scipy.ndimage import gaussian_filter, map_coordinates

from SpinalTapLib.scans.reader import series_files
from SpinalTapLib.scans.volume import load_volume

SLICES, ROWS, COLUMNS, PIXEL_MM, STEP_MM = 5, 200, 40, 1.5, 4.0
TOP_MM = 60.0
WHOLE = gaussian_filter(np.random.default_rng(4).normal(0, 1, (SLICES, ROWS, COLUMNS)), (0.7, 4, 4))
WHOLE = 400 + 250 * WHOLE / np.abs(WHOLE).max()
STARTS = (0, 70, 140)
"""First rows of three stations of 90, 90 and 60 rows, which overlap by 20 rows (30 mm)."""


def write_stations(folder, gains=(1.0, 1.0, 1.0), starts=STARTS, rows=90, uid="1.2.3.1"):
    for number, (start, gain) in enumerate(zip(starts, gains)):
        part = (gain * WHOLE[:, start : start + rows]).round().astype(np.int16)
        origin = (10.0, -50.0, TOP_MM - PIXEL_MM * start)
        write_series(folder, part, uid=uid, instance=1 + 20 * number, pixel_mm=PIXEL_MM, step_mm=STEP_MM, origin=origin)
    return folder


@pytest.mark.parametrize("gains", [(1, 1, 1), (1, 1.4, 0.7), (0.6, 1, 2.5)])
def test_three_stations_become_one_volume_with_one_brightness(tmp_path, gains):
    volume = load_volume(write_stations(tmp_path, gains))
    assert volume.array.shape == WHOLE.shape
    np.testing.assert_allclose(volume.to_lps([SLICES - 1, 0, 0]), (10, -50, TOP_MM), atol=1e-6)
    np.testing.assert_allclose(volume.array / gains[0], WHOLE[::-1], rtol=0.01, atol=3 / min(gains))


def test_the_seams_are_told_and_the_single_stations_can_be_chosen(tmp_path):
    warnings = load_volume(write_stations(tmp_path)).warnings
    assert "3 stations of series 1 'T2 SAG'" in warnings[0]
    assert "3 stations of one series were composed into one volume" in warnings[-1]
    assert "S -74 to -45 mm, S -178 to -150 mm" in warnings[-1]
    middle = load_volume(tmp_path, "stack3")
    assert middle.array.shape == (SLICES, 90, COLUMNS)
    assert middle.to_lps([0, 0, 0])[2] == pytest.approx(TOP_MM - 70 * PIXEL_MM)
    with pytest.raises(ValueError, match="is composed of 3 stations"):
        series_files(tmp_path)
    assert len(series_files(tmp_path, "stack3")) == SLICES


def test_a_station_that_is_turned_a_little_is_brought_to_the_others_axes(tmp_path):
    angle = np.radians(6)
    along, down = (0, np.cos(angle), np.sin(angle)), (0, np.sin(angle), -np.cos(angle))
    origin = np.array([10.0, -52.0, TOP_MM - 70 * PIXEL_MM])
    rows, columns = np.mgrid[:90, :COLUMNS]
    place = origin + PIXEL_MM * (columns[..., None] * np.array(along) + rows[..., None] * np.array(down))
    index = [(TOP_MM - place[..., 2]) / PIXEL_MM, (place[..., 1] + 50) / PIXEL_MM]
    turned = np.stack([map_coordinates(plane, index, order=1, mode="nearest") for plane in WHOLE]).round()
    write_stations(tmp_path, (1,), (0,))
    write_series(tmp_path, turned.astype(np.int16), instance=30, cosines=(along, down), pixel_mm=PIXEL_MM,
                 step_mm=STEP_MM, origin=tuple(origin))  # fmt: skip
    volume = load_volume(tmp_path)
    assert volume.array.shape[1] > 150
    inside = volume.to_lps(np.stack(np.mgrid[:SLICES, 5:150, 12:28], -1))
    rows_of, columns_of = (TOP_MM - inside[..., 2]) / PIXEL_MM, (inside[..., 1] + 50) / PIXEL_MM
    true = np.stack([map_coordinates(WHOLE[::-1][k], [rows_of[k], columns_of[k]], order=1) for k in range(SLICES)])
    np.testing.assert_allclose(volume.array[:, 5:150, 12:28], true, atol=8)


@pytest.mark.parametrize("starts", [(0, 90), (0, 95), (0, 88), (0, 15)], ids=["touch", "gap", "3 mm", "nearly same"])
def test_stacks_that_hardly_overlap_or_show_the_same_place_stay_apart(tmp_path, starts):
    volume = load_volume(write_stations(tmp_path, (1, 1), starts))
    assert volume.array.shape[1] == 90
    assert "stack2" in volume.warnings[0]


def test_stations_of_other_echoes_are_not_mixed(tmp_path):
    write_stations(tmp_path, (1,), (0,))
    part = WHOLE[:, 70:160].round().astype(np.int16)
    write_series(tmp_path, part, instance=50, pixel_mm=PIXEL_MM, step_mm=STEP_MM, echo_time="20",
                 origin=(10.0, -50.0, TOP_MM - PIXEL_MM * 70), cosines=SAGITTAL)  # fmt: skip
    assert load_volume(tmp_path).array.shape[1] == 90
