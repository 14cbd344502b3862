"""Run a batch: leave out what is done, give the rest to an engine, and hand over each row as it comes."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..files.atomic import check_writable, remove_leftovers
from ..options import Options
from .bids import begin_derivative
from .engines import TRIES, Engine
from .scans_in_folder import FoundScans, Scan
from .state import conditions
from .tables import Row, check_tables
from .work import Job

LOOK_AGAIN_S = 0.5
"""Longest wait for a result before the caller is asked again, so that it can show the time and hear Ctrl+C."""


@dataclass(frozen=True)
class Part:
    """One of several equal parts of the scans.

    Attributes
    ----------
    number, count : int
        The part, counted from 1, and the number of parts.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(
                f"A part is K/N with K from 1 to N, such as 3/20; got {self.number}/{self.count}."
            )

    def of(self, scans: Sequence[Scan]) -> Sequence[Scan]:
        """Return every `count`-th scan, so that neighbours, which are often alike, go to different parts."""
        return scans[self.number - 1 :: self.count]


@dataclass(frozen=True)
class Plan:
    """What a run does with every scan.

    Attributes
    ----------
    output : Path
        Folder of all results.
    options : Options
        Options of the segmentation.
    surface_format : str
        One of `options.SURFACE_FORMATS`.
    again : bool
        Whether to segment scans that are done.
    limit_s : float or None
        Time limit of a scan, s.
    part : Part
        Which scans.
    """

    output: Path
    options: Options
    surface_format: str = "stl"
    again: bool = False
    limit_s: float | None = None
    part: Part = Part()

    def jobs(self, found: FoundScans) -> list[Job]:
        """Return the jobs of this run, in the order of the scans' names, and prepare the output folder.

        Raises
        ------
        ValueError
            If weights are missing, or the output folder cannot be written or holds tables or data of others.
        """
        output = self.output.resolve()
        made_with, run = conditions(self.options, self.surface_format), uuid.uuid4().hex
        check_writable(output)
        check_tables(output)
        if found.bids:
            begin_derivative(output, found.source)
        return [
            Job(scan, output, self.options, self.surface_format, made_with, run, self.again, self.limit_s)
            for scan in self.part.of(found.scans)
        ]


def split(jobs: Sequence[Job]) -> tuple[list[Job], list[Row]]:
    """Return the jobs that are to be done, and the rows of those that need not be."""
    reasons = [job.standing() for job in jobs]
    rows = [job.row(reason) for job, reason in zip(jobs, reasons) if reason]
    return [job for job, reason in zip(jobs, reasons) if not reason], rows


def run_jobs(jobs: Sequence[Job], engine: Engine) -> Generator[Row | None, None, None]:
    """Have jobs done, and yield the row of each as it comes; None from time to time while there is none.

    A few jobs are submitted ahead, so that memory does not grow with their number. The engine is closed at the end,
    and at once if the caller closes this iterator or an exception ends it; what is done then stays done.
    """
    running: dict[Future[Row], tuple[Job, int]] = {}
    try:
        yield from _rows(iter(jobs), engine, running)
    except BaseException:
        begun = [job for future, (job, _) in running.items() if future.running()]
        engine.close(now=True)
        for job in begun:
            remove_leftovers(job.folder)
        raise
    engine.close()


def _rows(jobs: Iterator[Job], engine: Engine, running: dict[Future[Row], tuple[Job, int]]) -> Iterator[Row | None]:
    while True:
        for job in islice(jobs, max(0, engine.waiting - len(running))):
            running[engine.submit(job)] = job, 1
        if not running:
            return
        finished, _ = wait(running, timeout=LOOK_AGAIN_S, return_when=FIRST_COMPLETED)
        if not finished:
            yield None
        for future in [future for future in running if future in finished]:  # in the order of the scans
            job, tries = running.pop(future)
            error = _error_of(future)
            if error is None:
                yield future.result()
            elif isinstance(error, engine.lost) and tries < TRIES:
                running[engine.submit(job)] = job, tries + 1
            else:
                remove_leftovers(job.folder)
                yield job.fail(engine.sentence(error))


def _error_of(future: Future[Row]) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:  # a cluster that is gone cancels what it was given
        return error
