"""Angles of whole spines against arcs whose angles are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spines_by_hand import box_corners, column, moved, rotation_about, spine_of, vertebra

from SpinalTapLib.spine import levels
from SpinalTapLib.spine.angles import coronal_curve, coronal_tilts_deg, sacral_slope_deg, spine_curves

LUMBAR = ("S1", "L5", "L4", "L3", "L2", "L1")


def test_a_straight_spine_has_no_curves():
    curves = {c.name: c.angle_deg for c in spine_curves(spine_of(column(levels.COMMON)))}
    assert set(curves) == {
        "cervical_lordosis", "thoracic_kyphosis", "lumbar_lordosis", "sacral_slope", "coronal_curve",
    }  # fmt: skip
    assert all(angle == pytest.approx(0, abs=1e-6) for angle in curves.values())


def test_lordosis_is_the_sum_of_the_segments_from_s1_to_l1():
    tilts = np.linspace(35, -7, 6)  # the sacrum leans forward, L1 a little backward
    spine = [vertebra(n, box_corners((0, 0, 36 * i), tilt_deg=t)) for i, (n, t) in enumerate(zip(LUMBAR, tilts))]
    curves = {c.name: c for c in spine_curves(spine_of(tuple(spine)))}
    assert curves["lumbar_lordosis"].angle_deg == pytest.approx(42)
    assert curves["lumbar_lordosis"].levels == "L1-S1"
    assert curves["sacral_slope"].angle_deg == pytest.approx(35)
    assert sacral_slope_deg(spine[0]) == pytest.approx(35)


def test_without_s1_lordosis_ends_at_l5():
    curves = spine_curves(spine_of(column(LUMBAR[1:])))
    assert [c.levels for c in curves if c.name == "lumbar_lordosis"] == ["L1-L5"]


def test_a_hunched_thorax_has_a_positive_kyphosis():
    names = ("T12", "T11", "T10", "T9", "T8", "T7", "T6", "T5", "T4")
    spine = [vertebra(n, box_corners((0, 0, 30 * i), tilt_deg=4 * i)) for i, n in enumerate(names)]
    (kyphosis,) = (c for c in spine_curves(spine_of(tuple(spine))) if c.name == "thoracic_kyphosis")
    assert kyphosis.angle_deg == pytest.approx(32)
    assert (kyphosis.title, kyphosis.levels) == ("Thoracic kyphosis", "T4-T12")


def test_a_spine_without_levels_still_has_a_coronal_curve():
    spine = tuple(vertebra(None, v.corners_lps_mm) for v in column(LUMBAR))
    assert [c.name for c in spine_curves(spine_of(spine))] == ["coronal_curve"]


def arc(degrees: float, count: int, noise_mm: float = 0.0, seed: int = 0):
    """A spine bent sideways along a circle, so that its ends are `degrees` apart."""
    angles = np.radians(np.linspace(-degrees / 2, degrees / 2, count))
    radius = 33 * (count - 1) / np.radians(degrees)
    rng = np.random.default_rng(seed)
    x, z = radius * np.cos(angles) + rng.normal(0, noise_mm, count), radius * np.sin(angles)
    names = levels.COMMON[:count]
    return tuple(vertebra(n, box_corners((x[i], 0, z[i]))) for i, n in enumerate(names))


@pytest.mark.parametrize(("degrees", "count"), [(15, 7), (40, 9), (60, 17)])
def test_an_arc_has_the_angle_between_its_ends(degrees, count):
    curve = coronal_curve(arc(degrees, count))
    assert curve.angle_deg == pytest.approx(degrees, abs=1.5)
    assert (curve.lower, curve.upper) == ("S1", levels.COMMON[count - 1])


def test_an_s_shaped_spine_has_the_angle_between_its_turning_points():
    heights = np.arange(24) * 25.0
    amplitude, wave = 18.0, 2 * np.pi / heights[-1]
    spine = tuple(
        vertebra(n, box_corners((amplitude * np.sin(wave * z), 0, z), height=18))
        for n, z in zip(levels.COMMON, heights)
    )
    steepest = np.degrees(np.arctan(amplitude * wave))
    assert coronal_curve(spine).angle_deg == pytest.approx(2 * steepest, rel=0.08)


def test_a_millimetre_of_noise_does_not_bend_a_straight_spine():
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 1, 24)
        straight = tuple(
            vertebra(n, box_corners((noise[i], 0, 28 * i), height=20)) for i, n in enumerate(levels.COMMON)
        )
        assert coronal_curve(straight).angle_deg < 10


def test_a_leaning_spine_leans_at_every_level_and_is_not_curved():
    turn = rotation_about((0, 1, 0), 12)
    spine = tuple(vertebra(n, box_corners((np.tan(np.radians(12)) * 36 * i, 0, 36 * i))) for i, n in enumerate(LUMBAR))
    assert coronal_tilts_deg(spine) == pytest.approx(12.0, abs=0.1)
    assert coronal_curve(tuple(moved(v, turn, np.zeros(3)) for v in spine)).angle_deg == pytest.approx(0, abs=1e-6)


def test_four_vertebrae_are_too_few_for_a_coronal_curve():
    assert coronal_curve(column(LUMBAR[:4])) is None


@settings(max_examples=20, deadline=None)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1),
    degrees=st.floats(-180, 180),
    shift=st.tuples(*[st.floats(-400, 400)] * 3),
)
def test_turning_the_patient_changes_no_curve_but_the_sacral_slope(axis, degrees, shift):
    spine = arc(30, 19, noise_mm=1.0)
    turned = tuple(moved(v, rotation_about(axis, degrees), np.array(shift)) for v in spine)
    before = {c.name: c.angle_deg for c in spine_curves(spine_of(spine)) if c.name != "sacral_slope"}
    after = {c.name: c.angle_deg for c in spine_curves(spine_of(turned)) if c.name != "sacral_slope"}
    assert after == pytest.approx(before, abs=1e-5)
