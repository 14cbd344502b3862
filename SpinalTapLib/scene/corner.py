"""Write into the corner of each slice view which vertebra or disc it shows, while the user scrolls.

Nothing is observed and nothing is computed while there is no result or the texts are switched off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT

from ..spine.level_at import LevelMap, Plane, Shown
from ..spine.vertebra import Spine
from . import nodes
from .frames import RAS_FROM_LPS, array_of, frame_of, moved
from .same_frame import share_frame

_PLACE = (0.98, 0.02)  # lower right corner of the view; Slicer's own annotations use the other three
_FONT_SIZE = 18
_COLOUR = (1.0, 0.95, 0.6)


@dataclass(frozen=True, eq=False)
class View:
    """A slice view: its `renderer` (vtkRenderer), and `schedule`, which asks for a new picture."""

    renderer: Any
    schedule: Callable[[], None]


def application_view(slice_node: Any) -> View | None:
    """Return the application's view of a slice node, or None if it has none (yet)."""
    layout = slicer.app.layoutManager() if hasattr(slicer, "app") else None
    widget = layout.sliceWidget(slice_node.GetLayoutName()) if layout is not None else None
    if widget is None:
        return None
    view = widget.sliceView()
    return View(view.renderWindow().GetRenderers().GetFirstRenderer(), view.scheduleRender)


