"""Reading NIfTI, NRRD and MetaImage: what is read, and the sentence for everything that cannot be."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scan_files import PIXELS, refusal, sagittal_image, write
from scipy import ndimage

from SpinalTapLib.scans.quiet_itk import quiet_readers
from SpinalTapLib.scans.volume import load_volume

pytestmark = pytest.mark.filterwarnings("error")  # NumPy's warnings would reach the terminal too


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".hdr", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_every_format_gives_the_same_volume(tmp_path, suffix, capfd):
    volume = load_volume(write(tmp_path / f"Spine scan.1{suffix}"))
    assert volume.name == "Spine scan.1"
    assert volume.warnings == ()
    np.testing.assert_array_equal(volume.array, PIXELS[::-1].astype(np.float32))
    np.testing.assert_allclose(volume.spacing_mm, (3, 0.8, 0.7), rtol=1e-6)
    np.testing.assert_allclose(volume.to_lps((10, 0, 0)), (16, -40, 55), atol=1e-4)
    assert capfd.readouterr() == ("", "")


def test_a_path_may_be_a_string_with_spaces_and_letters_of_any_alphabet(tmp_path):
    folder = tmp_path / "Wirbelsäule 脊椎 позвоночник"
    folder.mkdir()
    assert load_volume(str(write(folder / "épine dorsale ø.nii.gz"))).name == "épine dorsale ø"


@pytest.mark.parametrize("pixel_type", [sitk.sitkUInt8, sitk.sitkInt8, sitk.sitkUInt16, sitk.sitkUInt32, sitk.sitkInt64,
                                        sitk.sitkFloat32, sitk.sitkFloat64])  # fmt: skip
def test_every_pixel_type_is_read(tmp_path, pixel_type):
    image = sitk.Cast(sagittal_image(PIXELS % 100), pixel_type)
    np.testing.assert_array_equal(load_volume(write(tmp_path / "a.nii.gz", image)).array, (PIXELS % 100)[::-1])


def test_a_fourth_dimension_of_one_is_dropped(tmp_path):
    image = sitk.JoinSeries([sagittal_image()])
    path = write(tmp_path / "one.nrrd", image)
    np.testing.assert_array_equal(load_volume(path).array, PIXELS[::-1])


def test_a_series_cannot_be_chosen_from_a_nifti_file(tmp_path):
    (warning,) = load_volume(write(tmp_path / "a.nii"), series=3).warnings
    assert "only be chosen from DICOM" in warning


# --- paths ---


def test_a_missing_file_is_a_value_error(tmp_path, capfd):
    assert "There is no file or folder at" in refusal(tmp_path / "gone.nii.gz", capfd)


def test_a_path_that_cannot_exist_is_a_value_error(tmp_path, capfd):
    for path in (tmp_path / ("x" * 5000), Path("a\0b.nii")):
        assert re.search("cannot be reached|There is no file or folder", refusal(path, capfd))


def test_a_folder_with_no_image_is_refused(tmp_path, capfd):
    (tmp_path / "notes.txt").write_text("nothing to see")
    assert "holds no DICOM image" in refusal(tmp_path, capfd)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_never_waited_for(tmp_path, capfd):
    os.mkfifo(tmp_path / "pipe.nii")
    assert "neither a file nor a folder" in refusal(tmp_path / "pipe.nii", capfd)
    assert "holds no DICOM image" in refusal(tmp_path, capfd)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_may_not_be_read_is_refused(tmp_path, capfd, monkeypatch, kind):
    path = write(tmp_path / "scan.nii.gz") if kind == "file" else tmp_path
    if not hasattr(os, "geteuid") or os.geteuid() == 0:  # an administrator may read everything
        monkeypatch.setattr(os, "access", lambda *_: False)
        sentence = refusal(path, capfd)
    else:
        path.chmod(0)
        try:
            sentence = refusal(path, capfd)
        finally:
            path.chmod(0o700)
    assert "no permission to read" in sentence


# --- damaged files ---


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".dcm", ""])
@pytest.mark.parametrize("content", [b"", b"This is a letter.\n" * 60])
def test_a_file_that_is_no_image_is_refused(tmp_path, capfd, suffix, content):
    path = tmp_path / f"letter{suffix}"
    path.write_bytes(content)
    assert "is not a NIfTI, NRRD, MetaImage or DICOM file" in refusal(path, capfd)


def test_a_picture_of_another_format_is_refused(tmp_path, capfd):
    sitk.WriteImage(sitk.Cast(sagittal_image()[:, :, 3], sitk.sitkUInt8), str(tmp_path / "slice.bmp"))
    assert "is not a NIfTI, NRRD, MetaImage or DICOM file" in refusal(tmp_path / "slice.bmp", capfd)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_a_truncated_gzip_is_refused(tmp_path, capfd, share):
    path = write(tmp_path / "a.nii.gz")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "is cut short: its gzip data end too early" in refusal(path, capfd)


def test_a_gzip_with_a_wrong_byte_is_refused(tmp_path, capfd):
    path = write(tmp_path / "a.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # the checksum
    path.write_bytes(content)
    assert "is a damaged gzip file" in refusal(path, capfd)


def test_a_gzip_in_several_parts_with_padding_is_whole(tmp_path):
    content = write(tmp_path / "a.nii").read_bytes()
    parts = tmp_path / "parts.nii.gz"
    parts.write_bytes(gzip.compress(content[:700]) + gzip.compress(content[700:]) + b"\0" * 64)
    np.testing.assert_array_equal(load_volume(parts).array, PIXELS[::-1])


def test_a_gzip_whose_content_is_cut_short_is_refused(tmp_path, capfd):
    content = write(tmp_path / "a.nii").read_bytes()
    (tmp_path / "short.nii.gz").write_bytes(gzip.compress(content[:-1]))
    assert f"header promises {2 * PIXELS.size} bytes of voxels" in refusal(tmp_path / "short.nii.gz", capfd)


@pytest.mark.parametrize("name", ["a.nii", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("lost", [40, 300])
def test_a_file_that_lacks_its_end_is_refused(tmp_path, capfd, name, lost):
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:-lost])
    assert "cut short" in refusal(path, capfd)


@pytest.mark.parametrize(("name", "lost"), [("a.nhdr", "a.raw.gz"), ("a.mhd", "a.zraw"), ("a.hdr", "a.img")])
def test_a_header_without_its_data_file_is_refused(tmp_path, capfd, name, lost):
    path = write(tmp_path / name)
    (tmp_path / lost).unlink()
    assert re.search("lacks its data file|cut short|is not a", refusal(path, capfd))


# --- content that is not one volume of grey values ---


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_movie_is_refused(tmp_path, capfd, suffix):
    path = write(tmp_path / f"movie{suffix}", sitk.JoinSeries([sagittal_image()] * 3))
    assert "has 4 dimensions (7 x 14 x 11 x 3)" in refusal(path, capfd)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("components", [2, 3, 4])
def test_colour_and_vectors_are_refused(tmp_path, capfd, suffix, components):
    image = sitk.Compose([sitk.Cast(sagittal_image(), sitk.sitkUInt8)] * components)
    sentence = refusal(write(tmp_path / f"colour{suffix}", image), capfd)
    assert "give one volume of grey values" in sentence or "has 5 dimensions" in sentence


def test_complex_numbers_are_refused(tmp_path, capfd):
    image = sitk.RealAndImaginaryToComplex(*[sitk.Cast(sagittal_image(), sitk.sitkFloat32)] * 2)
    assert "complex numbers" in refusal(write(tmp_path / "k-space.nii.gz", image), capfd)


def test_a_single_sagittal_slice_is_read_with_a_warning(tmp_path):
    volume = load_volume(write(tmp_path / "a.nii", sagittal_image()[:, :, 4:5]))
    np.testing.assert_array_equal(volume.array, PIXELS[4:5])
    assert "single sagittal slice: names, outlines and heights" in volume.warnings[0]


def test_a_single_slice_of_another_plane_or_of_none_is_refused(tmp_path, capfd):
    for part, plane in ((np.s_[:, 3:4, :], "axial"), (np.s_[2:3, :, :], "coronal")):
        image = sagittal_image()[part]
        assert f"holds a single {plane} slice" in refusal(write(tmp_path / "a.nii", image), capfd)
    said = refusal(write(tmp_path / "b.nii", sagittal_image()[:, :, 4]), capfd)
    assert "holds a single slice (7 x 14 voxels)" in said and "--pixel-mm" in said


@pytest.mark.parametrize("name", ["a.png", "a.nii.gz", "a.nrrd", "a.mha"])
def test_a_picture_is_a_sagittal_slice_where_its_pixel_size_is_given(tmp_path, name):
    pixels = np.arange(1, 71, dtype=np.uint8).reshape(10, 7)
    volume = load_volume(write(tmp_path / name, sitk.GetImageFromArray(pixels)), pixel_mm=0.8)
    np.testing.assert_array_equal(volume.array, pixels[None])
    np.testing.assert_allclose(volume.spacing_mm, (4.0, 0.8, 0.8))
    np.testing.assert_allclose(volume.matrix[:3, 1:3] / 0.8, [[0, 0], [0, 1], [-1, 0]], atol=1e-9)
    assert volume.name == "a" and "head at the top" in volume.warnings[0]
    assert volume.to_source(volume.array).GetSize() == (7, 10, 1)


def test_grey_values_stored_as_colours_are_grey_and_colours_are_refused(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (10, 7, 1), np.uint8)
    path = write(tmp_path / "a.png", sitk.GetImageFromArray(np.repeat(grey, 3, axis=2), isVector=True))
    np.testing.assert_array_equal(load_volume(path, pixel_mm=1.0).array[0], grey[..., 0])
    colour = np.random.default_rng(0).integers(0, 255, (10, 7, 3), np.uint8)
    with pytest.raises(ValueError, match="colour picture"):
        load_volume(write(tmp_path / "b.png", sitk.GetImageFromArray(colour, isVector=True)), pixel_mm=1.0)


@pytest.mark.parametrize("pixel_mm", [None, 0.0, -1.0, float("nan")])
def test_a_picture_needs_a_pixel_size_above_zero(tmp_path, pixel_mm):
    path = write(tmp_path / "a.png", sitk.GetImageFromArray(np.eye(9, dtype=np.uint8)))
    with pytest.raises(ValueError, match="--pixel-mm" if pixel_mm is None else "above zero"):
        load_volume(path, pixel_mm=pixel_mm)


def test_a_file_with_three_dimensions_keeps_its_own_pixel_size(tmp_path):
    with pytest.raises(ValueError, match="leave out --pixel-mm"):
        load_volume(write(tmp_path / "a.nii", sagittal_image()), pixel_mm=1.0)


@pytest.mark.parametrize(
    ("direction", "spacing", "sentence"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), (0.5, 0.5, 6.5), "an axial stack with 6.5 mm between slices"),
        ((1, 0, 0, 0, 0, -1, 0, 1, 0), (0.5, 0.5, 7), "a coronal stack with 7 mm between slices"),
    ],
)
def test_a_coarse_axial_or_coronal_stack_is_refused_and_a_finer_one_is_not(
    tmp_path, capfd, direction, spacing, sentence
):
    image = sagittal_image()
    image.SetDirection(direction)
    image.SetSpacing(spacing)
    assert sentence in refusal(write(tmp_path / "coarse.nii.gz", image), capfd)
    image.SetSpacing((*spacing[:2], 5.9))
    assert "pixels measure" in load_volume(write(tmp_path / "fine.nii.gz", image)).warnings[0]


def test_a_constant_image_is_refused(tmp_path, capfd):
    path = write(tmp_path / "flat.nii.gz", sagittal_image(np.full_like(PIXELS, 12)))
    assert "is constant: every voxel has the value 12" in refusal(path, capfd)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img.gz", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_voxels_without_a_number_are_background_up_to_half_of_them(tmp_path, capfd, name, kind):
    pixels = PIXELS.astype(kind) - 2000  # so that zero would be brighter than all
    pixels[:5], pixels[4, 0, 0] = np.nan, np.inf
    volume = load_volume(write(tmp_path / name, sagittal_image(pixels)))
    assert volume.warnings == (f"{5 * 14 * 7} voxels were NaN or infinite and were taken as background.",)
    np.testing.assert_array_equal(volume.array[:6], pixels[5:][::-1])
    assert (volume.array[6:] == pixels[5:].min()).all()
    pixels[5] = -np.inf
    assert "no usable number in 55% of its voxels" in refusal(write(tmp_path / name, sagittal_image(pixels)), capfd)


def structures(kind: str) -> np.ndarray:
    """Drawn structures, shape (11, 80, 60): bodies; bodies with discs; one mask; thin discs alone."""
    array = np.zeros((11, 80, 60), np.uint8)
    for number, row in enumerate(range(2, 74, 12)):
        if kind != "discs":
            array[1:10, row : row + 8, 20:44] = 1 if kind == "mask" else 20 + number
        if kind in ("bodies and discs", "discs"):
            array[1:10, row + 8 : row + 12, 20:44] = 200 + number
    return array


@pytest.mark.parametrize("kind", ["bodies", "bodies and discs", "mask", "discs"])
@pytest.mark.parametrize("name", ["scan.nii.gz", "scan_labels.nii.gz", "scan.mha", "scan.nrrd"])
@pytest.mark.parametrize("pixel_type", [sitk.sitkUInt8, sitk.sitkFloat32])
def test_a_label_map_is_refused_whatever_it_is_called(tmp_path, capfd, kind, name, pixel_type):
    image = sitk.Cast(sagittal_image(structures(kind)), pixel_type)
    assert "is a label map, not a scan" in refusal(write(tmp_path / name, image), capfd)


def test_a_segmentation_of_slicer_is_refused(tmp_path, capfd):
    from SpinalTapLib.files.seg_nrrd import write_seg_nrrd

    write_seg_nrrd(tmp_path / "a.seg.nrrd", sagittal_image(structures("bodies")))
    assert "is a label map" in refusal(tmp_path / "a.seg.nrrd", capfd)


def resampled(pixels: np.ndarray, *zoom: float) -> np.ndarray:
    return ndimage.zoom(pixels.astype(np.float32), zoom, order=1)


def outlines(pixels: np.ndarray) -> np.ndarray:
    """The pixels of structures that touch another value in their slice."""
    touching = [np.roll(pixels, shift, axis) != pixels for axis in (1, 2) for shift in (1, -1)]
    return np.where(np.any(touching, 0), pixels, 0)


def large(pixels: np.ndarray) -> np.ndarray:
    """The structures in their usual size, in pixels and as a fraction of the image."""
    return np.pad(pixels.repeat(3, 1).repeat(3, 2).astype(np.float32), ((0, 0), (40, 40), (60, 60)))


FORMS = {
    "cubic": lambda p: ndimage.zoom(large(p), (1, 1.3, 1.3), order=3),
    "cubic and moved": lambda p: ndimage.shift(large(p), (0.4, 0.4, 0.4), order=3),
    "smoothed": lambda p: ndimage.gaussian_filter(large(p), 1),
    "0 to 1": lambda p: p / np.float32(255),
    "scaled": lambda p: p * np.float32(0.1),
    "finer": lambda p: resampled(p, 1, 1.4, 1.4),
    "doubled": lambda p: resampled(p, 1, 2, 2),
    "more slices": lambda p: resampled(p, 3.3, 1, 1),
    "few rows": lambda p: p[:, ::4],
    "outlines": outlines,
    "outlines with few rows": lambda p: outlines(p)[:, ::2],
    "one outline": lambda p: outlines(np.sign(p)),
    "one slice": lambda p: p * (np.arange(11) == 4)[:, None, None],
    "points": lambda p: p * (np.arange(80) % 12 == 6)[:, None] * (np.arange(60) == 30),
}


@pytest.mark.parametrize("change", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", ["bodies", "mask"])
def test_a_label_map_is_refused_in_whatever_form(tmp_path, capfd, kind, change):
    path = write(tmp_path / "a.nii.gz", sagittal_image(change(structures(kind))))
    assert "is a label map, not a scan" in refusal(path, capfd)


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_a_scan_with_two_kinds_of_padding_is_no_label_map(tmp_path, kind):
    pixels = np.full((11, 80, 60), -1000, kind)
    pixels[:, :, 25:] = 0
    pixels[1:10, 20:60, 45:] = np.random.default_rng(0).normal(300, 60, (9, 40, 15)).clip(1)
    assert load_volume(write(tmp_path / "a.nii.gz", sagittal_image(pixels))).array.max() > 300


@pytest.mark.parametrize("levels", [6, 30, 255])
def test_a_scan_with_few_grey_values_and_a_black_background_is_no_label_map(tmp_path, levels):
    grey = structures("bodies") > 0
    noise = np.random.default_rng(1).normal(0.6, 0.15, grey.shape).clip(0.05, 1)
    pixels = np.where(grey, (noise * levels).round(), 0).astype(np.uint8)
    assert load_volume(write(tmp_path / "a.nii.gz", sagittal_image(pixels))).array.max() > 3
    times = 4 if levels > 10 else 2
    enlarged = pixels.repeat(times, 1).repeat(times, 2)
    assert load_volume(write(tmp_path / "b.nii.gz", sagittal_image(enlarged))).array.shape == enlarged.shape


def test_a_masked_scan_that_was_enlarged_is_no_label_map(tmp_path):
    noise = np.random.default_rng(0).normal(300, 30, (3, 40, 30)).astype(np.float32)
    pixels = np.pad(ndimage.zoom(noise, (1, 2, 2), order=3), ((0, 0), (60, 60), (50, 50)))
    assert load_volume(write(tmp_path / "a.nii.gz", sagittal_image(pixels))).array.max() > 300


def ct() -> np.ndarray:
    """Fat around muscle around bones, and air in front, in Hounsfield units."""
    hounsfield = np.where(structures("bodies") > 0, 400, 50)
    hounsfield[:, :, 50:], hounsfield[:, :, :10] = -100, -1000
    return (hounsfield + np.random.default_rng(0).normal(0, 20, hounsfield.shape)).astype(np.int16)


@pytest.mark.parametrize(
    "change",
    [lambda p: p, lambda p: p.astype(np.float32) + 0.5, lambda p: p.clip(-200, 300), lambda p: p.clip(-160, 240),
     lambda p: p[:, :, 12:], lambda p: np.where(p < -500, -2000, p), lambda p: (p + 1024).clip(0, 4095),
     lambda p: (p + 1000).clip(0).astype(np.uint16)],
    ids=["whole", "float", "clipped", "soft tissue window", "cropped to the body", "padded", "with an offset of 1024",
         "with an offset of 1000"],
)  # fmt: skip
def test_a_ct_is_told_by_its_values(tmp_path, change):
    (warning,) = load_volume(write(tmp_path / "a.nii.gz", sagittal_image(change(ct())))).warnings
    assert "look like those of a CT" in warning


def test_values_that_an_mr_can_have_are_no_ct(tmp_path):
    noise = np.random.default_rng(0).normal(0, 1, (11, 80, 60))
    for pixels in (noise, 100 * noise, (300 + 100 * noise).astype(np.int16), ct() + 2000, ct() // 4):
        assert load_volume(write(tmp_path / "a.nii.gz", sagittal_image(pixels))).warnings == ()


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("um", 1000), ("microns", 1000), ("cm", 0.1), ("m", 1e-3)])
def test_the_unit_of_a_nrrd_file_is_kept(tmp_path, unit, factor):
    image = sagittal_image()
    image.SetSpacing(np.multiply(image.GetSpacing(), factor).tolist())
    image.SetOrigin(np.multiply(image.GetOrigin(), factor).tolist())
    path = with_line(write(tmp_path / "a.nrrd", image), f'space units: "{unit}" "{unit}" "{unit}"')
    volume = load_volume(path)
    np.testing.assert_allclose(volume.spacing_mm, (3, 0.8, 0.7), rtol=1e-5)
    np.testing.assert_allclose(volume.to_lps((10, 0, 0)), (16, -40, 55), atol=1e-3)


@pytest.mark.parametrize("field", ["type: ", "sizes: ", "space directions: ", "something: ", "labels: ", ""])
def test_a_nrrd_field_that_would_crash_its_reader_is_refused(tmp_path, capfd, field):
    path = with_line(write(tmp_path / "a.nrrd"), field + "a" * 5000)
    assert re.search("a header field of 500[01] characters", refusal(path, capfd))


@pytest.mark.parametrize("line", ["# ", "content: ", "key:="])
def test_free_text_in_a_nrrd_header_may_be_long(tmp_path, line):
    path = with_line(write(tmp_path / "a.nrrd"), line + "a" * 5000)
    assert load_volume(path).array.any()


@pytest.mark.parametrize("count", ["-1 99999999999", "0", "11", "3.5", "three"])
def test_a_metaimage_with_an_impossible_number_of_dimensions_is_refused(tmp_path, capfd, count):
    path = write(tmp_path / "a.mha")
    path.write_bytes(path.read_bytes().replace(b"NDims = 3", f"NDims = {count}".encode()))
    assert f"claims to have {count!r} dimensions" in refusal(path, capfd)


def test_long_texts_of_a_nrrd_file_are_read(tmp_path):
    path = with_line(write(tmp_path / "a.nrrd"), f"history:={'a' * 5000}")
    assert load_volume(with_line(path, f"content: {'a' * 900}")).array.shape


@pytest.mark.parametrize("units", ['"furlong" "furlong" "furlong"', '"mm" "um" "mm"'])
def test_a_nrrd_file_in_unknown_or_mixed_units_is_refused(tmp_path, capfd, units):
    path = with_line(write(tmp_path / "a.nrrd"), f"space units: {units}")
    assert "only one known unit of length" in refusal(path, capfd)


def with_line(path: Path, line: str) -> Path:
    """Add a line to a NRRD header."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"kinds:", line.encode() + b"\nkinds:", 1))
    return path


