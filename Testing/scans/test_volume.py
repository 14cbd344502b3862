"""Turning into the sagittal frame, checks, and the way back to the input's own grid."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from frames import MATRIX, SPACING, rotation, scaled
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.scans.volume import SagittalVolume, load_volume, volume_from_array

pytestmark = pytest.mark.filterwarnings("error")  # NumPy's warnings would reach the terminal too


def anatomy(shape=(5, 12, 9)) -> np.ndarray:
    return np.random.default_rng(3).integers(1, 1000, shape).astype(np.int16)


def stored_otherwise(array: np.ndarray, matrix: np.ndarray, order, flips) -> tuple[np.ndarray, np.ndarray]:
    """The same anatomy with its axes flipped and in another order."""
    matrix = matrix.copy()
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis] - 1)
            matrix[:3, axis] *= -1
    return array.transpose(order), matrix[:, [*order, 3]]


def image_of(array: np.ndarray, matrix: np.ndarray) -> sitk.Image:
    """The array as an ITK image; its axes from the last to the first are i, j, k."""
    image = sitk.GetImageFromArray(array)
    steps = matrix[:3, 2::-1]
    image.SetSpacing(np.linalg.norm(steps, axis=0).tolist())
    image.SetDirection((steps / np.linalg.norm(steps, axis=0)).ravel().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    return image


ALL_STORAGES = list(product(permutations(range(3)), product((False, True), repeat=3)))


@pytest.mark.parametrize(("order", "flips"), ALL_STORAGES)
def test_every_storage_of_the_same_anatomy_gives_the_same_volume(order, flips):
    array, matrix = stored_otherwise(anatomy(), MATRIX, order, flips)
    volume = volume_from_array(array, matrix)
    np.testing.assert_array_equal(volume.array, anatomy())
    np.testing.assert_allclose(volume.matrix, MATRIX, atol=1e-9)
    back = volume.to_source(volume.array)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), array)


@pytest.mark.parametrize(("order", "flips"), ALL_STORAGES[::5])
def test_an_oblique_scan_keeps_every_voxel_in_its_place_in_the_body(tmp_path, order, flips):
    matrix = rotation((1, 2, -1), 25) @ MATRIX
    image = image_of(*stored_otherwise(anatomy(), matrix, order, flips))
    path = tmp_path / "oblique.nrrd"
    sitk.WriteImage(image, str(path))
    volume = load_volume(path)
    np.testing.assert_allclose(volume.matrix, matrix, atol=1e-9)
    index = (3, 7, 2)
    assert volume.array[index] == anatomy()[index]
    np.testing.assert_allclose(volume.to_lps(index), matrix[:3] @ [*index, 1], atol=1e-9)
    own_index = image.TransformPhysicalPointToIndex(volume.to_lps(index).tolist())
    assert image[own_index] == anatomy()[index]


@settings(max_examples=60, deadline=None)
@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1),
    degrees=st.floats(-180, 180),
    storage=st.sampled_from(ALL_STORAGES),
)
def test_any_rotation_gives_axes_near_left_inferior_posterior_and_an_exact_way_back(axis, degrees, storage):
    array, matrix = stored_otherwise(anatomy(), rotation(axis, degrees) @ MATRIX, *storage)
    volume = volume_from_array(array, np.where(np.abs(matrix) < 1e-12, 0, matrix))
    axes = volume.matrix[:3, :3] / volume.spacing_mm
    towards = axes[[0, 2, 1]] * [[1], [-1], [1]]  # cosines with left, inferior, posterior
    assert (np.diag(towards) >= 0).all()
    # Naive reference: no other assignment of axes fits better, unless the longer side is tilted by 60 degrees at most.
    best = max(sum(abs(towards[world, own]) for world, own in enumerate(order)) for order in permutations(range(3)))
    tilted = volume.array.shape == anatomy().shape and towards[1, 1] >= 0.5 - 1e-5
    assert tilted or np.trace(towards) == pytest.approx(best, abs=1e-5)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.to_source(volume.array)), array)


@pytest.mark.parametrize("degrees", [-60, -50, -35, 35, 50, 55, 60])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_tilt_in_the_plane_does_not_turn_the_picture_onto_its_side(order, degrees):
    matrix = rotation((1, 0, 0), degrees) @ MATRIX
    volume = volume_from_array(*stored_otherwise(anatomy(), matrix, order, (False, True, False)))
    np.testing.assert_array_equal(volume.array, anatomy())
    np.testing.assert_allclose(volume.matrix, matrix, atol=1e-9)


@pytest.mark.parametrize("degrees", [-60, -50, -35, 35, 50, 60])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (1, 0, 2)], ids=["sagittal", "axial", "coronal"])
def test_in_a_square_picture_the_later_axis_runs_from_head_to_foot(order, degrees):
    array, matrix = anatomy((5, 12, 12)), rotation((1, 0, 0), degrees) @ scaled(3.5, 0.7, 0.7)
    volume = volume_from_array(*stored_otherwise(array, matrix, order, (False, True, False)))
    np.testing.assert_array_equal(volume.array, array)


@pytest.mark.parametrize("degrees", [-44, -35, 35, 44])
@pytest.mark.parametrize("spacing", [(0.7, 3.5, 0.7), (0.7, 0.7, 3.5)], ids=["axial", "coronal"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_tilted_slices_lie_in_the_plane_they_are_nearest_to(order, spacing, degrees):
    for shape in ((9, 4, 12), (9, 12, 4)):
        array, matrix = anatomy(shape), rotation((1, 0, 0), degrees) @ scaled(*spacing)
        volume = volume_from_array(*stored_otherwise(array, matrix, order, (False, True, False)))
        np.testing.assert_array_equal(volume.array, array)


def test_a_picture_that_is_stored_on_its_side_is_turned_by_its_header():
    matrix = rotation((1, 0, 0), 100) @ MATRIX
    volume = volume_from_array(anatomy(), matrix)
    assert volume.array.shape == (5, 9, 12)


def test_at_45_degrees_the_coarser_axis_is_the_slice_axis_however_the_scan_is_stored():
    matrix = rotation((0, 0, 1), 45) @ MATRIX
    found = {
        tuple(np.round(volume_from_array(*stored_otherwise(anatomy(), matrix, *storage)).spacing_mm, 6))
        for storage in ALL_STORAGES
    }
    assert found == {tuple(SPACING)}


def test_an_index_goes_to_lps_and_back():
    volume = volume_from_array(anatomy(), rotation((0, 1, 3), 12) @ MATRIX)
    index = np.random.default_rng(0).uniform(-3, 20, (4, 6, 3))
    np.testing.assert_allclose(volume.to_index(volume.to_lps(index)), index, atol=1e-9)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd"])
def test_labels_go_back_to_exactly_the_file_s_own_geometry(tmp_path, suffix):
    array, matrix = stored_otherwise(anatomy(), rotation((1, 1, 0), 9) @ MATRIX, (1, 2, 0), (True, False, True))
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image_of(array, matrix), str(path))
    volume, image = load_volume(path), sitk.ReadImage(str(path))
    labels = volume.to_source((volume.array > 500).astype(np.uint16))
    assert labels.GetSize() == image.GetSize()
    assert labels.GetSpacing() == image.GetSpacing()
    assert labels.GetOrigin() == image.GetOrigin()
    assert labels.GetDirection() == image.GetDirection()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels) == 1, sitk.GetArrayFromImage(image) > 500)


def test_to_source_keeps_the_type_and_refuses_another_shape():
    volume = volume_from_array(anatomy(), MATRIX)
    assert volume.to_source(volume.array > 500).GetPixelID() == sitk.sitkUInt8
    assert volume.to_source(volume.array.astype(np.uint16)).GetPixelID() == sitk.sitkUInt16
    assert volume.to_source(volume.array.astype(np.float16)).GetPixelID() == sitk.sitkFloat32
    with pytest.raises(ValueError, match=r"shape \(5, 12, 8\) does not fit a volume of shape \(5, 12, 9\)"):
        volume.to_source(volume.array[..., 1:])


def test_a_volume_without_a_source_writes_its_own_grid():
    volume = SagittalVolume(anatomy().astype(np.float32), MATRIX)
    image = volume.to_source(volume.array)
    assert image.GetSize() == (9, 12, 5)
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((8, 3, 2)), volume.to_lps((2, 3, 8)), atol=1e-9)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64,
                                   np.uint64, np.float16, np.float32, np.float64])  # fmt: skip
def test_any_integer_or_float_type_becomes_float32(dtype):
    array = (anatomy() % 2).astype(dtype)
    volume = volume_from_array(array, MATRIX)
    assert volume.array.dtype == np.float32
    assert volume.array.flags.c_contiguous
    np.testing.assert_array_equal(volume.array, anatomy() % 2)


def test_the_input_array_is_left_as_it_was():
    array = anatomy().astype(np.float32)
    array[0, 0, 0] = np.nan
    before = array.copy()
    volume_from_array(array, MATRIX).array[:] = 0
    np.testing.assert_array_equal(array, before)


def test_a_few_voxels_without_a_number_become_background_with_a_warning():
    array = anatomy().astype(np.float64)
    array[1, 2, 3], array[1, 2, 4], array[1, 2, 5], array[0, 0, 0] = np.nan, np.inf, -np.inf, 1e300
    volume = volume_from_array(array, MATRIX)
    assert np.isfinite(volume.array).all()
    assert volume.array[1, 2, 3] == volume.array[0, 0, 0] == volume.array.min() == np.nanmin(array[2:])
    assert volume.warnings == ("4 voxels were NaN or infinite and were taken as background.",)


def test_empty_slices_between_others_are_told_and_those_at_the_sides_are_not():
    array = np.random.default_rng(0).random((9, 40, 30))
    array[[0, 1, 8]] = 0
    assert volume_from_array(array, MATRIX).warnings == ()
    array[[3, 5]] = 7
    (warning,) = volume_from_array(array, MATRIX).warnings
    assert warning.startswith("2 of 9 sagittal slices are empty")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_more_than_half_without_a_number_is_refused_and_half_is_not(value):
    array = np.random.default_rng(0).random((4, 10, 10))
    array[:2] = value
    assert volume_from_array(array, MATRIX).warnings
    array[2, 0, 0] = value
    with pytest.raises(ValueError, match="no usable number in 50% of its voxels"):
        volume_from_array(array, MATRIX)


def sheared() -> np.ndarray:
    matrix = MATRIX.copy()
    matrix[:3, 1] += 0.3 * matrix[:3, 2]
    return matrix


@pytest.mark.parametrize(
    ("array", "matrix", "sentence"),
    [
        (np.full((4, 9, 9), 7), MATRIX, r"scan is constant: every voxel has the value 7"),
        (np.full((4, 9, 9), np.nan), MATRIX, r"no usable number in 100% of its voxels"),
        (np.zeros((4, 9, 9, 3)), MATRIX, r"scan has 4 dimensions \(4 x 9 x 9 x 3\)"),
        (np.zeros((1, 1, 9)), MATRIX, r"scan holds a single slice \(1 x 1 x 9 voxels\)"),
        (np.zeros((9, 9)), MATRIX, r"scan holds a single slice"),
        (np.zeros((0, 9, 9)), MATRIX, r"scan holds no voxels"),
        (anatomy().astype(complex), MATRIX, r"values of type complex128, not grey values"),
        (anatomy().astype(str), MATRIX, r"not grey values"),
        (anatomy(), np.eye(3), r"needs a finite 4 x 4 matrix"),
        (anatomy(), MATRIX * np.nan, r"needs a finite 4 x 4 matrix"),
        (anatomy(), sheared(), r"direction matrix that is not orthonormal"),
        (anatomy(), MATRIX[:, [0, 1, 1, 3]], r"direction matrix that is not orthonormal"),
        (anatomy(), scaled(3, 0, 1), r"voxel spacing of 1 x 0 x 3 mm, but every spacing must be above zero"),
        (anatomy(), scaled(3, 7, 1), r"an axial stack with 7 mm between slices from head to foot.*at most 6 mm"),
        (anatomy(), scaled(3, 1, 6.5), r"a coronal stack with 6.5 mm between slices from front to back"),
        (anatomy(), scaled(25, 1, 1), r"25 mm between its sagittal slices"),
        (anatomy(), scaled(3, 0.001, 0.001), r"which no scanner resolves; check the unit"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_sentence(array, matrix, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        volume_from_array(array, matrix, "scan")
    assert "\n" not in str(refusal.value)
    assert ". " not in str(refusal.value)


@pytest.mark.parametrize(
    ("spacing", "warning"),
    [
        ((4, 0.3, 0.3), None),
        ((8, 1.6, 1.6), None),
        ((0.5, 0.5, 0.5), None),
        ((4, 0.2, 0.2), "pixels measure 0.2 x 0.2 mm"),
        ((4, 3, 0.5), "pixels measure 3 x 0.5 mm"),
        ((10, 1, 1), "slices are 10 mm apart"),
    ],
)
def test_a_resolution_outside_the_supported_range_is_tried_with_a_warning(spacing, warning):
    warnings = volume_from_array(anatomy(), scaled(*spacing)).warnings
    assert [warning in text for text in warnings] == ([True] if warning else [])


def test_slices_far_out_of_the_sagittal_plane_give_a_warning():
    assert volume_from_array(anatomy(), rotation((0, 0, 1), 20) @ MATRIX).warnings == ()
    (warning,) = volume_from_array(anatomy(), rotation((0, 0, 1), 40) @ MATRIX).warnings
    assert "tilted 40 degrees" in warning
