"""Whether a patient has moved between two scans."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from SpinalTapLib.scans.label_resampling import on_grid
from SpinalTapLib.scans.motion import estimate_motion

POINTS = np.array([(-12.0, -12, -20), (12.0, 12, 20)])


def scan(spacing=(3.0, 3.0, 3.0), size=(30, 30, 36)):
    """Return a smooth texture around the origin."""
    array = gaussian_filter(np.random.default_rng(3).normal(0, 1, size[::-1]), 1.5)
    image = sitk.GetImageFromArray((1000 * (array - array.min())).astype(np.float32))
    image.SetSpacing(spacing)
    image.SetOrigin([-(n - 1) * s / 2 for n, s in zip(size, spacing)])
    return image


def moved(image, shift, degrees):
    """Return the same patient turned about the left-right axis and then shifted, with another contrast."""
    turn = sitk.Euler3DTransform()
    turn.SetRotation(np.radians(degrees), 0, 0)
    turn.SetTranslation(shift)
    later = sitk.Resample(image, image, turn.GetInverse(), sitk.sitkLinear, 0.0)
    return sitk.Sqrt(sitk.Clamp(later, sitk.sitkFloat32, 0, 1e6)) * -1


@pytest.mark.parametrize(("shift", "degrees"), [((0.0, 0.0, 0.0), 0.0), ((4.0, -3.0, 6.0), 5.0)])
def test_the_motion_is_found_in_another_contrast(shift, degrees):
    first = scan()
    found = estimate_motion(first, moved(first, shift, degrees), POINTS)
    assert found.shift_mm == pytest.approx(np.linalg.norm(shift), abs=0.8)
    assert found.turn_deg == pytest.approx(degrees, abs=1.0)
    assert found.has_moved == bool(degrees)
    assert ("seems to have moved" in found.sentence) == bool(degrees)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(np.radians(degrees), 0, 0)
    turn.SetTranslation(shift)
    for point in POINTS:
        there = np.array(turn.TransformPoint(point.tolist()))
        back = found.matrix[:3, :3] @ there + found.matrix[:3, 3]
        assert np.linalg.norm(back - point) < 1.5


def test_scans_that_do_not_overlap_are_refused():
    first, other = scan(), scan()
    other.SetOrigin([500.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="do not overlap"):
        estimate_motion(first, other, POINTS)


def test_labels_keep_their_place_on_another_grid_and_follow_a_motion():
    labels = sitk.Image(10, 10, 10, sitk.sitkUInt16)
    labels[4, 5, 6] = 223
    grid = sitk.Image(20, 20, 20, sitk.sitkUInt8)
    grid.SetSpacing((0.5, 0.5, 0.5))
    found = on_grid(labels, grid)
    assert found[8, 10, 12] == 223 and found[6, 10, 12] == 0
    matrix = np.eye(4)
    matrix[0, 3] = 1.0  # a position in the grid lies one millimetre further left in the labels
    assert on_grid(labels, grid, matrix)[6, 10, 12] == 223