# --- NRRD and MetaImage headers written by hand ---


def header_with(path: Path, key: str, value: str) -> Path:
    """Write the scan and replace one line of its text header."""
    sitk.WriteImage(sagittal_image(), str(path), useCompression=False)
    pattern = rf"(?m)^({key}( =|:) ).*$".encode()
    content, found = re.subn(pattern, rb"\g<1>" + value.encode(), path.read_bytes(), count=1)
    assert found == 1
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "key", "value", "sentence"),
    [
        ("a.nrrd", "space directions", "(0,0.7,0.3) (0,0,-0.8) (-3,0,0)", "not orthonormal"),
        ("a.nrrd", "space directions", "(0,0.7,0) (0,0.7,0) (-3,0,0)", "not orthonormal"),
        ("a.nrrd", "space directions", "(0,0,0) (0,0,-0.8) (-3,0,0)", "every spacing must be above zero"),
        ("a.nrrd", "space directions", "(0,nan,0) (0,0,-0.8) (-3,0,0)", "cannot be read as NRRD"),
        ("a.nrrd", "sizes", "30000 30000 30000", "too many for a spine scan"),
        ("a.mha", "TransformMatrix", "0 1 0.5 0 0 -1 -1 0 0", "not orthonormal"),
        ("a.mha", "TransformMatrix", "0 1 0 0 1 0 -1 0 0", "not orthonormal"),
        ("a.mha", "TransformMatrix", "0 2 0 0 0 -1 -1 0 0", "not orthonormal"),
        ("a.mha", "ElementSpacing", "0.7 0 3", "voxel spacing of 0.7 x 0 x 3 mm"),
        ("a.mha", "ElementSpacing", "0.7 0.8 -3", "voxel spacing of 0.7 x 0.8 x -3 mm"),
        ("a.mha", "DimSize", "30000 30000 30000", "too many for a spine scan"),
        ("a.mha", "DimSize", "-7 14 11", "too many for a spine scan"),
    ],
)  # fmt: skip
def test_a_text_header_with_a_grid_that_cannot_be_is_refused(tmp_path, capfd, name, key, value, sentence):
    assert sentence in refusal(header_with(tmp_path / name, key, value), capfd)


