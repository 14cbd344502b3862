"""Slices become solids: the right size, shape and place, in one piece, without steps, holes or handles."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_bodies import Box, detect, share, stack_matrix
from scipy import ndimage
from skimage.measure import euler_number

from SpinalTapLib.bodies.outlines import Outline, body_outlines
from SpinalTapLib.bodies.solids import TOLERANCES_MM, Solid, interpolated, solid_of
from SpinalTapLib.bodies.tracks import Window
from SpinalTapLib.scans.volume import SagittalVolume


def solid_from(box: Box, slice_mm: float, start: float = 0.3):
    detections, candidates, volume = detect([box], slice_mm, start=start)
    outline = body_outlines(detections.probabilities, candidates, volume.spacing_mm)[0]
    return solid_of(outline, volume.matrix)


def outline_of(probability: np.ndarray) -> Outline:
    return Outline(np.asarray(probability, np.float32), Window(0, np.zeros(2, int), probability.shape))


def wall_error(solid: Solid, box: Box) -> np.ndarray:
    """Return the distance, mm, from the true wall of the grid's points that the solid takes for its own."""
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in solid.field.shape), indexing="ij"), -1)
    truth = box.distance(index @ solid.matrix[:3, :3].T + solid.matrix[:3, 3])
    edge = (solid.field > 0) & ~ndimage.binary_erosion(solid.field > 0)
    return np.abs(truth[edge] - solid.field[edge])


@pytest.mark.parametrize("slice_mm", [2.0, 3.0, 4.0, 5.0])
@pytest.mark.parametrize("start", [0.0, 0.4, 0.8])
def test_volume_is_right_wherever_the_slices_fall(slice_mm, start):
    box = Box(radius=6)
    assert solid_from(box, slice_mm, start).volume_mm3 == pytest.approx(box.volume, rel=0.015)


@pytest.mark.parametrize("roll", [0.0, 15.0, 30.0])
def test_walls_stand_where_they_are_and_have_no_steps_however_the_body_leans(roll):
    error = wall_error(solid_from(Box(radius=6, roll_degrees=roll), 4.0), Box(radius=6, roll_degrees=roll))
    assert error.mean() < 0.25
    assert np.percentile(error, 95) < 0.9, "a step would be half a slice, 2 mm"


def test_the_sides_are_measured_from_the_part_of_a_slice_that_is_filled():
    for width in (41.0, 42.0, 43.0, 44.0):
        solid = solid_from(Box(width=width), 4.0)
        inside = np.argwhere(solid.field > 0) @ solid.matrix[:3, :3].T + solid.matrix[:3, 3]
        assert np.ptp(inside[:, 0]) + 1 == pytest.approx(width, abs=1.2)


def test_one_piece_without_holes_or_handles():
    for slice_mm in (1.0, 4.0, 8.0):
        field = solid_from(Box(), slice_mm).field
        assert ndimage.label(field > 0)[1] == 1
        assert euler_number(field > 0, connectivity=1) == 1
        assert (ndimage.binary_fill_holes(field > 0) == (field > 0)).all()


