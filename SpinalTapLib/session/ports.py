"""What a session needs of a panel (`Face`), of the MRML scene and of the worker process: three protocols.

Nothing here imports Qt, Slicer or the library's heavy parts, so that a panel may import it at start-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..spine.vertebra import SeedBox
from .state import Change, EditAnswer

if TYPE_CHECKING:
    from ..worker.exchange import Result


class Face(Protocol):
    """A panel, script or test that shows a session. Called on the thread that polls the session."""

    def session_changed(self, change: Change) -> None:
        """React to a change: read the session's properties again."""

    def ask_about_edits(self, names: Sequence[str]) -> EditAnswer:
        """Ask the user what to do with the segments `names`, which were changed by hand and will be replaced."""


@dataclass(frozen=True)
class SceneEvents:
    """What a scene calls when the user acts on the nodes; what SpinalTap does itself is not reported.

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

    Every method raises ValueError with one plain sentence for what the user can put right.
    """

    def listen(self, events: SceneEvents | None) -> None:
        """Call `events` from now on; None ends it."""

    def watch_volume(self, volume: str | None) -> None:
        """Make `volume` the one whose removal, box and result are reported."""

    def volume_name(self, volume: str) -> str:
        """Return the volume's name."""

    def volume_problem(self, volume: str) -> str:
        """Return why the node cannot be segmented, in one sentence, or an empty text."""

    def read_volume(self, volume: str) -> Any:
        """Return the volume as a `SagittalVolume` in LPS world, the transforms above it included."""

    def has_moved(self, volume: str) -> bool:
        """Return True if the volume lies elsewhere than when the result in the scene was made."""

    def moved_along(self, volume: str, box: SeedBox) -> SeedBox:
        """Return a box of the result in the scene, moved along with the volume if that was moved since."""

    def edited_segments(self, volume: str) -> Mapping[str, str]:
        """Return the segments changed by hand since they were made: name to fingerprint."""

    def show(
        self, volume: str, result: Result, provenance: Mapping[str, str], fresh: bool, discard: Mapping[str, str]
    ) -> None:
        """Put a result into the scene, updating in place; if it fails, the scene is as it was before the call.

        Parameters
        ----------
        fresh : bool
            True after a new segmentation: bodies changed by hand are replaced, and a copy of them kept. False
            after a recount: bodies keep the shape that the user gave them, and only change their names.
        discard : mapping of str to str
            Hand edits, name to fingerprint as from `edited_segments`, that the user does not want to keep.
        """

    def has_result(self, volume: str) -> bool:
        """Return True if the segmentation of `volume` is in the scene."""

    def restore(self, volume: str, folder: Path) -> Result | None:
        """Return the result that the scene holds for `volume`, its exchange folder filled in `folder`; or None."""

    def has_box(self, volume: str) -> bool:
        """Return True if there is an S1 box."""

    def box(self, volume: str) -> SeedBox | None:
        """Return the S1 box in LPS world, or None if there is none; raise ValueError if it cannot be used."""

    def box_is_users(self, volume: str) -> bool:
        """Return True if the user placed or dragged the box, False if it only marks the S1 that was found."""

    def place_box(self, volume: str, box: SeedBox, by_user: bool) -> None:
        """Make the S1 box or move it; a box that is being dragged is left alone."""

    def put_box_away(self, volume: str) -> None:
        """Hide the S1 box, if there is one and it is visible, until `bring_box_back`."""

    def bring_box_back(self, volume: str) -> None:
        """Show the S1 box again if `put_box_away` has hidden it, in this session or in an earlier one."""

    def has_new_box(self, volume: str) -> bool:
        """Return True if there is a box around a missed vertebra."""

    def new_box(self, volume: str) -> SeedBox | None:
        """Return the box around a missed vertebra in LPS world, or None; raise ValueError if it cannot be used."""

    def place_new_box(self, volume: str, box: SeedBox | None) -> None:
        """Make the box around a missed vertebra or move it; None removes it."""

    def show_box(self, volume: str, visible: bool) -> None:
        """Show or hide the S1 box."""

    def box_is_shown(self, volume: str) -> bool:
        """Return True if there is an S1 box and it is visible."""

    def volume_bounds(self, volume: str) -> np.ndarray:
        """Return the volume's ends along the world's axes, shape (3, 2), LPS, mm."""

    def jump(self, point_lps_mm: np.ndarray) -> None:
        """Centre all slice views on the point, shape (3,), LPS, mm."""

    def show_3d(self, volume: str, visible: bool) -> None:
        """Show or hide the surfaces in 3-D."""

    def is_shown_3d(self, volume: str) -> bool:
        """Return True if the surfaces are shown in 3-D."""

    def surfaces(self, volume: str) -> Mapping[str, Any]:
        """Return segment name to closed surface (vtkPolyData), LPS world, mm, with the user's own edits."""


class Worker(Protocol):
    """The other process; `SpinalTapLib.workerlink.WorkerLink` is the real one."""

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request, starting the process if it does not run; raise ValueError if it cannot be started."""

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have come since the last call, without waiting.

        A process that ended by itself is reported once, as a message with ``event`` ``"died"`` and a ``sentence``.
        """

    def kill(self) -> None:
        """End the process and its children now (within a second)."""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the process's log."""

    def close(self) -> None:
        """End the process and clean up after it."""
