"""Ears: what a session does when the user acts on the nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..spine import boxes as seeds
from .state import Change

if TYPE_CHECKING:
    from .results import SessionCore

NOTHING_THERE = "No vertebra was found there yet. Let go to look once more."


class Ears:
    """The session's side of `ports.SceneListener`."""

    def __init__(self, session: SessionCore) -> None:
        self._session = session

    def box_moving(self) -> None:
        """Say what letting go would do, and let the worker get ready for it."""
        session = self._session
        session._preview = self._sentence()
        session._warm()
        session._tell(Change.PREVIEW)

    def box_released(self) -> None:
        """Count again."""
        self._session._preview = ""
        self._session._tell(Change.PREVIEW, Change.BOX)
        self._session._recount_from_box()

    def box_removed(self) -> None:
        """The rest of the result stays as it is."""
        self._session._preview = ""
        self._session._recount_wanted = False
        self._session._tell(Change.PREVIEW, Change.BOX, Change.STATE)

    def volume_removed(self, volume: str) -> None:
        """What was stored for it goes too; without the chosen one nothing is left to work on."""
        session = self._session
        session._shelf.pop(volume, None)
        if volume == session._volume:
            self._drop("The scan was removed from the scene.")
        else:
            session._runner.keep_only(session._folders())

    def scene_closed(self) -> None:
        """As if nothing had been there."""
        self._session._shelf.clear()
        self._drop("")

    def result_removed(self) -> None:
        """The scan can be segmented again."""
        self._session._stop()
        self._session._forget_result()
        self._session._tell(Change.RESULT, Change.STATE, Change.BOX)

    def scene_loaded(self) -> None:
        """Take up a result that has come with the file, if it is the chosen volume's."""
        session = self._session
        if session._result is None:
            session._take_up()
        session._tell(Change.RESULT, Change.STATE, Change.BOX, Change.VOLUME)

    def _drop(self, sentence: str) -> None:
        session = self._session
        session._stop()
        session._forget_result()
        session._volume = None
        session._scene.watch_volume(None)
        session._runner.say(sentence)
        session._tell(Change.VOLUME, Change.STATE, Change.RESULT, Change.BOX, Change.PROGRESS)

    def _sentence(self) -> str:
        session = self._session
        if session._volume is None or session._result is None:
            return "Let go of the box on S1, the top of the sacrum, and segment the spine."
        try:
            box = session._scene.box(session._volume)
        except ValueError as error:
            return str(error)
        found = seeds.vertebra_in(session._result.spine, box) if box is not None else None
        if found is None:
            return NOTHING_THERE
        return f"Let go to make this vertebra S1 (now {found.name})."
