"""Report the progress of a long run to its caller, and let the caller cancel it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

ProgressCallback = Callable[[str, float, str], None]
"""Called with the stage's name, the completed fraction of the whole run (0-1) and one plain sentence."""

CancelledCallback = Callable[[], bool]
"""Called between pieces of work; True stops the run with `Cancelled`."""


class Cancelled(Exception):
    """Raised when the caller has cancelled a run; nothing was written."""


class Stages:
    """The stages of one run: report their progress, measure their time, and check for cancellation.

    Parameters
    ----------
    weights : mapping of str to float
        Expected relative time of each stage, in the order in which they run; any positive scale.
    progress : callable, optional
        See `ProgressCallback`. The reported fractions never decrease.
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
        """Run one stage in a `with` block; yield a function that reports its fraction done (0-1) and a sentence.

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
