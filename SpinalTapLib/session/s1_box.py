"""Marks: the boxes of a session's volumes, which say where a count starts and where a vertebra was missed."""

from __future__ import annotations

import contextlib

from ..spine import boxes as seeds
from ..spine.vertebra import SeedBox
from .ports import Scene
from .state import Result


class Marks:
    """Moves, shows and reads the boxes in the scene.

    Parameters
    ----------
    scene : Scene
        The adapter to the MRML scene.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def seed(self, volume: str, result: Result | None) -> SeedBox | None:
        """Return what a new run on a volume counts from, where the volume lies now, or None.

        Raises ValueError if the box cannot be read.
        """
        counted = result.spine.seed if result is not None else None
        stale = counted is not None and self._scene.has_moved(volume)  # the box may lie where the scan was
        box = self._scene.box(volume) if self._scene.box_is_users(volume) and not stale else None
        seed = box or counted
        return self._scene.moved_along(volume, seed) if seed is not None else None

    def put(self, volume: str | None, result: Result) -> None:
        """Put the S1 box to where a result is counted from."""
        box, by_user = seeds.box_of(result.spine)
        if box is not None and volume is not None:
            self._scene.place_box(volume, box, by_user)

    def put_back(self, volume: str | None, result: Result | None) -> None:
        """Let the S1 box say again what the levels are counted from, after a recount that came to nothing."""
        if volume is None or result is None or not self._scene.has_box(volume):
            return
        with contextlib.suppress(ValueError):  # a box that cannot be read or moved stays where it is, and says why
            if seeds.box_of(result.spine)[0] is not None:
                self.put(volume, result)
            else:
                box = self._scene.box(volume)
                assert box is not None
                self._scene.place_box(volume, box, by_user=False)

    def put_away(self, volume: str) -> None:
        """Hide the boxes of a volume that is not the chosen one any more: nobody would follow them."""
        self._scene.place_new_box(volume, None)
        self._scene.put_box_away(volume)

    def show_again(self, volume: str | None) -> None:
        """Show the S1 box of a volume that is chosen again, if `put_away` has hidden it."""
        if volume is not None:
            self._scene.bring_box_back(volume)
