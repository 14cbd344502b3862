"""Segment one scan of a batch, in whichever process it is sent to."""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import sentence_for
from ..options import Options
from .locks import locked
from .scans_in_folder import Scan
from .state import DONE, ELSEWHERE, EMPTY, FAILED, STATE_NAME, State, conditions, standing
from .tables import Row, row_of

GRACE_S = 60.0
"""How long after its time limit a process is ended that is stuck so deep that it cannot say so itself."""
_TIME_OUT_EXIT = 75

_log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Job:
    """A scan and all that is needed to segment it.

    Attributes
    ----------
    scan : Scan
        The scan, with absolute paths.
    output : Path
        Folder of all results, absolute.
    options : Options
        Options of the segmentation.
    surface_format : str
        One of `options.SURFACE_FORMATS`.
    conditions : mapping
        From `state.conditions`, where the run was started.
    run : str
        Identifier of the run.
    again : bool
        Whether to segment a scan that another run has done.
    limit_s : float or None
        Time limit, s.
    """

    scan: Scan
    output: Path
    options: Options
    surface_format: str
    conditions: Mapping[str, Any]
    run: str
    again: bool = False
    limit_s: float | None = None

    @property
    def folder(self) -> Path:
        """The result folder of the scan."""
        return self.output / self.scan.name

    def made_with(self) -> dict[str, Any]:
        """Return what the result depends on: the conditions and the present scan."""
        return {**self.conditions, "scan": self.scan.stamp()}

    def standing(self) -> str:
        """Return why the scan need not be segmented, as `state.standing` does."""
        return standing(self.folder, self.made_with(), self.run, self.again)

    def state(self, outcome: str) -> State:
        """Return the state of the scan with an outcome."""
        return State(str(self.scan.path), outcome, self.made_with(), self.run, self.scan.series)

    def row(self, outcome: str) -> Row:
        """Return a row of the scan with an outcome."""
        return Row(str(self.scan.path), str(self.folder), outcome, series=self.scan.series or "")

    def fail(self, sentence: str, seconds: float = 0.0) -> Row:
        """Store that the scan has failed, if the disk allows it, and return its row. Other files stay as they are."""
        state = replace(self.state(FAILED), message=sentence, seconds=round(seconds, 1))
        with suppress(ValueError):
            state.write(self.folder)
        return replace(self.row(FAILED), message=sentence, seconds=state.seconds)


class UnfitWorker(ValueError):
    """Raised on a worker whose installation differs from the one that started the run."""


def prepare_process() -> None:
    """Let this process end at once when it is told to, in the middle of a computation too."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def segment_job(job: Job, segment: Callable[..., Any] | None = None) -> Row:
    """Segment a scan into its result folder and return its row; a failure gives a row, not an exception.

    Parameters
    ----------
    job : Job
        The scan.
    segment : callable, optional
        `result_folder.segment_file`, or another function with its parameters.

    Raises
    ------
    UnfitWorker
        If the installation differs from the one that started the run.
    """
    from ..result_folder import segment_file

    _check_installation(job)
    with _one_at_a_time, locked(job.output, job.scan.name, wait=False) as is_free:
        if not is_free:
            return job.row(ELSEWHERE)
        if job.standing():  # done by another run, or by this one, in a process that ended before it could answer
            return row_of(job.folder) or job.row(DONE)
        with _time_limit(job):
            return _segmented(job, segment or segment_file)


def _segmented(job: Job, segment: Callable[..., Any]) -> Row:
    began = time.perf_counter()
    try:
        spine = segment(
            job.scan.path,
            job.folder,
            series=job.scan.series,
            files=job.scan.files,
            options=job.options,
            surface_format=job.surface_format,
            extra={STATE_NAME: job.state(DONE).content()},
        )
        if not spine.vertebrae:
            replace(job.state(EMPTY), seconds=round(time.perf_counter() - began, 1)).write(job.folder)
    except Exception as error:  # whatever the error, the other scans go on
        _log.debug("A scan of the batch has failed", exc_info=True)
        return job.fail(sentence_for(error), time.perf_counter() - began)
    return row_of(job.folder) or job.fail("The result was removed as soon as it was written; segment the scan again.")


@contextmanager
def _time_limit(job: Job) -> Iterator[None]:
    """Store a failure and end the process if a `with` block takes longer than the time limit of the scan."""
    if job.limit_s is None:
        yield
        return
    limit_s = job.limit_s

    def give_up() -> None:
        allowed = f"{limit_s / 60:g} minutes" if limit_s >= 60 else f"{limit_s:g} seconds"
        job.fail(f"The scan took longer than its time limit of {allowed}; allow more with --time-limit.", limit_s)
        os._exit(_TIME_OUT_EXIT)

    timer = threading.Timer(limit_s, give_up)
    timer.daemon = True
    with Path(os.devnull).open("w") as nowhere:
        timer.start()
        faulthandler.dump_traceback_later(limit_s + GRACE_S, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            timer.cancel()


def _check_installation(job: Job) -> None:
    where = f"worker on {platform.node()}"
    try:
        own = conditions(job.options, job.surface_format)
    except ValueError as error:
        raise UnfitWorker(f"On the {where}: {error}") from None
    if own["version"] != job.conditions["version"]:
        raise UnfitWorker(
            f"The {where} has SpinalTap {__version__}, but the run was started with {job.conditions['version']}; "
            "install the same version on all workers."
        )
    if own["weights"] != job.conditions["weights"]:
        raise UnfitWorker(f"The {where} has other weights than the run was started with; install the same everywhere.")
