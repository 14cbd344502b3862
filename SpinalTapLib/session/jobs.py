"""Send requests to the worker, one at a time, and turn its messages into progress, a result or a failure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corrections import Count
from ..errors import sentence_for
from ..files.changes_file import edit_out
from ..files.spine_codec import answer_of, seed_out
from ..options import Options
from ..worker import exchange
from ..worker.exchange import Result
from .ports import Worker
from .run_folders import RunFolders
from .state import Failure, Progress
from .status_line import StatusLine

if TYPE_CHECKING:
    from ..scans.volume import SagittalVolume
    from ..spine.vertebra import SeedBox

HEARTBEAT_S = 0.5
"""Longest time between two progress updates while a request runs: the seconds in the progress sentence keep counting
even while the worker is silent, for example while it loads its libraries."""


@dataclass(frozen=True)
class Purpose:
    """How a session handles the answer to a request.

    Attributes
    ----------
    fresh : bool
        True for a new segmentation, False for a recount.
    moved : bool
        True if the volume was moved after the previous result was made.
    adds : bool
        True if the request adds the vertebra in the box for a missed one.
    discard : mapping of str to str
        Hand edits to discard; see `ports.Scene.show`.
    """

    fresh: bool = False
    moved: bool = False
    adds: bool = False
    discard: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """The request that the worker is handling; its answer will be ``<answer>.json`` in `folder`."""

    number: int
    folder: Path
    answer: str
    purpose: Purpose


class Jobs:
    """Sends requests and turns the worker's messages into progress, a result or a failure.

    Parameters
    ----------
    worker : Worker
        The link to the worker process.

    Attributes
    ----------
    job : Job or None
        The request that the worker is handling. After an outcome it stays until `end` is called.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._folders = RunFolders()
        self._status = StatusLine()
        self._number = 0
        self._warmed: Path | None = None  # folder whose evidence the worker holds
        self._shapes: exchange.Shapes | None = None  # of the last answer; a recount has the same shapes
        self._last_news = 0.0
        self.job: Job | None = None

    @property
    def progress(self) -> Progress:
        """Progress of the job, or the outcome of the last one."""
        return self._status.progress

    def segment(self, volume: SagittalVolume, seed: SeedBox | None, options: Options, purpose: Purpose) -> None:
        """Send a volume to the worker; raise OSError if the disk is full, ValueError if the worker cannot start."""
        with self._folders.filled() as folder:
            exchange.write_volume(folder, volume)
            self._send("segment", folder, options, purpose, seed=seed_out(seed))
        self._status.begin("Starting")

    def recount(self, result: Result, count: Count, options: Options, purpose: Purpose) -> None:
        """Request a recount; with edits, the answer gets its own folder. Errors as for `segment`."""
        before = result.folder
        if before is None:
            raise ValueError("The levels of this stored result cannot be counted again; segment the volume again.")
        more = {
            "seed": seed_out(count.seed),
            "edits": [edit_out(edit) for edit in count.edits],
            "spine": answer_of(result.spine),
            "from": str(before),
        }
        if count.edits:
            with self._folders.filled() as folder:
                self._send("recount", folder, options, purpose, **more)
        else:
            self._send("recount", before, options, purpose, **more)
        self._status.begin("Counting again")

    def warm(self, folder: Path) -> None:
        """Have an idle worker load what a recount needs; repeated calls cost nothing."""
        if self.job is None and self._warmed != folder:
            self._number += 1
            self._worker.send({"id": self._number, "command": "warm", "folder": str(folder)})
            self._warmed = folder

    def cancel(self) -> None:
        """Stop the job, if there is one, by ending the worker and its children."""
        if self.job is not None:
            self._worker.kill()
            self._warmed = None
            self.end("Cancelled; the scene is as it was.")

    def poll(self) -> tuple[bool, Result | Failure | None]:
        """Process messages; return whether anything changed, and the outcome of the job if it has ended."""
        messages = self._worker.receive()
        for message in messages:
            outcome = self._take(message)
            if outcome is not None:
                return True, outcome
        news = self.job is not None and (bool(messages) or time.monotonic() - self._last_news >= HEARTBEAT_S)
        if news:
            self._last_news = time.monotonic()
        return news, None

    def end(self, sentence: str, fraction: float = 0.0) -> None:
        """End the job; `sentence` describes its outcome."""
        self.job = None
        self._status.end(sentence, fraction)

    def say(self, sentence: str) -> None:
        """Show a sentence, unless a job runs."""
        if self.job is None:
            self._status.end(sentence)

    def new_folder(self) -> Path:
        """Create an exchange folder; raise OSError if that fails."""
        return self._folders.new()

    def keep_only(self, results: Iterable[Result | None]) -> None:
        """Remove the exchange folders of all other results."""
        wanted = {result.folder for result in results if result is not None and result.folder is not None}
        self._folders.keep_only(wanted | ({self.job.folder} if self.job is not None else set()))

    def close(self) -> None:
        """End the worker and remove all exchange folders."""
        self.job = self._shapes = None
        self._worker.close()
        self._folders.close()

    def _send(self, command: str, folder: Path, options: Options, purpose: Purpose, **more: Any) -> None:
        self._number += 1
        job = Job(self._number, folder, f"answer-{self._number}", purpose)
        request = {"id": job.number, "command": command, "folder": str(folder), "answer": job.answer}
        self._worker.send({**request, "settings": asdict(options), **more})
        self.job, self._warmed = job, folder

    def _take(self, message: Mapping[str, Any]) -> Result | Failure | None:
        job, event = self.job, message.get("event")
        if event == "died":
            self._warmed = None
        if job is None or (event != "died" and message.get("id") != job.number):
            return None  # belongs to a cancelled request or to `warm`
        if event == "progress":
            self._status.advance(float(message["fraction"]), str(message["sentence"]))
        elif event == "done":
            return self._answer(job)
        elif event in ("failed", "died"):
            return Failure(str(message["sentence"]), self._worker.log_tail())
        return None

    def _answer(self, job: Job) -> Result | Failure:
        try:
            if self._shapes is None or self._shapes.folder != job.folder:
                self._shapes = exchange.read_shapes(job.folder)
            return exchange.read_answer(self._shapes, job.answer)
        except (ValueError, OSError, MemoryError) as error:
            return Failure(sentence_for(error), self._worker.log_tail())
