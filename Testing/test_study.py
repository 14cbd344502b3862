"""A study: its sagittal series is segmented, the slices of its other series are named, and problems are said."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import AXIAL, CORONAL, write_series
from spines_by_hand import column, painted, spine_of

from SpinalTapLib import study as door
from SpinalTapLib.cli.main import main
from SpinalTapLib.study import LEVELS_NAME, STUDY_NAME, segment_study

BOXES = column(("S1", "L5", "L4", "L3"))  # 36 mm from centre to centre, S1 at the origin
FRAME, OTHER = {"0010|0020": "7", "0020|0052": "1.9.1"}, {"0010|0020": "7", "0020|0052": "1.9.2"}


def series(folder, number, description, cosines=None, count=6, more=None, **options):
    """Write a series of small slices, 4 mm apart unless said otherwise."""
    where = {"cosines": cosines} if cosines else {}
    values = {"more": more or FRAME, "pixel_mm": 4.0, "origin": (-40.0, -40.0, -20.0), **where, **options}
    pixels = np.random.default_rng(0).integers(0, 1000, (count, 24, 20)).astype(np.int16)
    return write_series(folder, pixels, uid=f"1.2.3.{number}", number=str(number), description=description, **values)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a function that runs a study, what was segmented, and the spines to find (boxes by default)."""
    path, names, spines = tmp_path / "study", [], []
    series(path, 2, "T2 SAG", origin=(12.0, -40.0, 60.0))
    volume, labels = painted(BOXES)

    def segment_file(scan, output, *, series, **options):
        from SpinalTapLib.scans.volume import load_volume

        names.append(load_volume(scan, series).name)
        found = spines.pop(0) if spines else spine_of(BOXES, labels)
        if found.vertebrae:
            output.mkdir(parents=True)
            sitk.WriteImage(volume.to_source(labels), str(output / "vertebrae.nii.gz"))
        return found

    monkeypatch.setattr(door, "segment_file", segment_file)
    return path, names, spines


def table(path):
    return list(csv.DictReader(path.open(encoding="utf-8")))


def outcomes(result):
    return {row.series: (row.outcome, row.message) for row in result.series}


def test_the_sagittal_series_is_segmented_and_each_slice_of_an_axial_one_named(study, tmp_path):
    path, names, _ = study
    series(path, 3, "T2 AX", AXIAL, count=36)
    result = segment_study(path, tmp_path / "out")
    assert names == ["T2 SAG"]
    assert [(row.series, row.outcome) for row in result.series] == [("2", "segmented"), ("3", "label map")]
    rows = [row for row in table(tmp_path / "out" / LEVELS_NAME) if row["series"] == "3"]
    assert len(rows) == 36
    by_height = {-20 + 4 * int(row["slice"]): row for row in rows}
    assert by_height[72]["shows"] == by_height[72]["level"] == "L4"
    assert (by_height[56]["shows"], by_height[56]["level"], by_height[56]["disc"]) == ("L4-L5 disc", "", "L4-L5")
    # the hollows of the endplates move the disc's centre from 54 to 54.25
    assert float(by_height[56]["distance_mm"]) == pytest.approx(1.75, abs=0.06)
    assert float(by_height[56]["angle_deg"]) == pytest.approx(0, abs=0.1)
    assert by_height[-20]["shows"] == by_height[-20]["disc"] == ""
    # instance numbers run against the positions, as in the files
    assert by_height[72]["instance"] == str(37 - int(by_height[72]["slice"]))
    labels = sitk.ReadImage(str(tmp_path / "out" / "3_T2_AX" / "vertebrae.nii.gz"))
    assert labels.GetSize() == (20, 24, 36) and labels.GetSpacing()[2] == pytest.approx(4)
    assert labels[labels.TransformPhysicalPointToIndex((0.0, 0.0, 72.0))] == 23
    assert labels[labels.TransformPhysicalPointToIndex((0.0, 0.0, 56.0))] == 0
    assert [row["outcome"] for row in table(tmp_path / "out" / STUDY_NAME)] == ["segmented", "label map"]


