"""A segmentation file that SimpleITK and Slicer's own libraries open with everything that was meant."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from drawn_bodies import Box, detect, spine

from SpinalTapLib.bodies.segmentation import separate_bodies
from SpinalTapLib.bodies.surfaces import body_surface
from SpinalTapLib.bodies.triangle_mesh import enclosed_volume, mesh_arrays
from SpinalTapLib.files.seg_nrrd import write_seg_nrrd
from SpinalTapLib.spine import levels

VALUES = (26, 24, 23)


def oblique_labels(dtype=np.uint16) -> sitk.Image:
    labels = np.zeros((6, 9, 8), dtype)
    labels[1:4, 2:5, 3:6], labels[3:5, 6:8, 1:4] = 24, 23
    image = sitk.GetImageFromArray(labels)
    turn = np.deg2rad(20)
    image.SetDirection([np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1])
    image.SetSpacing((0.7, 0.8, 4.1))
    image.SetOrigin((-31.5, 12.25, 700.125))
    return image


@pytest.fixture(scope="module")
def bodies_and_image():
    detections, candidates, volume = detect(spine(3, radius=7))
    bodies = separate_bodies(detections, candidates, volume)
    return bodies, volume.to_source(bodies.label_map(VALUES))


def test_simpleitk_reads_the_same_values_in_the_same_place(tmp_path):
    image = oblique_labels()
    write_seg_nrrd(tmp_path / "a.seg.nrrd", image)
    back = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert (sitk.GetArrayFromImage(back) == sitk.GetArrayFromImage(image)).all()
    assert back.GetPixelID() == sitk.sitkUInt8, "as small as the values allow"
    for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(back, get)(), getattr(image, get)(), atol=1e-9)
    assert back.GetMetaData("Segment0_Name") == "L5"
    assert back.GetMetaData("Segment0_Extent") == "3 5 2 4 1 3"


def test_values_above_255_take_two_bytes(tmp_path):
    image = oblique_labels()
    labels = sitk.GetArrayFromImage(image)
    labels[labels == 23] = 301
    wide = sitk.GetImageFromArray(labels)
    write_seg_nrrd(tmp_path / "a.seg.nrrd", wide)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))).max() == 301


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_seg_nrrd(tmp_path / f"{name}.seg.nrrd", oblique_labels())
    assert (tmp_path / "a.seg.nrrd").read_bytes() == (tmp_path / "b.seg.nrrd").read_bytes()


def test_an_empty_label_map_gives_a_file_without_segments(tmp_path):
    assert write_seg_nrrd(tmp_path / "a.seg.nrrd", sitk.Image(4, 4, 4, sitk.sitkUInt8)) == ()
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))).max() == 0


def test_tags_cannot_break_the_header(tmp_path):
    tags = {24: {"SpinalTap.Note": "one|two\nSegment0_Name:=L1"}}
    write_seg_nrrd(tmp_path / "a.seg.nrrd", oblique_labels(), tags=tags)
    back = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert back.GetMetaData("Segment0_Name") == "L5"
    assert "SpinalTap.Note:one/two Segment0_Name:=L1|" in back.GetMetaData("Segment0_Tags")


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        ("a.nrrd", oblique_labels(), r"\.seg\.nrrd"),
        ("a.seg.nrrd", oblique_labels(np.float32), "float32"),
        ("a.seg.nrrd", sitk.Image(4, 4, sitk.sitkUInt8), "3-D"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, name, image, words):
    with pytest.raises(ValueError, match=words):
        write_seg_nrrd(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_gives_one_sentence_and_no_file(tmp_path):
    with pytest.raises(ValueError, match="Could not write"):
        write_seg_nrrd(tmp_path / "missing" / "a.seg.nrrd", oblique_labels())


def test_header_is_plain_text_before_the_data(tmp_path):
    write_seg_nrrd(tmp_path / "a.seg.nrrd", oblique_labels())
    head, _, data = (tmp_path / "a.seg.nrrd").read_bytes().partition(b"\n\n")
    assert head.startswith(b"NRRD0004\n") and b"space: left-posterior-superior" in head
    assert len(gzip.decompress(data)) == 6 * 9 * 8


# With Slicer's own libraries


def opened(path: Path):
    slicer = pytest.importorskip("slicer", reason="needs the MRML libraries of Slicer (slicer-core)")
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()  # knows how to make surfaces
    logic.SetMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    return slicer, (scene, logic), node  # the node lives as long as its scene


def test_slicer_reads_names_colours_values_and_codes(bodies_and_image, tmp_path):
    write_seg_nrrd(tmp_path / "a.seg.nrrd", bodies_and_image[1], tags={24: {"SpinalTap.Confidence": "0.97"}})
    slicer, _scene, node = opened(tmp_path / "a.seg.nrrd")
    from vtkmodules.vtkCommonCore import reference

    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 3 and segmentation.GetNumberOfLayers() == 1
    for number, value in enumerate(VALUES):
        segment, level = segmentation.GetNthSegment(number), levels.level_of_value(value)
        assert (segment.GetName(), segment.GetLabelValue()) == (level.name, value)
        np.testing.assert_allclose(segment.GetColor(), np.array(level.colour) / 255, atol=1e-5)
        text = reference("")
        assert segment.GetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), text)
        assert f"~SCT^{level.code}^{level.meaning}~" in str(text)
    assert segmentation.GetSegment("L5").GetTag("SpinalTap.Confidence", text) and str(text) == "0.97"


def test_slicers_voxels_are_the_label_maps_in_the_same_place(bodies_and_image, tmp_path):
    image = bodies_and_image[1]
    write_seg_nrrd(tmp_path / "a.seg.nrrd", image)
    slicer, _scene, node = opened(tmp_path / "a.seg.nrrd")
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    merged, to_world = slicer.vtkOrientedImageData(), vtkMatrix4x4()
    node.GenerateMergedLabelmapForAllSegments(merged, 0)
    merged.GetImageToWorldMatrix(to_world)
    matrix = np.array([[to_world.GetElement(i, j) for j in range(4)] for i in range(4)])
    low = [int(v) for v in merged.GetExtent()[::2]]
    first = np.diag([-1, -1, 1, 1]) @ matrix @ [*low, 1]  # RAS to LPS
    np.testing.assert_allclose(first[:3], image.TransformIndexToPhysicalPoint(low), atol=1e-6)
    inside = np.count_nonzero(vtk_to_numpy(merged.GetPointData().GetScalars()))
    assert inside == np.count_nonzero(sitk.GetArrayFromImage(image))


def test_label_map_slicers_surface_and_ours_hold_the_same_volume(bodies_and_image, tmp_path):
    bodies, image = bodies_and_image
    write_seg_nrrd(tmp_path / "a.seg.nrrd", image)
    _slicer, _scene, node = opened(tmp_path / "a.seg.nrrd")
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    assert node.CreateClosedSurfaceRepresentation()
    for number, (value, solid) in enumerate(zip(VALUES, bodies.solids)):
        theirs = vtkPolyData()
        node.GetClosedSurfaceRepresentation(node.GetSegmentation().GetNthSegmentID(number), theirs)
        voxels = (sitk.GetArrayFromImage(image) == value).sum() * float(np.prod(image.GetSpacing()))
        ours = enclosed_volume(*mesh_arrays(body_surface(solid)))
        assert abs(enclosed_volume(*mesh_arrays(theirs))) == pytest.approx(voxels, rel=0.02)
        assert ours == pytest.approx(voxels, rel=0.02)
        assert ours == pytest.approx(Box(radius=7).volume, rel=0.02)
