"""Progress and cancelling: what a long run tells its caller, and how the caller stops it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

ProgressCallback = Callable[[str, float, str], None]
"""Called with the stage's name, the fraction done of the whole run (0-1) and one plain sentence."""

CancelledCallback = Callable[[], bool]
"""Asked between pieces of work; True ends the run with `Cancelled`."""


class Cancelled(Exception):
    """The caller has asked the run to stop; nothing was written."""


class Stages:
    """The stages of one run: their share of the whole, their seconds, and the check for a cancel between them.

    Parameters
    ----------
    weights : mapping of str to float
        Expected share of the time for each stage, in the order in which they run; any positive scale.
    progress : callable, optional
        See `ProgressCallback`. The fractions that it gets never fall.
    cancelled : callable, optional
        See `CancelledCallback`.

    Attributes
    ----------
    seconds : dict of str to float
        Wall-clock seconds of each finished stage.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        progress: ProgressCallback | None = None,
        cancelled: CancelledCallback | None = None,
    ) -> None:
        total = sum(weights.values())
        self._share = {name: weight / total for name, weight in weights.items()}
        self._start = {}
        done = 0.0
        for name, share in self._share.items():
            self._start[name] = done
            done += share
        self._progress = progress
        self._cancelled = cancelled
        self._latest = 0.0
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, sentence: str) -> Iterator[Callable[[float, str], None]]:
        """Run one stage; yields a function that takes the fraction of this stage (0-1) and a sentence.

        Raises
        ------
        Cancelled
            At the start, at each call of that function, and at the end, if the caller has cancelled.
        """

        def report(fraction: float, message: str = sentence) -> None:
            self.check()
            whole = self._start[name] + self._share[name] * min(max(fraction, 0.0), 1.0)
            self._latest = max(self._latest, min(whole, 1.0))
            if self._progress is not None:
                self._progress(name, self._latest, message)

        began = time.perf_counter()
        report(0.0)
        yield report
        self.check()
        self.seconds[name] = time.perf_counter() - began

    def check(self) -> None:
        """Raise `Cancelled` if the caller has cancelled."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
