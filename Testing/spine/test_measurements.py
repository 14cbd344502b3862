"""Measurements against shapes whose heights, angles and offsets are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spines_by_hand import box_corners, column, moved, painted, rotation_about, spine_of, vertebra

from SpinalTapLib.spine.mask_heights import BodyMasks
from SpinalTapLib.spine.measurements import height_loss, measure, measure_body, measure_disc, measure_spine


def values_of(*vertebrae):
    return [measure_body(v) for v in vertebrae]


def test_a_box_has_its_own_height_and_depth_and_no_wedge():
    values = measure_body(vertebra("L3", box_corners((3, 5, 7), height=25, depth=33, tilt_deg=12)))
    assert values["height_anterior_mm"] == pytest.approx(25)
    assert values["height_posterior_mm"] == pytest.approx(25)
    assert values["depth_mm"] == pytest.approx(33)
    assert values["wedge_angle_deg"] == pytest.approx(0, abs=1e-9)
    assert values["wedge_ratio"] == pytest.approx(1)


def test_without_a_mask_there_is_no_middle_height():
    values = measure_body(vertebra("L3", box_corners((0, 0, 0))))
    assert not {"height_middle_mm", "biconcavity_ratio"} & set(values)


def test_a_wedge_with_a_low_front_has_a_negative_angle():
    corners = box_corners((0, 0, 0), height=24, depth=30)
    corners[0, 2] -= 6
    values = measure_body(vertebra("T8", corners))
    assert values["wedge_ratio"] == pytest.approx(18 / 24)
    assert values["wedge_angle_deg"] == pytest.approx(-np.degrees(np.arctan2(6, 30)))


def test_parallel_plates_are_as_far_apart_as_they_are():
    low, high = column(("L4", "L3"), pitch=36, height=26)
    values = measure_disc(high, low, *values_of(high, low))
    for key in ("disc_height_anterior_mm", "disc_height_middle_mm", "disc_height_posterior_mm"):
        assert values[key] == pytest.approx(10)
    assert values["disc_height_index"] == pytest.approx(10 / 26)
    assert values["slip_mm"] == pytest.approx(0, abs=1e-9)
    assert values["disc_angle_deg"] == pytest.approx(0, abs=1e-9)


def test_a_collapsed_disc_has_no_height_below_zero():
    low, high = column(("L4", "L3"), pitch=24, height=26)
    values = measure_disc(high, low, *values_of(high, low))
    assert [v for k, v in values.items() if k.startswith("disc_height")] == [0, 0, 0, 0]


def test_a_slip_does_not_change_the_disc_height_but_its_plain_distance():
    low = vertebra("L5", box_corners((0, 0, 0)))
    high = vertebra("L4", box_corners((0, -8, 36)))
    values = measure_disc(high, low, *values_of(high, low))
    assert values["disc_height_posterior_mm"] == pytest.approx(10)
    assert values["slip_mm"] == pytest.approx(8)
    assert values["slip_percent"] == pytest.approx(100 * 8 / 34)


def test_a_wedged_disc_is_measured_across_its_bisector():
    low = vertebra("S1", box_corners((0, 0, 0), tilt_deg=10))
    high = vertebra("L5", box_corners((0, 0, 36), tilt_deg=-10))
    values = measure_disc(high, low, *values_of(high, low))
    assert values["disc_angle_deg"] == pytest.approx(20)
    plate_end = np.array([17 * np.cos(np.radians(10)), 17 * np.sin(np.radians(10))])
    gap = 36 - 26 * np.cos(np.radians(10))
    assert values["disc_height_anterior_mm"] == pytest.approx(gap + 2 * plate_end[1])
    assert values["disc_height_posterior_mm"] == pytest.approx(gap - 2 * plate_end[1])


def test_a_forward_offset_of_three_millimetres_is_named_and_a_smaller_one_is_not():
    low = vertebra("L5", box_corners((0, 0, 0)))
    for offset, expected in ((-3.4, "3.4 mm forward offset on L5"), (4, "4.0 mm backward offset on L5"), (-2.5, None)):
        high = vertebra("L4", box_corners((0, offset, 36)))
        flags = measure((low, high))[1].flags
        assert flags == ((expected,) if expected else ())


@pytest.mark.parametrize(("front", "expected"), [(0.81, None), (0.78, "mild"), (0.70, "moderate"), (0.55, "severe")])
def test_a_low_front_is_named_with_the_range_of_its_loss(front, expected):
    corners = box_corners((0, 0, 0), height=20)
    corners[0, 2] -= 20 * (1 - front)
    flags = measure((vertebra("T12", corners),))[0].flags
    assert flags == ((f"anterior height loss {100 * (1 - front):.0f} % ({expected} range)",) if expected else ())


def test_the_low_front_of_a_cervical_body_is_measured_but_not_named():
    corners = box_corners((0, 0, 0), height=12, depth=16)
    corners[0, 2] -= 4
    measured = measure((vertebra("C5", corners),))[0]
    assert measured.measurements["wedge_ratio"] == pytest.approx(8 / 12)
    assert measured.flags == ()


@pytest.mark.parametrize(("scale", "named"), [(0.6, False), (1.0, True)])
def test_a_body_without_a_level_is_named_unless_it_is_as_small_as_a_cervical_one(scale, named):
    corners = box_corners((0, 0, 0), height=20) * scale
    corners[0, 2] -= 8 * scale
    assert bool(measure((vertebra(None, corners),))[0].flags) is named


@pytest.mark.parametrize("flag", ["corner estimated", "cut by the edge of the image"])
def test_a_body_not_wholly_seen_gets_no_measured_flag(flag):
    corners = box_corners((0, -9, 36), height=20)
    corners[0, 2] -= 8
    low = vertebra("L5", box_corners((0, 0, 0)))
    assert measure((low, vertebra("L4", corners, flags=(flag,))))[1].flags == (flag,)


def test_a_body_lower_than_both_neighbours_has_a_crush_ratio():
    low, middle, high = column(("L4", "L3", "L2"))
    middle = vertebra("L3", box_corners((0, 0, 36), height=16))
    measured = measure((low, middle, high))
    assert measured[1].measurements["crush_ratio"] == pytest.approx(16 / 26)
    assert measured[1].flags == ("posterior height loss 38 % (moderate range)",)
    assert "crush_ratio" not in measured[0].measurements


def test_the_sacrum_is_no_neighbour_for_heights():
    measured = measure(column(("S1", "L5", "L4")))
    assert "crush_ratio" not in measured[1].measurements


def test_measuring_twice_leaves_the_same_flags():
    low = vertebra("L5", box_corners((0, 0, 0)))
    high = vertebra("L4", box_corners((0, -6, 36)), flags=("low confidence",))
    once = measure((low, high))
    twice = measure(once)
    assert twice[1].flags == once[1].flags == ("low confidence", "6.0 mm forward offset on L5")


@pytest.mark.parametrize("tilt", [0.0, 7.0, 20.0])
@pytest.mark.parametrize("spacing", [(4.0, 1.0, 1.0), (1.0, 0.6, 1.4), (3.0, 0.35, 0.35)])
def test_the_middle_height_of_a_painted_box_is_its_height(tilt, spacing):
    body = vertebra("L3", box_corners((0, 3.3, 1.7), height=25.3, depth=33, tilt_deg=tilt))
    volume, labels = painted((body,), spacing)
    assert BodyMasks(labels, volume.matrix).height_mm(body) == pytest.approx(25.3, abs=0.35)


def test_the_middle_height_of_a_sheared_body_is_along_its_walls():
    corners = box_corners((0, 0.13, 0.17), height=24, depth=34)
    corners[:2, 1] -= 8  # the upper plate stands forward
    body = vertebra("L5", corners)
    volume, labels = painted((body,), (4.0, 0.5, 0.5))
    assert BodyMasks(labels, volume.matrix).height_mm(body) == pytest.approx(np.hypot(24, 8), abs=0.3)


def test_concave_plates_lower_the_middle_height_only():
    body = vertebra("L2", box_corners((0, 0, 0), height=24, depth=34))
    volume, labels = painted((body,), (4.0, 0.5, 0.5))
    points = volume.to_lps(np.argwhere(labels > 0))
    notch = np.abs(points[:, 2]) > 12 - 4 * (1 - np.abs(points[:, 1]) / 17)
    labels[tuple(np.argwhere(labels > 0)[notch].T)] = 0
    values = measure_spine(spine_of((body,), labels), volume.matrix).vertebrae[0].measurements
    assert values["height_anterior_mm"] == pytest.approx(24)
    assert values["height_middle_mm"] == pytest.approx(24 - 8 * 0.9, abs=0.3)
    assert values["biconcavity_ratio"] == pytest.approx((24 - 8 * 0.9) / (24 - 8 * 0.3), abs=0.02)


def test_corners_beside_the_edge_of_the_mask_are_no_loss_of_height():
    body = vertebra("L2", box_corners((0, 0.1, 0.2), height=24, depth=34))
    volume, labels = painted((body,), (4.0, 1.0, 1.0))
    larger = vertebra("L2", box_corners((0, 0.1, 0.2), height=31, depth=36))
    measured = measure_spine(spine_of((larger,), labels), volume.matrix).vertebrae[0]
    assert measured.measurements["biconcavity_ratio"] == pytest.approx(1, abs=0.03)
    assert measured.flags == ()


def test_the_dens_does_not_make_c2_tall():
    body = vertebra("C2", box_corners((0, 0, 0), height=20, depth=16))
    volume, labels = painted((body,))
    assert BodyMasks(labels, volume.matrix).height_mm(body) is None


def test_a_body_without_a_mask_has_no_middle_height():
    body = vertebra("L2", box_corners((0, 0, 0)))
    volume, labels = painted((body,))
    assert BodyMasks(np.zeros_like(labels), volume.matrix).height_mm(body) is None


def test_the_gap_between_two_painted_boxes_is_the_disc():
    pair = column(("L4", "L3"), pitch=34.5, height=26, depth=33)
    volume, labels = painted(pair, (4.0, 0.7, 0.7))
    assert BodyMasks(labels, volume.matrix).gap_mm(pair[1], pair[0]) == pytest.approx(8.5, abs=0.3)


@settings(max_examples=25, deadline=None)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1),
    degrees=st.floats(-180, 180),
    shift=st.tuples(*[st.floats(-400, 400)] * 3),
    seed=st.integers(0, 1000),
)
def test_turning_and_shifting_the_patient_changes_no_measurement(axis, degrees, shift, seed):
    rng = np.random.default_rng(seed)
    spine = tuple(
        replace(v, corners_lps_mm=v.corners_lps_mm + rng.normal(0, 2, (4, 3)) * (0.3, 1, 1))
        for v in column(("S1", "L5", "L4", "L3"))
    )
    turned = tuple(moved(v, rotation_about(axis, degrees), np.array(shift)) for v in spine)
    for before, after in zip(measure(spine), measure(turned)):
        assert dict(after.measurements) == pytest.approx(dict(before.measurements), abs=1e-6)
        assert after.flags == before.flags


def test_every_measurement_carries_its_unit_or_is_a_ratio():
    volume, labels = painted(column(("L5", "L4", "L3")))
    spine = measure_spine(spine_of(column(("L5", "L4", "L3")), labels), volume.matrix)
    names = {name for v in spine.vertebrae for name in v.measurements}
    assert len(names) == 15
    assert all(name.endswith(("_mm", "_deg", "_percent", "_ratio", "_index")) for name in names)


def test_the_largest_loss_is_the_one_that_counts():
    place, percent, word = height_loss({"wedge_ratio": 0.79, "biconcavity_ratio": 0.5, "crush_ratio": 0.9})
    assert (place, percent, word) == ("middle", pytest.approx(50), "severe")
    assert height_loss({}) is None
