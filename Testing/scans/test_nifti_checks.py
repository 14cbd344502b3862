"""NIfTI headers written by hand: what ITK would repair or overlook in silence. Offsets are those of nifti1.h."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from scan_files import PIXELS, SIZE, refusal, write

from SpinalTapLib.scans.volume import load_volume

pytestmark = pytest.mark.filterwarnings("error")  # NumPy's warnings would reach the terminal too


def nifti(path: Path, *changes: tuple[int, str, tuple]) -> Path:
    content = bytearray(write(path).read_bytes())
    for offset, fields, values in changes:
        struct.pack_into(fields, content, offset, *values)
    path.write_bytes(content)
    return path


def sform(*rows: float, qform_code: int = 0) -> tuple:
    return (252, "<hh", (qform_code, 1)), (280, "<12f", rows)


SOUND = (0.7, 0, 0, 1, 0, 0.8, 0, 2, 0, 0, 3, 3)
SHEARED = (0.7, 0.4, 0, 1, 0, 0.7, 0, 2, 0, 0, 3, 3)
SINGULAR = (0.7, 0.7, 0, 1, 0.7, 0.7, 0, 2, 0, 0, 3, 3)
NOTHING = (0.0,) * 12


@pytest.mark.parametrize("rows", [SHEARED, SINGULAR, NOTHING, (float("nan"), *SOUND[1:])])
def test_an_sform_with_axes_that_are_not_perpendicular_is_refused(tmp_path, capfd, rows):
    assert "direction matrix that is not orthonormal" in refusal(nifti(tmp_path / "a.nii", *sform(*rows)), capfd)


def test_a_sheared_sform_beside_a_sound_qform_is_passed_over_with_a_warning(tmp_path, capfd):
    volume = load_volume(nifti(tmp_path / "a.nii", *sform(*SHEARED, qform_code=1)))
    assert volume.warnings == ("The file's sform is sheared or singular; its qform was used instead.",)
    np.testing.assert_allclose(volume.to_lps((10, 0, 0)), (16, -40, 55), atol=1e-4)
    assert capfd.readouterr() == ("", "")


def test_an_sform_that_contradicts_the_spacing_gives_a_warning(tmp_path):
    rows = [0.3, 0, 0, 1, 0, 0, 3, 3, 0, 0.3, 0, 2]
    warnings = load_volume(nifti(tmp_path / "a.nii", *sform(*rows))).warnings
    assert "scales the voxels differently" in warnings[0]


def test_a_file_that_does_not_say_how_it_lies_gives_a_warning(tmp_path):
    path = nifti(tmp_path / "a.nii", (252, "<hh", (0, 0)))
    assert "does not say how the image lies in the body" in load_volume(path).warnings[0]
    header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 7 14 11\nendian: little\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header + PIXELS.tobytes())
    assert "does not say how the image lies in the body" in load_volume(tmp_path / "a.nrrd").warnings[0]


@pytest.mark.parametrize("wrong", [0.0, -0.7, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_spacing_that_is_not_above_zero_is_refused(tmp_path, capfd, wrong, axis):
    path = nifti(tmp_path / "a.nii", (76 + 4 * axis, "<f", (wrong,)))
    assert "every spacing must be above zero" in refusal(path, capfd)


@pytest.mark.parametrize(
    "change",
    [
        (40, "<8h", (3, 30000, 30000, 30000, 1, 1, 1, 1)),  # sizes beyond any memory
        (40, "<8h", (7, 32767, 32767, 32767, 32767, 32767, 32767, 32767)),  # beyond 64 bits
        (108, "<f", (1e30,)),  # voxels that start beyond the file
        (108, "<f", (float("nan"),)),
        (108, "<f", (-5.0,)),
    ],
)
def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path, capfd, change):
    assert "cut short" in refusal(nifti(tmp_path / "a.nii", change), capfd)


@pytest.mark.parametrize(
    "change", [(40, "<8h", (3, -7, 14, 11, 1, 1, 1, 1)), (70, "<hh", (1536, 16)), (70, "<hh", (0, 16))]
)
def test_a_header_with_impossible_fields_is_refused(tmp_path, capfd, change):
    assert "can't be read as NIfTI" in refusal(nifti(tmp_path / "a.nii", change), capfd)


def test_an_analyze_file_is_refused_because_it_does_not_know_left_from_right(tmp_path, capfd):
    assert "Analyze 7.5" in refusal(nifti(tmp_path / "a.nii", (344, "4s", (b"",))), capfd)


def swapped(content: bytes) -> bytes:
    """The same NIfTI-1 file in the other byte order."""
    layout = "i10s18sihcc8h3f4h8f3fhcc4fii80s24shh6f12f16s4s4x"
    return struct.pack(">" + layout, *struct.unpack("<" + layout, content[:352])) + PIXELS.astype(">i2").tobytes()


def test_the_other_byte_order_is_read_and_checked_alike(tmp_path, capfd):
    content = swapped(write(tmp_path / "a.nii").read_bytes())
    path = tmp_path / "swapped.nii"
    path.write_bytes(content)
    np.testing.assert_array_equal(load_volume(path).array, PIXELS[::-1])
    broken = bytearray(content)
    struct.pack_into(">f", broken, 80, -1.0)
    path.write_bytes(broken)
    assert "voxel spacing of -1 x 0.8 x 3 mm" in refusal(path, capfd)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_2_is_refused_by_its_name(tmp_path, capfd, suffix):
    content = bytearray(544)
    struct.pack_into("<i8shh8q", content, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, *SIZE, 1, 1, 1, 1)
    content += PIXELS.tobytes()
    path = tmp_path / f"two{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    assert "is a NIfTI-2 file" in refusal(path, capfd)
