"""A body's middle is where its solid says, however the scan was sliced and stored."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from drawn_bodies import Box, detect, share, stack_matrix
from drawn_slices import outline
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.bodies.centring import centroid_of, recentred, smooth_middles
from SpinalTapLib.bodies.segmentation import separate_bodies
from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.detection.linking import Candidate, link
from SpinalTapLib.scans.resampling import working_volume
from SpinalTapLib.scans.volume import SagittalVolume, load_volume
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

SIZE = {"width": 28.0, "depth": 20.0, "height": 17.0, "radius": 3.0}
PITCH_MM = 22.0


def curved(roll_degrees: float, count: int = 2) -> list[Box]:
    """Return small bodies that tilt and lean to one side, from the bottom up."""
    lean = PITCH_MM * np.sin(np.deg2rad(roll_degrees))
    return [Box((-i * lean, 0.5 * i, i * PITCH_MM), roll_degrees=roll_degrees, **SIZE) for i in range(count)]


def linked(detections: Detections) -> tuple[Candidate, ...]:
    """Link, cut out the bodies, find their middles."""
    candidates = link(detections)
    solids = separate_bodies(detections, candidates, detections.working).solids
    return recentred(candidates, solids, detections.working)


def seen(boxes: list[Box], volume: SagittalVolume) -> Detections:
    """Return what a perfect network sees in a scan whose voxels hold the share of bone."""
    probabilities = np.zeros((len(volume.array), N_STRUCTURES, *volume.array.shape[1:]), np.float16)
    probabilities[:, Structure.BODY] = np.clip(volume.array, 0, 1)
    probabilities[:, Structure.BACKGROUND] = 1 - probabilities[:, Structure.BODY]
    members = []
    for index in range(len(volume.array)):
        x = float(volume.to_lps(np.array([index, 0, 0]))[0])
        found = [corners for corners in (box.corners(x) for box in boxes) if corners is not None]
        for corners in found:
            members.append(outline(index, volume.to_index(np.column_stack([np.full(4, x), corners]))[:, 1:]))
    return Detections(volume, tuple(members), probabilities)


def distances(candidates: tuple[Candidate, ...], boxes: list[Box]) -> np.ndarray:
    assert len(candidates) == len(boxes)
    return np.array([np.linalg.norm(c.centroid_lps_mm - b.centre) for c, b in zip(candidates, boxes)])


@given(
    slice_mm=st.floats(2.0, 5.0),
    start=st.floats(0, 1),
    roll=st.floats(-20, 20),
    jitter=st.sampled_from([0.0, 0.5]),
)
@settings(deadline=None, max_examples=8)
def test_wherever_the_slices_fall_the_middle_is_right_to_half_a_millimetre(slice_mm, start, roll, jitter) -> None:
    boxes = curved(roll)
    detections, drawn, _ = detect(boxes, slice_mm, jitter=jitter, start=start)
    members = tuple(outline(m.slice, m.corners) for c in drawn for m in c.members)
    found = linked(replace(detections, vertebrae=tuple(sorted(members, key=lambda m: m.slice))))
    across = [abs(float((c.centroid_lps_mm - b.centre)[0])) for c, b in zip(found, boxes)]
    assert len(found) == len(boxes)
    assert max(across) < 0.5
    assert distances(found, boxes).max() < 1.0


@pytest.mark.parametrize(
    ("spacing_mm", "roll"),
    [((0.8, 0.8, 0.8), 0.0), ((1.3, 0.7, 0.9), 15.0), ((1.9, 1.2, 1.0), -15.0), ((3.0, 0.6, 0.6), 8.0)],
)
def test_resampling_a_scan_moves_no_centroid_by_a_millimetre(tmp_path, spacing_mm, roll) -> None:
    boxes = curved(roll)
    shape, matrix = stack_matrix(boxes, 1.0, 1.0)
    drawn = SagittalVolume(np.zeros(shape, np.float32), matrix)
    noise = np.random.default_rng(0).normal(0, 0.01, shape)  # as in a scan: without any, it would be a label map
    image = (np.max([share(box, drawn) for box in boxes], axis=0) + noise).astype(np.float32)
    there = resampled(replace(drawn, array=image), spacing_mm, tmp_path / "scan.nii.gz")
    one, two = (linked(seen(boxes, working_volume(v))) for v in (replace(drawn, array=image), there))
    assert len(one) == len(two) == len(boxes)
    moved = [np.linalg.norm(a.centroid_lps_mm - b.centroid_lps_mm) for a, b in zip(one, two)]
    assert max(moved) < 1.0
    assert max(distances(one, boxes).max(), distances(two, boxes).max()) < 0.7


def resampled(volume: SagittalVolume, spacing_mm: tuple[float, float, float], path) -> SagittalVolume:
    """Return a scan written on another grid, its axes in another order, and read again."""
    image = sitk.GetImageFromArray(volume.array.transpose(2, 1, 0))  # i, j, k are slice, row, column
    image.SetSpacing([float(s) for s in volume.spacing_mm])
    image.SetOrigin(volume.matrix[:3, 3].tolist())
    image.SetDirection((volume.matrix[:3, :3] / volume.spacing_mm).ravel().tolist())
    new = sitk.ResampleImageFilter()
    new.SetSize([int(n * s / t) for n, s, t in zip(image.GetSize(), image.GetSpacing(), spacing_mm)])
    new.SetOutputSpacing(spacing_mm)
    new.SetOutputOrigin(image.GetOrigin())
    new.SetOutputDirection(image.GetDirection())
    new.SetInterpolator(sitk.sitkLinear)
    sitk.WriteImage(sitk.Flip(sitk.PermuteAxes(new.Execute(image), (2, 0, 1)), (True, False, True)), str(path))
    return load_volume(path)


def test_corners_stay_with_their_body_and_lie_in_the_slice_nearest_to_its_middle() -> None:
    boxes = curved(20.0)
    detections, drawn, volume = detect(boxes, 5.0, jitter=0.0, start=0.9)
    members = tuple(outline(m.slice, m.corners) for c in drawn for m in c.members)
    for candidate, box in zip(linked(replace(detections, vertebrae=members)), boxes):
        index = volume.to_index(candidate.corners_lps_mm)
        np.testing.assert_allclose(index[:, 0], candidate.mid_slice, atol=1e-6)
        assert abs(volume.to_index(candidate.centroid_lps_mm)[0] - candidate.mid_slice) <= 0.5
        true = box.corners(float(candidate.corners_lps_mm[0, 0]))
        np.testing.assert_allclose(candidate.corners_lps_mm[:, 1:], true, atol=0.5)


def test_a_body_without_a_solid_keeps_its_middle_and_nothing_stays_nothing() -> None:
    boxes = curved(0.0)
    detections, drawn, volume = detect(boxes)
    members = tuple(outline(m.slice, m.corners) for c in drawn for m in c.members)
    candidates = link(replace(detections, vertebrae=members))
    assert len(candidates) == 2
    kept = recentred(candidates, (None, None), volume)
    for before, after in zip(candidates, kept):
        np.testing.assert_allclose(after.centroid_lps_mm, before.centroid_lps_mm, atol=1e-9)
        np.testing.assert_allclose(after.corners_lps_mm, before.corners_lps_mm, atol=1e-9)
    assert recentred((), (), volume) == ()


def test_the_centroid_is_that_of_the_volume_but_keeps_its_place_across_the_slices() -> None:
    boxes = curved(0.0)
    detections, candidates, volume = detect(boxes)
    solids = separate_bodies(detections, candidates, volume).solids
    for solid, box in zip(solids, boxes):
        middle_of_corners = SimpleNamespace(centroid_lps_mm=np.add(box.centre, (1.5, -3.0, 2.0)))
        found = centroid_of(middle_of_corners, solid, volume)
        np.testing.assert_allclose(found - box.centre, (1.5, 0.0, 0.0), atol=0.3)
        assert centroid_of(middle_of_corners, None, volume) is middle_of_corners.centroid_lps_mm


def test_a_solid_that_leaks_far_to_one_side_moves_a_body_by_half_its_width_at_most() -> None:
    boxes = curved(0.0, count=1)
    detections, drawn, volume = detect(boxes)
    (candidate,) = link(replace(detections, vertebrae=tuple(outline(m.slice, m.corners) for m in drawn[0].members)))
    field = np.ones((60, 3, 3), np.float32)
    far = SimpleNamespace(field=field, matrix=volume.matrix @ np.diag([5.0, 1, 1, 1]))
    (moved,) = recentred((candidate,), (far,), volume)
    width = (candidate.slices[-1] - candidate.slices[0] + 1) * volume.spacing_mm[0]
    assert np.linalg.norm(moved.centroid_lps_mm - candidate.centroid_lps_mm) <= width / 2 + 0.01


@given(slope=st.floats(-9, 9), start=st.floats(-50, 50), n=st.integers(1, 24))
@settings(deadline=None)
def test_middles_on_a_line_stay_there(slope: float, start: float, n: int) -> None:
    line = start + slope * np.arange(n)
    np.testing.assert_allclose(smooth_middles(line, np.full(n, 30.0)), line, atol=1e-6)


def test_smoothing_takes_off_scatter_and_ignores_an_outlier() -> None:
    rng = np.random.default_rng(0)
    truth = 12 * np.sin(np.arange(20) / 4)
    noisy = truth + rng.uniform(-2, 2, 20)
    smooth = smooth_middles(noisy, np.full(20, 30.0))
    assert np.std(smooth - truth) < 0.85 * np.std(noisy - truth)
    noisy[10] += 12
    assert abs(smooth_middles(noisy, np.full(20, 30.0))[10] - truth[10]) < 5
