"""What a plane or a point shows: on phantoms whose label map is the truth, and on boxes whose numbers are known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from spines_by_hand import column, moved, rotation_about, spine_of, vertebra

from SpinalTapLib.spine import levels
from SpinalTapLib.spine.level_at import LevelMap, Plane, level_at
from SpinalTapLib.spine.notes import Note
from SpinalTapLib.spine.vertebra import CORNERS

BOXES = column(("S1", "L5", "L4", "L3", "L2"))  # 26 mm high, 36 mm from centre to centre, L4 at z = 72
ENOUGH = 0.3  # of the bone and disc in a slice of 3 mm: a reader sees both neighbours


def axial(z, y=0.0, tilt_deg=0.0):
    """Return a plane across the spine at a height, its front lower by an angle."""
    angle = np.radians(tilt_deg)
    return Plane(np.array([0, y, z]), np.array([0, -np.sin(angle), np.cos(angle)]))


@pytest.mark.parametrize(
    ("z", "text"),
    [(72, "L4"), (80, "L4, upper half"), (64, "L4, lower half"), (54, "L4-L5 disc"), (0, "S1"), (18, "L5-S1 disc")],
)
def test_an_axial_slice_shows_a_body_one_of_its_halves_or_a_disc(z, text):
    assert level_at(spine_of(BOXES), axial(z)).text == text


def test_beyond_the_last_vertebra_and_beside_the_spine_nothing_is_known():
    spine = spine_of(BOXES)
    assert level_at(spine, axial(-30)) is None
    assert level_at(spine, axial(200)) is None
    assert level_at(spine, Plane(np.array([60.0, 0, 0]), np.array([1.0, 0, 0]))) is None
    assert level_at(spine_of(()), axial(0)) is None


def test_planes_along_the_spine_show_a_range_from_top_to_bottom():
    spine = spine_of(BOXES)
    sagittal, coronal = (Plane(np.zeros(3), np.eye(3)[axis]) for axis in (0, 1))
    assert level_at(spine, sagittal).text == level_at(spine, coronal).text == "L2 to S1"
    zoomed = Plane(np.array([0, 0, 72.0]), np.array([1.0, 0, 0]), np.array([(0, 1.0, 0), (0, 0, 1.0)]), (30, 12))
    assert level_at(spine, zoomed).text == "L4"  # no half of it: the plane shows all of its height
    assert level_at(spine, Plane(np.array([0, 90.0, 72]), np.array([1.0, 0, 0]), zoomed.axes, (30, 12))) is None


def test_a_slice_along_a_tilted_disc_shows_that_disc_and_its_angle():
    turn = rotation_about((1, 0, 0), 35)
    spine = spine_of(tuple(moved(v, turn, np.array([3.0, 8, -20])) for v in BOXES))
    centre = turn @ (0, 0, 54) + (3.0, 8, -20)
    along = level_at(spine, Plane(centre, turn @ (0, 0, 1.0)))
    assert (along.text, along.nearest_disc) == ("L4-L5 disc", "L4-L5")
    assert along.angle_deg == pytest.approx(0, abs=0.01) and along.distance_mm == pytest.approx(0, abs=0.4)
    straight = level_at(spine, Plane(centre, np.array([0, 0, 1.0])))
    assert straight.angle_deg == pytest.approx(35, abs=0.1)


@pytest.mark.parametrize(
    ("point", "text"),
    [
        ((0, 0, 72), "L4"), ((0, 0, 54), "L4-L5 disc"), ((0, 0, 82), "L4, upper half"), ((0, 25, 72), "L4"),
        ((0, 60, 72), None), ((0, -25, 72), None), ((40, 0, 72), None), ((0, 0, -20), None),
    ],
)  # fmt: skip
def test_a_point_shows_the_body_disc_or_canal_that_it_lies_in(point, text):
    shown = level_at(spine_of(BOXES), np.array(point, float))
    assert (shown and shown.text) == text


def test_a_gap_of_the_count_and_a_vertebra_without_a_level_show_nothing():
    above = vertebra("L3", BOXES[3].corners_lps_mm, flags=(Note.MISSING_BELOW,))
    assert level_at(spine_of((BOXES[1], above)), axial(72)) is None
    unnamed = (vertebra(None, BOXES[0].corners_lps_mm), BOXES[1])
    assert level_at(spine_of(unnamed), axial(0)) is None
    assert level_at(spine_of(unnamed), axial(18)) is None  # one of the disc's two levels is not known
    assert level_at(spine_of(unnamed), axial(36)).text == "L5"


def test_the_dens_belongs_to_c2_unless_c1_is_there():
    spine = spine_of(column(("C3", "C2"), pitch=20, height=14, depth=16))  # the body of C2 reaches from z = 13 to 27
    texts = [level_at(spine, axial(z)).text for z in (20, 25, 33, 38)]
    assert texts == ["C2", "C2, upper half", "C2, dens", "C2, dens"]
    assert level_at(spine, axial(45)) is None
    assert level_at(spine, Plane(np.zeros(3), np.eye(3)[0])).text == "C2 to C3"
    assert level_at(spine, np.array([0, 0, 33.0])).text == "C2, dens"
    above = spine_of(column(("C3", "C2", "C1"), pitch=20, height=14, depth=16))
    assert level_at(above, axial(40)).text == "C1" and level_at(above, axial(30)) is None


def test_a_space_as_high_as_a_body_is_no_disc():
    for apart, text in ((26 + 18, "L4-L5 disc"), (26 + 24, None)):
        shown = level_at(spine_of(column(("L5", "L4"), pitch=apart)), axial(apart / 2))
        assert (shown and shown.text) == text


def test_the_corner_says_where_a_level_is_not_sure():
    doubtful = vertebra("L4", BOXES[2].corners_lps_mm, confidence=0.5)
    spine = spine_of((BOXES[1], doubtful))
    assert level_at(spine, axial(72)).cautious_text == "L4 (check)"
    assert level_at(spine, axial(54)).cautious_text == "L4-L5 disc (check)"
    assert level_at(spine, axial(36)).cautious_text == "L5"


@pytest.mark.parametrize("place", [np.zeros(2), np.array([0, np.nan, 0]), np.zeros((2, 3))])
def test_a_point_that_is_none_is_refused(place):
    with pytest.raises(ValueError, match="three finite numbers"):
        level_at(spine_of(BOXES), place)


@pytest.mark.parametrize("normal", [np.zeros(3), np.array([0, 0, np.inf])])
def test_a_plane_without_a_direction_is_refused(normal):
    with pytest.raises(ValueError, match="longer than zero"):
        Plane(np.zeros(3), normal)


def test_a_slice_takes_less_than_5_ms_with_24_vertebrae():
    names = levels.COMMON
    known = LevelMap(spine_of(column(names)))
    began = time.process_time()
    for i in range(40):
        known.at(axial(20 * i))
    assert (time.process_time() - began) / 40 < 0.005


@pytest.fixture(scope="module")
def phantom():
    """A cervical phantom with voxels of 1.6 mm, and its spine from the true corners."""
    from SpinalTapLib.training.synthetic.phantom import draw_phantom

    drawn = draw_phantom(3, region="cervical", plane="axial", slice_mm=1.6, pixel_mm=1.6)
    bodies = []
    for name, truth in drawn.truth().items():
        corners = np.array([truth["corners_lps_mm"][corner] for corner in CORNERS])
        bodies.append(vertebra(name, corners))
    return drawn, spine_of(tuple(bodies))


def true_areas(phantom, plane):
    """Return what the label map shows in a slice of 3 mm around a plane: label value of body or disc -> samples."""
    centre, normal = np.asarray(plane.point_lps_mm), plane.unit_normal
    across = np.array([1.0, 0, 0]) if abs(normal[0]) < 0.5 else np.array([0, 1.0, 0])
    down = np.cross(normal, across)
    steps = np.arange(-100, 100, 1.6)
    places = centre + steps[:, None, None] * across + steps[:, None] * down
    places = places + np.array([-1.0, 0, 1])[:, None, None, None] * normal
    index = np.rint(phantom.image.to_index(places)).astype(int)
    inside = ((index >= 0) & (index < phantom.labels.shape)).all(-1)
    values, counts = np.unique(phantom.labels[tuple(index[inside].T)], return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts) if v not in (0, levels.CANAL_VALUE)}


@pytest.mark.parametrize("tilt_deg", [0, 20, -25])
def test_in_axial_and_oblique_slices_of_a_phantom_98_percent_are_right_and_none_is_more_than_one_off(phantom, tilt_deg):
    drawn, spine = phantom
    known = LevelMap(spine)
    order = [v.label_value for v in spine.vertebrae]
    place = {v: 2 * i for i, v in enumerate(order)} | {levels.disc_value(v): 2 * i - 1 for i, v in enumerate(order)}
    low, high = spine.vertebrae[0].centroid_lps_mm, spine.vertebrae[-1].centroid_lps_mm
    wrong = count = 0
    for share in np.linspace(0, 1, 60):
        plane = axial(0, tilt_deg=tilt_deg)
        plane = Plane(low + share * (high - low), plane.normal)
        areas = {value: area for value, area in true_areas(drawn, plane).items() if value in place}
        shown = known.at(plane)
        assert shown is not None
        named = levels.level(shown.levels[-1]).value + (levels.DISC_BASE if shown.is_disc else 0)
        wrong += areas.get(named, 0) < ENOUGH * sum(areas.values())
        assert abs(place[named] - place[max(areas, key=areas.get)]) <= 1
        count += 1
    assert wrong <= 0.02 * count


@pytest.mark.parametrize("axis", [0, 1])
def test_in_sagittal_and_coronal_slices_of_a_phantom_the_range_is_that_of_the_bodies_in_them(phantom, axis):
    drawn, spine = phantom
    middle = spine.vertebrae[len(spine.vertebrae) // 2].centroid_lps_mm
    plane = Plane(middle, np.eye(3)[axis])
    areas = true_areas(drawn, plane)
    shown = level_at(spine, plane)
    bodies = [v.level for v in spine.vertebrae if areas.get(v.label_value, 0) > 50]
    assert len(bodies) > 2
    for found, true in ((shown.levels[0], bodies[0]), (shown.levels[-1], bodies[-1])):
        assert abs(levels.COMMON.index(found) - levels.COMMON.index(true)) <= 1
