"""Which scans a batch finds in a folder."""

from __future__ import annotations

import os

import pytest
from scan_files import write

from SpinalTapLib.batch import find_scans


def names(folder, output=None):
    return [str(scan.path.relative_to(folder)) for scan in find_scans(folder, output)]


@pytest.mark.parametrize("name", ["1.2.840.113619.2.5.{}", "MR.1.3.12.2.{}", "i{}.MRDC.1", "IM{}", "{}.dcm", "{}.IMA"])
@pytest.mark.parametrize("start", [b"\0" * 128 + b"DICM\2\0", b"\x08\0\x05\0CS"], ids=["marked", "without preamble"])
def test_a_folder_of_dicom_files_is_found_whatever_they_are_called(tmp_path, name, start):
    folder = tmp_path / "patient" / "series"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / name.format(number)).write_bytes(start + b"\0" * 100)
    assert names(tmp_path) == ["patient/series"]


def test_a_file_is_no_dicom_by_its_ending(tmp_path):
    (tmp_path / "letter.dcm").write_text("no scan")
    write(tmp_path / "a.nii.gz")
    assert names(tmp_path) == ["a.nii.gz"]


def test_a_dicomdir_beside_a_series_does_not_count_as_a_second_scan(tmp_path):
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "1").write_bytes(b"\0" * 128 + b"DICM")
    assert names(tmp_path) == ["series"]


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="links need an administrator on Windows")
def test_a_link_to_a_folder_above_is_not_followed_in_circles_and_one_to_elsewhere_is(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "scans"
    elsewhere.mkdir()
    folder.mkdir()
    write(elsewhere / "b.nii.gz")
    write(folder / "a.nii.gz")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "more").symlink_to(elsewhere, target_is_directory=True)
    (folder / "twice").symlink_to(elsewhere, target_is_directory=True)
    assert names(folder) == ["a.nii.gz", "more/b.nii.gz"]


def test_results_hidden_folders_and_the_output_are_left_out(tmp_path):
    for place in ("result", ".hidden", "out/a"):
        (tmp_path / place).mkdir(parents=True)
        write(tmp_path / place / "a.nii.gz")
    (tmp_path / "result" / "spine.json").write_text("{}")
    write(tmp_path / "scan.mha")
    assert names(tmp_path, tmp_path / "out") == ["scan.mha"]
