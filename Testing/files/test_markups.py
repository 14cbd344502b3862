"""Markups files: what Slicer reads, and the ROI that Slicer writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from spines_by_hand import box_corners, rotation_about, vertebra

from SpinalTapLib.files.markups import POINT_NAMES, points_lps_mm, read_markups, read_seed_roi, write_markups

# The ROI as 3D Slicer's own storage node (5.11) writes it, shortened to what is read: turned by 0.3 rad about the
# patient's right, its centre at RAS (5, 6, 7).
ROI = {
    "type": "ROI",
    "coordinateSystem": "LPS",
    "coordinateUnits": "mm",
    "roiType": "Box",
    "center": [-5.0, -6.0, 7.0],
    "orientation": [-1.0, -0.0, -0.0, -0.0, -0.955336489125606, 0.29552020666133955, 0.0, 0.29552020666133955,
                    0.955336489125606],
    "size": [10.0, 20.0, 30.0],
    "insideOut": False,
}  # fmt: skip


def written(path, *markups, **more):
    path.write_text(json.dumps({"@schema": "x", "markups": list(markups), **more}))
    return path


@pytest.fixture
def roi_file(tmp_path):
    return tmp_path / "S1.mrk.json"


def test_a_vertebra_comes_back_with_its_five_points(tmp_path):
    body = vertebra("L3", box_corners((1.5, -20.25, 300.125), tilt_deg=17))
    write_markups(tmp_path / "L3.mrk.json", body)
    points = read_markups(tmp_path / "L3.mrk.json")
    assert list(points) == [f"L3 {name}" for name in POINT_NAMES]
    assert POINT_NAMES[0] == "superior anterior" and POINT_NAMES[-1] == "centroid"
    assert np.array(list(points.values())) == pytest.approx(points_lps_mm(body), abs=1e-3)


def test_points_are_locked_and_carry_the_colour_of_the_level(tmp_path):
    write_markups(tmp_path / "a.mrk.json", vertebra("L3", box_corners((0, 0, 0))))
    markup = json.loads((tmp_path / "a.mrk.json").read_text())["markups"][0]
    assert markup["type"] == "Fiducial" and markup["coordinateSystem"] == "LPS" and markup["locked"]
    assert all(point["locked"] for point in markup["controlPoints"])
    assert markup["display"]["color"] == pytest.approx([0, 114 / 255, 178 / 255], abs=1e-3)


def test_a_vertebra_without_a_level_is_called_by_its_number(tmp_path):
    write_markups(tmp_path / "a.mrk.json", vertebra(None, box_corners((0, 0, 0)), label_value=103))
    assert next(iter(read_markups(tmp_path / "a.mrk.json"))) == "Vertebra 3 superior anterior"


def test_a_slicer_roi_becomes_a_seed_box(roi_file):
    box = read_seed_roi(written(roi_file, ROI), "l4")
    assert box.level == "L4"
    assert box.center_lps_mm == pytest.approx([-5, -6, 7])
    assert box.size_mm == pytest.approx([10, 20, 30])
    assert box.axes == pytest.approx(rotation_about((-1, 0, 0), np.degrees(0.3)), abs=1e-6)


def test_the_same_roi_in_ras_is_the_same_box(roi_file):
    flip = np.diag([-1.0, -1.0, 1.0])
    axes = flip @ np.reshape(ROI["orientation"], (3, 3))
    ras = {**ROI, "coordinateSystem": "RAS", "center": [5, 6, 7], "orientation": axes.ravel().tolist()}
    lps, other = read_seed_roi(written(roi_file, ROI)), read_seed_roi(written(roi_file, ras))
    assert other.center_lps_mm == pytest.approx(lps.center_lps_mm)
    assert other.axes == pytest.approx(lps.axes)


def test_a_roi_without_orientation_is_aligned_with_the_axes(roi_file):
    plain = {key: value for key, value in ROI.items() if key != "orientation"}
    assert read_seed_roi(written(roi_file, plain)).axes == pytest.approx(np.eye(3))


def test_other_markups_in_the_file_do_not_matter(roi_file):
    assert read_seed_roi(written(roi_file, {"type": "Fiducial", "controlPoints": []}, ROI)).level == "S1"


@pytest.mark.parametrize(
    ("markups", "message"),
    [
        ([], "has no ROI"),
        ([{"type": "Fiducial"}], "has no ROI"),
        ([ROI, ROI], "has 2 ROIs"),
        ([{**ROI, "center": None}], "not been placed"),
        ([{**ROI, "size": [10, 20]}], "'size' that is not 3 finite numbers"),
        ([{**ROI, "size": [10, 20, float("nan")]}], "'size' that is not 3 finite numbers"),
        ([{**ROI, "size": [10, 0, 30]}], "size above zero"),
        ([{**ROI, "center": ["a", "b", "c"]}], "'center' that is not 3 finite numbers"),
        ([{**ROI, "orientation": [1.0, 0, 0, 1, 0, 0, 0, 0, 1]}], "not at right angles"),
        ([{**ROI, "coordinateSystem": "IJK"}], "only LPS and RAS"),
        ([{**ROI, "coordinateUnits": "um"}], "only mm"),
        ("not a list", "no list of markups"),
    ],
)
def test_a_roi_that_can_not_be_used_is_refused_in_one_sentence(roi_file, markups, message):
    roi_file.write_text(json.dumps({"markups": markups}))
    with pytest.raises(ValueError, match=message) as error:
        read_seed_roi(roi_file)
    assert "\n" not in str(error.value)


def test_an_unknown_level_is_refused(roi_file):
    with pytest.raises(ValueError, match="no vertebral level called 'X9'"):
        read_seed_roi(written(roi_file, ROI), "X9")


def test_a_missing_file_and_a_file_of_another_kind_are_refused(tmp_path):
    with pytest.raises(ValueError, match="There is no file"):
        read_seed_roi(tmp_path / "none.mrk.json")
    for content in (b"not json", b"\xff\xfe\x00", b"[1, 2]", b'"text"'):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(ValueError, match="not a Slicer Markups file"):
            read_seed_roi(tmp_path / "a")


def test_points_that_are_not_placed_are_left_out(tmp_path):
    points = [
        {"label": "a", "position": [1, 2, 3]},
        {"label": "b", "position": [0, 0, 0], "positionStatus": "undefined"},
    ]
    found = read_markups(
        written(tmp_path / "a", {"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": points})
    )
    assert list(found) == ["a"]
    assert found["a"] == pytest.approx([-1, -2, 3])
