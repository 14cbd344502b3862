"""The progress sentence: what the running request does and for how long, or what became of the last one."""

from __future__ import annotations

import time

from .state import Progress

SLOW_S = 3.0
"""From this time on the sentence tells the seconds, so that a long step does not look like a standstill."""


class StatusLine:
    """Words the progress of one request after another."""

    def __init__(self) -> None:
        self._shown = Progress()
        self._began: float | None = None  # None: nothing runs

    @property
    def progress(self) -> Progress:
        """What to show now."""
        if self._began is None:
            return self._shown
        seconds = time.monotonic() - self._began
        if seconds < SLOW_S:
            return self._shown
        return Progress(self._shown.fraction, f"{self._shown.sentence} ({seconds:.0f} s)")

    def begin(self, sentence: str) -> None:
        """A request was sent."""
        self._shown, self._began = Progress(0.0, sentence), time.monotonic()

    def advance(self, fraction: float, sentence: str) -> None:
        """The worker has told how far it is."""
        self._shown = Progress(fraction, sentence)

    def end(self, sentence: str, fraction: float = 0.0) -> None:
        """Nothing runs; `sentence` says what became of the last request."""
        self._shown, self._began = Progress(fraction, sentence), None
