"""DICOM folders and files: which images belong together, which series is taken, and how it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_series import AXIAL, CORONAL, CT, PIXELS, SAGITTAL, write_series
from scan_files import refusal

from SpinalTapLib.scans.dicom_elements import has_possible_lengths
from SpinalTapLib.scans.volume import load_volume

pytestmark = pytest.mark.filterwarnings("error")  # NumPy's warnings would reach the terminal too


def taken(folder: Path, series=None) -> str:
    return load_volume(folder, series).name


def test_a_folder_becomes_one_volume_in_the_order_of_its_positions(tmp_path, capfd):
    write_series(tmp_path / "Ärztin 1" / "SE1")
    volume = load_volume(tmp_path / "Ärztin 1")
    np.testing.assert_array_equal(volume.array, PIXELS[::-1])
    np.testing.assert_allclose(volume.spacing_mm, (4, 0.7, 0.7))
    np.testing.assert_allclose(volume.to_lps((5, 0, 0)), (10, -50, 60))
    assert volume.name == "T2 SAG"
    assert volume.warnings == ()
    assert capfd.readouterr() == ("", "")


def test_labels_go_back_to_the_geometry_that_itk_gives_the_series(tmp_path):
    write_series(tmp_path, cosines=((0.1, 0.995, 0), (0, 0, -1)), step_mm=3.3)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = sitk.ReadImage(names)
    volume = load_volume(tmp_path)
    back = volume.to_source(volume.array)
    assert back.GetSize() == image.GetSize()
    np.testing.assert_allclose(back.GetSpacing(), image.GetSpacing(), rtol=1e-9)
    np.testing.assert_allclose(back.GetOrigin(), image.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(back.GetDirection(), image.GetDirection(), atol=1e-9)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))


def test_one_file_stands_for_its_whole_series_in_that_folder(tmp_path):
    write_series(tmp_path, PIXELS[:, ::-1], uid="1.2.3.2", description="other")
    file = write_series(tmp_path)[3]
    volume = load_volume(file)
    np.testing.assert_array_equal(volume.array, load_volume(tmp_path, "1.2.3.1").array)
    assert volume.name == "T2 SAG"


def test_a_multi_frame_file_is_a_volume_by_itself(tmp_path):
    path = tmp_path / "frames.dcm"
    image = sitk.GetImageFromArray(PIXELS.astype(np.uint16))
    image.SetSpacing((0.7, 0.7, 4))
    sitk.WriteImage(image, str(path))
    stored = sitk.ReadImage(str(path))
    assert stored.GetSize() == (7, 9, 6)
    volume = load_volume(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume.to_source(volume.array)), PIXELS)
    assert any("not MR" in warning for warning in volume.warnings)


SAGITTAL_PLANE = [0, 1, 0, 0, 0, -1]


def write_frames(path, places, change=lambda number, frame: None, value=None):
    """Write sagittal frames, each as bright as its place (mm from the right) tells, as an enhanced MR file.

    `change` may alter a frame's functional groups; `value` may give a frame's pixels.
    """
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3.4"
    made.SeriesInstanceUID, made.Modality, made.ImageType = "1.2.3", "MR", ["ORIGINAL", "PRIMARY"]
    made.NumberOfFrames, made.Rows, made.Columns, made.SamplesPerPixel = len(places), 9, 7, 1
    made.PhotometricInterpretation, made.PixelRepresentation = "MONOCHROME2", 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.SharedFunctionalGroupsSequence = [
        group("PixelMeasuresSequence", PixelSpacing=[1, 1], SliceThickness=4, SpacingBetweenSlices=4)
    ]
    made.PerFrameFunctionalGroupsSequence = []
    for number, place in enumerate(places):
        frame = group("PlanePositionSequence", ImagePositionPatient=[float(place), -50, 100])
        frame.update(group("PlaneOrientationSequence", ImageOrientationPatient=SAGITTAL_PLANE))
        change(number, frame)
        made.PerFrameFunctionalGroupsSequence.append(frame)
    noise = np.random.default_rng(0).integers(0, 3, (len(places), 9, 7))
    brightness = [1000 + 10 * place for place in places] if value is None else value
    made.PixelData = (noise + np.array(brightness)[:, None, None]).astype("<u2").tobytes()
    if int(pydicom.__version__.split(".")[0]) > 2:
        pydicom.dcmwrite(path, made, enforce_file_format=True)
    else:
        made.is_little_endian, made.is_implicit_VR = True, False
        pydicom.dcmwrite(path, made, write_like_original=False)
    return path


def group(name, **values):
    """A data set with one functional group."""
    inside, outside = pydicom.Dataset(), pydicom.Dataset()
    for key, value in values.items():
        setattr(inside, key, value)
    setattr(outside, name, [inside])
    return outside


SHARED_POSITION = group("PlanePositionSequence", ImagePositionPatient=[-8, -50, 100])


def check_brightness(volume):
    """Every slice is as bright as its place tells."""
    for k, plane in enumerate(volume.array):
        assert (plane.mean() - 1001) / 10 == pytest.approx(volume.to_lps([k, 0, 0])[0], abs=0.2)


@pytest.mark.parametrize("places", [[-8, -4, 0, 4, 8], [8, 4, 0, -4, -8], [-8, 0, 8, -4, 4]])
def test_the_frames_of_an_enhanced_file_lie_where_they_say(tmp_path, places):
    volume = load_volume(write_frames(tmp_path / "frames.dcm", places))
    assert volume.spacing_mm[0] == pytest.approx(4)
    assert volume.warnings == ()
    check_brightness(volume)


def test_frames_that_show_the_same_slices_again_are_a_stack_of_their_own(tmp_path):
    path = write_frames(tmp_path / "a.dcm", [-8, -4, 0, 4, 8] * 2, value=[100] * 5 + [200] * 5)
    volume = load_volume(path)
    assert volume.array.shape == (5, 9, 7)
    assert volume.array.max() < 150
    assert "repetition 1) was read" in volume.warnings[0]
    assert load_volume(path, "stack2").array.min() > 150


def test_frames_of_which_some_are_missing_are_refused(tmp_path, capfd):
    assert "slices seem to be missing" in refusal(write_frames(tmp_path / "a.dcm", [-8, -4, 0, 4, 20]), capfd)


def test_every_frame_has_its_own_rescaling(tmp_path):
    places = [-8, -4, 0, 4, 8]

    def rescale(number, frame):
        frame.update(group("PixelValueTransformationSequence", RescaleSlope=number + 2, RescaleIntercept=10 * number))

    stored = [(1000 + 10 * place - 10 * number) / (number + 2) for number, place in enumerate(places)]
    volume = load_volume(write_frames(tmp_path / "a.dcm", places, rescale, stored))
    for k, plane in enumerate(volume.array):
        assert (plane.mean() - 1000) / 10 == pytest.approx(volume.to_lps([k, 0, 0])[0], abs=0.8)


def test_files_with_different_rescalings_are_not_cut_to_whole_numbers(tmp_path):
    for number, path in enumerate(write_series(tmp_path, np.full_like(PIXELS, 10) + PIXELS % 2)):
        header = pydicom.dcmread(path)
        header.RescaleSlope, header.RescaleIntercept = (1 if number == 5 else 0.25), 0
        header.save_as(path)
    values = np.unique(load_volume(tmp_path).array).tolist()
    assert values == [2.5, 2.75, 10, 11]


def test_frames_of_one_orientation_make_the_volume_and_the_others_are_said(tmp_path):
    def turn(number, frame):
        if number >= 5:
            frame.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]

    path = write_frames(tmp_path / "a.dcm", [-8, -4, 0, 4, 8, -8, -4, 0], turn)
    volume = load_volume(path)
    assert volume.array.shape == (5, 9, 7)
    check_brightness(volume)
    assert "axial slice" in volume.warnings[0]


@pytest.mark.parametrize("without", [{0, 1, 2}, {1}, {2}], ids=["all", "middle", "last"])
@pytest.mark.parametrize("way", ["no sequence", "empty sequence", "empty item"])
@pytest.mark.parametrize("elsewhere", [None, "shared", "header"])
def test_frames_without_a_position_of_their_own_are_refused(tmp_path, capfd, without, way, elsewhere):
    def lose(number, frame):
        if number not in without:
            return
        if way == "no sequence":
            del frame.PlanePositionSequence
        else:
            frame.PlanePositionSequence = [] if way == "empty sequence" else [pydicom.Dataset()]

    path = write_frames(tmp_path / "a.dcm", [-8, -4, 0], lose)
    made = pydicom.dcmread(path)
    if elsewhere == "shared":
        made.SharedFunctionalGroupsSequence[0].update(SHARED_POSITION)
    elif elsewhere == "header":
        made.ImagePositionPatient = [-8, -50, 100]
    made.save_as(path)
    assert "does not say where each of its slices lies (ImagePositionPatient missing)" in refusal(path, capfd)


def test_a_single_frame_may_have_its_position_among_the_shared_groups(tmp_path):
    path = write_frames(tmp_path / "a.dcm", [-8], lambda _, frame: frame.pop("PlanePositionSequence"))
    made = pydicom.dcmread(path)
    made.SharedFunctionalGroupsSequence[0].update(SHARED_POSITION)
    made.save_as(path)
    assert load_volume(path).to_lps([0, 0, 0]).tolist() == [-8, -50, 100]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("PixelSpacing", "does not say how large its pixels are"),
        ("ImagePositionPatient", "does not say where each of its slices lies"),
        ("ImageOrientationPatient", "does not say how its slices are oriented"),
    ],
)
@pytest.mark.parametrize("way", ["absent", "empty"])
def test_a_series_that_lacks_its_geometry_is_refused(tmp_path, capfd, name, sentence, way):
    for path in write_series(tmp_path):
        header = pydicom.dcmread(path)
        if way == "absent":
            del header[name]
        else:
            setattr(header, name, None)
        header.save_as(path)
    assert sentence in refusal(tmp_path, capfd)
    write_series(tmp_path / "sound", uid="1.2.3.9", description="sound")
    assert taken(tmp_path) == "sound"


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.481.5", "RT Plan"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "Comprehensive SR"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF"),
    ],
)
def test_a_dicom_file_that_is_no_scan_is_refused_by_its_name(tmp_path, capfd, uid, name):
    (path,) = write_series(tmp_path, PIXELS[:1])
    header = pydicom.dcmread(path)
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = uid
    if name != "Segmentation":
        del header.PixelData, header.Rows, header.Columns
    header.save_as(path)
    for given in (path, tmp_path):
        assert f"can be read as a scan, only {name}" in refusal(given, capfd)
    write_series(tmp_path, uid="1.2.3.9", description="sound")
    assert taken(tmp_path) == "sound"


def test_a_mosaic_is_refused_by_its_name(tmp_path, capfd):
    write_series(tmp_path, image_type="ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC")
    assert "holds mosaics" in refusal(tmp_path, capfd)


def test_the_sagittal_mr_is_taken_from_a_whole_examination_and_named(tmp_path):
    many = np.concatenate([PIXELS] * 3)
    write_series(tmp_path / "a", many, uid="1.1", number="5", description="T2 TRA", cosines=AXIAL)
    write_series(tmp_path / "b", many, uid="1.2", number="6", description="COR STIR", cosines=CORONAL)
    write_series(tmp_path / "c", PIXELS, uid="1.3", number="4", description="T2 SAG")
    write_series(
        tmp_path / "d", many, uid="1.4", number="1", description="LOCALIZER", image_type="ORIGINAL\\PRIMARY\\LOC"
    )
    write_series(tmp_path / "e", many, uid="1.5", number="7", description="ADC", image_type="DERIVED\\PRIMARY\\ADC")
    write_series(tmp_path / "f", many, uid="1.6", number="8", description="CT SAG", modality=CT)
    volume = load_volume(tmp_path)
    assert volume.name == "T2 SAG"
    assert (
        "6 series or stacks of slices were found, and series 4 'T2 SAG' (MR, 6 sagittal slices)" in volume.warnings[0]
    )
    assert "series 5 'T2 TRA' (MR, 18 axial slices)" in volume.warnings[0]


def test_more_slices_and_then_a_longer_view_and_then_the_lower_number_win(tmp_path):
    write_series(tmp_path / "a", PIXELS[:4], uid="1.1", number="1", description="few")
    write_series(tmp_path / "b", PIXELS, uid="1.2", number="3", description="more")
    assert taken(tmp_path) == "more"
    write_series(tmp_path / "c", PIXELS, uid="1.3", number="2", description="as many")
    assert taken(tmp_path) == "as many"
    write_series(tmp_path / "d", np.tile(PIXELS, (1, 4, 1)), uid="1.4", number="9", description="long")
    assert taken(tmp_path) == "long"


@pytest.fixture
def three_series(tmp_path):
    write_series(tmp_path, uid="1.2.3.1", number="3", description="T1 SAG")
    write_series(tmp_path, uid="1.2.3.2", number="7", description="T2 SAG FS")
    write_series(tmp_path, uid="1.2.3.3", number="12", description="Größe 7")
    return tmp_path


@pytest.mark.parametrize(
    ("series", "name"),
    [
        ("1.2.3.2", "T2 SAG FS"),
        (7, "T2 SAG FS"),
        ("7", "T2 SAG FS"),
        (" 12 ", "Größe 7"),
        ("t1 sag", "T1 SAG"),
        ("fs", "T2 SAG FS"),
        ("größe", "Größe 7"),
    ],
)
def test_a_series_can_be_chosen_by_uid_number_or_description(three_series, series, name):
    assert taken(three_series, series) == name


def test_a_series_that_is_not_there_is_refused_with_a_list(three_series):
    with pytest.raises(
        ValueError, match=r"holds no series '8'; it holds stack1: series 3 'T1 SAG' \(MR, 6 sagittal slices\), "
    ):
        load_volume(three_series, 8)
    with pytest.raises(ValueError, match="holds no series ''"):
        load_volume(three_series, "")


def test_a_localizer_in_three_planes_is_no_volume_but_its_sagittal_stack_is(tmp_path):
    for cosines in (AXIAL, CORONAL, SAGITTAL):
        write_series(tmp_path / str(cosines), PIXELS[:3], cosines=cosines, instance=len(list(tmp_path.rglob("*"))))
    volume = load_volume(tmp_path)
    assert volume.array.shape == (3, 9, 7)
    assert "3 series or stacks of slices were found" in volume.warnings[0]


def test_stations_that_do_not_overlap_stay_apart(tmp_path):
    write_series(tmp_path, PIXELS, instance=1)
    write_series(tmp_path, PIXELS, instance=11, origin=(10, -50, -240))
    volume = load_volume(tmp_path)
    assert volume.array.shape == (6, 9, 7)
    assert "S 54 to 60 mm) was read" in volume.warnings[0]
    assert load_volume(tmp_path, "stack2").to_lps([0, 0, 0])[2] == pytest.approx(-240)


def test_echoes_and_phase_images_of_one_series_are_not_mixed(tmp_path):
    write_series(tmp_path, PIXELS, instance=1)
    write_series(tmp_path, PIXELS + 1000, instance=11, echo_time="160")
    write_series(tmp_path, PIXELS + 2000, instance=21, image_type="ORIGINAL\\PRIMARY\\P")
    np.testing.assert_array_equal(load_volume(tmp_path).array, PIXELS[::-1])
    file = next(path for path in tmp_path.iterdir() if path.name.endswith("013"))
    np.testing.assert_array_equal(load_volume(file).array, PIXELS[::-1] + 1000)
    with pytest.raises(ValueError, match=r"stack1: .*echo 100 ms.*stack2: .*echo 160 ms.*stack3: .*phase, echo 100 ms"):
        load_volume(tmp_path, "stack4")
    np.testing.assert_array_equal(load_volume(tmp_path, "stack3").array, PIXELS[::-1] + 2000)


def test_the_magnitude_of_the_first_echo_is_taken_in_whatever_order_they_come(tmp_path):
    write_series(tmp_path, PIXELS + 3000, instance=1, image_type="ORIGINAL\\PRIMARY\\P\\ND")
    write_series(tmp_path, PIXELS + 2000, instance=11, echo_time="160")
    write_series(tmp_path, PIXELS, instance=21)
    np.testing.assert_array_equal(load_volume(tmp_path).array, PIXELS[::-1])


def test_a_derived_series_is_taken_only_where_there_is_no_original_one(tmp_path):
    write_series(tmp_path / "a", uid="1.1", number="1", description="reformatted", image_type="DERIVED\\SECONDARY\\MPR")
    assert taken(tmp_path) == "reformatted"
    write_series(tmp_path / "b", uid="1.2", number="2", description="as acquired")
    assert taken(tmp_path) == "as acquired"


@pytest.mark.parametrize("image_type", ["ORIGINAL\\PRIMARY\\P\\ND", "DERIVED\\PRIMARY\\DIFFUSION\\ADC",
                                        "DERIVED\\SECONDARY\\PROJECTION IMAGE\\MIP"])  # fmt: skip
def test_computed_images_alone_are_read_with_a_warning(tmp_path, image_type):
    write_series(tmp_path, image_type=image_type)
    (warning,) = load_volume(tmp_path).warnings
    assert "computed from others, or show the phase" in warning


OTHERS = {"another patient": {"0010|0020": "B"}, "another study": {"0020|000d": "1.2.4"}, "another number": {}}


@pytest.mark.parametrize("more", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("aside", [2, 24])
def test_series_with_the_same_uid_are_not_mixed(tmp_path, more, aside):
    """Where slices lie between those of another series, or beside them, they would make one volume with them."""
    (file, *_) = write_series(tmp_path)
    place = {"instance": 11, "origin": (10 + aside, -50, 60)}
    write_series(tmp_path, PIXELS + 1000, **place, number="1" if more else "2", more=more)
    volume = load_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, PIXELS[::-1])
    assert "stack2: series" in volume.warnings[0] and "repetition" not in volume.warnings[0]
    np.testing.assert_array_equal(load_volume(tmp_path, "stack2").array, PIXELS[::-1] + 1000)
    np.testing.assert_array_equal(load_volume(file).array, PIXELS[::-1])


def test_series_of_two_patients_are_told_apart_without_their_names(tmp_path):
    write_series(tmp_path, more={"0010|0020": "A17"})
    write_series(tmp_path, PIXELS[1:], instance=11, more={"0010|0020": "B18"})
    (warning,) = load_volume(tmp_path).warnings
    assert "(patient 1 of 2, MR, 6 sagittal slices) was read" in warning
    assert "(patient 2 of 2, MR, 5 sagittal slices)" in warning and "A17" not in warning


def test_of_repeated_slices_the_first_are_read_and_the_others_can_be_chosen(tmp_path):
    write_series(tmp_path, PIXELS + 1000, instance=11)
    write_series(tmp_path, PIXELS, instance=1)
    volume = load_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, PIXELS[::-1])
    assert "repetition 1) was read" in volume.warnings[0]
    assert "stack2: series 1 'T2 SAG' (MR, 6 sagittal slices, repetition 2)" in volume.warnings[0]
    np.testing.assert_array_equal(load_volume(tmp_path, "Stack2").array, PIXELS[::-1] + 1000)


def test_a_missing_slice_gives_a_warning_and_many_a_refusal(tmp_path, capfd):
    paths = write_series(tmp_path)
    paths[2].unlink()
    (warning,) = load_volume(tmp_path).warnings
    assert "unevenly spaced (is one missing?): positions may be off by up to 2 mm" in warning
    paths[3].unlink()
    paths[4].unlink()
    assert "slices seem to be missing" in refusal(tmp_path, capfd)


def test_slices_shifted_against_each_other_are_refused(tmp_path, capfd):
    write_series(tmp_path, drift=(0, 0.5, 0))
    assert "shifted against each other in their plane, by up to 2.5 mm" in refusal(tmp_path, capfd)


def test_a_small_shift_of_the_slices_is_told(tmp_path):
    write_series(tmp_path / "a", drift=(0, 0.05, 0))
    assert load_volume(tmp_path / "a").warnings == ()
    write_series(tmp_path / "b", drift=(0, 0.3, 0))
    (warning,) = load_volume(tmp_path / "b").warnings
    assert "shifted against each other in their plane, by up to 1.5 mm" in warning


def test_a_single_sagittal_slice_is_read_with_a_warning_and_another_one_is_refused(tmp_path, capfd):
    (path,) = write_series(tmp_path / "a", PIXELS[:1])
    header = pydicom.dcmread(path)
    header.SliceThickness = 5
    header.save_as(path)
    for given in (tmp_path / "a", path):
        volume = load_volume(given)
        assert volume.array.shape == (1, 9, 7)
        np.testing.assert_allclose(volume.spacing_mm, (5, 0.7, 0.7))
        assert "single sagittal slice" in volume.warnings[0]
    write_series(tmp_path / "b", PIXELS[:1], cosines=AXIAL)
    assert "holds a single axial slice" in refusal(tmp_path / "b", capfd)
    write_series(tmp_path / "a", uid="1.2.3.9", description="stack")
    assert taken(tmp_path / "a") == "stack"


def test_colour_pictures_are_refused(tmp_path, capfd):
    image = sitk.Compose([sitk.Cast(sitk.GetImageFromArray(PIXELS[:1]), sitk.sitkUInt8)] * 3)
    sitk.WriteImage(image, str(tmp_path / "screenshot.dcm"))
    assert "holds colour images" in refusal(tmp_path, capfd)


def test_a_coarse_axial_series_is_refused(tmp_path, capfd):
    write_series(tmp_path, cosines=AXIAL, step_mm=7)
    assert "an axial stack with 7 mm between slices from head to foot" in refusal(tmp_path, capfd)


def test_another_modality_is_read_with_a_warning(tmp_path):
    write_series(tmp_path, modality=CT)
    assert load_volume(tmp_path).warnings == ("The images are of modality CT, not MR, which SpinalTap was made for.",)


@pytest.mark.parametrize("keep", [900, 0.7])
def test_files_cut_short_are_left_out_with_a_warning_and_alone_refused(tmp_path, capfd, keep):
    paths = write_series(tmp_path, np.tile(PIXELS, (1, 5, 5)))
    content = paths[5].read_bytes()
    paths[5].write_bytes(content[: keep if keep > 1 else int(len(content) * keep)])
    volume = load_volume(tmp_path)
    assert volume.array.shape == (5, 45, 35)
    assert "cut short were left out: 1, such as" in volume.warnings[0]
    assert "cut short" in refusal(paths[5], capfd)
    for path in paths[:5]:
        path.unlink()
    assert "cut short" in refusal(tmp_path, capfd)


def test_other_files_in_the_folder_do_no_harm(tmp_path, capfd):
    write_series(tmp_path)
    (tmp_path / "notes.txt").write_text("DICM " * 100)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "report.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1\2\3" * 50)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    for path in (tmp_path, tmp_path / "DICOMDIR"):
        assert load_volume(path).array.shape == (6, 9, 7)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("place", ["meta header", "header"])
def test_a_value_that_claims_to_be_longer_than_the_file_asks_for_no_memory(tmp_path, capfd, place):
    paths = write_series(tmp_path)
    content = paths[0].read_bytes()
    # A private value of four-byte length in the meta header, or a tag (implicit, so always four bytes) in the header.
    if place == "meta header":
        damaged = content.replace(b"\2\0\1\0OB\0\0\2\0\0\0", b"\2\0\1\0OB\0\0\0\0\0\xe0")
    else:
        damaged = content.replace(b"\x18\0\x81\0\4\0\0\0", b"\x18\0\x81\0\0\0\0\xe0")
    assert damaged != content
    paths[0].write_bytes(damaged)
    tracked = load_volume(tmp_path)
    assert tracked.array.shape == (5, 9, 7)
    assert "were left out: 1, such as" in tracked.warnings[0]
    assert not has_possible_lengths(paths[0])
    assert has_possible_lengths(paths[1])
    assert "damaged or cut short" in refusal(paths[0], capfd)
