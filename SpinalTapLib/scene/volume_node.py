"""Convert a volume node to a SagittalVolume, or explain in one sentence why that is not possible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..scans.checks import about_hounsfield, is_label_map
from ..scans.volume import SagittalVolume, volume_from_array
from .frames import RAS_FROM_LPS, Frame, frame_of


def problem(node: Any) -> str:
    """Return why a node cannot be segmented, or an empty string; checks only the node, not its voxels."""
    if node is None:
        return "The volume is no longer in the scene; choose another one."
    name = repr(node.GetName())
    if node.IsA("vtkMRMLSequenceNode"):
        return f"{name} is a sequence of volumes (4-D); choose one of its volumes, or copy one frame out of it."
    if not node.IsA("vtkMRMLVolumeNode"):
        return f"{name} is not a volume; choose a sagittal MRI of the spine."
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return f"{name} is a label map, not an image; choose a sagittal MRI of the spine."
    if node.IsA("vtkMRMLDiffusionTensorVolumeNode"):
        return f"{name} is a tensor volume; choose a plain MRI with one grey value in each voxel."
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or 0 in image.GetDimensions():
        return f"{name} holds no image; load the scan again."
    parts = image.GetNumberOfScalarComponents()
    if parts != 1:
        return f"{name} has {parts} values in each voxel (colour, vector or 4-D); choose a volume with one."
    try:
        frame_of(node)
    except ValueError as error:
        return str(error)
    return ""


def sagittal_volume(node: Any, frame: Frame | None = None) -> tuple[SagittalVolume, Frame]:
    """Return a volume node as a `SagittalVolume` in LPS world, and its frame.

    Parameters
    ----------
    frame : Frame, optional
        Its frame at the time of interest; the present one by default.

    Raises
    ------
    ValueError
        In one sentence, if it cannot be segmented.
    """
    reason = problem(node)
    if reason:
        raise ValueError(reason)
    frame = frame or frame_of(node)
    array = np.array(array_kji(node.GetImageData()))  # a copy, so that later edits do not affect the run
    matrix = (RAS_FROM_LPS @ frame.ijk_to_world)[:, [2, 1, 0, 3]]
    volume = volume_from_array(array, matrix, node.GetName() or "volume")
    if is_label_map(volume.array):
        raise ValueError(f"{volume.name!r} is a label map, not an image; choose a sagittal MRI of the spine.")
    return replace(volume, warnings=(*about_hounsfield(volume.array), *volume.warnings)), frame


def array_kji(image: Any) -> np.ndarray:
    """Return the voxels of a one-component vtkImageData as a view, shape (k, j, i)."""
    dimensions = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(dimensions[::-1])


def turn_between(to_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the axis permutation and flips between two voxel grids.

    Parameters
    ----------
    to_index : ndarray, shape (4, 4)
        Index (a, b, c, 1) in the one to index in the other.

    Returns
    -------
    axes : ndarray of int, shape (3,)
        Which of a, b, c each axis of the other grid is.
    flips : ndarray of bool, shape (3,)
        Which axes of the other grid run against it.

    Raises
    ------
    ValueError
        If the grids differ by more than a permutation and flips of axes.
    """
    whole = np.round(to_index[:3, :3])
    square = np.abs(whole)
    if np.abs(to_index[:3, :3] - whole).max() > 0.01 or (square.sum(0) != 1).any() or (square.sum(1) != 1).any():
        raise ValueError("The result has another voxel grid than this volume; segment the volume again.")
    axes = square.argmax(1)
    return axes, whole[range(3), axes] < 0


def labels_kji(label_map: np.ndarray, matrix_lps: np.ndarray, frame: Frame) -> np.ndarray:
    """Return a label map, (slice, row, column), on the volume node's own voxels, shape (k, j, i); a view.

    `matrix_lps`, shape (4, 4), leads from (slice, row, column, 1) to LPS world, mm, at the time of `frame`.
    """
    axes, flips = turn_between(np.linalg.inv(frame.ijk_to_world) @ RAS_FROM_LPS @ matrix_lps)
    turned = label_map.transpose(axes[::-1])
    return turned[tuple(slice(None, None, -1 if flip else 1) for flip in flips[::-1])]


def bounds_lps_mm(node: Any) -> np.ndarray:
    """Return a volume's ends along the world's axes, shape (3, 2), LPS, mm."""
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    ends = bounds.reshape(3, 2) * np.array([[-1.0], [-1.0], [1.0]])
    return np.sort(ends, axis=1)
