"""Centre the slice views on a point, and show surfaces in 3-D with the camera on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from .nodes import nodes_of_class

_FROM_LEFT_FRONT = np.array([-0.75, 0.65, 0.1])  # RAS; an oblique view from which both sides can be seen
_CAMERA_DISTANCE = 2.6  # times the largest extent: the whole spine fits into a view angle of 30 degrees


def jump(scene: Any, point_ras_mm: np.ndarray) -> None:
    """Centre all slice views on a point, shape (3,), RAS world, mm.

    By default the slice node's own mode only changes the offset, which leaves a point outside a zoomed view.
    """
    slicer.vtkMRMLSliceNode.JumpAllSlices(
        scene, *(float(x) for x in point_ras_mm), slicer.vtkMRMLSliceNode.CenteredJumpSlice
    )


def show_3d(scene: Any, node: Any, visible: bool) -> None:
    """Show or hide a segmentation's surfaces in the 3-D views; point the camera at them when shown."""
    display = node.GetDisplayNode()
    if display is None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
    if visible:
        node.CreateClosedSurfaceRepresentation()
        display.SetPreferredDisplayRepresentationName3D("Closed surface")
        display.SetVisibility(True)
    display.SetVisibility3D(visible)
    if visible:
        _look_at(scene, node)


def is_shown_3d(node: Any) -> bool:
    """Return True if a segmentation's surfaces are visible in 3-D."""
    display = node.GetDisplayNode()
    return bool(
        display is not None
        and display.GetVisibility()
        and display.GetVisibility3D()
        and node.GetSegmentation().ContainsRepresentation("Closed surface")
    )


def _look_at(scene: Any, node: Any) -> None:
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    low, high = bounds.reshape(3, 2).T
    if not np.isfinite(bounds).all() or (low > high).any():
        return
    middle = (low + high) / 2
    away = middle + _FROM_LEFT_FRONT * _CAMERA_DISTANCE * float((high - low).max())
    for camera in nodes_of_class(scene, "vtkMRMLCameraNode"):
        camera.SetFocalPoint(*middle)
        camera.SetPosition(*away)
        camera.SetViewUp(0.0, 0.0, 1.0)
        camera.ResetClippingRange()
