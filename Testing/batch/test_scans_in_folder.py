"""Which scans a batch finds in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scan_files import write

from SpinalTapLib.batch.scans_in_folder import Scan, find_scans, named
from SpinalTapLib.batch.state import State


def names(folder, output=None):
    return [str(scan.path.relative_to(folder)) for scan in find_scans(folder, output).scans]


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


def test_results_may_lie_among_the_scans(tmp_path):
    write(tmp_path / "a.nii.gz")
    (tmp_path / "patient").mkdir()
    (tmp_path / "patient" / "1").write_bytes(b"\0" * 128 + b"DICM")
    first = find_scans(tmp_path, tmp_path)
    assert [scan.name for scan in first.scans] == ["a", "patient-spinaltap"]
    for scan in first.scans:
        State(str(scan.path), "failed").write(tmp_path / scan.name)
    write(tmp_path / "a" / "vertebrae.nii.gz")
    assert find_scans(tmp_path, tmp_path) == first


def test_names_that_differ_in_capital_letters_only_get_folders_of_their_own(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"  # as this system may not tell the names apart
    for folder, name in zip(folders, ("Spine.nii", "spine.nii"), strict=True):
        folder.mkdir()
        write(folder / name)
    scans = [Scan(folders[0] / "Spine.nii", "Spine"), Scan(folders[1] / "spine.nii", "spine")]
    names = [scan.name.casefold() for scan in named(scans)]
    assert len(set(names)) == 2
    assert [scan.name.casefold() for scan in named(scans[::-1])] == names


def test_no_result_lies_inside_the_result_of_another_scan(tmp_path):
    for name in ("a.nii", "a/surfaces.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
    one, other = sorted(scan.name for scan in find_scans(tmp_path).scans)
    assert other == "a/surfaces" or one == "a/surfaces"
    assert not {one, other} & {str(parent) for name in (one, other) for parent in Path(name).parents}


def test_a_link_to_nowhere_is_a_scan_that_will_fail_with_its_sentence(tmp_path):
    (tmp_path / "gone.nii.gz").symlink_to(tmp_path / "annex" / "object")
    write(tmp_path / "a.nii.gz")
    assert names(tmp_path) == ["a.nii.gz", "gone.nii.gz"]
    assert find_scans(tmp_path).scans[1].stamp() == {}
