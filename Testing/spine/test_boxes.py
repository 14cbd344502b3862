"""Boxes around vertebrae."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.spine.boxes import box_for_missed
from SpinalTapLib.spine.vertebra import Spine, Vertebra

CORNERS = np.array([[0, -15, 12], [0, 15, 12], [0, 15, -12], [0, -15, -12.0]])


def row_of(*heights, tilt=None):
    """A spine with centroids at these heights, mm, its frame turned by a matrix."""
    tilt = np.eye(3) if tilt is None else tilt
    centres = [tilt @ np.array([3.0, 0, height]) for height in heights]
    return Spine(tuple(Vertebra("L1", 20, 0.9, c, c + CORNERS @ tilt.T) for c in centres))


def scan(tilt=None, origin=(-40.0, -80, 120)):
    """Matrix and shape of a scan of 80 x 160 x 160 mm: x -40 to 40, y -80 to 80, z 120 down to -40."""
    tilt = np.eye(3) if tilt is None else tilt
    matrix = np.eye(4)
    matrix[:3, :3] = tilt @ np.array([[4.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # slice, row, column
    matrix[:3, 3] = tilt @ np.asarray(origin)
    return matrix, (20, 160, 160)


def test_the_widest_gap_is_where_a_vertebra_was_missed():
    box = box_for_missed(row_of(-30, 0, 30, 90), *scan())
    assert np.allclose(box.center_lps_mm, [3, 0, 60])


def test_without_a_gap_it_is_above_the_top():
    box = box_for_missed(row_of(0, 30, 60), *scan())
    assert np.allclose(box.center_lps_mm, [3, 0, 90])


@pytest.mark.parametrize("turn_deg", [0.0, 25.0])
def test_a_box_beyond_the_edge_of_the_scan_is_moved_inside(turn_deg):
    turn = np.deg2rad(turn_deg)
    tilt = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    spine, (matrix, shape) = row_of(40, 72, 104, tilt=tilt), scan(tilt)
    box = box_for_missed(spine, matrix, shape)
    ends = box.center_lps_mm + box.axes[:, 2] * np.array([[-0.5], [0.5]]) * box.size_mm[2]
    rows = np.linalg.inv(matrix)[:3, :3] @ ends.T + np.linalg.inv(matrix)[:3, 3:]
    assert rows[1].min() == pytest.approx(-0.5)
    assert np.allclose((tilt.T @ box.center_lps_mm)[:2], [3, 0])  # moved along the spine only
