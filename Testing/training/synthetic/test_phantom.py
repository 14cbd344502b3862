"""Phantoms: a scan and a truth that fit together."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from SpinalTapLib.spine import levels
from SpinalTapLib.training.synthetic.phantom import draw_phantom, write_phantom


@pytest.fixture(scope="module")
def lumbar():
    return draw_phantom(4, region="lumbar", slice_mm=6.0, pixel_mm=1.4)


def test_the_label_map_has_every_level_in_view_at_its_true_place(lumbar):
    for name, truth in lumbar.truth().items():
        index = np.argwhere(lumbar.labels == levels.level(name).value)
        assert len(index) > 20, name
        centre = lumbar.image.to_lps(index.astype(float)).mean(0)
        assert np.linalg.norm(centre - truth["centroid_lps_mm"]) < 0.01
        corners = np.array(list(truth["corners_lps_mm"].values()))
        assert np.linalg.norm(centre - corners.mean(0)) < (9.0 if name == "C2" else 4.0)  # the dens belongs to C2


def test_the_scan_shows_more_than_noise(lumbar):
    body = lumbar.image.array[lumbar.labels == levels.level("L3").value]
    canal = lumbar.image.array[lumbar.labels == levels.CANAL_VALUE]
    assert canal.mean() > 1.3 * body.mean()  # T2: fluid is bright


def test_discs_lie_between_the_bodies_they_are_named_after(lumbar):
    row = {v: np.argwhere(lumbar.labels == v)[:, 1].mean() for v in (24, 23, levels.disc_value(23))}
    assert row[23] < row[levels.disc_value(23)] < row[24]


def test_the_same_seed_writes_the_same_files(lumbar, tmp_path):
    again = draw_phantom(4, region="lumbar", slice_mm=6.0, pixel_mm=1.4)
    assert np.array_equal(again.image.array, lumbar.image.array)
    image, labels, truth = write_phantom(lumbar, tmp_path)
    assert sitk.ReadImage(str(image)).GetSize() == sitk.ReadImage(str(labels)).GetSize()
    assert "L3" in truth.read_text(encoding="utf-8")


def test_a_thoracic_scan_of_a_person_without_t12_begins_at_the_lowest_thoracic_level():
    phantom = draw_phantom(44, region="thoracic", slice_mm=8.0, pixel_mm=1.6, healthy=False)
    assert "T12" not in phantom.spine.names
    shown = np.unique(phantom.labels)
    assert levels.level("T11").value in shown and levels.level("T1").value in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"region": "tail"}, "region"), ({"sequence": "t9"}, "sequence"), ({"slice_mm": 0.0}, "slices"),
        ({"plane": "skew"}, "plane"),
    ],
)
def test_impossible_wishes_are_refused_in_words(options, words):
    with pytest.raises(ValueError, match=words):
        draw_phantom(1, **options)


@pytest.mark.parametrize(("plane", "axis"), [("axial", 1), ("coronal", 2)])
def test_axial_and_coronal_stacks_show_the_same_person_in_thick_slices(plane, axis, tmp_path):
    phantom = draw_phantom(3, region="cervical", plane=plane, slice_mm=4.8, pixel_mm=1.6)
    assert phantom.image.spacing_mm[axis] == pytest.approx(4.8)
    assert np.delete(phantom.image.spacing_mm, axis) == pytest.approx([1.6, 1.6])
    for name in ("C7", "C4"):
        body = phantom.spine.vertebrae[phantom.spine.index(name)]
        index = np.argwhere(phantom.labels == levels.level(name).value)
        assert np.linalg.norm(phantom.image.to_lps(index.mean(0)) - body.centre) < 3.5
    image, labels, _ = write_phantom(phantom, tmp_path)
    stored = sitk.ReadImage(str(labels))
    assert stored.GetSpacing()[2] == pytest.approx(4.8)  # slices are what a reader scrolls through
    where = stored.TransformContinuousIndexToPhysicalPoint(
        np.argwhere(sitk.GetArrayFromImage(stored) == levels.level("C4").value)[:, ::-1].mean(0).tolist()
    )
    assert np.allclose(where, phantom.image.to_lps(np.argwhere(phantom.labels == levels.level("C4").value).mean(0)))
    assert plane in image.name
