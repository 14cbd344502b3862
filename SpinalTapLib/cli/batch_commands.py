"""The commands for many scans: batch, summary."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import Console
from .segment_commands import add_run, given, options_of

if TYPE_CHECKING:
    from ..batch.engines import Engine
    from ..batch.run import Part
    from ..batch.tables import Row

FAILURES, CANCELLED = 1, 130


def add_commands(commands: Any) -> None:
    """Add the commands of this file to the parser's sub-commands."""
    batch = commands.add_parser("batch", help="segment every scan in a folder, on this machine or on a cluster")
    batch.add_argument("folder", type=given, metavar="FOLDER", help="scans, DICOM studies, or a BIDS data set")
    text = "folder for the results: one folder per scan, batch.csv and vertebrae.csv"
    batch.add_argument("--output", type=given, required=True, metavar="DIR", help=text)
    batch.add_argument("--suffix", default="", metavar="A,B", help="BIDS suffixes to segment (default: T1w,T2w)")
    _add_engine(batch)
    which = batch.add_mutually_exclusive_group()
    which.add_argument("--resume", action="store_true", help="skip scans that are done in the same way (the default)")
    which.add_argument("--again", action="store_true", help="also segment scans that already have a result")
    batch.add_argument("--part", default="1/1", metavar="K/N", help="segment only the K-th of N equal parts")
    text = "stop a scan after this many minutes, or never: off (default: 60)"
    batch.add_argument("--time-limit", default="60", metavar="MINUTES|off", help=text)
    batch.add_argument("--strict", action="store_true", help="exit with code 1 if a scan has failed")
    batch.add_argument("--json", action="store_true", help="print one line of JSON for each event")
    add_run(batch)
    batch.set_defaults(run=run_batch)

    summary = commands.add_parser("summary", help="rebuild the tables of a batch from its result folders")
    summary.add_argument("folder", type=given, metavar="RESULTS", help="the output folder of batch")
    summary.set_defaults(run=run_summary)


def _add_engine(batch: argparse.ArgumentParser) -> None:
    where = batch.add_mutually_exclusive_group()
    text = "processes on this machine (default: auto, by cores and free memory)"
    where.add_argument("--jobs", default="auto", metavar="auto|N", help=text)
    where.add_argument("--scheduler", type=given, metavar="ADDRESS|FILE", help="run on this Dask cluster")
    text = "resources of a Dask worker that each scan needs, such as GPU=1"
    batch.add_argument("--resources", default="", metavar="NAME=N,...", help=text)


def run_batch(arguments: argparse.Namespace) -> int:
    """Segment every scan of a folder."""
    from ..batch.run import Plan, run_jobs, split
    from ..batch.scans_in_folder import find_scans, words
    from ..batch.tables import write_tables

    console = Console(quiet=arguments.quiet)
    output = Path(arguments.output)
    plan = Plan(
        output,
        options_of(arguments),
        arguments.surface_format,
        arguments.again,
        _limit_of(arguments.time_limit),
        _part_of(arguments.part),
    )
    found = find_scans(Path(arguments.folder), output, _listed(arguments.suffix))
    if found.left_out:
        console.line(f"Left out: {words(found.left_out)}.")
    jobs, done = split(plan.jobs(found))
    report = Report(console, len(jobs) + len(done), arguments.json)
    engine = _engine_of(arguments, len(jobs)) if jobs else None
    report.begin(engine, found.left_out)
    try:
        for row in done:
            report.row(row)
        if engine is not None:
            with closing(run_jobs(jobs, engine)) as rows:
                for finished in rows:
                    if finished is None:
                        report.time_passes()
                    else:
                        report.row(finished)
    except KeyboardInterrupt:
        report.cancelled(output)
        return CANCELLED
    counts = write_tables(output.resolve())
    report.end(output, counts)
    return FAILURES if arguments.strict and report.failures else 0


def run_summary(arguments: argparse.Namespace) -> int:
    """Make the tables of a folder of results."""
    from ..batch.tables import SUMMARY_NAME, VERTEBRAE_NAME, outcome_words, result_folders, write_tables

    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}; give the output folder of batch.")
    if next(result_folders(folder), None) is None:
        raise ValueError(f"There is no result of batch in {folder}; give the output folder of batch.")
    counts = write_tables(folder.resolve())
    print(f"{outcome_words(counts)}: {folder / SUMMARY_NAME}, {folder / VERTEBRAE_NAME}")
    return 0


def _engine_of(arguments: argparse.Namespace, count: int) -> Engine:
    """Return the engine for a number of scans."""
    from ..batch import engines

    resources = _resources_of(arguments.resources)
    if arguments.scheduler:
        return engines.Cluster(arguments.scheduler, resources)
    if resources:
        raise ValueError("--resources is for a Dask cluster: give its address too, with --scheduler.")
    return engines.Processes(min(engines.jobs_for(_jobs_of(arguments.jobs)), count))


