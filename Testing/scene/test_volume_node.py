"""A volume node becomes a SagittalVolume, or one sentence that says why not."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
import vtk
from block_spine import BlockSpine
from scene_fixtures import add_blocks, add_volume, transform_above, turned

from SpinalTapLib.scene import SlicerScene

pytest_plugins = ("scene_fixtures",)


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


class TestWhatIsNoMr:
    def test_a_label_map_loaded_as_a_scan_is_refused(self, scene):
        blocks = BlockSpine().volume()
        labels = np.zeros(blocks.array.shape, np.int16)
        for value, row in enumerate(range(8, labels.shape[1] - 8, 20), 20):
            labels[:, row : row + 12, 10:30] = value
        node = add_volume(scene, labels, blocks.matrix)
        with pytest.raises(ValueError, match="is a label map, not an image"):
            SlicerScene(scene).read_volume(node.GetID())

    def test_a_ct_is_told(self, scene):
        blocks = BlockSpine().volume()
        values = np.random.default_rng(0).normal(60, 30, blocks.array.shape)
        values[:, :, :30] = -1000
        values[:, 40:60, 40:60] = 700
        node = add_volume(scene, values.astype(np.int16), blocks.matrix)
        assert any("those of a CT" in words for words in SlicerScene(scene).read_volume(node.GetID()).warnings)
