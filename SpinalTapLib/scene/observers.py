"""Observers: what users do to the nodes becomes calls to a listener; what SpinalTap does itself is not told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import slicer
from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_OBJECT

from ..session.ports import SceneListener
from . import nodes
from . import roi as box

PREVIEW_S = 0.1
"""At most this often a moving box is reported: faster than anybody reads."""


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
        self._listener: SceneListener | None = None
        self._volume: str | None = None
        self._watched: dict[str, str] = {}  # role to node ID
        self._tags: list[tuple[Any, int]] = []
        self._box_tags: list[tuple[Any, int]] = []
        self._orphans: list[Any] = []  # nodes of a volume that is being removed, which nobody could find any more
        self._quiet = 0
        self._last_preview = 0.0
        self.is_dragging = False

    def listen(self, listener: SceneListener | None) -> None:
        """Report to `listener` from now on; None ends it."""
        for tags in (self._tags, self._box_tags):
            _drop(tags)
        self._listener = listener
        if listener is None:
            return
        events = slicer.vtkMRMLScene
        self._observe(self._tags, self._scene, events.NodeAboutToBeRemovedEvent, self._on_removed, with_node=True)
        self._observe(self._tags, self._scene, events.NodeRemovedEvent, self._on_gone)
        self._observe(self._tags, self._scene, events.EndCloseEvent, self._on_closed)
        self._observe(self._tags, self._scene, events.EndImportEvent, self._on_loaded)
        self.refresh()

    def watch(self, volume: str | None) -> None:
        """Make `volume` the one that is reported on."""
        self._volume = volume
        self.refresh()

    def refresh(self) -> None:
        """Look which nodes there are now for the watched volume."""
        volume = self._scene.GetNodeByID(self._volume) if self._volume else None
        found = (
            {role: nodes.find(self._scene, volume, role) for role in (nodes.BOX, nodes.SEGMENTATION)} if volume else {}
        )
        before = self._watched.get(nodes.BOX)
        self._watched = {role: node.GetID() for role, node in found.items() if node is not None}
        if self._box_tags and before == self._watched.get(nodes.BOX):
            return  # the same box; it may be under the user's hand
        _drop(self._box_tags)
        self.is_dragging = False
        node = found.get(nodes.BOX)
        if node is not None and self._listener is not None:
            events = slicer.vtkMRMLMarkupsNode
            self._observe(self._box_tags, node, events.PointStartInteractionEvent, self._on_drag_begun)
            self._observe(self._box_tags, node, events.PointModifiedEvent, self._on_drag)
            self._observe(self._box_tags, node, events.PointEndInteractionEvent, self._on_drag_ended)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Tell nothing while SpinalTap changes nodes itself."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _observe(
        self, tags: list[tuple[Any, int]], node: Any, event: int, call: Callable[..., None], with_node: bool = False
    ) -> None:
        if with_node:

            @calldata_type(VTK_OBJECT)
            def told(caller: Any, name: str, data: Any) -> None:
                call(data)

        else:

            def told(caller: Any, name: str) -> None:  # type: ignore[misc]
                call()

        tags.append((node, node.AddObserver(event, told)))

    def _on_drag_begun(self) -> None:
        self.is_dragging = True

    def _on_drag(self) -> None:
        if self._quiet or self._listener is None:
            return
        node = self._scene.GetNodeByID(self._watched.get(nodes.BOX, ""))
        if node is not None and not box.is_users(node):
            box.mark(node, by_user=True)
        if self.is_dragging and time.monotonic() - self._last_preview >= PREVIEW_S:
            self._last_preview = time.monotonic()
            self._listener.box_moving()

    def _on_drag_ended(self) -> None:
        self.is_dragging = False
        if not self._quiet and self._listener is not None:
            self._listener.box_released()

    def _on_removed(self, node: Any) -> None:
        # A scene that closes is told once, at its end; its single nodes are not news then.
        if self._quiet or self._listener is None or self._scene.IsClosing() or node is None:
            return
        node_id = node.GetID()
        if node.IsA("vtkMRMLScalarVolumeNode"):
            self._orphans += nodes.belongings(self._scene, node)
            self._forget_place(node_id)
            if node_id == self._volume:
                self._volume = None
                self._forget()
            self._listener.volume_removed(node_id)
        elif node_id == self._watched.get(nodes.BOX):
            del self._watched[nodes.BOX]
            _drop(self._box_tags)
            self.is_dragging = False
            self._listener.box_removed()
        elif node_id == self._watched.get(nodes.SEGMENTATION):
            del self._watched[nodes.SEGMENTATION]
            self._listener.result_removed()

    def _on_gone(self) -> None:
        # Nodes are not removed while another one is being removed, but right after.
        orphans, self._orphans = self._orphans, []
        with self.quiet():
            for node in orphans:
                if self._scene.IsNodePresent(node):
                    nodes.remove(self._scene, node)

    def _on_closed(self) -> None:
        self._volume = None
        self._orphans = []
        self._forget()
        self._forget_place(None)
        if self._listener is not None:
            self._listener.scene_closed()

    def _on_loaded(self) -> None:
        self.refresh()
        if self._listener is not None:
            self._listener.scene_loaded()

    def _forget(self) -> None:
        self._watched = {}
        _drop(self._box_tags)
        self.is_dragging = False


def _drop(tags: list[tuple[Any, int]]) -> None:
    while tags:
        node, tag = tags.pop()
        node.RemoveObserver(tag)
