"""A DICOM segmentation of a DICOM series: every slice in its place, every segment with its code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from SpinalTapLib.files.dicom_seg import write_dicom_seg
from SpinalTapLib.files.spine_json import SCHEMA_VERSION
from SpinalTapLib.spine import levels


@pytest.fixture(scope="module")
def pydicom():
    pytest.importorskip("highdicom", reason="needs the optional package highdicom")
    return pytest.importorskip("pydicom")


@pytest.fixture
def series(pydicom, tmp_path):
    """Write a sagittal series of five slices, in shuffled order, and return its files and an image of its geometry."""
    folder = tmp_path / "series"
    folder.mkdir()
    study, uid, frame = (pydicom.uid.generate_uid() for _ in range(3))
    files = []
    for number in (3, 0, 4, 1, 2):
        position = [-10.0 + 4 * number, -60.0, 120.0]
        files.append(_write(pydicom, folder / f"{number}.dcm", position, number, study, uid, frame))
    image = sitk.GetImageFromArray(np.zeros((5, 8, 6), np.uint16))
    image.SetOrigin((-10.0, -60.0, 120.0))
    image.SetSpacing((0.9, 1.1, 4.0))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, -1, 0))
    return files, image


def _write(pydicom, path: Path, position, number, study, series, frame) -> Path:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image = pydicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
    image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = "Test^Spine", "1", "", ""
    image.StudyID, image.AccessionNumber, image.StudyDate, image.StudyTime = "1", "", "20260101", "120000"
    image.ReferringPhysicianName, image.PositionReferenceIndicator = "", ""
    image.Modality, image.SeriesNumber, image.InstanceNumber = "MR", 1, number + 1
    image.ImagePositionPatient, image.ImageOrientationPatient = position, [0, 1, 0, 0, 0, -1]
    image.PixelSpacing, image.SliceThickness = [1.1, 0.9], 4.0
    image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = 8, 6, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.PixelData = np.zeros((8, 6), np.uint16).tobytes()
    image.save_as(str(path), enforce_file_format=True)
    return path


def labelled(image: sitk.Image) -> sitk.Image:
    labels = sitk.GetArrayFromImage(image)
    labels[1:3, 2:4, 1:4], labels[2:4, 5:7, 2:5], labels[2, 4, 2] = 23, 24, 223
    out = sitk.GetImageFromArray(labels)
    out.CopyInformation(image)
    return out


def test_every_voxel_comes_back_where_it_was(pydicom, series, tmp_path):
    files, image = series
    image = labelled(image)
    segments = write_dicom_seg(tmp_path / "seg.dcm", image, files)
    assert [s.name for s in segments] == ["L5", "L4", "L4-L5"]
    back = pydicom.dcmread(tmp_path / "seg.dcm")
    found = np.zeros((5, 8, 6), np.uint16)
    frames = back.pixel_array
    for frame, groups in zip(frames, back.PerFrameFunctionalGroupsSequence):
        position = [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
        slice_index = image.TransformPhysicalPointToIndex(position)[2]
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        found[slice_index][frame > 0] = segments[number - 1].value
    assert (found == sitk.GetArrayFromImage(image)).all()


def test_segments_carry_names_and_codes(pydicom, series, tmp_path):
    write_dicom_seg(tmp_path / "seg.dcm", labelled(series[1]), series[0])
    back = pydicom.dcmread(tmp_path / "seg.dcm")
    assert back.Modality == "SEG" and back.PatientID == "1"
    codes = {s.SegmentLabel: s.SegmentedPropertyTypeCodeSequence[0] for s in back.SegmentSequence}
    assert codes["L5"].CodeValue == levels.level("L5").code and codes["L5"].CodingSchemeDesignator == "SCT"
    assert codes["L4-L5"].CodeValue == levels.DISC_CODE
    family = back.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmFamilyCodeSequence[0]
    assert (family.CodeValue, family.CodeMeaning) == ("123110", "Artificial Intelligence")


def test_an_empty_label_map_is_refused(series, tmp_path):
    with pytest.raises(ValueError, match="no vertebra"):
        write_dicom_seg(tmp_path / "seg.dcm", series[1], series[0])


def test_files_of_another_geometry_are_refused(series, tmp_path):
    image = labelled(series[1])
    image.SetOrigin((-10.0, -55.0, 120.0))
    with pytest.raises(ValueError, match="do not lie on the label map's grid"):
        write_dicom_seg(tmp_path / "seg.dcm", image, series[0])
    small = sitk.Image(4, 4, 5, sitk.sitkUInt16) + 24
    with pytest.raises(ValueError, match=r"6 x 8 pixels, but the label map 4 x 4"):
        write_dicom_seg(tmp_path / "seg.dcm", small, series[0])
    assert not (tmp_path / "seg.dcm").exists()


def test_a_missing_slice_is_named(series, tmp_path):
    files = [file for file in series[0] if file.name != "2.dcm"]
    with pytest.raises(ValueError, match=r"between slice 2 and slice 3 of 4 \(8 mm apart, the others 4 mm\)"):
        write_dicom_seg(tmp_path / "seg.dcm", labelled(series[1])[:, :, :4], files)


def test_no_files_and_files_that_are_no_dicom_are_refused(series, tmp_path):
    with pytest.raises(ValueError, match="none were given"):
        write_dicom_seg(tmp_path / "seg.dcm", labelled(series[1]), [])
    (tmp_path / "note.dcm").write_text("no DICOM")
    with pytest.raises(ValueError, match="cannot be read again"):
        write_dicom_seg(tmp_path / "seg.dcm", labelled(series[1]), [tmp_path / "note.dcm"])


def test_without_highdicom_one_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ValueError, match=r"pip install .SpinalTapLib\[dicom\]"):
        write_dicom_seg(tmp_path / "seg.dcm", sitk.Image(2, 2, 2, sitk.sitkUInt8), ["a.dcm"])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def result(series, tmp_path):
    """A result folder of the series, with as much as the export needs."""
    files, image = series
    folder = tmp_path / "result"
    folder.mkdir()
    source = {"path": str(files[0].parent)}
    text = json.dumps({"schema_version": SCHEMA_VERSION, "input": source, "vertebrae": []})
    (folder / "spine.json").write_text(text)
    sitk.WriteImage(labelled(image), str(folder / "vertebrae.nii.gz"))
    return folder


def run(*arguments: object) -> int:
    from SpinalTapLib.cli.main import main

    return main([str(a) for a in arguments])


def test_a_result_folder_made_from_dicom_gets_its_dicom_segmentation(pydicom, result, series, capsys):
    assert run("dicom-seg", result) == 0
    assert capsys.readouterr().out.strip() == str(result / "vertebrae.dcm")
    back = pydicom.dcmread(result / "vertebrae.dcm")
    assert [s.SegmentLabel for s in back.SegmentSequence] == ["L5", "L4", "L4-L5"]
    assert {str(pydicom.dcmread(f).SOPInstanceUID) for f in series[0]} >= {
        str(i.ReferencedSOPInstanceUID) for i in back.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }


def test_a_scan_that_was_moved_can_be_named(result, series, tmp_path, capsys):
    series[0][0].parent.rename(tmp_path / "elsewhere")
    assert run("dicom-seg", result) == 2
    assert "--input" in capsys.readouterr().err
    assert run("dicom-seg", result, "--input", tmp_path / "elsewhere") == 0


def test_a_scan_that_was_no_dicom_and_a_folder_that_is_no_result_are_refused(result, tmp_path, capsys):
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(tmp_path / "scan.nii.gz"))
    assert run("dicom-seg", result, "--input", tmp_path / "scan.nii.gz") == 2
    assert "neither a DICOM file nor a folder" in capsys.readouterr().err
    assert run("dicom-seg", tmp_path) == 2
    (result / "vertebrae.nii.gz").unlink()
    assert run("dicom-seg", result) == 2
    assert "missing or damaged" in capsys.readouterr().err
    assert not (result / "vertebrae.dcm").exists()
