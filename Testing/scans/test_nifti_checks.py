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
    assert "cannot be read as NIfTI" in refusal(nifti(tmp_path / "a.nii", change), capfd)


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


def second(path: Path, order: str = "<", magic: bytes = b"n+2\0") -> Path:
    """Write the test scan as NIfTI-2."""
    content = bytearray(544)
    first = write(path.with_name("first.nii")).read_bytes()
    sform = struct.unpack_from("<12f", first, 280)
    for offset, fields, values in (
        (0, "i8shh", (540, magic + b"\r\n\x1a\n", 4, 16)), (16, "8q", (3, *SIZE, 1, 1, 1, 1)),
        (104, "8d", (1, 0.7, 0.8, 3.0, 1, 1, 1, 1)), (168, "q", (544,)), (176, "2d", (1, 0)), (344, "2i", (0, 1)),
        (400, "12d", sform), (500, "i", (2,)),
    ):  # fmt: skip
        struct.pack_into(order + fields, content, offset, *values)
    content += PIXELS.astype(order + "i2").tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["two.nii", "two.nii.gz"])
@pytest.mark.parametrize("order", "<>")
def test_nifti_2_is_read_like_nifti_1(tmp_path, capfd, name, order):
    volume, first = load_volume(second(tmp_path / name, order)), load_volume(write(tmp_path / "one.nii"))
    np.testing.assert_array_equal(volume.array, first.array)
    np.testing.assert_allclose(volume.matrix, first.matrix, atol=1e-5)
    assert (volume.name, volume.warnings) == ("two", ())
    assert capfd.readouterr() == ("", "")


def test_nifti_2_that_is_cut_short_is_refused(tmp_path, capfd):
    path = second(tmp_path / "two.nii")
    path.write_bytes(path.read_bytes()[:-10])
    assert "is cut short: its header promises" in refusal(path, capfd)


def test_a_gzip_that_is_called_nii_and_a_plain_file_that_is_called_gz_are_read(tmp_path, capfd):
    plain = write(tmp_path / "plain.nii").read_bytes()
    (tmp_path / "zipped.nii").write_bytes(gzip.compress(plain))
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    for name in ("zipped.nii", "plain.nii.gz"):
        np.testing.assert_array_equal(load_volume(tmp_path / name).array, PIXELS[::-1])
    (tmp_path / "cut.nii").write_bytes(gzip.compress(plain)[:-40])
    assert "cut short" in refusal(tmp_path / "cut.nii", capfd)


def turned(*degrees: float) -> np.ndarray:
    """Rotation about x, then y, then z."""
    out = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn, (i, j) = np.eye(3), [k for k in range(3) if k != axis]
        turn[[i, j], [i, j]], turn[i, j], turn[j, i] = np.cos(angle), -np.sin(angle), np.sin(angle)
        out = turn @ out
    return out


def told(path: Path) -> list[str]:
    """The warnings about the position; those about the resolution of this axial stack are left out."""
    return [w for w in load_volume(path).warnings if "sagittal" not in w]


def with_sform(path: Path, steps: np.ndarray, shift=(5.0, -7.0, 9.0), codes=(0, 1)) -> Path:
    rows = np.column_stack([steps, shift]).ravel().astype(float)
    return nifti(path, (76, "<4f", (1, 0.7, 0.8, 3.0)), (252, "<hh", codes), (280, "<12f", tuple(rows)))


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_an_sform_with_rounded_numbers_is_read_with_the_nearest_axes(tmp_path, capfd, decimals):
    rng = np.random.default_rng(decimals)
    for trial in range(20):
        steps = turned(*rng.uniform(-40, 40, 3)) @ np.diag([0.7, 0.8, 3.0])
        volume = load_volume(with_sform(tmp_path / f"{trial}.nii", steps.round(decimals)))
        index = np.array([6, 13, 10])
        place = (steps @ index + (5, -7, 9)) * [-1, -1, 1]
        stored = volume.source.origin + np.reshape(volume.source.direction, (3, 3)) @ (index * volume.source.spacing)
        np.testing.assert_allclose(stored, place, atol=40 * 10.0**-decimals)
    assert capfd.readouterr() == ("", "")


