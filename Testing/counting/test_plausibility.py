"""Plausibility: a column that cannot be a person's gets no names, and any that can be is left alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from SpinalTapLib.counting.labelling import label
from SpinalTapLib.counting.plausibility import objection, objection_of_signal, without_signal
from SpinalTapLib.detection.linking import Candidate
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure
from SpinalTapLib.spine.vertebra import SeedBox

DOWN, BACK = np.array([0.0, 0.0, -1.0]), np.array([0.0, 1.0, 0.0])


def _column(n: int = 7, *, s1_tilt: float = 40.0, growth: float = 0.97, lean: float = 0.0) -> np.ndarray:
    """Corners of n bodies, from the bottom up, LPS, mm; each is `growth` times as large as the one below it."""
    corners = []
    for i in range(n):
        size = growth**i
        half = size * np.array([(11, -15), (11, 15), (-11, 15), (-11, -15)], float)  # (up, back)
        tilt, way = np.deg2rad(s1_tilt if i == 0 else 0.0), np.deg2rad(lean)
        turned = half @ np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
        corners.append(turned + 32.0 * i * np.array([np.cos(way), -np.sin(way)]))
    flat = np.array(corners)
    return np.stack([np.zeros(flat.shape[:2]), flat[..., 1], flat[..., 0]], axis=-1)


def _said(corners: np.ndarray, first: int = 0) -> str:
    return objection(levels.COMMON[first : first + len(corners)], corners, DOWN, BACK)


@pytest.mark.parametrize("tilt", [3.0, 15.0, 40.0, 65.0])
@pytest.mark.parametrize("growth", [0.94, 1.0, 1.03])
@pytest.mark.parametrize("lean", [-35.0, 0.0, 35.0])
def test_the_columns_of_people_are_left_alone(tilt, growth, lean):
    assert not _said(_column(s1_tilt=tilt, growth=growth, lean=lean))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_short_column_is_left_alone(n):
    assert not _said(_column(n), first=3)


@pytest.mark.parametrize("lean", [-90.0, 90.0, 170.0])
def test_a_column_that_does_not_go_up_is_doubted(lean):
    assert "one above the other" in _said(_column(lean=lean))


def test_a_column_that_grows_from_the_bottom_up_is_upside_down():
    assert "upside down" in _said(_column(n=12, growth=1.06), first=3)


@pytest.mark.parametrize("tilt", [-8.0, -30.0, -60.0])
def test_a_sacrum_that_is_tilted_backwards_is_a_mirrored_one(tilt):
    assert "mirrored" in _said(_column(s1_tilt=tilt))


@pytest.mark.parametrize("turned", range(-20, 21, 4))
@pytest.mark.parametrize("tilt", [-2.0, 0.0])
def test_a_sacrum_in_line_with_the_spine_is_left_alone_however_the_scan_is_turned(turned, tilt):
    c, s = np.cos(np.deg2rad(turned)), np.sin(np.deg2rad(turned))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    assert not objection(levels.COMMON[:7], _column(s1_tilt=tilt) @ turn.T, turn @ DOWN, turn @ BACK)


def _scan(bright: Sequence[float]) -> tuple[np.ndarray, SagittalVolume]:
    """A column and a scan in which its bodies have these brightnesses."""
    corners = _column(len(bright))
    array = np.full((3, 400, 200), 10.0, np.float32)
    matrix = np.array([[4.0, 0, 0, -4], [0, 0, 1, -100], [0, -1, 0, 300], [0, 0, 0, 1]])
    for value, points in zip(bright, corners):
        row, column = 300 - points.mean(0)[2], points.mean(0)[1] + 100
        array[:, int(row) - 12 : int(row) + 12, int(column) - 15 : int(column) + 15] = value
    return corners, SagittalVolume(array, matrix)


@pytest.mark.parametrize("bright", [(300, 300, 300, 300), (120, 300, 280, 320), (500, 110, 300, 300), (60, 55, 58, 61)])
def test_bodies_of_different_brightness_are_left_alone(bright):
    assert not without_signal(*_scan(bright))


@pytest.mark.parametrize("bright", [(12, 300, 280, 320), (300, 80, 280, 320), (300, 300, 280, 15)])
def test_a_body_in_a_signal_void_is_seen(bright):
    assert without_signal(*_scan(bright)) == {int(np.argmin(bright))}


def test_an_end_in_a_signal_void_is_no_start():
    assert "the scan shows no signal (metal?) where S1 would be" in objection_of_signal(["S1", "L5", "L4"], [0])
    assert "where C2 would be" in objection_of_signal(["C4", "C3", "C2"], [2])
    assert not objection_of_signal(["S1", "L5", "L4"], [1]) and not objection_of_signal(["L5", "L4", "L3"], [0])


def test_only_named_vertebrae_count():
    assert not objection([None] * 6 + ["L5"], _column(lean=90.0), DOWN, BACK)


def test_what_is_not_plausible_gets_no_names_unless_the_user_names_it():
    found = []
    for i, corners in enumerate(_column(s1_tilt=-30.0)):
        evidence = np.zeros(N_STRUCTURES)
        evidence[Structure.S1 if i == 0 else Structure.BODY] = 0.9
        found.append(Candidate((), corners.mean(0), corners, 7, evidence, 0.9, (), (6, 7, 8), number=i))
    named = label(found)
    assert named.anchor == "none" and all(v.level is None for v in named.vertebrae)
    assert len(named.warnings) == 1 and "mirrored from front to back" in named.warnings[0]
    pinned = label(found, SeedBox(found[0].centroid_lps_mm, np.full(3, 30.0)))
    assert [v.level for v in pinned.vertebrae][:2] == ["S1", "L5"]
