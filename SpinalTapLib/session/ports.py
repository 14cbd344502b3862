"""Protocols between a session and the panel (`Face`), the MRML scene (`Scene`) and the worker process (`Worker`).

Nothing here imports Qt, Slicer or the library's heavy parts, so that a panel may import it at start-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..spine.vertebra import SeedBox, Spine
from .state import Change, EditAnswer, MotionAnswer

if TYPE_CHECKING:
    from ..scans.motion import Motion
    from ..spine.change import Comparison
    from ..worker.exchange import Result


class Face(Protocol):
    """A panel, script or test that shows a session. Called on the thread that polls the session."""

    def session_changed(self, change: Change) -> None:
        """React to a change by reading the session's properties again."""

    def ask_about_motion(self, sentence: str) -> MotionAnswer:
        """Tell the user that the patient has moved, and ask whether the levels shall follow the motion."""

    def ask_about_edits(self, names: Sequence[str]) -> EditAnswer:
        """Ask the user what to do with the segments `names`, which were edited by hand and will be replaced."""


@dataclass(frozen=True)
class SceneEvents:
    """Callbacks for user actions on the scene's nodes; SpinalTap's own changes are not reported.

    Attributes
    ----------
    box_moving : callable
        The S1 box moves under the mouse (at most ten times a second).
    box_released : callable
        A drag of the S1 box has ended.
    box_removed : callable
        The S1 box was deleted from the scene.
    volume_changed : callable
        The chosen volume's image or geometry has changed.
    volume_removed : callable
        A volume, the chosen one or another, is being deleted from the scene; called with its node ID.
    result_removed : callable
        The segmentation of the chosen volume was deleted from the scene.
    scene_closed : callable
        The whole scene was closed.
    scene_loaded : callable
        Nodes were read from a scene file.
    """

    box_moving: Callable[[], None]
    box_released: Callable[[], None]
    box_removed: Callable[[], None]
    volume_changed: Callable[[], None]
    volume_removed: Callable[[str], None]
    result_removed: Callable[[], None]
    scene_closed: Callable[[], None]
    scene_loaded: Callable[[], None]