def test_axes_that_are_a_degree_off_right_angles_are_told(tmp_path):
    steps = np.diag([0.7, 0.8, 3.0])
    steps[0, 1] = 0.8 * np.sin(np.radians(1.6))
    (warning,) = told(with_sform(tmp_path / "a.nii", steps))
    assert "up to 0.8 degrees off right angles" in warning
    steps[0, 1] = 0.8 * np.sin(np.radians(0.6))
    assert told(with_sform(tmp_path / "b.nii", steps)) == []


def with_both(path: Path, steps: np.ndarray, shift, codes) -> Path:
    """A file whose qform is plain, RAS, and whose sform is another one."""
    path = with_sform(path, steps, shift, codes)
    content = bytearray(path.read_bytes())
    struct.pack_into("<6f", content, 256, 0, 0, 0, 5.0, -7.0, 9.0)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 1), (1, 4), (4, 3)])
@pytest.mark.parametrize("move", ["turned", "moved", "both"])
def test_two_positions_that_disagree_are_told_with_the_one_that_was_taken(tmp_path, codes, move):
    steps = turned(25, 0, 0) @ np.diag([0.7, 0.8, 3.0]) if move != "moved" else np.diag([0.7, 0.8, 3.0])
    shift = (5.0, -7.0, 9.0) if move == "turned" else (5.0, 71.0, 9.0)
    path = with_both(tmp_path / "a.nii", steps, shift, codes)
    volume, (warning,) = load_volume(path), told(path)
    assert "differ by 0 degrees and by up to 78 mm" in warning if move == "moved" else "differ by 25 degrees" in warning
    last = np.array(volume.to_source(volume.array).TransformIndexToPhysicalPoint([6, 13, 10])) * [-1, -1, 1]
    said = steps @ [6, 13, 10] + shift if "the sform was used" in warning else [9.2, 3.4, 39.0]
    np.testing.assert_allclose(last, said, atol=1e-3)


def test_two_positions_that_agree_but_for_rounding_are_not_told(tmp_path):
    assert told(with_both(tmp_path / "a.nii", np.diag([0.7, 0.8, 3.0]), (5.2, -7.1, 9.3), (1, 1))) == []


def test_two_positions_that_mirror_each_other_are_refused(tmp_path, capfd):
    path = with_both(tmp_path / "a.nii", np.diag([-0.7, 0.8, 3.0]), (9.2, -7, 9), (1, 1))
    assert "one mirrors the other" in refusal(path, capfd)


@pytest.mark.parametrize("scale", [1.02, 1.2])
def test_a_scaled_sform_is_compared_with_the_qform_all_the_same(tmp_path, capfd, scale):
    steps = scale * np.diag([0.7, 0.8, 3.0])
    assert [w[:30] for w in told(with_both(tmp_path / "a.nii", steps, (5, -7, 9), (1, 1)))] == [
        "The file's sform scales the vo"
    ]
    _, about_place = told(with_both(tmp_path / "b.nii", steps, (5, 71, 9), (1, 1)))
    assert "differ by 0 degrees and by up to 78 mm; the sform was used" in about_place
    _, about_place = told(with_both(tmp_path / "c.nii", turned(25, 0, 0) @ steps, (5, -7, 9), (1, 1)))
    assert "differ by 25 degrees" in about_place
    _, about_place = told(with_both(tmp_path / "e.nii", steps, (5, -7, 5), (1, 1)))
    assert "by up to 4 mm; the sform was used" in about_place
    mirrored = with_both(tmp_path / "d.nii", steps @ np.diag([-1, 1, 1]), (9.2, -7, 9), (1, 1))
    assert "one mirrors the other" in refusal(mirrored, capfd)


def test_a_sheared_sform_that_mirrors_the_qform_is_refused(tmp_path, capfd):
    steps = np.array([[-0.7, 0.3, 0], [0, 0.8, 0], [0, 0, 3.0]])
    assert "one mirrors the other" in refusal(with_both(tmp_path / "a.nii", steps, (9.2, -7, 9), (1, 1)), capfd)


def test_a_file_that_calls_itself_a_label_map_is_refused(tmp_path, capfd):
    assert "is a label map" in refusal(nifti(tmp_path / "a.nii", (68, "<h", (1002,))), capfd)
