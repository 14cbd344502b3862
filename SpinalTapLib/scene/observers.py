"""Report user actions on the nodes, but not SpinalTap's own changes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import slicer
import vtk
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT

from ..session.ports import SceneEvents
from . import nodes, roi

PREVIEW_S = 0.1
"""Shortest time between two reports of a moving box; enough for text that people read."""


class Observers:
    """Watches a scene, one of its volumes and that volume's box and segmentation.

    Parameters
    ----------
    scene : vtkMRMLScene
        The scene.
    forget : callable
        Called with the ID of each volume that is removed, and with None when the scene is closed.
    """

    def __init__(self, scene: Any, forget: Callable[[str | None], None]) -> None:
        self._scene = scene
        self._forget_place = forget
        self._events: SceneEvents | None = None
        self._volume: str | None = None
        self._watched: dict[str, str] = {}  # role to node ID
        self._tags: list[tuple[Any, int]] = []
        self._box_tags: list[tuple[Any, int]] = []
        self._volume_tags: list[tuple[Any, int]] = []
        self._orphans: list[Any] = []  # what belongs to a node that is being removed
        self._unreported = 0
        self._last_preview = 0.0
        self.is_dragging = False

    def listen(self, events: SceneEvents | None) -> None:
        """Report user actions to `events`; None stops reporting."""
        for tags in (self._tags, self._box_tags, self._volume_tags):
            _drop(tags)
        self._events = events
        if events is None:
            return
        kinds = slicer.vtkMRMLScene
        self._observe(self._tags, self._scene, kinds.NodeAboutToBeRemovedEvent, self._on_removed, with_node=True)
        self._observe(self._tags, self._scene, kinds.NodeRemovedEvent, self._on_gone)
        self._observe(self._tags, self._scene, kinds.EndCloseEvent, self._on_closed)
        self._observe(self._tags, self._scene, kinds.EndImportEvent, self._on_loaded)
        self.refresh()

    def watch(self, volume: str | None) -> None:
        """Report on `volume`."""
        self._volume = volume
        _drop(self._volume_tags)
        node = self._scene.GetNodeByID(volume) if volume else None
        if node is not None and node.IsA("vtkMRMLVolumeNode"):
            for kind in (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent):
                self._observe(self._volume_tags, node, kind, self._on_volume_changed)
        self.refresh()

    def refresh(self) -> None:
        """Find the box and the segmentation of the watched volume, and observe the box."""
        volume = self._scene.GetNodeByID(self._volume) if self._volume else None
        found = (
            {role: nodes.find(self._scene, volume, role) for role in (nodes.BOX, nodes.SEGMENTATION)} if volume else {}
        )
        before = self._watched.get(nodes.BOX)
        self._watched = {role: node.GetID() for role, node in found.items() if node is not None}
        if self._box_tags and before == self._watched.get(nodes.BOX):
            return  # the same box; the user may be dragging it
        _drop(self._box_tags)
        self.is_dragging = False
        node = found.get(nodes.BOX)
        if node is not None and self._events is not None:
            kinds = slicer.vtkMRMLMarkupsNode
            self._observe(self._box_tags, node, kinds.PointStartInteractionEvent, self._on_drag_begun)
            self._observe(self._box_tags, node, kinds.PointModifiedEvent, self._on_drag)
            self._observe(self._box_tags, node, kinds.PointEndInteractionEvent, self._on_drag_ended)

    @contextlib.contextmanager
    def unreported(self) -> Iterator[None]:
        """Suppress reports while SpinalTap changes nodes itself."""
        self._unreported += 1
        try:
            yield
        finally:
            self._unreported -= 1

    def _observe(
        self, tags: list[tuple[Any, int]], node: Any, event: int, call: Callable[..., None], with_node: bool = False
    ) -> None:
        if with_node:

            @calldata_type(VTK_OBJECT)
            def reported(caller: Any, name: str, data: Any) -> None:
                call(data)

        else:

            def reported(caller: Any, name: str) -> None:  # type: ignore[misc]
                call()

        tags.append((node, node.AddObserver(event, reported)))

    def _on_volume_changed(self) -> None:
        if not self._unreported and self._events is not None:
            self._events.volume_changed()

    def _on_drag_begun(self) -> None:
        self.is_dragging = True

    def _on_drag(self) -> None:
        if self._unreported or self._events is None:
            return
        node = self._scene.GetNodeByID(self._watched.get(nodes.BOX, ""))
        if node is not None and not roi.is_users(node):
            roi.mark(node, by_user=True)
        if self.is_dragging and time.monotonic() - self._last_preview >= PREVIEW_S:
            self._last_preview = time.monotonic()
            self._events.box_moving()

    def _on_drag_ended(self) -> None:
        self.is_dragging = False
        if not self._unreported and self._events is not None:
            self._events.box_released()

    def _on_removed(self, node: Any) -> None:
        # Closing a scene is reported once at the end, not for each node.
        if self._unreported or self._events is None or self._scene.IsClosing() or node is None:
            return
        node_id = node.GetID()
        if node.GetAttribute(nodes.ROLE):
            self._orphans += nodes.helpers_of(node)
        if node.IsA("vtkMRMLScalarVolumeNode"):
            self._orphans += nodes.belongings(self._scene, node)
            self._forget_place(node_id)
            if node_id == self._volume:
                self._volume = None
                self._forget()
            self._events.volume_removed(node_id)
        elif node_id == self._watched.get(nodes.BOX):
            del self._watched[nodes.BOX]
            _drop(self._box_tags)
            self.is_dragging = False
            self._events.box_removed()
        elif node_id == self._watched.get(nodes.SEGMENTATION):
            del self._watched[nodes.SEGMENTATION]
            self._events.result_removed()

    def _on_gone(self) -> None:
        # Nodes must not be removed during the removal of another node; this is called right after it.
        orphans, self._orphans = self._orphans, []
        with self.unreported():
            for node in orphans:
                if self._scene.IsNodePresent(node):
                    nodes.remove(self._scene, node)

    def _on_closed(self) -> None:
        self._volume = None
        self._orphans = []
        self._forget()
        self._forget_place(None)
        if self._events is not None:
            self._events.scene_closed()

    def _on_loaded(self) -> None:
        self.refresh()
        if self._events is not None:
            self._events.scene_loaded()

    def _forget(self) -> None:
        self._watched = {}
        _drop(self._box_tags)
        _drop(self._volume_tags)
        self.is_dragging = False


def _drop(tags: list[tuple[Any, int]]) -> None:
    while tags:
        node, tag = tags.pop()
        node.RemoveObserver(tag)
