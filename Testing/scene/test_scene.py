"""Results become MRML nodes and nodes become volumes and boxes, on Slicer's own libraries."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
import vtk
from block_spine import BlockSpine
from scene_fixtures import (
    add_blocks,
    add_volume,
    edit,
    load_bundle,
    nodes_of,
    save_bundle,
    segment_names,
    segment_places,
)
from spines_by_hand import column, painted, spine_of

from SpinalTapLib.bodies.triangle_mesh import poly_data
from SpinalTapLib.scene import SlicerScene, worker_python
from SpinalTapLib.scene.frames import array_of
from SpinalTapLib.scene.segmentation import node as segments
from SpinalTapLib.scene.segmentation import surfaces
from SpinalTapLib.scene.segmentation.node import closed_surfaces
from SpinalTapLib.scene.volume_node import array_kji
from SpinalTapLib.session.state import Result
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.levels import COMMON
from SpinalTapLib.spine.vertebra import CORNERS, SeedBox

pytest_plugins = ("scene_fixtures",)

BLOCK_LEVELS = ["S1", "L5", "L4", "L3", "L2", "L1"]
RAS = np.diag([-1.0, -1, 1])


def transform_above(scene, node, matrix, name="registration"):
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    vtk_matrix = vtk.vtkMatrix4x4()
    vtk_matrix.DeepCopy(np.asarray(matrix, float).ravel())
    parent.SetMatrixTransformToParent(vtk_matrix)
    node.SetAndObserveTransformNodeID(parent.GetID())
    return parent


def turned(degrees, shift=(0, 0, 0)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, c, -s], [0, s, c]]
    matrix[:3, 3] = shift
    return matrix


def only(scene, class_name):
    (node,) = nodes_of(scene, class_name)
    return node


def world_of_point(markups, i):
    position = [0.0] * 3
    markups.GetNthControlPointPositionWorld(i, position)
    return np.array(position)


class TestAVolumeNodeBecomesASagittalVolume:
    @pytest.mark.parametrize("axes", list(permutations(range(3)))[1::2])
    def test_whatever_the_order_and_direction_of_its_axes(self, scene, axes):
        expected = BlockSpine().volume()
        for flips in list(product((False, True), repeat=3))[1::3]:
            node = add_blocks(scene, axes=axes, flips=flips)
            volume = SlicerScene(scene).read_volume(node.GetID())
            assert np.array_equal(volume.array, expected.array)
            assert np.allclose(volume.matrix, expected.matrix, atol=1e-9)

    def test_with_the_linear_transforms_above_it(self, scene):
        node = add_blocks(scene)
        below = transform_above(scene, node, turned(10, (5, -3, 40)))
        transform_above(scene, below, turned(-4, (1, 2, 3)))
        volume = SlicerScene(scene).read_volume(node.GetID())
        to_world = turned(-4, (1, 2, 3)) @ turned(10, (5, -3, 40))
        flip = np.diag([-1.0, -1, 1, 1])
        expected = flip @ to_world @ flip @ BlockSpine().volume().matrix
        assert np.allclose(volume.matrix, expected, atol=1e-6)

    def test_and_a_copy_that_later_edits_do_not_reach(self, scene):
        node = add_blocks(scene)
        volume = SlicerScene(scene).read_volume(node.GetID())
        before = volume.array.copy()
        node.GetImageData().GetPointData().GetScalars().Fill(7)
        assert np.array_equal(volume.array, before)

    @pytest.mark.parametrize("numbers", ["int16", "uint8", "float64"])
    def test_of_any_kind_of_numbers(self, scene, numbers):
        blocks = BlockSpine().volume()
        array = np.clip(blocks.array, 0, 255).astype(numbers)
        node = add_volume(scene, array, blocks.matrix)
        assert np.allclose(SlicerScene(scene).read_volume(node.GetID()).array, array, atol=1e-3)


class TestWhatIsNoVolumeIsRefusedWithASentence:
    def test_a_node_that_is_gone(self, scene):
        assert "no longer in the scene" in SlicerScene(scene).volume_problem("vtkMRMLScalarVolumeNode9")

    def test_a_vector_volume(self, scene):
        node = add_blocks(scene)
        image = vtk.vtkImageData()
        image.SetDimensions(8, 8, 8)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
        node.SetAndObserveImageData(image)
        assert "'photo' has 3 values in each voxel" in SlicerScene(scene).volume_problem(node.GetID())
        with pytest.raises(ValueError, match="3 values in each voxel"):
            SlicerScene(scene).read_volume(node.GetID())

    def test_a_scalar_node_that_holds_a_vector_image(self, scene):
        node = add_blocks(scene)
        image = vtk.vtkImageData()
        image.SetDimensions(8, 8, 8)
        image.AllocateScalars(vtk.VTK_FLOAT, 12)
        node.SetAndObserveImageData(image)
        assert "12 values in each voxel" in SlicerScene(scene).volume_problem(node.GetID())

    def test_a_sequence(self, scene):
        node = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "perfusion")
        if node is None:
            scene.RegisterNodeClass(slicer.vtkMRMLSequenceNode())
            node = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "perfusion")
        assert "sequence of volumes (4-D)" in SlicerScene(scene).volume_problem(node.GetID())

    def test_a_label_map(self, scene):
        blocks = BlockSpine().volume()
        labels = (blocks.array > 250).astype(np.uint8)
        node = add_volume(scene, labels, blocks.matrix, "old", "vtkMRMLLabelMapVolumeNode")
        assert "is a label map" in SlicerScene(scene).volume_problem(node.GetID())

    def test_a_volume_without_an_image(self, scene):
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        assert "'empty' holds no image" in SlicerScene(scene).volume_problem(node.GetID())

    def test_a_model(self, scene):
        node = scene.AddNewNodeByClass("vtkMRMLModelNode", "bone")
        assert "is not a volume" in SlicerScene(scene).volume_problem(node.GetID())

    def test_a_volume_under_a_transform_that_bends(self, scene):
        node = add_blocks(scene)
        bend = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
        spline = vtk.vtkThinPlateSplineTransform()
        points, targets = vtk.vtkPoints(), vtk.vtkPoints()
        for corner in product((0.0, 100.0), repeat=3):
            points.InsertNextPoint(corner)
            targets.InsertNextPoint([x + 0.1 * x * x / 100 for x in corner])
        spline.SetSourceLandmarks(points)
        spline.SetTargetLandmarks(targets)
        spline.SetBasisToR()
        bend.SetAndObserveTransformToParent(spline)
        node.SetAndObserveTransformNodeID(bend.GetID())
        assert "'warp', which bends space; harden" in SlicerScene(scene).volume_problem(node.GetID())

    @pytest.mark.parametrize(("column", "word"), [((0.3, 1.0, 0.0), "shears"), ((0.0, 0.0, 0.0), "flattens")])
    def test_a_volume_under_a_transform_that_shears_or_flattens(self, scene, column, word):
        node = add_blocks(scene)
        matrix = np.eye(4)
        matrix[:3, 1] = column
        transform_above(scene, node, matrix)
        assert word in SlicerScene(scene).volume_problem(node.GetID())


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
        assert {"L5-S1", "L4-L5", "Spinal canal"} <= set(names[6:])

    def test_vertebrae_without_levels_are_numbered(self, scene, make_session):
        volume = add_blocks(scene, "no anchor", s1=False)
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        assert segment_names(only(scene, "vtkMRMLSegmentationNode")) == [f"Vertebra {i}" for i in range(1, 7)]
        assert not nodes_of(scene, "vtkMRMLMarkupsROINode")


def signed_volume(surface):
    from SpinalTapLib.bodies.triangle_mesh import mesh_arrays

    points, triangles = mesh_arrays(surface)
    a, b, c = points[triangles].transpose(1, 0, 2)
    return float((a * np.cross(b, c)).sum() / 6)


class TestUnderATransform:
    def test_results_lie_on_the_volume_and_go_with_it(self, scene, make_session):
        volume = add_blocks(scene)
        parent = transform_above(scene, volume, turned(8, (10, 20, 30)))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        points = only_first_list(scene)
        truth = session.result.spine["S1"].centroid_lps_mm @ RAS
        assert np.allclose(world_of_point(points, 4), truth, atol=1e-4)
        node = only(scene, "vtkMRMLSegmentationNode")
        assert node.GetParentTransformNode() is parent
        bounds = np.zeros(6)
        closed_surfaces(node)["S1"].GetBounds(bounds)
        local = np.linalg.inv(turned(8, (10, 20, 30))) @ [*truth, 1]
        assert np.allclose(bounds.reshape(3, 2).mean(1), local[:3], atol=2.5)
        matrix = vtk.vtkMatrix4x4()
        parent.SetMatrixTransformToParent(matrix)
        session.shift_labels(1)
        session.wait(60)
        assert np.allclose(world_of_point(points, 4), local[:3], atol=1e-4)
        surfaces = SlicerScene(scene).surfaces(volume.GetID())
        centre = np.array(surfaces["L5"].GetBounds()).reshape(3, 2).mean(1) @ RAS
        assert np.allclose(centre, local[:3], atol=2.5)

    def test_the_box_is_read_where_the_run_saw_the_volume(self, scene, make_session):
        volume = add_blocks(scene)
        parent = transform_above(scene, volume, turned(8, (10, 20, 30)))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        before = session._scene.box(volume.GetID())
        parent.SetMatrixTransformToParent(vtk.vtkMatrix4x4())
        after = session._scene.box(volume.GetID())
        assert np.allclose(before.center_lps_mm, after.center_lps_mm, atol=1e-6)
        assert np.allclose(before.axes, after.axes, atol=1e-6)

    @pytest.mark.parametrize("everything", [False, True])
    def test_a_hardened_transform_changes_nothing(self, scene, make_session, everything):
        volume = add_blocks(scene)
        transform_above(scene, volume, turned(8, (10, 20, 30)))
        session = make_session()
        session.set_volume(volume.GetID())
        session.segment()
        session.wait(60)
        truth = session.result.spine["S1"].centroid_lps_mm @ RAS
        volume.HardenTransform()
        if everything:
            results = (*nodes_of(scene, "vtkMRMLMarkupsFiducialNode"), only(scene, "vtkMRMLSegmentationNode"))
            for node in (*results, only(scene, "vtkMRMLMarkupsROINode")):
                node.HardenTransform()
        session.shift_labels(1)
        session.wait(60)
        assert session.failure is None
        assert np.allclose(world_of_point(only_first_list(scene), 4), truth, atol=1e-4)
        assert segment_names(only(scene, "vtkMRMLSegmentationNode"))[0] == "L5"
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1

    def test_a_volume_whose_own_geometry_changed_asks_for_a_new_run(self, scene, segmented):
        session, volume = segmented
        volume.SetSpacing(2, 2, 2)
        session.shift_labels(1)
        session.wait(60)
        assert "has changed since it was read" in session.failure.sentence
        assert segment_names(only(scene, "vtkMRMLSegmentationNode")) == BLOCK_LEVELS


def only_first_list(scene):
    return nodes_of(scene, "vtkMRMLMarkupsFiducialNode")[0]


class TestTheBox:
    def box_node(self, scene):
        return only(scene, "vtkMRMLMarkupsROINode")

    def test_is_written_and_read_without_change(self, scene):
        volume = add_blocks(scene)
        adapter = SlicerScene(scene)
        box = SeedBox(np.array([3.0, -20, 40]), np.array([40.0, 35, 30]), turned(20)[:3, :3])
        adapter.place_box(volume.GetID(), box, by_user=True)
        read = adapter.box(volume.GetID())
        assert np.allclose(read.center_lps_mm, box.center_lps_mm)
        assert np.allclose(read.size_mm, box.size_mm)
        corners = np.array(list(product((-0.5, 0.5), repeat=3)))
        ours, theirs = ((corners * b.size_mm) @ np.asarray(b.axes).T + b.center_lps_mm for b in (box, read))
        assert all(np.linalg.norm(theirs - corner, axis=1).min() < 1e-6 for corner in ours)
        assert adapter.box_is_users(volume.GetID())

    def test_under_a_transform_of_its_own_counts_where_it_is_seen(self, scene, segmented):
        session, volume = segmented
        node = self.box_node(scene)
        centre = session._scene.box(volume.GetID()).center_lps_mm
        matrix = np.diag([2.0, 2.0, 2.0, 1.0])
        matrix[:3, 3] = 7, 8, 9
        transform_above(scene, node, matrix)
        read = session._scene.box(volume.GetID())
        expected = np.diag([2.0, 2, 2]) @ (centre * [-1, -1, 1]) + [7, 8, 9]
        assert np.allclose(read.center_lps_mm, expected * [-1, -1, 1], atol=1e-6)
        assert np.allclose(np.sort(read.size_mm), np.sort(2 * np.array(node.GetSize())), atol=1e-6)

    def test_under_a_transform_that_bends_is_refused_with_a_sentence(self, scene, segmented):
        session, _ = segmented
        bend = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
        bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
        self.box_node(scene).SetAndObserveTransformNodeID(bend.GetID())
        with pytest.raises(ValueError, match="bends space"):
            session.reseed()

    def test_without_a_size_is_refused(self, scene, segmented):
        session, _ = segmented
        self.box_node(scene).SetSize(0, 0, 0)
        with pytest.raises(ValueError, match="flat"):
            session.reseed()

    def test_is_shown_and_hidden(self, scene, segmented):
        session, _ = segmented
        assert session.box_is_shown
        session.show_box(False)
        assert not session.box_is_shown and not self.box_node(scene).GetDisplayNode().GetVisibility()


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


def voxels(node, name):
    return len(segment_places(node, name))


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


class TestASavedScene:
    def test_comes_back_with_a_result_that_can_be_counted_again(self, scene, segmented, tmp_path, make_session):
        session = segmented[0]
        rows = session.rows
        surfaces = only(scene, "vtkMRMLSegmentationNode").GetSegmentation().GetNumberOfSegments()
        made = closed_surfaces(only(scene, "vtkMRMLSegmentationNode"))["S1"]
        points, bounds = made.GetNumberOfPoints(), made.GetBounds()
        save_bundle(scene, tmp_path / "saved.mrb")
        session.set_volume(None)
        scene.Clear(False)
        assert not nodes_of(scene, "vtkMRMLSegmentationNode")
        load_bundle(scene, tmp_path / "saved.mrb", tmp_path / "unpacked")
        volume = only(scene, "vtkMRMLScalarVolumeNode")
        again = make_session()
        again.set_volume(volume.GetID())
        assert again.rows == rows
        assert again.result.spine.model["sha256"] == "b" * 64
        loaded = closed_surfaces(only(scene, "vtkMRMLSegmentationNode"))["S1"]
        assert loaded.GetNumberOfPoints() == points  # smooth at once, not Slicer's steps
        assert np.allclose(loaded.GetBounds(), bounds, atol=0.01)
        counts = scene.GetNumberOfNodes()
        again.shift_labels(1)
        again.wait(60)
        assert again.failure is None, again.failure
        node = only(scene, "vtkMRMLSegmentationNode")
        assert segment_names(node) == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert node.GetSegmentation().GetNumberOfSegments() == surfaces
        assert scene.GetNumberOfNodes() == counts
        assert closed_surfaces(node)["L5"].GetNumberOfPoints() == points
        again.undo()
        assert segment_names(node) == BLOCK_LEVELS
        assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 1

    def test_remembers_which_segments_were_changed_by_hand(self, scene, segmented, tmp_path, make_session):
        session, _ = segmented
        edit(only(scene, "vtkMRMLSegmentationNode"), "L4")
        save_bundle(scene, tmp_path / "saved.mrb")
        session.set_volume(None)
        scene.Clear(False)
        load_bundle(scene, tmp_path / "saved.mrb", tmp_path / "unpacked")
        volume = only(scene, "vtkMRMLScalarVolumeNode")
        again = make_session()
        again.set_volume(volume.GetID())
        assert tuple(again._scene.edited_segments(volume.GetID())) == ("L4",)
        made = segments.ours(only(scene, "vtkMRMLSegmentationNode")).values()
        assert {s.GetName() for s in made if not surfaces.is_own(s)} == {"L4"}  # its surface is that of the edit

    def test_with_a_damaged_memory_says_so_and_can_be_segmented_again(self, scene, segmented, make_session):
        volume = segmented[1]
        nodes_of(scene, "vtkMRMLTextNode")[0].SetText('{"matrix": [1]}')
        again = make_session()
        again.set_volume(volume.GetID())
        assert again.result is None and "damaged" in again.progress.sentence
        assert again.can_segment


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
    volume, labels = painted(vertebrae, spacing_mm=(3.0, 0.75, 0.75))
    grid = np.linspace(0, 2 * np.pi, 100)
    sphere = vtk.vtkSphereSource()
    sphere.SetThetaResolution(len(grid))
    sphere.SetPhiResolution(len(grid))
    sphere.SetRadius(12)
    sphere.Update()
    from SpinalTapLib.bodies.triangle_mesh import mesh_arrays

    points, triangles = mesh_arrays(sphere.GetOutput())
    surfaces = {v.label_value: poly_data(points + v.centroid_lps_mm, triangles) for v in vertebrae}
    assert len(triangles) > 19_000
    node = add_volume(scene, volume.array, volume.matrix)
    adapter = SlicerScene(scene)
    adapter.read_volume(node.GetID())
    result = Result(spine_of(vertebrae, labels), volume.matrix, surfaces)
    adapter.show(node.GetID(), result, {}, True, {})
    segmentation = only(scene, "vtkMRMLSegmentationNode")
    assert len(segment_names(segmentation)) == 24
    assert {s.GetNumberOfPoints() for s in closed_surfaces(segmentation).values()} == {len(points)}


def test_outside_of_slicer_the_worker_runs_in_this_python():
    import sys

    assert worker_python() == sys.executable


def test_jumping_moves_the_slice_views(scene, segmented):
    session, _ = segmented
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode", "Yellow")
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    view.SetOrientation("Sagittal")
    session.jump_to("L3")
    target = session.result.spine["L3"].centroid_lps_mm @ RAS
    matrix = view.GetSliceToRAS()
    origin = np.array([matrix.GetElement(i, 3) for i in range(3)])
    normal = np.array([matrix.GetElement(i, 2) for i in range(3)])
    assert abs((target - origin) @ normal) < 0.5


def test_the_first_result_is_looked_at_in_3d_and_later_ones_leave_the_camera_alone(scene, make_session):
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode", "camera")
    session = make_session()
    session.set_volume(add_blocks(scene).GetID())
    session.segment()
    session.wait(60)
    bounds = np.zeros(6)
    only(scene, "vtkMRMLSegmentationNode").GetRASBounds(bounds)
    assert session.is_shown_3d
    assert np.allclose(camera.GetFocalPoint(), bounds.reshape(3, 2).mean(1), atol=1e-6)
    camera.SetFocalPoint(1, 2, 3)
    session.shift_labels(1)
    session.wait(60)
    assert camera.GetFocalPoint() == (1, 2, 3)


def test_surfaces_are_shown_in_3d_and_hidden(scene, segmented):
    session, _ = segmented
    camera = scene.AddNewNodeByClass("vtkMRMLCameraNode", "camera")
    session.show_3d(False)
    assert not session.is_shown_3d
    session.show_3d()
    assert session.is_shown_3d
    bounds = np.zeros(6)
    only(scene, "vtkMRMLSegmentationNode").GetRASBounds(bounds)
    assert np.allclose(camera.GetFocalPoint(), bounds.reshape(3, 2).mean(1), atol=1e-6)
