"""SlicerScene: connect a session to the MRML scene (see `ports.Scene`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from ..scans.motion import Motion, estimate_motion
from ..scans.volume import SagittalVolume
from ..session.ports import SceneEvents
from ..spine.change import Comparison
from ..spine.vertebra import SeedBox, Spine
from ..worker import exchange
from ..worker.exchange import Result
from . import changes, memory, nodes, roi, same_frame, take_levels, views, volume_node
from .corner import CornerTexts
from .frames import (
    RAS_FROM_LPS,
    SAME_PLACE_MM,
    Frame,
    Frames,
    moved,
    moved_surface,
    parent_to_world,
    transform_id,
)
from .observers import Observers
from .segmentation import node as segments
from .show_result import Showing


class SlicerScene:
    """Reads volumes and boxes from a scene, and shows results in it.

    Parameters
    ----------
    scene : vtkMRMLScene, optional
        The application's scene by default.
    """

    def __init__(self, scene: Any = None) -> None:
        self._scene = slicer.mrmlScene if scene is None else scene
        self._frames = Frames()
        self._observers = Observers(self._scene, self._frames.forget)
        self.corner = CornerTexts(self._scene, self._frames.then_from_now)

    # --- events ------------------------------------------------------------------------------------------

    def listen(self, events: SceneEvents | None) -> None:
        """Report user actions to `events`; None stops reporting."""
        self._observers.listen(events)

    def watch_volume(self, volume: str | None) -> None:
        """Report the removal, box and result of `volume`."""
        self._observers.watch(volume)

    # --- volumes -----------------------------------------------------------------------------------------

    def volume_name(self, volume: str) -> str:
        """Return the volume's name."""
        return str(self._node(volume).GetName())

    def volume_problem(self, volume: str) -> str:
        """Return why the node cannot be segmented, in one sentence, or an empty string."""
        return volume_node.problem(self._scene.GetNodeByID(volume))

    def read_volume(self, volume: str) -> SagittalVolume:
        """Return the volume as a `SagittalVolume` in LPS world, the transforms above it included."""
        read, frame = volume_node.sagittal_volume(self._scene.GetNodeByID(volume))
        self._frames.note_read(volume, frame)
        return read

    def has_moved(self, volume: str) -> bool:
        """Return True if the volume has moved since the result in the scene was made."""
        return self._frames.has_moved(self._node(volume))

    def moved_along(self, volume: str, box: SeedBox) -> SeedBox:
        """Return a box of the result in the scene, transformed to the volume's present position."""
        return self._frames.now(self._node(volume), box)

    def volume_bounds(self, volume: str) -> np.ndarray:
        """Return the volume's bounds along the world axes, shape (3, 2), LPS, mm."""
        return volume_node.bounds_lps_mm(self._node(volume))

    # --- results -----------------------------------------------------------------------------------------

    def edited_segments(self, volume: str) -> Mapping[str, str]:
        """Return the segments edited by hand: name to fingerprint."""
        node = self._find(volume, nodes.SEGMENTATION)
        if node is None:
            return {}
        made = segments.ours(node)
        return {made[segment_id].GetName(): found for segment_id, found in segments.edited(node).items()}

    def show(
        self, volume: str, result: Result, provenance: Mapping[str, str], fresh: bool, discard: Mapping[str, str]
    ) -> None:
        """Show a result in the scene, updating nodes in place; see `ports.Scene.show`."""
        node = self._node(volume)
        frame = self._frames.of_run(node) if fresh else self._frames.of_result(node)
        with self._observers.unreported():
            Showing(self._scene, node, frame).show(result, provenance, fresh, discard)
        self._frames.note_shown(volume, frame)
        self._observers.refresh()

    def has_result(self, volume: str) -> bool:
        """Return True if the segmentation of `volume` is in the scene."""
        return self._find(volume, nodes.SEGMENTATION) is not None

    def restore(self, volume: str, folder: Path) -> Result | None:
        """Return the stored result of `volume`, or None; its exchange files are written to `folder`."""
        node = self._node(volume)
        segmentation, text = self._find(volume, nodes.SEGMENTATION), self._find(volume, nodes.MEMORY)
        if segmentation is None or text is None or volume_node.problem(node):
            return None
        matrix = memory.matrix_in(text)
        read, frame, above = self._read_for(node, segmentation, matrix)
        labels = memory.label_map_of(segmentation, read.array.shape, matrix, above)
        files = {name: self._find(volume, role) for role, name in memory.FILES.items()}
        result = memory.result_from(text, files, labels, folder)
        segments.restore_surfaces(segmentation, result.surfaces, np.linalg.inv(above) @ RAS_FROM_LPS)
        self._frames.note_shown(volume, frame)
        if result.folder is not None:
            exchange.write_volume(folder, read)
        return result

    def surfaces(self, volume: str) -> Mapping[str, Any]:
        """Return segment name to closed surface (vtkPolyData), LPS world, mm, with the user's edits."""
        node = self._find(volume, nodes.SEGMENTATION)
        if node is None:
            raise ValueError("The segmentation is no longer in the scene; segment the spine again.")
        to_lps = RAS_FROM_LPS @ parent_to_world(node)
        return {name: moved_surface(surface, to_lps) for name, surface in segments.closed_surfaces(node).items()}

    def motion(self, volume: str, other: str, points_lps_mm: np.ndarray) -> Motion:
        """Return the motion of the patient between two volumes around some points of the first, LPS, mm."""
        return estimate_motion(
            take_levels.image_of(self._node(volume)), take_levels.image_of(self._node(other)), points_lps_mm
        )

    def take_levels(self, volume: str, other: str, result: Result, to_first: np.ndarray, motion: str) -> str:
        """Put a result onto another volume as a segmentation node of its own; return its name."""
        owner = self._node(volume)
        to_result = self._frames.then_from_now(owner) @ to_first
        made = take_levels.take_levels(self._scene, owner, self._node(other), result, to_result, motion)
        return str(made.GetName())

    # --- follow-up ---------------------------------------------------------------------------------------

    def patient(self, volume: str) -> str:
        """Return the ID of the patient whose scan it is, or an empty text if it is not known."""
        return same_frame.patient_of(self._scene, self._node(volume))

    def stored_spine(self, volume: str) -> Spine:
        """Return the vertebrae of the result of `volume`, without a label map."""
        text = self._find(volume, nodes.MEMORY) if self.has_result(volume) else None
        if text is None:
            raise ValueError(f"{self.volume_name(volume)!r} has no result; segment it first.")
        return memory.spine_in(text)

    def show_changes(self, volume: str, earlier: str | None, found: Comparison) -> None:
        """Show the changes since an earlier result as a table."""
        changes.show(self._scene, self._node(volume), self._node(earlier) if earlier else None, found)

    def has_changes(self, volume: str) -> bool:
        """Return True while that table is in the scene."""
        return self._find(volume, nodes.CHANGES) is not None

    # --- the box -----------------------------------------------------------------------------------------

    def has_box(self, volume: str) -> bool:
        """Return True if there is an S1 box."""
        return self._find(volume, nodes.BOX) is not None

    def box(self, volume: str) -> SeedBox | None:
        """Return the S1 box in LPS world, or None if there is none; raise ValueError if it cannot be used."""
        return self._read_box(volume, nodes.BOX)

    def box_is_users(self, volume: str) -> bool:
        """Return True if the user placed or dragged the box, False if it only marks the detected S1."""
        node = self._find(volume, nodes.BOX)
        return node is not None and roi.is_users(node)

    def place_box(self, volume: str, box: SeedBox, by_user: bool) -> None:
        """Create or move the S1 box; a box that is being dragged is not touched."""
        if self._observers.is_dragging:
            return
        with self._observers.unreported():
            node = self._find(volume, nodes.BOX) or self._make_box(volume, nodes.BOX, roi.NAME, roi.COLOUR)
            self._write_box(volume, node, box)
            roi.mark(node, by_user)
        self._observers.refresh()

    def show_box(self, volume: str, visible: bool) -> None:
        """Show or hide the S1 box."""
        node = self._find(volume, nodes.BOX)
        if node is not None:
            if node.GetDisplayNode() is None:
                node.CreateDefaultDisplayNodes()
                roi.set_up(node)
            node.GetDisplayNode().SetVisibility(visible)

    def box_is_shown(self, volume: str) -> bool:
        """Return True if there is an S1 box and it is visible."""
        node = self._find(volume, nodes.BOX)
        return node is not None and node.GetDisplayNode() is not None and bool(node.GetDisplayNode().GetVisibility())

    def put_box_away(self, volume: str) -> None:
        """Hide the S1 box, if there is one and it is visible, until `bring_box_back`."""
        if self.box_is_shown(volume):
            self.show_box(volume, False)
            self._find(volume, nodes.BOX).SetAttribute(roi.PUT_AWAY, "1")

    def bring_box_back(self, volume: str) -> None:
        """Show the S1 box again if `put_box_away` hid it, in this session or an earlier one."""
        node = self._find(volume, nodes.BOX)
        if node is not None and node.GetAttribute(roi.PUT_AWAY):
            node.RemoveAttribute(roi.PUT_AWAY)
            self.show_box(volume, True)

    def has_new_box(self, volume: str) -> bool:
        """Return True if there is a box around a missed vertebra."""
        return self._find(volume, nodes.NEW_BOX) is not None

    def new_box(self, volume: str) -> SeedBox | None:
        """Return the box around a missed vertebra in LPS world, or None; raise ValueError if it cannot be used."""
        return self._read_box(volume, nodes.NEW_BOX)

    def place_new_box(self, volume: str, box: SeedBox | None) -> None:
        """Create, move or (None) remove the box around a missed vertebra."""
        node = self._find(volume, nodes.NEW_BOX)
        if box is not None:
            node = node or self._make_box(volume, nodes.NEW_BOX, roi.NEW_NAME, roi.NEW_COLOUR)
            self._write_box(volume, node, box)
        elif node is not None:
            nodes.remove(self._scene, node)

    # --- views -------------------------------------------------------------------------------------------

    def jump(self, point_lps_mm: np.ndarray) -> None:
        """Centre all slice views on the point, shape (3,), LPS, mm."""
        views.jump(self._scene, moved(point_lps_mm, RAS_FROM_LPS))

    def show_levels(self, volume: str | None, spine: Spine | None, everywhere: bool = False) -> None:
        """Write into the corner of each slice view what it shows; None removes the texts."""
        self.corner.show(volume, spine, everywhere)

    def show_3d(self, volume: str, visible: bool) -> None:
        """Show or hide the surfaces in 3-D."""
        node = self._find(volume, nodes.SEGMENTATION)
        if node is not None:
            views.show_3d(self._scene, node, visible)

    def is_shown_3d(self, volume: str) -> bool:
        """Return True if the surfaces are shown in 3-D."""
        node = self._find(volume, nodes.SEGMENTATION)
        return node is not None and views.is_shown_3d(node)

    # --- helpers -----------------------------------------------------------------------------------------

    def _read_for(self, node: Any, segmentation: Any, matrix: np.ndarray) -> tuple[SagittalVolume, Frame, np.ndarray]:
        """Return the volume of a stored result, its frame then, and the matrix from result space to world.

        The order of the voxels may have changed, because Slicer reorders left-handed volumes when it loads them.
        """
        read, now = volume_node.sagittal_volume(node)
        if np.allclose(read.matrix, matrix, atol=SAME_PLACE_MM):
            return read, now, parent_to_world(segmentation)
        then = Frame.from_text(segmentation.GetAttribute(memory.FRAME))
        if then is not None:  # a transform above it may have changed
            read = volume_node.sagittal_volume(node, then)[0]
            if np.allclose(read.matrix, matrix, atol=SAME_PLACE_MM):
                return read, then, then.local_to_world
        raise ValueError(f"{node.GetName()!r} is no longer where it was segmented; segment it again.")

    def _read_box(self, volume: str, role: str) -> SeedBox | None:
        node = self._find(volume, role)
        return self._frames.then(self._node(volume), roi.read(node)) if node is not None else None

    def _make_box(self, volume: str, role: str, name: str, colour: tuple[float, float, float]) -> Any:
        owner = self._node(volume)
        node = nodes.make(self._scene, owner, role, name)
        roi.set_up(node, colour)
        node.SetAndObserveTransformNodeID(transform_id(owner))
        nodes.place_beside(self._scene, owner, node)
        return node

    def _write_box(self, volume: str, node: Any, box: SeedBox) -> None:
        world = self._frames.now(self._node(volume), box)
        roi.write(node, world, np.linalg.inv(parent_to_world(node)) @ RAS_FROM_LPS)

    def _node(self, volume: str) -> Any:
        node = self._scene.GetNodeByID(volume)
        if node is None:
            raise ValueError("The volume is no longer in the scene; choose another one.")
        return node

    def _find(self, volume: str, role: str) -> Any:
        node = self._scene.GetNodeByID(volume)
        return nodes.find(self._scene, node, role) if node is not None else None
