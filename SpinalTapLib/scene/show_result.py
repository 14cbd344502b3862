"""Show one result in the scene, completely or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..worker.exchange import Result
from . import changes, memory, nodes
from . import point_lists as points
from . import table_node as table
from .frames import SAME_PLACE_MM, Frame, frame_of, parent_to_world, transform_id
from .segmentation import node as segments
from .volume_node import labels_kji


class Showing:
    """Shows results of one volume in the scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        The scene.
    volume : vtkMRMLVolumeNode
        The segmented volume.
    then : Frame
        Its frame when it was read.
    """

    def __init__(self, scene: Any, volume: Any, then: Frame) -> None:
        self._scene = scene
        self._volume = volume
        self._then = then
        self._made: list[Any] = []

    def show(self, result: Result, provenance: Mapping[str, str], fresh: bool, discard: Mapping[str, str]) -> None:
        """Create or update the nodes; see `ports.Scene.show`."""
        frame, parent = self._place()
        wanted = segments.picture(self._labels(result), result.surfaces, frame)
        saved = self._snapshots(result)
        try:
            self._show(result, wanted, frame, fresh, discard)
        except BaseException:
            for node in reversed(self._made):
                nodes.remove(self._scene, node)
            for node, copy in saved:
                node.CopyContent(copy, True)
            raise
        self._finish(result, provenance, parent)

    def _show(
        self, result: Result, wanted: segments.Picture, frame: Frame, fresh: bool, discard: Mapping[str, str]
    ) -> None:
        """Do the steps that may fail; the segments come last, because backing them up would be slow."""
        answer = self._node(nodes.MEMORY, "SpinalTap memory")
        memory.set_up(answer)
        memory.fill(answer, result)
        for role, name in memory.FILES.items():
            node = self._node(role, f"SpinalTap {role}")
            if not memory.holds_files(node, result):
                memory.set_up(node)
                memory.fill_file(node, result, name)
        table.fill(self._node(nodes.TABLE, "vertebrae table"), result.spine)
        lists = nodes.find_all(self._scene, self._volume, nodes.POINTS)
        for i, vertebra in enumerate(result.spine.vertebrae):
            name = f"{self._volume.GetName()} {vertebra.name}"
            node = lists[i] if i < len(lists) else self._make(nodes.POINTS, name)
            if i >= len(lists):
                points.set_up(node)
            points.fill(node, vertebra, frame)
        segmentation = self._node(nodes.SEGMENTATION, "vertebrae")
        segments.set_up(segmentation, self._volume)
        kept = segments.matches(segmentation, wanted)
        edited = segments.edited(segmentation)
        if fresh:
            kept = {segment_id: value for segment_id, value in kept.items() if segment_id not in edited}
        self._keep_copies(segmentation, {i: e for i, e in edited.items() if i not in kept}, discard)
        segments.update(segmentation, wanted, kept)

    def _finish(self, result: Result, provenance: Mapping[str, str], parent: str | None) -> None:
        """Do the steps that cannot fail: names, folders and provenance; remove obsolete lists and tables."""
        volume, scene = self._volume, self._scene
        changes.forget(scene, volume)
        lists = nodes.find_all(scene, volume, nodes.POINTS)
        folder = nodes.folder_of(scene, lists[0]) if lists else None
        for spare in lists[len(result.spine.vertebrae) :]:
            nodes.remove(scene, spare)
        lists = lists[: len(result.spine.vertebrae)]
        for node, vertebra in zip(lists, result.spine.vertebrae):
            nodes.rename(node, f"{volume.GetName()} {vertebra.name}")
            node.SetAndObserveTransformNodeID(parent)
        nodes.place_in_folder(scene, volume, lists, f"{volume.GetName()} vertebra points")
        nodes.remove_empty_folder(scene, folder)
        segmentation = self._node(nodes.SEGMENTATION, "vertebrae")
        segmentation.SetAndObserveTransformNodeID(parent)
        segmentation.SetAttribute(memory.FRAME, self._then.to_text())
        for node in (segmentation, self._node(nodes.TABLE, "vertebrae table")):
            nodes.place_beside(scene, volume, node)
            for name, value in provenance.items():
                node.SetAttribute(f"SpinalTap.{name}", value)

    def _labels(self, result: Result) -> np.ndarray:
        """Return the result's labels on the volume node's voxels, shape (k, j, i)."""
        if result.spine.label_map is None:
            raise ValueError("The result has no label map; segment the volume again.")
        labels = labels_kji(result.spine.label_map, result.matrix, self._then)
        image = self._volume.GetImageData()
        if image is None or labels.shape != tuple(image.GetDimensions()[::-1]):
            raise ValueError(f"{self._volume.GetName()!r} has changed since it was read; segment it again.")
        return labels

    def _place(self) -> tuple[Frame, str | None]:
        """Return the frame for the nodes, and the ID of the transform above them.

        A volume that was moved by the transform above it takes its results along. Where a transform was hardened,
        or taken away without moving the volume, they stay where they are.
        """
        now, then = frame_of(self._volume), self._then
        if np.abs(then.ijk_to_local - now.ijk_to_local).max() < SAME_PLACE_MM:
            return then, transform_id(self._volume)
        if np.abs(then.ijk_to_world - now.ijk_to_world).max() < SAME_PLACE_MM:
            node = nodes.find(self._scene, self._volume, nodes.SEGMENTATION) or self._volume
            above = parent_to_world(node)
            return Frame(np.linalg.inv(above) @ then.ijk_to_world, above), transform_id(node)
        raise ValueError(
            f"The geometry of {self._volume.GetName()!r} has changed since it was read; segment the volume again."
        )

    def _keep_copies(self, node: Any, edited: Mapping[str, str], discard: Mapping[str, str]) -> None:
        """Copy hand edits that are about to be replaced, except those to discard."""
        made = segments.ours(node)
        wanted = [i for i, found in edited.items() if discard.get(made[i].GetName()) != found]
        if not wanted:
            return
        copy = self._scene.AddNewNodeByClass(node.GetClassName(), f"{node.GetName()}, edited copy")
        self._made.append(copy)
        copy.CreateDefaultDisplayNodes()
        segments.set_up(copy, self._volume)
        copy.SetAndObserveTransformNodeID(transform_id(node))
        segments.keep_copy(node, copy, wanted)
        nodes.place_beside(self._scene, self._volume, copy)

    def _snapshots(self, result: Result) -> list[tuple[Any, Any]]:
        """Return copies of the nodes that will change, except the segmentation."""
        roles = [nodes.MEMORY, nodes.TABLE, nodes.POINTS]
        stored = {role: nodes.find(self._scene, self._volume, role) for role in memory.FILES}
        roles += [role for role, node in stored.items() if not memory.holds_files(node, result)]
        saved = []
        for role in roles:
            for node in nodes.find_all(self._scene, self._volume, role):
                copy = node.CreateNodeInstance()
                copy.UnRegister(None)
                copy.CopyContent(node, True)
                saved.append((node, copy))
        return saved

    def _node(self, role: str, what: str) -> Any:
        """Return the volume's node of that role; create it if it does not exist."""
        name = f"{self._volume.GetName()} {what}"
        node = nodes.find(self._scene, self._volume, role)
        if node is None:
            return self._make(role, name)
        nodes.rename(node, name)
        return node

    def _make(self, role: str, name: str) -> Any:
        node = nodes.make(self._scene, self._volume, role, name)
        self._made.append(node)
        return node
