"""A DICOM structured report: each vertebra's level, measurements and certainty, tied to its segment."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_series
from spines_by_hand import column, spine_of

from SpinalTapLib.cli.main import main
from SpinalTapLib.files.dicom_seg import write_dicom_seg
from SpinalTapLib.files.dicom_sr import SCHEME, code_of, write_dicom_sr
from SpinalTapLib.files.measurements_csv import MEASUREMENTS
from SpinalTapLib.files.result_names import JSON_NAME, LABEL_MAP_NAME
from SpinalTapLib.files.spine_json import spine_json
from SpinalTapLib.scans.volume import load_volume

highdicom = pytest.importorskip("highdicom", reason="needs the optional package highdicom")
pydicom = pytest.importorskip("pydicom")

PATIENT = {
    "0010|0010": "Test^Spine", "0010|0020": "7", "0010|0030": "", "0010|0040": "", "0020|0010": "1", "0008|0050": "1",
    "0008|0020": "20260101", "0008|0030": "120000", "0008|0090": "", "0020|0052": "1.2.9", "0020|1040": "",
    "0018|0050": "4",
}  # fmt: skip
HEIGHTS = {"height_anterior_mm": 27.25, "wedge_ratio": 0.98, "wedge_angle_deg": 1.5, "slip_percent": 3.0}


@pytest.fixture
def case(tmp_path):
    """A series, a result folder of it as far as the export needs one, and its spine: L5, L4, and L3 not outlined."""
    files = write_series(tmp_path / "scan", more=PATIENT)
    volume = load_volume(tmp_path / "scan")
    labels = np.zeros(volume.array.shape, np.uint16)
    labels[1:4, 1:3, 2:5], labels[1:4, 5:7, 2:5] = 23, 24
    bodies = column(("L5", "L4", "L3"))
    bodies = tuple(replace(b, measurements=HEIGHTS, confidence=c) for b, c in zip(bodies, (0.97, 0.42, 0.8)))
    folder = tmp_path / "result"
    folder.mkdir()
    sitk.WriteImage(volume.to_source(labels), str(folder / LABEL_MAP_NAME))
    spine = spine_of(bodies, labels)
    (folder / JSON_NAME).write_text(spine_json(spine, volume, {"path": str(tmp_path / "scan")}))
    return folder, files, spine


def groups_of(report):
    found = report.content.get_volumetric_roi_measurement_groups()
    return {group.tracking_identifier: group for group in found}


def values_of(group):
    return {item.name.value: (item.value, item.unit.value) for item in group.get_measurements()}


def test_the_report_read_back_by_highdicom_has_each_vertebra_with_its_segment(case):
    folder, files, _ = case
    assert main(["dicom-sr", str(folder)]) == 0
    report = highdicom.sr.srread(folder / "measurements.dcm")
    segments = pydicom.dcmread(folder / "vertebrae.dcm")
    source = pydicom.dcmread(files[0])
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
        assert report[name].value == source[name].value == segments[name].value
    assert report.Modality == "SR" and report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    groups = groups_of(report)
    assert sorted(groups) == ["L4", "L5"]  # those with an outline
    labels = {item.SegmentNumber: item.SegmentLabel for item in segments.SegmentSequence}
    for name, group in groups.items():
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == segments.SOPInstanceUID
        assert labels[reference.referenced_segment_numbers[0]] == name
    assert groups["L4"].finding_type.value == "11994002"
    values = values_of(groups["L5"])
    assert values["height_ant"] == (27.25, "mm") and values["wedge_angle"] == (1.5, "deg")
    assert values["wedge_ratio"] == (0.98, "1") and values["111012"] == (97.0, "%")
    evaluations = groups["L4"].get_qualitative_evaluations()
    words = {e.name.value: e.value.value for e in evaluations if e.name.scheme_designator == SCHEME}
    assert words == {"level": "L4", "certainty": "check"}


def test_a_vertebra_without_an_outline_and_angles_of_the_spine_have_groups_without_a_segment(case):
    folder, _, _ = case
    main(["dicom-sr", str(folder)])
    report = highdicom.sr.srread(folder / "measurements.dcm")
    others = {group.tracking_identifier: group for group in report.content.get_image_measurement_groups()}
    assert {"L3", "Coronal curve L3-L5"} >= set(others) >= {"L3"}
    assert values_of(others["L3"])["111012"] == (80.0, "%")
    names = {item.name.scheme_designator for item in others["L3"].get_measurements()}
    assert names == {"DCM", SCHEME}


def test_each_measurement_has_a_code_of_its_own():
    codes = [code_of(name) for name in MEASUREMENTS]
    assert len(set(codes)) == len(codes) and max(map(len, codes)) <= 16


def test_a_spine_without_vertebrae_and_a_segmentation_of_another_series_are_refused(case, tmp_path):
    folder, files, spine = case
    write_dicom_seg(folder / "vertebrae.dcm", sitk.ReadImage(str(folder / LABEL_MAP_NAME)), files)
    with pytest.raises(ValueError, match="no vertebra"):
        write_dicom_sr(tmp_path / "sr.dcm", spine_of(()), folder / "vertebrae.dcm", files)
    others = write_series(tmp_path / "other", uid="1.2.3.2", more=PATIENT)
    with pytest.raises(ValueError, match="another series"):
        write_dicom_sr(tmp_path / "sr.dcm", spine, folder / "vertebrae.dcm", others)
    assert not (tmp_path / "sr.dcm").exists()


def test_segment_with_dicom_refuses_a_scan_that_is_none_before_it_works(tmp_path, capsys):
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(tmp_path / "scan.nii.gz"))
    given = ["segment", str(tmp_path / "scan.nii.gz"), "--output", str(tmp_path / "out"), "--dicom"]
    assert main(given) == 2
    assert "neither a DICOM file nor a folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_segment_with_dicom_writes_both_in_one_step(case, tmp_path, monkeypatch, capsys):
    folder, _, spine = case
    from SpinalTapLib import result_folder

    monkeypatch.setattr(result_folder, "segment_file", lambda *_, **__: spine)  # the folder is there already
    given = ["segment", str(tmp_path / "scan"), "--output", str(folder), "--dicom"]
    assert main(given) == 0, capsys.readouterr().err
    assert json.loads((folder / JSON_NAME).read_text())
    for name, modality in (("vertebrae.dcm", "SEG"), ("measurements.dcm", "SR")):
        assert pydicom.dcmread(folder / name).Modality == modality
