"""The progress sentence: the current step and its duration, or the outcome of the last request."""

from __future__ import annotations

import time

from .state import Progress

SLOW_S = 3.0
"""After this time the sentence includes the seconds, so that a long step does not look stuck."""


class StatusLine:
    """Builds the progress sentence of each request."""

    def __init__(self) -> None:
        self._shown = Progress()
        self._began: float | None = None  # None: nothing runs

    @property
    def progress(self) -> Progress:
        """Progress to show now."""
        if self._began is None:
            return self._shown
        seconds = time.monotonic() - self._began
        if seconds < SLOW_S:
            return self._shown
        return Progress(self._shown.fraction, f"{self._shown.sentence} ({seconds:.0f} s)")

    def begin(self, sentence: str) -> None:
        """Start the clock for a new request."""
        self._shown, self._began = Progress(0.0, sentence), time.monotonic()

    def advance(self, fraction: float, sentence: str) -> None:
        """Update the progress of the request."""
        self._shown = Progress(fraction, sentence)

    def end(self, sentence: str, fraction: float = 0.0) -> None:
        """Stop the clock; `sentence` describes the outcome of the request."""
        self._shown, self._began = Progress(fraction, sentence), None
