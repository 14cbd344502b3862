"""Which DICOM series of a folder of studies a batch segments."""

from __future__ import annotations

import os
import shutil

import pytest
from dicom_series import AXIAL, PIXELS, write_series

from SpinalTapLib.batch.scans_in_folder import find_scans
from SpinalTapLib.scans.volume import load_volume

SMALL = PIXELS[:2]


def found(folder, output=None):
    return find_scans(folder, output)


def test_every_sagittal_series_of_a_flat_folder_is_a_scan_whosever_it_is(tmp_path):
    write_series(tmp_path, SMALL, uid="1.2.3.1", description="T2 SAG")
    write_series(tmp_path, SMALL + 1, uid="1.2.3.2", description="T2 SAG")  # of another patient
    write_series(tmp_path, SMALL, uid="1.2.3.3", number="2", description="T2 TRA", cosines=AXIAL)
    write_series(tmp_path, SMALL, uid="1.2.3.4", number="3", description="LOCALIZER")
    result = found(tmp_path)
    assert sorted(scan.series for scan in result.scans) == ["1.2.3.1", "1.2.3.2"]
    assert all(scan.name.startswith("1_T2_SAG") for scan in result.scans)
    assert len({scan.name for scan in result.scans}) == 2
    assert result.left_out == {"axial": 1, "planning": 1}
    for scan, pixels in zip(sorted(result.scans, key=lambda s: s.series), (SMALL, SMALL + 1), strict=True):
        volume = load_volume(scan.path, scan.series, scan.files)
        assert sorted(volume.array.ravel()) == sorted(pixels.ravel())


@pytest.mark.skipif(os.name == "nt", reason="links need an administrator on Windows")
def test_nested_series_are_found_once_each_and_keep_the_name_of_their_folder(tmp_path):
    write_series(tmp_path / "study" / "a", SMALL, uid="1.2.3.1")
    write_series(tmp_path / "study", SMALL, uid="1.2.3.2", number="2")
    (tmp_path / "study" / "back").symlink_to(tmp_path, target_is_directory=True)
    inner, outer = sorted(found(tmp_path).scans, key=lambda scan: scan.series)
    assert (inner.name, inner.series, outer.series) == ("study/a", "1.2.3.1", "1.2.3.2")
    assert outer.name.startswith("study-")  # its result folder would hold the other's


def test_a_series_spread_over_folders_is_one_scan_and_a_copy_of_it_is_none(tmp_path):
    files = write_series(tmp_path / "disc" / "0", PIXELS, uid="1.2.3.1")
    (tmp_path / "disc" / "1").mkdir()
    for file in files[3:]:
        file.rename(tmp_path / "disc" / "1" / file.name)
    shutil.copytree(tmp_path / "disc" / "0", tmp_path / "z-copy")
    (scan,) = found(tmp_path).scans
    assert scan.path == tmp_path / "disc" and len(scan.files) == 6
    assert found(tmp_path).left_out == {"copy of another series": 1}


def test_a_study_without_a_sagittal_series_stays_a_scan_that_says_why(tmp_path):
    write_series(tmp_path / "a", SMALL, uid="1.2.3.1", cosines=AXIAL)
    write_series(tmp_path / "b", SMALL, uid="1.2.3.2", cosines=AXIAL)
    (scan,) = found(tmp_path).scans
    assert scan.series is None and len(scan.files) == 4


def test_damaged_files_beside_a_series_are_told_when_it_is_read(tmp_path):
    files = write_series(tmp_path, PIXELS, uid="1.2.3.1")
    files[0].write_bytes(files[0].read_bytes()[:900])
    (scan,) = found(tmp_path).scans
    assert any("damaged" in warning for warning in load_volume(scan.path, scan.series, scan.files).warnings)