def test_a_negative_nrrd_spacing_is_refused(tmp_path, capfd):
    header = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 7 14 11\nspacings: 1 -1 1\nendian: little\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header + PIXELS.tobytes())
    assert "voxel spacing of 1 x -1 x 1 mm" in refusal(tmp_path / "a.nrrd", capfd)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_a_header_with_random_bytes_is_read_or_refused_in_one_sentence(tmp_path, capfd, name):
    whole = write(tmp_path / name).read_bytes()
    rng = np.random.default_rng(11)
    for trial in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(content), 400), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256)
        path = tmp_path / f"{trial}{name[1:]}"
        path.write_bytes(content)
        try:
            volume = load_volume(path)
        except ValueError as refused:
            assert "\n" not in str(refused)
        else:
            assert np.isfinite(volume.array).all()
            assert np.isfinite(volume.matrix).all()
        assert capfd.readouterr() == ("", "")


def test_the_terminal_is_given_back_after_reading(capfd):
    with pytest.raises(RuntimeError, match="inside"), quiet_readers():
        os.write(2, b"dropped")
        raise RuntimeError("inside")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


# --- real scans ---


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sct/t2_lumbar.nii.gz", (38, 201, 257)),
        ("sct/PAM50_small_t2.nii.gz", (70, 275, 70)),
        ("sct/cervical_crop_t1.nii.gz", (42, 77, 76)),
        ("sct/cervical_crop_t2.nii.gz", (52, 55, 60)),
        ("tptbox/sub-mri_label-6_T2w.nii.gz", (67, 52, 68)),
    ],
)
def test_a_real_scan_lies_the_right_way(name, shape):
    folder = os.environ.get("SPINALTAP_DATA")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"needs {name} in the folder that SPINALTAP_DATA names")
    volume = load_volume(Path(folder) / name)
    assert volume.array.shape == shape
    right, left = volume.to_lps([(0, 0, 0), (1, 0, 0)])
    assert left[0] > right[0]
    assert volume.to_lps((0, 1, 0))[2] < right[2]
    assert volume.to_lps((0, 0, 1))[1] > right[1]
    image = volume.to_source(volume.array)
    original = sitk.ReadImage(str(Path(folder) / name))
    assert (image.GetSize(), image.GetOrigin(), image.GetDirection()) == (
        original.GetSize(), original.GetOrigin(), original.GetDirection())  # fmt: skip
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(original))
