"""Put a result onto another scan, as a segmentation node of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from ..scans.label_resampling import on_grid
from ..worker.exchange import Result
from . import nodes, volume_node
from .frames import RAS_FROM_LPS, frame_of, transform_id
from .segmentation import node as segments

FROM = "SpinalTap.LevelsFrom"
"""Node attributes: the name of the scan that the levels come from, and what was done about a motion."""
MOTION = "SpinalTap.Motion"


def image_of(node: Any) -> sitk.Image:
    """Return a volume node as an image in LPS world, the transforms above it included.

    Raises
    ------
    ValueError
        In one sentence, if the node is not one volume of grey values, or a transform bends space.
    """
    reason = volume_node.problem(node)
    if reason:
        raise ValueError(reason)
    return _image(np.array(volume_node.array_kji(node.GetImageData())), RAS_FROM_LPS @ frame_of(node).ijk_to_world)


def take_levels(
    scene: Any, owner: Any, other: Any, result: Result, to_result: np.ndarray, motion: str
) -> Any:
    """Create a segmentation node of a result on another volume's voxels, and return it.

    Parameters
    ----------
    owner, other : vtkMRMLVolumeNode
        The volume of the result, and the volume to put it onto.
    result : Result
        The result.
    to_result : ndarray, shape (4, 4)
        From positions in the other volume, LPS world, to those of the result.
    motion : str
        What was done about a motion of the patient; kept as an attribute of the node.

    Raises
    ------
    ValueError
        If none of the vertebrae lies in the other volume; the scene is then unchanged.
    """
    assert result.spine.label_map is not None
    whole = np.ascontiguousarray(result.spine.label_map.astype(np.uint16))
    labels = _image(whole, result.matrix[:, [2, 1, 0, 3]])
    voxels = sitk.GetArrayFromImage(on_grid(labels, image_of(other), to_result))
    if not voxels.any():
        raise ValueError(f"{other.GetName()!r} shows none of the vertebrae; choose a scan of the same region.")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{other.GetName()} vertebrae from {owner.GetName()}")
    node.CreateDefaultDisplayNodes()
    segments.set_up(node, other)
    segments.update(node, segments.picture(voxels, {}, frame_of(other)), {})
    node.SetAndObserveTransformNodeID(transform_id(other))
    node.SetAttribute(FROM, owner.GetName())
    node.SetAttribute(MOTION, motion)
    nodes.place_beside(scene, other, node)
    return node


def _image(array_kji: np.ndarray, ijk_to_lps: np.ndarray) -> sitk.Image:
    """Return an array, shape (k, j, i), as an image."""
    image = sitk.GetImageFromArray(array_kji)
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(ijk_to_lps[:3, 3].tolist())
    image.SetDirection((ijk_to_lps[:3, :3] / spacing).ravel().tolist())
    return image
