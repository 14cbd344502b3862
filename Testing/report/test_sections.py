"""Sections: pictures in true proportions, on a surface that follows the spine sideways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from spines_by_hand import box_corners, column, painted, vertebra

from SpinalTapLib.report.sections import front_section, side_section, spine_window, window
from SpinalTapLib.scans.volume import SagittalVolume


def bent(count: int = 7, amplitude_mm: float = 15.0):
    """Boxes whose centroids swing to the left in the middle."""
    names = ("S1", "L5", "L4", "L3", "L2", "L1", "T12")[:count]
    x = amplitude_mm * np.sin(np.linspace(0, np.pi, count))
    return tuple(vertebra(n, box_corners((x[i], 0, 36 * i))) for i, n in enumerate(names))


@pytest.mark.parametrize("spacing", [(4.0, 1.0, 1.0), (2.0, 0.5, 1.5), (5.0, 1.6, 0.4)])
def test_a_box_is_as_high_and_deep_in_the_picture_as_in_the_body(spacing):
    vertebrae = column(("L5", "L4", "L3"), height=26, depth=34)
    volume, labels = painted(vertebrae, spacing)
    section = side_section(volume, vertebrae, 3.0)
    (line,) = section.outlines(labels, vertebrae[1].label_value)
    assert np.ptp(line[:, 0]) / 3 == pytest.approx(26, abs=1.2 * spacing[1])
    assert np.ptp(line[:, 1]) / 3 == pytest.approx(34, abs=1.2 * spacing[2])
    middle = (line.max(0) + line.min(0)) / 2
    assert middle == pytest.approx(section.position_of(vertebrae[1].centroid_lps_mm), abs=2.5 * max(spacing[1:]))
    corners = section.position_of(vertebrae[1].corners_lps_mm)
    assert np.ptp(corners[:, 0]) == pytest.approx(26 * 3) and np.ptp(corners[:, 1]) == pytest.approx(34 * 3)


def test_grey_values_lie_under_the_outlines():
    vertebrae = column(("L5", "L4", "L3"))
    volume, labels = painted(vertebrae, (4.0, 1.0, 1.0))
    section = side_section(volume, vertebrae, 2.5)
    row, col = np.round(section.position_of(vertebrae[1].centroid_lps_mm)).astype(int)
    assert section.image[row, col] > 300
    disc = (vertebrae[0].centroid_lps_mm + vertebrae[1].centroid_lps_mm) / 2
    row, col = np.round(section.position_of(disc)).astype(int)
    assert section.image[row, col] < 200
    assert not section.curved and labels.any()


def test_a_straight_spine_is_shown_on_one_slice_as_acquired():
    vertebrae = column(("L5", "L4", "L3"))
    volume, _ = painted(vertebrae, (4.0, 1.0, 1.0))
    noisy = replace(volume, array=np.random.default_rng(0).normal(0, 1, volume.array.shape).astype(np.float32))
    section = side_section(noisy, vertebrae, 1.0)
    k = round(float(noisy.to_index(vertebrae[0].centroid_lps_mm)[0]))
    columns = noisy.array.shape[2] - section.image.shape[1]
    assert columns >= 0
    assert section.image[5:-5, 5:-5] == pytest.approx(noisy.array[k][5:-5, 5 : section.image.shape[1] - 5], abs=1e-3)


def test_a_bent_spine_shows_every_body_at_full_size():
    vertebrae = bent()
    volume, labels = painted(vertebrae, (3.0, 1.0, 1.0), half_width_mm=7.0)
    section = side_section(volume, vertebrae, 2.0)
    assert section.curved
    for item in vertebrae:
        (line,) = section.outlines(labels, item.label_value)
        assert np.ptp(line[:, 0]) / 2 == pytest.approx(26, abs=1.5)
    straight = side_section(volume, (vertebrae[0],), 2.0)
    assert len(straight.outlines(labels, vertebrae[3].label_value)) == 0


def test_from_the_front_the_patient_s_right_is_on_the_left():
    vertebrae = bent()
    volume, labels = painted(vertebrae, (3.0, 1.0, 1.0), half_width_mm=15.0)
    section = front_section(volume, vertebrae, 2.0)
    low, middle = (section.position_of(v.centroid_lps_mm) for v in (vertebrae[0], vertebrae[3]))
    assert middle[1] - low[1] == pytest.approx(2 * 15, abs=1e-6)
    (line,) = section.outlines(labels, vertebrae[3].label_value)
    assert np.ptp(line[:, 1]) / 2 == pytest.approx(30, abs=3.1)  # one slice


def test_outlines_at_the_edge_of_the_volume_are_closed():
    vertebrae = column(("L5", "L4"))
    volume, labels = painted(vertebrae, (4.0, 1.0, 1.0))
    cut = slice(None), slice(None), slice(45, None)
    matrix = volume.matrix.copy()
    matrix[:3, 3] = volume.to_lps([0, 0, 45])
    part = SagittalVolume(volume.array[cut], matrix)
    for line in side_section(part, vertebrae, 2.0).outlines(labels[cut], vertebrae[0].label_value):
        assert np.array_equal(line[0], line[-1])


def test_without_vertebrae_the_middle_slice_is_shown_whole():
    volume, _ = painted(column(("L5", "L4")), (4.0, 1.0, 1.0))
    section = side_section(volume, (), 1.0)
    assert section.image.shape == volume.array.shape[1:]
    assert front_section(volume, (), 1.0).image.shape[0] == volume.array.shape[1]


def test_bright_fat_at_the_skin_does_not_darken_the_spine():
    vertebrae = column(("L5", "L4"))
    volume, _ = painted(vertebrae, (4.0, 1.0, 1.0), margin_mm=60)
    volume.array[:, :, -8:] = 9000
    low, high = spine_window(volume, vertebrae)
    assert high < 500
    assert window(np.array([low, high]), low, high) == pytest.approx([0, 255])