class Scene(Protocol):
    """The scene that a session works on; `SpinalTapLib.scene.SlicerScene` is the real one. Node IDs are texts.

    Methods raise ValueError with one plain sentence for problems that the user can correct.
    """

    def listen(self, events: SceneEvents | None) -> None:
        """Report user actions to `events`; None stops reporting."""

    def watch_volume(self, volume: str | None) -> None:
        """Report the removal, box and result of `volume`."""

    def volume_name(self, volume: str) -> str:
        """Return the volume's name."""

    def volume_problem(self, volume: str) -> str:
        """Return why the node cannot be segmented, in one sentence, or an empty string."""

    def read_volume(self, volume: str) -> Any:
        """Return the volume as a `SagittalVolume` in LPS world, the transforms above it included."""

    def has_moved(self, volume: str) -> bool:
        """Return True if the volume has moved since the result in the scene was made."""

    def moved_along(self, volume: str, box: SeedBox) -> SeedBox:
        """Return a box of the result in the scene, transformed to the volume's present position."""

    def edited_segments(self, volume: str) -> Mapping[str, str]:
        """Return the segments edited by hand: name to fingerprint."""

    def show(
        self, volume: str, result: Result, provenance: Mapping[str, str], fresh: bool, discard: Mapping[str, str]
    ) -> None:
        """Show a result in the scene, updating nodes in place; on failure, the scene stays unchanged.

        Parameters
        ----------
        fresh : bool
            True after a new segmentation: bodies edited by hand are replaced, and a copy is kept. False
            after a recount: bodies keep the user's edits, and only their names change.
        discard : mapping of str to str
            Hand edits, name to fingerprint as from `edited_segments`, to discard.
        """

    def has_result(self, volume: str) -> bool:
        """Return True if the segmentation of `volume` is in the scene."""

    def restore(self, volume: str, folder: Path) -> Result | None:
        """Return the stored result of `volume`, or None; its exchange files are written to `folder`."""

    def motion(self, volume: str, other: str, points_lps_mm: np.ndarray) -> Motion:
        """Return the motion of the patient between two volumes around some points of the first, LPS, mm.

        Raises ValueError if they do not overlap, or cannot be registered.
        """

    def take_levels(self, volume: str, other: str, result: Result, to_first: np.ndarray, motion: str) -> str:
        """Put a result of `volume` onto the volume `other` as a segmentation node of its own; return its name.

        Parameters
        ----------
        to_first : ndarray, shape (4, 4)
            From positions in the other volume to those in the first, LPS, mm; the identity if nothing has moved.
        motion : str
            What was done about a motion of the patient; kept with the node.
        """

    def patient(self, volume: str) -> str:
        """Return the ID of the patient whose scan it is, or an empty text if it is not known."""

    def stored_spine(self, volume: str) -> Spine:
        """Return the vertebrae of the result of `volume`, without a label map.

        Raises ValueError if there is none, or it is damaged.
        """

    def show_changes(self, volume: str, earlier: str | None, found: Comparison) -> None:
        """Show the changes of `volume` since the result of the volume `earlier`, or of a folder (None), as a table.

        It is removed when one of the two results changes.
        """

    def has_changes(self, volume: str) -> bool:
        """Return True while that table is in the scene."""

    def has_box(self, volume: str) -> bool:
        """Return True if there is an S1 box."""

    def box(self, volume: str) -> SeedBox | None:
        """Return the S1 box in LPS world, or None if there is none; raise ValueError if it cannot be used."""

    def box_is_users(self, volume: str) -> bool:
        """Return True if the user placed or dragged the box, False if it only marks the detected S1."""

    def place_box(self, volume: str, box: SeedBox, by_user: bool) -> None:
        """Create or move the S1 box; a box that is being dragged is not touched."""

    def put_box_away(self, volume: str) -> None:
        """Hide the S1 box, if there is one and it is visible, until `bring_box_back`."""

    def bring_box_back(self, volume: str) -> None:
        """Show the S1 box again if `put_box_away` hid it, in this session or an earlier one."""

    def has_new_box(self, volume: str) -> bool:
        """Return True if there is a box around a missed vertebra."""

    def new_box(self, volume: str) -> SeedBox | None:
        """Return the box around a missed vertebra in LPS world, or None; raise ValueError if it cannot be used."""

    def place_new_box(self, volume: str, box: SeedBox | None) -> None:
        """Create, move or (None) remove the box around a missed vertebra."""

    def show_box(self, volume: str, visible: bool) -> None:
        """Show or hide the S1 box."""

    def box_is_shown(self, volume: str) -> bool:
        """Return True if there is an S1 box and it is visible."""

    def volume_bounds(self, volume: str) -> np.ndarray:
        """Return the volume's bounds along the world axes, shape (3, 2), LPS, mm."""

    def jump(self, point_lps_mm: np.ndarray) -> None:
        """Centre all slice views on the point, shape (3,), LPS, mm."""

    def show_levels(self, volume: str | None, spine: Spine | None, everywhere: bool = False) -> None:
        """Write into the corner of each slice view which vertebra or disc it shows; None removes the texts.

        Only views of volumes in the same frame of reference as `volume` get a text, or, if `everywhere`, all.
        """

    def show_3d(self, volume: str, visible: bool) -> None:
        """Show or hide the surfaces in 3-D."""

    def is_shown_3d(self, volume: str) -> bool:
        """Return True if the surfaces are shown in 3-D."""

    def surfaces(self, volume: str) -> Mapping[str, Any]:
        """Return segment name to closed surface (vtkPolyData), LPS world, mm, with the user's edits."""


class Worker(Protocol):
    """The worker process; `SpinalTapLib.workerlink.WorkerLink` is the real one."""

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request, starting the process if it does not run; raise ValueError if it cannot be started."""

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages received since the last call, without waiting.

        A process that ended on its own is reported once, as a message with ``event`` ``"died"`` and a ``sentence``.
        """

    def kill(self) -> None:
        """End the process and its children now (within a second)."""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the process's log."""

    def close(self) -> None:
        """End the process and clean up after it."""
