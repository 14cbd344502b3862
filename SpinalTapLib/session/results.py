"""The core of a session: what it knows, whom it tells, and what it does with the worker's and the scene's news."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import sentence_for
from ..spine.summary import summary
from ..spine.vertebra import SeedBox
from . import provenance as about
from .history import latest
from .jobs import Runner
from .ports import Face, Scene, Worker
from .readings import Readings
from .s1_box import Marks
from .scene_events import Ears
from .state import Change, EditAnswer, Failure, Result, Settings, State

_POLL_S = 0.02  # how often a script that waits looks for news

_log = logging.getLogger(__name__)


class SessionCore(Readings):
    """All of `session.Session` but the commands."""

    def __init__(self, scene: Scene, worker: Worker, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._scene = scene
        self._worker = worker
        self._runner = Runner(worker)
        self._marks = Marks(scene)
        self._faces: list[Face] = []
        self._volume: str | None = None
        self._result: Result | None = None
        self._history: list[Result] = []
        self._shelf: dict[str, tuple[Result | None, list[Result]]] = {}  # results of the volumes not chosen now
        self._failure: Failure | None = None
        self._preview = ""
        self._recount_wanted = False
        scene.listen(Ears(self))

    # --- subscription and time ---------------------------------------------------------------------------

    def subscribe(self, face: Face) -> None:
        """Tell `face` about every change from now on."""
        if face not in self._faces:
            self._faces.append(face)

    def unsubscribe(self, face: Face) -> None:
        """Stop telling `face`; unknown faces are ignored."""
        if face in self._faces:
            self._faces.remove(face)

    def poll(self) -> None:
        """Take in what the worker has sent. Call it every 50-100 ms on the thread that owns the scene."""
        news, outcome = self._runner.poll()
        if isinstance(outcome, Result):
            self._finish(outcome)
        elif outcome is not None:
            self._fail(outcome)
        elif news:
            self._tell(Change.PROGRESS)

    def wait(self, timeout_s: float = 600.0) -> State:
        """Poll until nothing runs, for scripts and tests; raise TimeoutError after `timeout_s` seconds."""
        end = time.monotonic() + timeout_s
        while self.state is State.RUNNING:
            if time.monotonic() > end:
                raise TimeoutError(f"The segmentation has not ended within {timeout_s:g} s; it is still running.")
            time.sleep(_POLL_S)
            self.poll()
        return self.state

    def close(self) -> None:
        """End the worker, stop listening to the scene and remove temporary files. Closing twice is fine."""
        self._scene.listen(None)
        self._scene.watch_volume(None)
        self._runner.close()
        self._faces.clear()
        self._shelf.clear()
        self._volume = self._result = self._failure = None
        self._history = []

    # --- results -----------------------------------------------------------------------------------------

    def _finish(self, result: Result) -> None:
        """Put the worker's answer into the scene."""
        job = self._runner.job
        notes: dict[str, Any] = job.notes if job is not None else {}
        result = self._with_origin(result)
        self._runner.done(summary(result.spine))
        first = self._result is None
        if not self._show(result, notes):
            return
        if notes.get("moved"):
            self._history = []  # those results lie where the scan was
        elif self._result is not None:
            self._history = latest([*self._history, self._result])
        self._result, self._failure = result, None
        if notes.get("added") or notes["fresh"]:
            self._scene.place_new_box(str(self._volume), None)
        dragged_meanwhile, self._recount_wanted = self._recount_wanted, False
        if not dragged_meanwhile:
            self._marks.put(self._volume, result)
        if first and result.spine.vertebrae:
            self._scene.show_3d(str(self._volume), True)
            self._scene.jump(result.spine.vertebrae[len(result.spine.vertebrae) // 2].centroid_lps_mm)
        self._runner.keep_only(self._folders())
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.PROGRESS)
        if dragged_meanwhile:
            self._recount_from_box()

    def _show(self, result: Result, notes: Mapping[str, Any]) -> bool:
        """Show a result in the scene; if that fails, the scene is as it was, and the failure is told."""
        try:
            origin = about.provenance(result, self.settings)
            self._scene.show(str(self._volume), result, origin, notes["fresh"], notes.get("discard") or {})
            return True
        except Exception as error:  # whatever it is: the user gets a sentence, the log the rest
            _log.exception("The result could not be put into the scene")
            self._fail(Failure(f"The result could not be put into the scene. {sentence_for(error)}", repr(error)))
            return False

    def _with_origin(self, result: Result) -> Result:
        """Return a recount with the model and device of the run that it goes back to."""
        if result.spine.model or self._result is None:
            return result
        before = self._result.spine
        seconds = {**before.seconds, **result.spine.seconds}
        return replace(result, spine=replace(result.spine, model=before.model, device=before.device, seconds=seconds))

    def _recount(self, seed: SeedBox | None) -> None:
        """Let the worker count again."""
        self._start(lambda result: self._runner.reseed(result, seed, self.settings, {"fresh": False}))

    def _start(self, send: Callable[[Result], None]) -> None:
        """Send the worker a change of the present result."""
        if self._result is None:
            return
        self._failure = None
        try:
            send(self._result)
        except (ValueError, OSError) as error:
            self._fail(Failure(sentence_for(error)))
            return
        self._tell(Change.STATE, Change.PROGRESS)

    def _recount_from_box(self) -> None:
        """Count again from where the box was let go; one that is let go while the worker works comes next."""
        if self._runner.job is not None:
            self._recount_wanted = True
        elif self._volume is not None and self._result is not None and not self._no_recount():
            try:
                box = self._scene.box(self._volume)
            except ValueError as error:
                self._fail(Failure(str(error)))
                return
            if box is not None:
                self._recount(box)

    def _warm(self) -> None:
        """Let the worker get ready for a recount."""
        if self._result is not None and self._result.folder is not None:
            with contextlib.suppress(ValueError):  # it will be told when the recount is asked for
                self._runner.warm(self._result.folder)

    def _fail(self, failure: Failure) -> None:
        self._recount_wanted = False
        job = self._runner.job
        self._runner.done("", 0.0)
        if job is None or not job.notes["fresh"]:
            self._marks.put_back(self._volume, self._result)
        self._failure = failure
        self._runner.keep_only(self._folders())
        self._tell(Change.STATE, Change.PROGRESS)

    def _stop(self) -> None:
        self._recount_wanted = False
        job = self._runner.job
        self._runner.cancel()
        if job is not None and not job.notes["fresh"]:
            self._marks.put_back(self._volume, self._result)
        self._runner.keep_only(self._folders())

    def _restore(self, volume: str) -> None:
        """Take up the result that a loaded scene holds."""
        try:
            self._result = self._scene.restore(volume, self._runner.new_folder())
        except (ValueError, OSError) as error:
            _log.warning("The stored result was not taken up: %s", error)
            self._runner.say(sentence_for(error))
            return
        if self._result is not None:
            self._runner.say(summary(self._result.spine))

    def _take_up(self) -> None:
        """Take up the result that the scene holds for the chosen volume, in place of the one known so far."""
        if self._volume is None or self._runner.job is not None:
            return
        self._forget_result()
        self._scene.watch_volume(self._volume)
        self._restore(self._volume)
        self._runner.keep_only(self._folders())

    def _folders(self) -> list[Any]:
        shelved = [r for result, history in self._shelf.values() for r in (result, *history)]
        return [r.folder for r in (self._result, *self._history, *shelved) if r is not None]

    def _forget_result(self) -> None:
        self._result, self._history, self._failure, self._preview = None, [], None, ""

    def _ask_about_edits(self, volume: str) -> Mapping[str, str] | None:
        """Return the hand edits to discard, or None if the user wants to cancel; without a face, none is discarded."""
        edits = self._scene.edited_segments(volume)
        if not edits or not self._faces:
            return {}
        answer = self._faces[0].ask_about_edits(tuple(edits))
        return None if answer is EditAnswer.CANCEL else edits if answer is EditAnswer.DISCARD else {}

    def _tell(self, *changes: Change) -> None:
        for change in changes:
            for face in tuple(self._faces):
                face.session_changed(change)
