"""Convert a Markups ROI to a SeedBox and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk

from ..spine.vertebra import SeedBox
from .frames import RAS_FROM_LPS, array_of, matrix_of, parent_to_world

NAME, NEW_NAME = "S1 box", "missed vertebra"
COLOUR, NEW_COLOUR = (1.0, 0.85, 0.2), (1.0, 0.45, 0.25)

PUT_AWAY = "SpinalTap.PutAway"
"""Attribute of a box that is hidden while another scan is chosen."""

_BY = "SpinalTap.PlacedBy"
_USER, _PROGRAM = "user", "SpinalTap"


def set_up(node: Any, colour: tuple[float, float, float] = COLOUR) -> None:
    """Show a new box as a frame with handles: a fill would darken the slice views."""
    display = node.GetDisplayNode()
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(True)  # the name label shows beside it
    display.SetHandlesInteractive(True)
    display.SetTranslationHandleVisibility(True)
    display.SetScaleHandleVisibility(True)
    display.SetRotationHandleVisibility(False)
    display.SetColor(*colour)
    display.SetSelectedColor(*colour)


def is_users(node: Any) -> bool:
    """Return True if the user has placed or dragged the box."""
    return node.GetAttribute(_BY) == _USER


def mark(node: Any, by_user: bool) -> None:
    """Store in the node whether the user placed the box."""
    node.SetAttribute(_BY, _USER if by_user else _PROGRAM)


def write(node: Any, box: SeedBox, local_from_lps: np.ndarray) -> None:
    """Move a box node; `local_from_lps`, shape (4, 4), leads from LPS world to the node's own RAS space."""
    axes = local_from_lps[:3, :3] @ np.asarray(box.axes)
    lengths = np.linalg.norm(axes, axis=0)
    to_node = np.eye(4)
    to_node[:3, :3] = axes / lengths
    if np.linalg.det(to_node[:3, :3]) < 0:
        to_node[:3, 0] *= -1  # a box is symmetric, and Slicer's handles need right-handed axes
    to_node[:3, 3] = local_from_lps[:3, :3] @ box.center_lps_mm + local_from_lps[:3, 3]
    was_modifying = node.StartModify()
    try:
        node.SetAndObserveObjectToNodeMatrix(matrix_of(to_node))
        node.SetSize(*(np.asarray(box.size_mm) * lengths))
    finally:
        node.EndModify(was_modifying)


def read(node: Any, level: str = "S1") -> SeedBox:
    """Return a box node in LPS world, the linear transforms above it included.

    Raises
    ------
    ValueError
        If a transform above it bends or shears space, or the box is flat or not placed.
    """
    parent_to_world(node)  # refuses what is not linear
    if node.GetNumberOfControlPoints() < 1:
        raise ValueError(f"The box {node.GetName()!r} is not placed yet; put it around S1 first.")
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(node.GetObjectToWorldMatrix())
    axes = array_of(matrix)[:3, :3]
    size = np.zeros(3)
    node.GetSizeWorld(size)
    if min(*size, *np.linalg.norm(axes, axis=0)) < 1e-3:
        raise ValueError(f"The box {node.GetName()!r} is flat; give it a size along all three axes.")
    centre = np.zeros(3)
    node.GetCenterWorld(centre)
    flip = RAS_FROM_LPS[:3, :3]
    return SeedBox(flip @ centre, size, flip @ (axes / np.linalg.norm(axes, axis=0)), level)
