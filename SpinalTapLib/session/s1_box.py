"""Place, hide and read the S1 box of the chosen volume."""

from __future__ import annotations

import contextlib

from ..spine import boxes
from ..spine.vertebra import SeedBox
from .ports import Scene
from .state import SessionState


class S1Box:
    """Places, hides and reads the S1 box in the scene.

    Parameters
    ----------
    scene : Scene
        The adapter to the MRML scene.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def seed(self, state: SessionState) -> SeedBox | None:
        """Return the seed of a new run at the volume's present position, or None.

        Raises ValueError if the box cannot be read.
        """
        volume, counted = str(state.volume), state.result.spine.seed if state.result is not None else None
        # After a move of the scan, a box that was counted from may have stayed behind.
        stale = counted is not None and self._scene.has_moved(volume)
        box = self._scene.box(volume) if self._scene.box_is_users(volume) and not stale else None
        seed = box or counted
        return self._scene.moved_along(volume, seed) if seed is not None else None

    def mark(self, state: SessionState) -> None:
        """Place the box around the vertebra that the result is counted from, or around the detected S1."""
        if state.volume is None or state.result is None:
            return
        box, by_user = boxes.box_of(state.result.spine)
        if box is not None:
            self._scene.place_box(state.volume, box, by_user)

    def put_back(self, state: SessionState) -> None:
        """Restore the box after a failed recount."""
        volume, result = state.volume, state.result
        if volume is None or result is None or not self._scene.has_box(volume):
            return
        with contextlib.suppress(ValueError):  # a box that cannot be read or moved stays, and its failure is shown
            if boxes.box_of(result.spine)[0] is not None:
                self.mark(state)
            else:
                box = self._scene.box(volume)
                assert box is not None
                self._scene.place_box(volume, box, by_user=False)

    def show(self, state: SessionState) -> None:
        """Show the box where it was, else on the detected S1, else in the lower middle of the volume."""
        volume = str(state.volume)
        if not self._scene.has_box(volume):
            box = boxes.box_of(state.result.spine)[0] if state.result is not None else None
            self._scene.place_box(volume, box or boxes.first_box(self._scene.volume_bounds(volume)), by_user=False)
        self._scene.show_box(volume, True)

    def put_away(self, volume: str) -> None:
        """Hide the boxes of a volume that is no longer chosen, because dragging them would have no effect."""
        self._scene.place_new_box(volume, None)
        self._scene.put_box_away(volume)

    def bring_back(self, volume: str) -> None:
        """Show the box of a volume that is chosen again, if `put_away` hid it."""
        self._scene.bring_box_back(volume)

    def preview(self, state: SessionState) -> str:
        """Describe in one sentence what releasing the box here would do."""
        if state.volume is None or state.result is None:
            return "Let go of the box on S1, the top of the sacrum, and segment the spine."
        try:
            box = self._scene.box(state.volume)
        except ValueError as error:
            return str(error)
        found = boxes.vertebra_in(state.result.spine, box) if box is not None else None
        if found is None:
            return "No vertebra was found there yet. Let go to look once more."
        return f"Let go to make this vertebra S1 (now {found.name})."