def test_a_tunnel_through_the_body_is_closed():
    shape, matrix = stack_matrix([Box()], 4.0, 1.0)
    volume = SagittalVolume(np.zeros(shape, np.float32), matrix)
    drilled = share(Box(), volume)
    row, _ = (int(v) for v in volume.to_index(np.zeros(3))[1:])
    drilled[shape[0] // 2 - 1 : shape[0] // 2 + 1, row - 1 : row + 2, :] = 0  # from front to back
    solid = solid_of(outline_of(drilled), matrix)
    assert euler_number(solid.field > 0, connectivity=1) == 1
    assert solid.volume_mm3 == pytest.approx(Box().volume, rel=0.05)


def test_two_lumps_joined_by_nothing_leave_the_larger():
    probability = np.zeros((7, 60, 40))
    probability[2:5, 10:30, 10:30] = 1
    probability[2:5, 45:50, 10:15] = 1
    solid = solid_of(outline_of(probability), np.diag([4.0, 1.0, 1.0, 1.0]))
    assert np.argwhere(solid.field > 0)[:, 1].max() < 35


def test_one_slice_is_a_body_one_slice_thick_with_rounded_rims():
    probability = np.zeros((3, 40, 40))
    probability[1, 10:30, 8:32] = 1
    solid = solid_of(outline_of(probability), np.diag([4.0, 1.0, 1.0, 1.0]))
    assert solid.volume_mm3 == pytest.approx(20 * 24 * 4, rel=0.06)
    sections = (solid.field > 0).sum((1, 2))
    assert (sections > 0).sum() == 5, "planes 1 mm apart"
    assert solid.matrix[0, 3] + sections.argmax() * solid.matrix[0, 0] == 4, "the slice lies in their middle"
    assert sections[sections > 0][0] < 0.9 * 20 * 24


def test_a_solid_keeps_two_voxels_around_it():
    field = np.full((20, 22, 24), -3, np.float32)
    field[5:9, 10:12, 7:20] = 1
    matrix = np.diag([1.0, 2.0, 0.5, 1.0])
    trimmed = Solid(field, matrix, regular=False).trimmed()
    assert trimmed.field.shape == (8, 6, 17) and not trimmed.regular
    assert (trimmed.sample(matrix, field.shape) > 0).sum() == (field > 0).sum()
    np.testing.assert_array_equal(trimmed.sample(matrix, field.shape) > 0, field > 0)


def test_a_few_pixels_are_no_body():
    probability = np.zeros((3, 20, 20))
    probability[1, 5, 5:8] = 1
    assert solid_of(outline_of(probability), np.eye(4)) is None
    assert solid_of(outline_of(np.zeros((3, 20, 20))), np.eye(4)) is None


def test_a_networks_slight_doubt_does_not_add_up_to_volume():
    probability = np.zeros((7, 40, 40))
    probability[2:5, 10:30, 10:30] = 1
    doubt = np.where(probability > 0, 0.97, 0.04)
    sure, unsure = (solid_of(outline_of(p), np.diag([4.0, 1.0, 1.0, 1.0])) for p in (probability, doubt))
    assert unsure.volume_mm3 == pytest.approx(sure.volume_mm3, rel=0.03)


def test_the_centroid_is_the_boxs_wherever_the_slices_fall():
    for start in (0.0, 0.4, 0.8):
        box = Box()
        np.testing.assert_allclose(solid_from(box, 4.0, start).centroid_lps_mm, box.centre, atol=0.5)


def test_sampling_on_another_grid_is_linear_between_the_values():
    solid = solid_from(Box(), 4.0)
    turn = np.deg2rad(20)
    matrix = np.eye(4)
    matrix[:3, :3] = [[1.3 * np.cos(turn), 0, -np.sin(turn)], [0, 1.1, 0], [1.3 * np.sin(turn), 0, np.cos(turn)]]
    matrix[:3, 3] = -12, -9, -8
    found = solid.sample(matrix, (20, 18, 16))
    rng = np.random.default_rng(0)
    for index in rng.integers(0, 16, (30, 3)):
        point = matrix[:3, :3] @ index + matrix[:3, 3]
        at = np.linalg.inv(solid.matrix)[:3] @ [*point, 1]
        expected = ndimage.map_coordinates(solid.field, at[:, None], order=1, cval=-1e3)[0]
        if (at >= 0).all() and (at <= np.array(solid.field.shape) - 1).all():
            assert found[tuple(index)] == pytest.approx(expected, abs=1e-3)
    assert solid.sample(np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3)[:4] * 1e4, (2, 2, 2)).max() < -1


def test_bounds_hold_every_inside_point_of_another_grid():
    solid = solid_from(Box(), 4.0)
    shape, matrix = stack_matrix([Box()], 3.0, 0.7)
    whole = solid.sample(matrix, shape) > 0
    box = solid.bounds(matrix, shape)
    assert whole.sum() == whole[box].sum() > 0
    assert np.prod([s.stop - s.start for s in box]) < whole.size


def test_a_body_with_spurs_in_single_slices_is_smoothed_until_it_is_regular():
    shape, matrix = stack_matrix([Box(radius=6)], 4.0, 1.0)
    probability = share(Box(radius=6), SagittalVolume(np.zeros(shape, np.float32), matrix))
    middle = len(probability) // 2
    row, column = np.argwhere(probability[middle] > 0.5).min(0)
    for k in (-4, 0, 4):
        probability[middle + k, row - 12 : row, column + 3 : column + 29] = 1
    assert not solid_of(outline_of(probability), matrix, TOLERANCES_MM[:1]).regular
    assert solid_of(outline_of(probability), matrix).regular


def test_a_small_body_keeps_its_volume_and_is_regular():
    box = Box(width=22, depth=16, height=14, radius=2)
    assert solid_from(box, 4.0).volume_mm3 == pytest.approx(box.volume, rel=0.04)
    assert solid_from(box, 4.0).regular


def test_a_torn_body_keeps_its_size_and_is_not_regular():
    x, y, z = np.meshgrid(np.arange(-14, 15), np.arange(-20, 21), np.arange(-20, 21), indexing="ij")
    torn = (np.abs(x) <= 8) & (np.abs(y - 6 * (x % 2)) <= 6) & (np.abs(z + 6 * (x % 3)) <= 8)
    outline = outline_of(torn.astype(np.float32))
    solid = solid_of(outline, np.eye(4))
    assert not solid.regular
    assert solid.volume_mm3 == pytest.approx(interpolated(outline, np.eye(4)).volume_mm3, rel=0.1)


def test_a_regular_body_keeps_its_walls_and_rims():
    for slice_mm in (2.0, 4.0):
        box = Box(radius=3)
        assert solid_from(box, slice_mm).volume_mm3 == pytest.approx(box.volume, rel=0.015)


def test_the_image_side_of_a_body_that_is_cut_there_is_not_rounded():
    probability = np.zeros((7, 44, 50), np.float32)
    probability[1:6, 8:36, 8:42] = 1
    matrix = np.diag([4.0, 1.0, 1.0, 1.0])
    free = outline_of(probability)
    cut = Outline(free.probability, Window(-1, np.zeros(2, int), probability.shape), cut=(True, True))
    rims = []
    for outline, x_mm in ((free, 5.0), (cut, 1.0)):  # 1 mm within the outermost slice that shows the body
        there = np.eye(4)
        there[:3, 3] = x_mm, 8, 8
        rims.append((solid_of(outline, matrix).sample(there, (2, 28, 34)) > 0).mean())
    assert rims[1] >= rims[0] and rims[1] > 0.97