def _jobs_of(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"--jobs takes auto or a whole number; got {text!r}.") from None


def _part_of(text: str) -> Part:
    from ..batch.run import Part

    number, slash, count = text.partition("/")
    try:
        return Part(int(number), int(count))
    except ValueError as error:
        if slash and number.strip("-").isdecimal() and count.strip("-").isdecimal():
            raise
        raise ValueError(f"--part takes K/N, such as 3/20; got {text!r}.") from error


def _limit_of(text: str) -> float | None:
    """Return the time limit in seconds."""
    if text == "off":
        return None
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < 1e6:
        raise ValueError(f"--time-limit takes off or a number of minutes above 0; got {text!r}.")
    return 60 * minutes


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _resources_of(listed: str) -> dict[str, float]:
    resources = {}
    for text in _listed(listed):
        name, _, number = text.partition("=")
        try:
            resources[name] = float(number)
        except ValueError:
            raise ValueError(f"--resources takes NAME=N, such as GPU=1; got {text!r}.") from None
    return resources


class Report:
    """Tells how a batch goes: a bar on the terminal and a line a scan, or one line of JSON for each event.

    Parameters
    ----------
    console : Console
        For the bar, failures and warnings.
    count : int
        Number of scans.
    as_json : bool
        Whether to print JSON to stdout, instead of plain lines.
    """

    def __init__(self, console: Console, count: int, as_json: bool) -> None:
        self._console, self._count, self._as_json = console, count, as_json
        self._outcomes: Counter[str] = Counter()
        self._began = time.monotonic()
        self._segmented = 0

    @property
    def failures(self) -> int:
        """Number of scans that failed."""
        return self._outcomes["failed"]

    def begin(self, engine: Engine | None, left_out: Mapping[str, int]) -> None:
        """Tell how many scans there are, and a cluster without workers."""
        self._event("start", scans=self._count, left_out=dict(left_out))
        if getattr(engine, "workers", 1) == 0:
            self._console.line("The cluster has no worker yet; the scans wait for one.")

    def row(self, row: Row) -> None:
        """Tell the outcome of a scan."""
        self._outcomes[row.outcome] += 1
        self._segmented += row.outcome in ("done", "no vertebra found", "failed")
        self._console.clear()
        if self._as_json:
            self._event("scan", **asdict(row))
        else:
            _print(f"{row.outcome:<20} {row.vertebrae:>3} vertebrae  {row.folder or row.scan}")
        for warning in row.warnings:
            self._console.warn(f"{row.scan}: {warning}")
        if row.message:
            self._console.line(f"{row.scan}: {row.message}")
        self._show_bar()

    def time_passes(self) -> None:
        """Update the time in the bar; a log has a line for each scan only."""
        if self._console.is_terminal:
            self._show_bar()

    def _show_bar(self) -> None:
        finished = sum(self._outcomes.values())
        self._console.progress("batch", finished / max(self._count, 1), self._bar(finished))

    def _bar(self, finished: int) -> str:
        minutes = (time.monotonic() - self._began) / 60
        parts = [f"{finished} of {self._count} scans", f"{self.failures} failed"]
        if self._segmented:
            rate = self._segmented / max(minutes, 1e-6)
            parts += [f"{rate:.1f} a minute", f"{_duration((self._count - finished) / rate)} left"]
        return ", ".join(parts)

    def cancelled(self, output: Path) -> None:
        """Tell that the run was interrupted."""
        finished = sum(self._outcomes.values())
        self._event("cancelled", finished=finished)
        self._console.line(
            f"Cancelled after {finished} of {self._count} scans; their results stay in {output}. The same command goes "
            f"on from here; spinaltap summary {output} makes the tables."
        )

    def end(self, output: Path, counts: Mapping[str, int]) -> None:
        """Tell where the tables are, and the outcomes of all the scans in them."""
        from ..batch.tables import SUMMARY_NAME, VERTEBRAE_NAME, outcome_words

        self._console.clear()
        tables = [str(output / name) for name in (SUMMARY_NAME, VERTEBRAE_NAME)]
        self._event("end", outcomes=dict(self._outcomes), in_tables=dict(counts), tables=tables)
        if not self._as_json:
            print(f"This run: {outcome_words(self._outcomes)}.")
            print(f"Summary: {tables[0]} and {VERTEBRAE_NAME} ({outcome_words(counts)})")

    def _event(self, kind: str, **facts: Any) -> None:
        if self._as_json:
            _print(json.dumps({"event": kind, **facts}))


def _print(line: str) -> None:
    """Print a line at once, even if it has the name of a file that is not valid UTF-8."""
    print(line.encode("utf-8", "replace").decode("utf-8"), flush=True)


def _duration(minutes: float) -> str:
    """Return a duration in words: ``"3 h 20 min"``."""
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
