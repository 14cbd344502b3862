"""Whom a session speaks with: the protocols of face, scene and worker.

Nothing here imports Qt, Slicer or the library's heavy parts, so that a face may import it at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..spine.vertebra import SeedBox
from .state import Change, EditAnswer, Result


class Face(Protocol):
    """A listener: the Qt panel, a script, a test. Called on the thread that polls the session."""

    def session_changed(self, change: Change) -> None:
        """React to a change: read the session's properties again."""

    def ask_about_edits(self, names: Sequence[str]) -> EditAnswer:
        """Ask the user what to do with the segments `names`, which were changed by hand and will be replaced."""


class SceneListener(Protocol):
    """What a scene calls when the user acts on the nodes; the session is one."""

    def box_moving(self) -> None:
        """The S1 box moves under the mouse (told at most ten times a second)."""

    def box_released(self) -> None:
        """A drag of the S1 box has ended."""

    def box_removed(self) -> None:
        """The S1 box was deleted from the scene."""

    def volume_removed(self, volume: str) -> None:
        """A volume, the chosen one or another, is being deleted from the scene."""

    def result_removed(self) -> None:
        """The segmentation was deleted from the scene."""

    def scene_closed(self) -> None:
        """The whole scene was closed."""

    def scene_loaded(self) -> None:
        """Nodes were read from a scene file."""


class Scene(Protocol):
    """The scene that a session works on; `SpinalTapLib.scene.SlicerScene` is the real one. Node IDs are texts.

    Every method raises ValueError with one plain sentence for what the user can put right.
    """

    def listen(self, listener: SceneListener | None) -> None:
        """Report what happens to the chosen nodes to `listener` from now on; None ends it."""

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
        """Return a box of the result in the scene where it is seen now, the volume having been moved since or not."""

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
        """Move all slice views to the point, shape (3,)."""

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
