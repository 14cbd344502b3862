"""The result folder: every file of the contract, whole or not at all, and back again."""

from __future__ import annotations

import csv
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from spines_by_hand import column, painted, rotation_about, spine_of, vertebra
from vtkmodules.vtkFiltersSources import vtkCubeSource

from SpinalTapLib.files import result_files as files
from SpinalTapLib.files.markups import read_markups
from SpinalTapLib.files.measurements_csv import COLUMNS
from SpinalTapLib.files.result_files import read_result, write_result
from SpinalTapLib.scans.volume import SagittalVolume, volume_from_array
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.measurements import measure_spine
from SpinalTapLib.spine.vertebra import CORNERS, SeedBox

NAMES = ("S1", "L5", "L4", "L3")
VERTEBRA_KEYS = {
    "level", "label_value", "level_probability", "confidence", "outline_confidence", "centroid_lps_mm",
    "corners_lps_mm", "slices", "measurements", "flags",
}  # fmt: skip


def cube():
    """A surface of twelve triangles."""
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter

    source, triangles = vtkCubeSource(), vtkTriangleFilter()
    source.SetXLength(20)
    triangles.SetInputConnection(source.GetOutputPort())
    triangles.Update()
    return triangles.GetOutput()


def stored_volume(turned: bool) -> tuple[SagittalVolume, np.ndarray, tuple]:
    """A volume with a source grid: as painted, or stored with other axes, flipped and oblique."""
    vertebrae = column(NAMES)
    volume, labels = painted(vertebrae, (5.0, 1.5, 1.5), margin_mm=20)
    if not turned:
        return volume_from_array(volume.array, volume.matrix, "plain"), labels, vertebrae
    turn = np.eye(4)
    turn[:3, :3] = rotation_about((0.3, 1, 0.2), 11)
    # Axes in another order and two of them backwards: (column, -slice, -row).
    array = volume.array.transpose(2, 0, 1)[:, ::-1, ::-1]
    mix = np.zeros((4, 4))
    mix[2, 0], mix[0, 1], mix[1, 2], mix[3, 3] = 1, -1, -1, 1
    mix[0, 3], mix[1, 3] = volume.array.shape[0] - 1, volume.array.shape[1] - 1
    turned_volume = volume_from_array(array, turn @ volume.matrix @ mix, "turned")
    moved = tuple(
        replace(v, corners_lps_mm=v.corners_lps_mm @ turn[:3, :3].T, centroid_lps_mm=v.centroid_lps_mm @ turn[:3, :3].T)
        for v in vertebrae
    )
    assert np.array_equal(turned_volume.array, volume.array)
    return turned_volume, labels, moved


@pytest.fixture(params=[False, True], ids=["as is", "turned and flipped"])
def result(request):
    """A measured spine, its volume."""
    volume, labels, vertebrae = stored_volume(request.param)
    vertebrae = tuple(replace(v, slices=(3, 4, 5)) for v in vertebrae)
    seed = SeedBox(np.array([1.0, 2, 3]), np.array([40.0, 40, 36]), level="S1")
    spine = spine_of(vertebrae, labels, seed=seed, anchor="pinned", warnings=("Ä warning.",), seconds={"detect": 1.25})
    return measure_spine(spine, volume.matrix), volume