class CornerTexts:
    """The texts in the corners of a scene's slice views.

    Parameters
    ----------
    scene : vtkMRMLScene
        The scene.
    then_from_now : callable
        Returns the LPS matrix, shape (4, 4), from a volume node's present position to that of its result.
    view_of : callable
        Returns the `View` of a slice node, or None.
    """

    def __init__(
        self,
        scene: Any,
        then_from_now: Callable[[Any], np.ndarray],
        view_of: Callable[[Any], View | None] = application_view,
    ) -> None:
        self._scene = scene
        self._then_from_now = then_from_now
        self.view_of = view_of
        self._map: LevelMap | None = None
        self._volume = ""
        self._everywhere = False
        self._tags: list[tuple[Any, int]] = []
        self._actors: dict[str, tuple[Any, View]] = {}  # slice node ID -> vtkTextActor and its view

    def show(self, volume: str | None, spine: Spine | None, everywhere: bool = False) -> None:
        """Name the slices by the result of a volume; None removes all texts and stops.

        Parameters
        ----------
        volume : str or None
            Node ID of the volume that the result belongs to.
        spine : Spine or None
            The result, in LPS world at the time of the run.
        everywhere : bool
            Also name the slices of volumes that are not known to lie in the same frame of reference.
        """
        self._stop()
        if volume is None or spine is None or not spine.vertebrae:
            return
        self._map, self._volume, self._everywhere = LevelMap(spine), volume, everywhere
        self._observe(self._scene, slicer.vtkMRMLScene.NodeAddedEvent, self._on_added, with_node=True)
        for node in nodes.nodes_of_class(self._scene, "vtkMRMLSliceNode"):
            self._follow(node)
        for node in nodes.nodes_of_class(self._scene, "vtkMRMLSliceCompositeNode"):
            self._observe(node, vtk.vtkCommand.ModifiedEvent, self._update_all)

    def texts(self) -> dict[str, str]:
        """Return the present texts: layout name of the view -> text."""
        shown = {}
        for node in nodes.nodes_of_class(self._scene, "vtkMRMLSliceNode"):
            if node.GetID() in self._actors:
                shown[node.GetLayoutName()] = str(self._actors[node.GetID()][0].GetInput())
        return shown

    def _follow(self, node: Any) -> None:
        self._observe(node, vtk.vtkCommand.ModifiedEvent, lambda: self._update(node))
        self._update(node)

    def _on_added(self, node: Any) -> None:
        if node.IsA("vtkMRMLSliceNode"):
            self._follow(node)
        elif node.IsA("vtkMRMLSliceCompositeNode"):
            self._observe(node, vtk.vtkCommand.ModifiedEvent, self._update_all)

    def _update_all(self) -> None:
        for node in nodes.nodes_of_class(self._scene, "vtkMRMLSliceNode"):
            self._update(node)

    def _update(self, node: Any) -> None:
        """Write what one view shows."""
        try:
            shown = self._shown_in(node)
        except ValueError:  # a transform that bends space: the result's place is not known
            shown = None
        text = shown.cautious_text if shown is not None else ""
        known = self._actors.get(node.GetID())
        if known is None and not text:
            return
        actor, view = known or self._make(node)
        if actor is not None and actor.GetInput() != text:
            actor.SetInput(text)
            view.schedule()

    def _shown_in(self, node: Any) -> Shown | None:
        """Return what a view shows, or None if its scan is another one, or nothing is known there."""
        owner, scan = self._scene.GetNodeByID(self._volume), self._background(node)
        if self._map is None or owner is None or scan is None:
            return None
        if not self._everywhere and not share_frame(self._scene, owner, scan):
            return None
        then_from_now = self._then_from_now(owner)
        shown = self._map.at(plane_of(node, then_from_now))
        if shown is None or not _covers(scan, moved(shown.point_lps_mm, np.linalg.inv(then_from_now))):
            return None
        return shown

    def _background(self, node: Any) -> Any:
        """Return the volume in the background of a view, else that in its foreground, or None."""
        for composite in nodes.nodes_of_class(self._scene, "vtkMRMLSliceCompositeNode"):
            if composite.GetLayoutName() == node.GetLayoutName():
                found = composite.GetBackgroundVolumeID() or composite.GetForegroundVolumeID()
                return self._scene.GetNodeByID(found) if found else None
        return None

    def _make(self, node: Any) -> tuple[Any, Any]:
        """Put an empty text into the corner of a view; (None, None) if the view does not exist yet."""
        view = self.view_of(node)
        if view is None:
            return None, None
        actor = vtk.vtkTextActor()
        style = actor.GetTextProperty()
        style.SetFontSize(_FONT_SIZE)
        style.SetColor(*_COLOUR)
        style.SetShadow(True)
        style.SetJustificationToRight()
        style.SetVerticalJustificationToBottom()
        place = actor.GetPositionCoordinate()
        place.SetCoordinateSystemToNormalizedViewport()
        place.SetValue(*_PLACE)
        view.renderer.AddViewProp(actor)
        self._actors[node.GetID()] = actor, view
        return actor, view

    def _observe(self, node: Any, event: int, call: Callable[..., None], with_node: bool = False) -> None:
        if with_node:

            @calldata_type(VTK_OBJECT)
            def heard(caller: Any, name: str, data: Any) -> None:
                call(data)

        else:

            def heard(caller: Any, name: str) -> None:  # type: ignore[misc]
                call()

        self._tags.append((node, node.AddObserver(event, heard)))

    def _stop(self) -> None:
        while self._tags:
            node, tag = self._tags.pop()
            node.RemoveObserver(tag)
        for actor, view in self._actors.values():
            view.renderer.RemoveViewProp(actor)
            view.schedule()
        self._actors.clear()
        self._map = None


def plane_of(node: Any, then_from_now: np.ndarray) -> Plane:
    """Return the plane and visible area of a slice node, LPS, in the coordinates of a result.

    `then_from_now`, shape (4, 4), leads from present LPS positions to those of the result.
    """
    matrix = then_from_now @ RAS_FROM_LPS @ array_of(node.GetSliceToRAS())
    axes = matrix[:3, :3] / np.maximum(np.linalg.norm(matrix[:3, :3], axis=0), 1e-9)
    width, height = node.GetFieldOfView()[:2]
    return Plane(matrix[:3, 3], axes[:, 2], axes[:, :2].T, (width / 2, height / 2))


def _covers(volume: Any, point_lps_mm: np.ndarray) -> bool:
    """Return whether a volume has voxels at a point."""
    image = volume.GetImageData()
    if image is None:
        return False
    index = moved(point_lps_mm, np.linalg.inv(frame_of(volume).ijk_to_world) @ RAS_FROM_LPS)
    return bool((index > -1).all() and (index < image.GetDimensions()).all())