def test_series_that_cannot_be_named_get_a_line_that_says_why(study, tmp_path):
    path, _, _ = study
    series(path, 3, "T1 AX after a break", AXIAL, more=OTHER)
    series(path, 4, "AX HIP", AXIAL, origin=(-40.0, -40.0, -400.0))
    series(path, 5, "SHEARED COR", CORONAL, drift=(3.0, 0, 0))
    series(path, 6, "LOC", CORONAL, count=3, origin=(-40.0, 0.0, 60.0))
    told = outcomes(segment_study(path, tmp_path / "out"))
    assert told["3"][0] == "another frame of reference" and "cannot be compared" in told["3"][1]
    assert told["4"] == ("no overlap", "It shows none of the vertebrae that were found.")
    assert told["5"][0] == "failed" and "shifted against each other" in told["5"][1]
    assert told["6"][0] == "label map"
    assert {row["series"] for row in table(tmp_path / "out" / LEVELS_NAME)} == {"2", "6"}


def test_an_oblique_series_with_several_angles_has_one_label_map_for_each(study, tmp_path):
    path, _, _ = study
    tilted = ((1, 0, 0), (0, np.cos(0.4), np.sin(0.4)))
    series(path, 3, "AX ANGLED", AXIAL, count=4, origin=(-40.0, -40.0, 46.0))
    series(path, 3, "AX ANGLED", tilted, count=4, origin=(-40.0, -40.0, -10.0), instance=20)
    result = segment_study(path, tmp_path / "out")
    assert [row.folder for row in result.series[1:]] == ["3_AX_ANGLED", "3_AX_ANGLED-stack2"]
    assert len({row.angle_deg for row in result.slices if row.series == "3"}) == 2


def test_with_each_all_sagittal_series_are_segmented_and_a_disagreement_is_said(study, tmp_path):
    path, names, spines = study
    series(path, 3, "T1 SAG", origin=(12.0, -40.0, 60.0))
    series(path, 4, "STIR SAG", origin=(12.0, -40.0, 60.0))
    spines += [spine_of(BOXES), spine_of(column(("L5", "L4", "L3", "L2"))), spine_of(())]
    told = outcomes(segment_study(path, tmp_path / "out", each=True))
    assert names == ["T2 SAG", "T1 SAG", "STIR SAG"]
    assert told["3"][0] == "segmented" and "calls L5 what the first one calls S1" in told["3"][1]
    assert told["4"][0] == "no vertebra found"


def test_scans_of_two_patients_localisers_only_and_no_dicom_are_refused(study, tmp_path, capsys):
    path, _, _ = study
    (tmp_path / "empty").mkdir()
    series(tmp_path / "planning", 1, "LOCALIZER", origin=(12.0, -40.0, 60.0))
    series(path, 9, "T2 SAG", more={**FRAME, "0010|0020": "8"})
    for given, words in (
        (path, "2 patients ('7', '8')"), (tmp_path / "planning", "localisers only"),
        (tmp_path / "empty", "no DICOM image"), (tmp_path / "nowhere", "no folder"),
    ):  # fmt: skip
        assert main(["segment", str(given), "--output", str(tmp_path / "out"), "--study"]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_line_lists_the_series(study, tmp_path, capsys):
    path, _, spines = study
    series(path, 3, "T2 AX", AXIAL)
    assert main(["segment", str(path), "--output", str(tmp_path / "out"), "--study"]) == 0
    out = capsys.readouterr().out
    assert "series 3     axial        6 slices  label map" in out and LEVELS_NAME in out
    spines.append(spine_of(()))
    assert main(["segment", str(path), "--output", str(tmp_path / "none"), "--study"]) == 3
    assert not (tmp_path / "none").exists()
    assert main(["segment", str(path), "--output", str(tmp_path / "x"), "--each"]) == 2
    assert "--study" in capsys.readouterr().err