@pytest.fixture(autouse=True)
def quick_report(monkeypatch, request):
    """No drawing, save where a test asks for it: `test_report.py` looks at the picture."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(files, "report_png", lambda *_: b"PNG")


@pytest.fixture
def drawn():
    """Draw the report in this test."""


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def write(result, folder, **more):
    spine, volume = result
    surfaces = {v.label_value: cube() for v in spine.vertebrae}
    return write_result(spine, volume, folder, surfaces=surfaces, **more)


def test_the_folder_holds_the_files_of_the_contract_and_nothing_else(result, tmp_path, drawn):
    write(result, tmp_path / "out")
    assert sitk.ReadImage(str(tmp_path / "out" / "report.png")).GetNumberOfComponentsPerPixel() == 3
    expected = {"vertebrae.nii.gz", "vertebrae.seg.nrrd", "spine.json", "measurements.csv", "report.png"}
    expected |= {f"markups/{name}.mrk.json" for name in NAMES} | {f"surfaces/{name}.stl" for name in NAMES}
    assert set(tree(tmp_path)) == {"out"} | {f"out/{name}" for name in expected | {"markups", "surfaces"}}


def test_the_label_map_has_the_geometry_of_the_input(result, tmp_path):
    spine, volume = result
    write(result, tmp_path)
    image = sitk.ReadImage(str(tmp_path / "vertebrae.nii.gz"))
    assert image.GetPixelID() == sitk.sitkUInt8
    assert image.GetSize() == volume.source.size
    assert image.GetSpacing() == pytest.approx(volume.source.spacing, rel=1e-6)
    assert image.GetOrigin() == pytest.approx(volume.source.origin, abs=1e-4)
    assert image.GetDirection() == pytest.approx(volume.source.direction, abs=1e-6)
    # The bodies lie where the vertebrae are, in LPS, whatever the storage.
    for item in spine.vertebrae:
        index = image.TransformPhysicalPointToIndex([float(x) for x in item.centroid_lps_mm])
        assert image[index] == item.label_value


def test_unanchored_discs_need_sixteen_bits(tmp_path):
    volume, labels, vertebrae = stored_volume(False)
    one = vertebra(None, vertebrae[0].corners_lps_mm)
    labels = np.where(labels == levels.level("S1").value, 101, 0).astype(np.uint16)
    labels[0, 0, :3] = levels.disc_value(101)
    write_result(spine_of((one,), labels, anchor="none"), volume, tmp_path)
    image = sitk.ReadImage(str(tmp_path / "vertebrae.nii.gz"))
    assert image.GetPixelID() == sitk.sitkUInt16
    assert (tmp_path / "markups" / "vertebra_101.mrk.json").is_file()
    assert np.array_equal(read_result(tmp_path).label_map, labels)


def test_spine_json_has_exactly_the_keys_of_the_contract(result, tmp_path):
    write(result, tmp_path, source={"path": "/scans/a.nii.gz"})
    content = json.loads((tmp_path / "spine.json").read_text(encoding="utf-8"))
    assert set(content) == {
        "schema_version", "input", "software", "model", "device", "seconds", "seed", "anchor", "warnings",
        "alternatives", "vertebrae",
    }  # fmt: skip
    assert content["schema_version"] == 2
    assert content["input"]["path"] == "/scans/a.nii.gz"
    assert set(content["model"]) == {"name", "sha256"}
    for entry in content["vertebrae"]:
        assert set(entry) == VERTEBRA_KEYS
        assert list(entry["corners_lps_mm"]) == list(CORNERS)
    assert [entry["level"] for entry in content["vertebrae"]] == list(NAMES)


def test_slices_are_those_of_the_input(result, tmp_path):
    _, volume = result
    write(result, tmp_path)
    content = json.loads((tmp_path / "spine.json").read_text(encoding="utf-8"))
    axis = content["input"]["sagittal_axis"]
    last = volume.source.size[axis] - 1
    flipped = volume.source.flips[0]
    assert content["vertebrae"][0]["slices"] == ([last - 5, last - 4, last - 3] if flipped else [3, 4, 5])


def test_a_result_comes_back_as_it_was(result, tmp_path):
    spine, _ = result
    write(result, tmp_path)
    back = read_result(tmp_path)
    assert np.array_equal(back.label_map, spine.label_map)
    assert (back.anchor, back.warnings, back.model, back.device) == (
        spine.anchor, spine.warnings, spine.model, spine.device,
    )  # fmt: skip
    assert back.seed.level == "S1" and back.seed.size_mm == pytest.approx([40, 40, 36])
    for found, known in zip(back.vertebrae, spine.vertebrae):
        assert (found.level, found.label_value, found.slices, found.flags) == (
            known.level, known.label_value, known.slices, known.flags,
        )  # fmt: skip
        assert found.corners_lps_mm == pytest.approx(known.corners_lps_mm, abs=1e-3)
        assert found.centroid_lps_mm == pytest.approx(known.centroid_lps_mm, abs=1e-3)
        assert found.measurements == pytest.approx(dict(known.measurements), abs=1e-3)


def test_the_segmentation_and_the_markups_agree_with_the_label_map(result, tmp_path):
    spine, _ = result
    write(result, tmp_path)
    labels = sitk.ReadImage(str(tmp_path / "vertebrae.nii.gz"))
    segments = sitk.ReadImage(str(tmp_path / "vertebrae.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(segments) > 0, sitk.GetArrayFromImage(labels) > 0)
    points = read_markups(tmp_path / "markups" / "L4.mrk.json")
    assert points["L4 centroid"] == pytest.approx(spine["L4"].centroid_lps_mm, abs=1e-3)


def test_the_table_has_a_row_for_each_vertebra_and_each_angle(result, tmp_path):
    write(result, tmp_path)
    with (tmp_path / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["level"] for row in rows if row["structure"] == "vertebra"] == list(NAMES)
    assert float(rows[1]["height_anterior_mm"]) == pytest.approx(26)
    assert float(rows[1]["disc_height_middle_mm"]) == pytest.approx(10, abs=1.5)  # one pixel
    assert rows[0]["disc_height_middle_mm"] == ""
    assert [row["structure"] for row in rows[4:]] == ["sacral_slope"]


def test_writing_twice_gives_the_same_bytes(result, tmp_path):
    write(result, tmp_path / "a")
    write(result, tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_second_result_replaces_the_first_and_leaves_foreign_files(result, tmp_path):
    spine, volume = result
    write(result, tmp_path)
    (tmp_path / "surfaces" / "L3_edited.stl").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    fewer = replace(spine, vertebrae=spine.vertebrae[:2])
    write_result(fewer, volume, tmp_path, surfaces={spine["L5"].label_value: cube()}, surface_format="ply")
    names = set(tree(tmp_path))
    assert {"surfaces/L3_edited.stl", "notes.txt", "surfaces/L5.ply", "markups/L5.mrk.json"} <= names
    assert not {"surfaces/L3.stl", "surfaces/L5.stl", "markups/L3.mrk.json"} & names
    assert len(read_result(tmp_path).vertebrae) == 2


WRITERS = ("sitk.WriteImage", "write_seg_nrrd", "write_surface", "write_markups", "report_png", "write_whole")


@pytest.mark.parametrize("before", [False, True], ids=["new folder", "earlier result"])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()], ids=repr)
def test_whatever_fails_the_folder_is_as_it_was(tmp_path, monkeypatch, before, writer, error):
    volume, labels, vertebrae = stored_volume(False)
    spine = spine_of(vertebrae, labels)
    target = tmp_path / "deep" / "out"
    if before:
        write((spine, volume), target)
        (target / "mine.txt").write_text("mine")
    state = tree(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"SpinalTapLib.files.result_files.{writer}", fail)
    with pytest.raises(ValueError if isinstance(error, OSError) else KeyboardInterrupt):
        write((spine, volume), target)
    monkeypatch.undo()
    assert tree(tmp_path) == state


def test_an_image_that_itk_cut_short_without_a_word_is_noticed(tmp_path, monkeypatch):
    volume, labels, vertebrae = stored_volume(False)
    real = sitk.WriteImage

    def cut(image, path, **more):
        real(image, path, **more)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: len(content) // 2])

    monkeypatch.setattr("SpinalTapLib.files.result_files.sitk.WriteImage", cut)
    with pytest.raises(ValueError, match=r"vertebrae\.nii\.gz completely; the disk may be full"):
        write_result(spine_of(vertebrae, labels), volume, tmp_path / "out")
    assert tree(tmp_path) == {}


def test_a_spine_without_label_map_or_with_a_level_twice_is_refused(tmp_path):
    volume, labels, vertebrae = stored_volume(False)
    with pytest.raises(ValueError, match="no label map"):
        write_result(spine_of(vertebrae), volume, tmp_path / "out")
    with pytest.raises(ValueError, match="Two vertebrae are called S1"):
        write_result(spine_of((vertebrae[0], vertebrae[0]), labels), volume, tmp_path / "out")
    with pytest.raises(ValueError, match="no surface format 'vtk'"):
        write_result(spine_of(vertebrae, labels), volume, tmp_path / "out", surface_format="vtk")
    assert tree(tmp_path) == {}


def test_more_files_can_come_along(result, tmp_path):
    write(result, tmp_path, extra={"evidence.npz": b"123"})
    assert (tmp_path / "evidence.npz").read_bytes() == b"123"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no spine.json"),
        ("not json", "cannot be read"),
        ("[]", "of schema None"),
        ('{"schema_version": 99}', "of schema 99"),
        ('{"schema_version": 2}', "damaged"),
        ('{"schema_version": 1}', "damaged"),
        ('{"schema_version": 1, "vertebrae": [{}]}', "damaged"),
    ],
)
def test_a_folder_that_is_no_result_is_refused_in_one_sentence(result, tmp_path, content, message):
    write(result, tmp_path)
    (tmp_path / files.JSON_NAME).unlink()
    if content is not None:
        (tmp_path / files.JSON_NAME).write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_result(tmp_path)
    assert "\n" not in str(error.value)


def test_a_result_over_a_damaged_one_is_written_all_the_same(result, tmp_path):
    write(result, tmp_path)
    (tmp_path / files.JSON_NAME).write_text('{"schema_version": 1, "vertebrae": [{"level": "../../x"}]}')
    write(result, tmp_path)
    assert len(read_result(tmp_path).vertebrae) == len(NAMES)


def test_a_position_that_is_no_number_is_null_in_the_file_and_reads_back_as_none(result, tmp_path):
    spine, volume = result
    lost = replace(spine.vertebrae[0], centroid_lps_mm=np.full(3, np.nan))
    write_result(replace(spine, vertebrae=(lost, *spine.vertebrae[1:])), volume, tmp_path)
    assert json.loads((tmp_path / "spine.json").read_text())["vertebrae"][0]["centroid_lps_mm"] == [None] * 3
    json.loads((tmp_path / "markups" / "L5.mrk.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert np.isnan(read_result(tmp_path).vertebrae[0].centroid_lps_mm).all()
