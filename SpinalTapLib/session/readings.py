"""Readings: what a face reads of a session. All of it is computed when it is asked for, and changes nothing."""

from __future__ import annotations

from ..spine.summary import Row, rows_of, warnings_of
from . import provenance as about
from .availability import Permits
from .jobs import Runner
from .ports import Worker
from .state import Failure, Progress, Result, Settings, State


class Readings(Permits):
    """The properties of `session.Session`, beside its permits."""

    settings: Settings
    _worker: Worker
    _runner: Runner
    _failure: Failure | None
    _preview: str

    @property
    def state(self) -> State:
        """Where the session stands."""
        if self._runner.job is not None:
            return State.RUNNING
        if self._failure is not None:
            return State.FAILED
        if self._volume is None:
            return State.EMPTY
        return State.READY if self._result is None else State.DONE

    @property
    def volume(self) -> str | None:
        """Node ID of the chosen volume, or None."""
        return self._volume

    @property
    def progress(self) -> Progress:
        """Fraction and sentence of the running command; the sentence of the last one when none runs."""
        return self._runner.progress

    @property
    def failure(self) -> Failure | None:
        """Why the last command failed, or None."""
        return self._failure

    @property
    def result(self) -> Result | None:
        """The result in the scene, or None."""
        return self._result

    @property
    def rows(self) -> tuple[Row, ...]:
        """The results table, from the top vertebra down as on a sagittal image."""
        return rows_of(self._result.spine) if self._result is not None else ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Plain sentences about the result (no S1 or C2 in view, low confidence, ...)."""
        return warnings_of(self._result.spine) if self._result is not None else ()

    @property
    def preview(self) -> str:
        """One sentence while the S1 box is dragged ("Let go to make this vertebra S1"), else an empty text."""
        return self._preview

    @property
    def box_is_shown(self) -> bool:
        """True if there is an S1 box and it is visible."""
        return self._volume is not None and self._scene.box_is_shown(self._volume)

    @property
    def is_shown_3d(self) -> bool:
        """True if the surfaces are visible in 3-D."""
        return self._volume is not None and self._result is not None and self._scene.is_shown_3d(self._volume)

    @property
    def log(self) -> str:
        """Versions, device, weights, the last command and the last lines of the worker's log, as one text."""
        return about.log_text(self._result, self._failure, self.settings, self.progress, self._worker.log_tail())
