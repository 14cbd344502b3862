"""A result becomes nodes: at first, again, after a recount, and not at all if something fails."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
import vtk
from scene_fixtures import (
    add_blocks,
    add_volume,
    edit,
    nodes_of,
    only,
    only_first_list,
    segment_names,
    segment_places,
    signed_volume,
    voxels,
    world_of_point,
)
from spines_by_hand import column, painted, spine_of

from SpinalTapLib.bodies.triangle_mesh import poly_data
from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.scene.frames import array_of
from SpinalTapLib.scene.segmentation.node import closed_surfaces
from SpinalTapLib.scene.volume_node import array_kji
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.levels import COMMON
from SpinalTapLib.spine.vertebra import CORNERS
from SpinalTapLib.worker.exchange import Result

pytest_plugins = ("scene_fixtures",)

BLOCK_LEVELS = ["S1", "L5", "L4", "L3", "L2", "L1"]
RAS = np.diag([-1.0, -1, 1])


class TestAResultBecomesNodes:
    def test_one_segment_a_level_with_its_name_colour_and_code(self, scene, segmented):
        node = only(scene, "vtkMRMLSegmentationNode")
        assert segment_names(node) == BLOCK_LEVELS
        for i, name in enumerate(BLOCK_LEVELS):
            segment = node.GetSegmentation().GetNthSegment(i)
            known = levels.level(name)
            assert np.allclose(segment.GetColor(), np.array(known.colour) / 255)
            assert segment.GetLabelValue() == known.value
            entry = vtk.reference("")
            assert segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
            parts = str(entry).split("~")
            assert len(parts) == 7
            assert parts[1:3] == ["SCT^123037004^Anatomical Structure", f"SCT^{known.code}^{name} vertebra"]

    @pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
    def test_each_body_lies_on_the_voxels_of_its_volume(self, scene, make_session, axes):
        volume = add_blocks(scene, axes=axes, flips=(True, False, True))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        node = only(scene, "vtkMRMLSegmentationNode")
        scan = slicer.util.arrayFromVolume(volume)
        to_voxels = vtk.vtkMatrix4x4()
        volume.GetRASToIJKMatrix(to_voxels)
        for name in BLOCK_LEVELS:
            places = segment_places(node, name) @ array_of(to_voxels)[:3, :3].T + array_of(to_voxels)[:3, 3]
            assert np.allclose(places, np.round(places), atol=1e-6)
            assert len(places) > 3000
            grey = scan[tuple(np.round(places).astype(int).T[::-1])]
            assert (grey > 250).mean() > 0.93  # bright: block, not background

    def test_the_segmentation_knows_its_volume(self, scene, segmented):
        _, volume = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
        assert node.GetName() == "blocks vertebrae"

    def test_closed_surfaces_are_ready_and_fit_the_bodies(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        assert node.GetSegmentation().ContainsRepresentation("Closed surface")
        for name, surface in closed_surfaces(node).items():
            edges = vtk.vtkFeatureEdges()
            edges.SetInputData(surface)
            edges.FeatureEdgesOff()
            edges.Update()
            assert edges.GetOutput().GetNumberOfCells() == 0, f"{name} is not closed"
            mass = vtk.vtkMassProperties()
            mass.SetInputData(surface)
            assert 0.7 < mass.GetVolume() / (26 * 34 * 20) < 1.3
            centre = session.result.spine[name].centroid_lps_mm * [-1, -1, 1]
            assert np.allclose(np.array(surface.GetBounds()).reshape(3, 2).mean(1), centre, atol=2.5)

    def test_surfaces_look_outwards(self, scene, segmented):
        for surface in closed_surfaces(only(scene, "vtkMRMLSegmentationNode")).values():
            normals = vtk.vtkPolyDataNormals()
            normals.SetInputData(surface)
            normals.AutoOrientNormalsOn()
            normals.SplittingOff()
            normals.ConsistencyOff()
            normals.Update()
            mass = vtk.vtkMassProperties()
            mass.SetInputData(normals.GetOutput())
            assert signed_volume(surface) == pytest.approx(mass.GetVolume(), rel=0.01)

    def test_one_locked_list_of_five_named_points_a_vertebra(self, scene, segmented):
        session, _ = segmented
        lists = nodes_of(scene, "vtkMRMLMarkupsFiducialNode")
        assert [node.GetName() for node in lists] == [f"blocks {name}" for name in BLOCK_LEVELS]
        for node, vertebra in zip(lists, session.result.spine.vertebrae):
            assert node.GetLocked() and node.GetNumberOfControlPoints() == 5
            names = [node.GetNthControlPointLabel(i) for i in range(5)]
            words = [corner.replace("_", " ") for corner in CORNERS] + ["centroid"]
            assert names == [f"{vertebra.level} {word}" for word in words]
            points = np.array([world_of_point(node, i) for i in range(5)])
            truth = np.vstack([vertebra.corners_lps_mm, vertebra.centroid_lps_mm]) @ RAS
            assert np.allclose(points, truth, atol=1e-4)

    def test_in_one_folder_beside_the_study_of_the_volume(self, scene, make_session):
        volume = add_blocks(scene)
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        subject = tree.CreateSubjectItem(tree.GetSceneItemID(), "patient")
        study = tree.CreateStudyItem(subject, "study")
        tree.CreateItem(study, volume)
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        lists = nodes_of(scene, "vtkMRMLMarkupsFiducialNode")
        folders = {tree.GetItemParent(tree.GetItemByDataNode(node)) for node in lists}
        assert len(folders) == 1
        folder = folders.pop()
        assert tree.GetItemName(folder) == "blocks vertebra points"
        assert tree.GetItemParent(folder) == study
        for kind in ("vtkMRMLSegmentationNode", "vtkMRMLTableNode", "vtkMRMLMarkupsROINode"):
            assert tree.GetItemParent(tree.GetItemByDataNode(only(scene, kind))) == study

    def test_a_table_with_the_vertebrae_from_the_top_down(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLTableNode")
        table = node.GetTable()
        assert node.GetName() == "blocks vertebrae table"
        assert [table.GetValueByName(i, "Level").ToString() for i in range(6)] == BLOCK_LEVELS[::-1]
        heights = [table.GetValueByName(i, "Height (mm)").ToDouble() for i in range(6)]
        assert heights == pytest.approx([row.height_mm for row in session.rows], abs=1e-3)
        assert table.GetColumnByName("Height anterior (mm)") is not None

    def test_the_s1_box_stands_on_the_s1_that_was_found_unfilled(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLMarkupsROINode")
        assert node.GetName() == "S1 box"
        assert not node.GetDisplayNode().GetFillVisibility()
        inside = [v.level for v in session.result.spine.vertebrae if node.IsPointInROIWorld(v.centroid_lps_mm @ RAS)]
        assert inside == ["S1"]

    def test_provenance_is_in_the_attributes(self, scene, segmented):
        node = only(scene, "vtkMRMLSegmentationNode")
        assert node.GetAttribute("SpinalTap.Model") == "blocks"
        assert node.GetAttribute("SpinalTap.ModelSHA256") == "b" * 64
        assert node.GetAttribute("SpinalTap.Anchor") == "S1"
        assert node.GetAttribute("SpinalTap.Seed") == "null"
        assert '"method": "fused"' in node.GetAttribute("SpinalTap.Options")
        assert node.GetAttribute("SpinalTap.Version")

    def test_discs_and_canal_have_segments_too_when_asked_for(self, scene, make_session):
        volume = add_blocks(scene)
        session = make_session()
        session.set_volume(volume.GetID())
        session.settings = type(session.settings)(structures="all")
        session.segment()
        session.wait(60)
        names = segment_names(only(scene, "vtkMRMLSegmentationNode"))
        assert names[:6] == BLOCK_LEVELS
        assert {"L5-S1", "L4-L5", "Dural sac"} <= set(names[6:])

    def test_each_arch_has_a_segment_of_its_own_in_the_colour_of_its_vertebra(self, scene, make_session, tmp_path):
        volume = add_blocks(scene, "with arches", count=3)
        session = make_session()
        session.set_volume(volume.GetID())
        session.settings = type(session.settings)(structures="vertebrae")
        session.segment()
        session.wait(60)
        node = only(scene, "vtkMRMLSegmentationNode")
        assert segment_names(node) == ["S1", "L5", "L4", "Arch of L5", "Arch of L4"]
        parts = {s.GetName(): s for s in map(node.GetSegmentation().GetNthSegment, range(5))}
        assert parts["Arch of L5"].GetColor() == parts["L5"].GetColor() != parts["L4"].GetColor()
        assert parts["Arch of L5"].GetLabelValue() == 324
        files = session.export(tmp_path, "stl", levels=("L5",))
        assert [file.stem for file in files] == ["with_arches_L5", "with_arches_Arch_of_L5"]
        session.shift_labels(1)
        session.wait(60)
        assert segment_names(node) == ["L5", "L4", "L3", "Arch of L4", "Arch of L3"]

    def test_vertebrae_without_levels_are_numbered(self, scene, make_session):
        volume = add_blocks(scene, "no anchor", s1=False)
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        assert segment_names(only(scene, "vtkMRMLSegmentationNode")) == [f"Vertebra {i}" for i in range(1, 7)]
        assert not nodes_of(scene, "vtkMRMLMarkupsROINode")


class TestASecondRun:
    def again(self, session):
        session.segment()
        session.wait(60)
        assert session.failure is None, session.failure

    def test_updates_the_same_nodes_and_leaves_no_duplicates(self, scene, segmented):
        session, _ = segmented
        before = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        items = tree.GetNumberOfItems()
        self.again(session)
        assert {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())} == before
        assert tree.GetNumberOfItems() == items
        assert segment_names(only(scene, "vtkMRMLSegmentationNode")) == BLOCK_LEVELS

    def test_follows_a_new_name_of_the_volume_but_not_over_the_users_names(self, scene, segmented):
        session, volume = segmented
        only(scene, "vtkMRMLTableNode").SetName("my list")
        volume.SetName("knee")
        self.again(session)
        assert only(scene, "vtkMRMLSegmentationNode").GetName() == "knee vertebrae"
        assert only_first_list(scene).GetName() == "knee S1"
        assert only(scene, "vtkMRMLTableNode").GetName() == "my list"

    def test_keeps_a_copy_of_segments_that_were_changed_by_hand(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        edit(node, "L4")
        assert tuple(session._scene.edited_segments(session.volume)) == ("L4",)
        self.again(session)
        first, copy = nodes_of(scene, "vtkMRMLSegmentationNode")
        assert first is node and segment_names(node) == BLOCK_LEVELS
        assert not session._scene.edited_segments(session.volume)
        assert copy.GetName() == "blocks vertebrae, edited copy"
        assert segment_names(copy) == ["L4 (edited)"]
        sizes = [voxels(n, name) for n, name in ((node, "L4"), (copy, "L4 (edited)"))]
        assert sizes[1] < sizes[0]

    def test_asks_before_it_replaces_them_and_takes_no_for_an_answer(self, scene, segmented):
        from scene_fixtures import Listener

        from SpinalTapLib.session.state import EditAnswer, State

        session, _ = segmented
        edit(only(scene, "vtkMRMLSegmentationNode"), "L4")
        face = Listener()
        session.subscribe(face)
        face.answer = EditAnswer.CANCEL
        session.segment()
        assert face.questions == [("L4",)] and session.state is State.DONE
        face.answer = EditAnswer.DISCARD
        self.again(session)
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1

    def test_keeps_a_copy_of_what_was_edited_after_the_question(self, scene, segmented):
        from scene_fixtures import Listener

        from SpinalTapLib.session.state import EditAnswer

        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        edit(node, "L4")
        face = Listener()
        face.answer = EditAnswer.DISCARD
        session.subscribe(face)
        session.segment()
        edit(node, "L2")
        session.wait(60)
        copy = nodes_of(scene, "vtkMRMLSegmentationNode")[1]
        assert segment_names(copy) == ["L2 (edited)"]

    def test_leaves_segments_of_the_user_alone(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        node.GetSegmentation().AddEmptySegment("tumour", "tumour")
        self.again(session)
        assert segment_names(node) == [*BLOCK_LEVELS, "tumour"]

    def test_brings_back_what_was_deleted(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        node.GetSegmentation().RemoveSegment(node.GetSegmentation().GetSegmentIdBySegmentName("L3"))
        scene.RemoveNode(only(scene, "vtkMRMLTableNode"))
        scene.RemoveNode(nodes_of(scene, "vtkMRMLMarkupsFiducialNode")[2])
        self.again(session)
        assert segment_names(node) == BLOCK_LEVELS
        assert only(scene, "vtkMRMLTableNode").GetTable().GetNumberOfRows() == 6
        assert len(nodes_of(scene, "vtkMRMLMarkupsFiducialNode")) == 6

    def test_of_another_volume_has_its_own_nodes(self, scene, segmented):
        session, first = segmented
        second = add_blocks(scene, "second", count=4)
        session.set_volume(second.GetID())
        session.segment()
        session.wait(60)
        names = [segment_names(node) for node in nodes_of(scene, "vtkMRMLSegmentationNode")]
        assert names == [BLOCK_LEVELS, BLOCK_LEVELS[:4]]
        session.set_volume(first.GetID())
        assert [row.level for row in session.rows] == BLOCK_LEVELS[::-1]


class TestARecount:
    def test_renames_and_keeps_shapes_surfaces_and_edits(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        edit(node, "L4")
        edited, whole = voxels(node, "L4"), voxels(node, "L2")
        surface = closed_surfaces(node)["L2"]
        session.shift_labels(1)
        session.wait(60)
        assert segment_names(node) == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert voxels(node, "L3") == edited and voxels(node, "L1") == whole
        assert closed_surfaces(node)["L1"] is surface
        assert tuple(session._scene.edited_segments(session.volume)) == ("L3",)
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1
        segment = node.GetSegmentation().GetSegment(node.GetSegmentation().GetSegmentIdBySegmentName("T12"))
        assert segment.GetLabelValue() == 19

    def test_that_drops_an_edited_vertebra_keeps_a_copy_of_it(self, scene, segmented):
        session, _ = segmented
        edit(only(scene, "vtkMRMLSegmentationNode"), "S1")
        session.shift_labels(-1)
        session.wait(60)
        node, copy = nodes_of(scene, "vtkMRMLSegmentationNode")
        assert segment_names(node) == BLOCK_LEVELS[:5]
        assert segment_names(copy) == ["S1 (edited)"]
        assert len(nodes_of(scene, "vtkMRMLMarkupsFiducialNode")) == 5

    def test_and_undo_bring_back_names_and_bodies(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        sizes = {name: voxels(node, name) for name in BLOCK_LEVELS}
        session.shift_labels(-1)
        session.wait(60)
        session.undo()
        assert {name: voxels(node, name) for name in segment_names(node)} == sizes
        assert len(nodes_of(scene, "vtkMRMLMarkupsFiducialNode")) == 6
        assert [row.level for row in session.rows] == BLOCK_LEVELS[::-1]

    def test_does_not_touch_the_users_segment_in_the_same_label_map(self, scene, segmented):
        session, _ = segmented
        node = only(scene, "vtkMRMLSegmentationNode")
        segmentation = node.GetSegmentation()
        mine = segmentation.AddEmptySegment("mine", "mine")
        shared = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
        value = 19  # what T12 is going to have
        segmentation.GetSegment(mine).AddRepresentation("Binary labelmap", shared)
        segmentation.GetSegment(mine).SetLabelValue(value)
        array_kji(shared)[0, 0, :3] = value
        session.shift_labels(1)
        session.wait(60)
        assert voxels(node, "mine") == 3
        assert segment_names(node) == ["L5", "L4", "L3", "L2", "L1", "T12", "mine"]


class TestAFailure:
    @pytest.mark.parametrize(
        "place",
        ["point_lists.fill", "segmentation.node.update", "table_node.fill", "memory.fill", "segmentation.node._swap"],
    )
    def test_leaves_the_scene_as_it_was_before_the_first_result(self, scene, make_session, monkeypatch, place):
        break_at(monkeypatch, place)
        volume = add_blocks(scene)
        session = make_session()
        session.set_volume(volume.GetID())
        before = state_of(scene)
        session.segment()
        session.wait(60)
        assert "could not be put into the scene" in session.failure.sentence
        assert state_of(scene) == before
        monkeypatch.undo()
        session.segment()
        session.wait(60)
        assert session.failure is None and len(session.rows) == 6

    @pytest.mark.parametrize("place", ["point_lists.fill", "segmentation.node.update", "segmentation.node._image"])
    def test_leaves_the_earlier_result_as_it_was(self, scene, segmented, monkeypatch, place):
        session = segmented[0]
        edit(only(scene, "vtkMRMLSegmentationNode"), "L4")
        before = state_of(scene)
        break_at(monkeypatch, place)
        session.settings = type(session.settings)(structures="all")
        session.segment()
        session.wait(60)
        assert session.failure is not None
        assert state_of(scene) == before
        assert [row.level for row in session.rows] == BLOCK_LEVELS[::-1]


def break_at(monkeypatch, place):
    import importlib

    module, name = place.rsplit(".", 1)

    def broken(*_, **__):
        raise RuntimeError("a fault that was put there")

    monkeypatch.setattr(importlib.import_module(f"SpinalTapLib.scene.{module}"), name, broken)


def state_of(scene):
    """Return everything that a failure must not change."""
    state = {}
    for i in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(i)
        content = node.GetName()
        if node.IsA("vtkMRMLSegmentationNode"):
            content = [(name, voxels(node, name)) for name in segment_names(node)]
        elif node.IsA("vtkMRMLMarkupsFiducialNode"):
            content = [node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints())]
        elif node.IsA("vtkMRMLTextNode"):
            content = node.GetText()
        elif node.IsA("vtkMRMLTableNode"):
            content = [node.GetCellText(i, 0) for i in range(node.GetNumberOfRows())]
        state[node.GetID()] = content
    return state


def test_a_whole_spine_comes_with_its_own_surfaces(scene):
    vertebrae = column(COMMON, pitch=24.0, height=18.0, depth=26.0)
    volume, labels = painted(vertebrae, spacing_mm=(3.0, 1.5, 1.5))
    sphere = vtk.vtkSphereSource()
    sphere.SetThetaResolution(30)
    sphere.SetPhiResolution(30)
    sphere.SetRadius(12)
    sphere.Update()
    from SpinalTapLib.bodies.triangle_mesh import mesh_arrays

    points, triangles = mesh_arrays(sphere.GetOutput())
    surfaces = {v.label_value: poly_data(points + v.centroid_lps_mm, triangles) for v in vertebrae}
    node = add_volume(scene, volume.array, volume.matrix)
    adapter = SlicerScene(scene)
    adapter.read_volume(node.GetID())
    result = Result(spine_of(vertebrae, labels), volume.matrix, surfaces)
    adapter.show(node.GetID(), result, {}, True, {})
    segmentation = only(scene, "vtkMRMLSegmentationNode")
    assert len(segment_names(segmentation)) == 24
    assert {s.GetNumberOfPoints() for s in closed_surfaces(segmentation).values()} == {len(points)}


class TestTheErrorLog:
    @pytest.fixture
    def log(self):
        """What VTK and MRML write to the error log from now on."""
        before, window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
        vtk.vtkOutputWindow.SetInstance(window)
        yield window
        vtk.vtkOutputWindow.SetInstance(before)

    def test_is_left_alone_by_recounts_drops_and_other_structures(self, segmented, log):
        session, _ = segmented
        for change in (
            lambda: session.shift_labels(1),
            lambda: session.drop_vertebra(2),
            lambda: session.undo(),
            lambda: setattr(session, "settings", type(session.settings)(structures="all")) or session.segment(),
            lambda: setattr(session, "settings", type(session.settings)()) or session.segment(),
        ):
            change()
            session.wait(60)
            assert session.failure is None
        assert log.GetOutput() == ""
