"""Runner: one request at a time to the worker, its exchange folders, and what comes of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import sentence_for
from ..files.spine_codec import answer_of, seed_out
from ..worker import exchange
from .ports import Worker
from .state import Failure, Progress, Result, Settings

if TYPE_CHECKING:
    from ..scans.volume import SagittalVolume
    from ..spine.vertebra import SeedBox

HEARTBEAT_S = 0.5
"""After this time without a message there is news all the same: the seconds have moved on. A face that shows nothing
new for longer than a second seems to hang, and a process that loads its libraries cannot speak meanwhile."""

_PREFIX = "spinaltap-run-"  # of the folder that holds a process's exchange folders; its number follows

SLOW_S = 3.0
"""From this time on, the progress sentence tells the seconds, so that a long step does not look like a standstill."""


@dataclass
class Job:
    """A request that the worker is busy with.

    Attributes
    ----------
    kind : str
        The worker's command: ``"segment"``, ``"reseed"``, ``"drop"`` or ``"add"``.
    notes : dict
        Whatever the caller wants to find again when the job is done.
    """

    number: int
    kind: str
    folder: Path
    answer: str
    notes: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


class Runner:
    """Sends requests and turns the worker's messages into progress, a result or a failure.

    Parameters
    ----------
    worker : Worker
        The link to the worker process.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._number = 0
        self._home: Path | None = None
        self._step = Progress()
        self._warmed: Path | None = None
        self._shapes: exchange.Shapes | None = None  # of the last answer: a recount has the same
        self._last_news = 0.0
        self.job: Job | None = None

    @property
    def progress(self) -> Progress:
        """How far the job is."""
        if self.job is None:
            return self._step
        seconds = time.monotonic() - self.job.began
        more = f" ({seconds:.0f} s)" if seconds >= SLOW_S else ""
        return Progress(self._step.fraction, self._step.sentence + more)

    def new_folder(self) -> Path:
        """Make an exchange folder; raise OSError if there is no place for it."""
        if self._home is None:
            remove_stale_homes(Path(tempfile.gettempdir()))
            self._home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
            self._cleaner = weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._home))

    def keep_only(self, folders: Iterable[Path | None]) -> None:
        """Remove the exchange folders that nothing needs any more."""
        wanted = {folder for folder in folders if folder is not None}
        for folder in self._home.iterdir() if self._home is not None else ():
            if folder not in wanted and (self.job is None or folder != self.job.folder):
                shutil.rmtree(folder, ignore_errors=True)

    def segment(self, volume: SagittalVolume, seed: SeedBox | None, settings: Settings, notes: dict[str, Any]) -> None:
        """Send a volume to the worker; raise OSError if the disk is full, ValueError if the worker cannot start."""
        folder = self.new_folder()
        with _removed_on_failure(folder):
            exchange.write_volume(folder, volume)
            self._send("segment", folder, settings, notes, seed=seed_out(seed))

    def reseed(self, result: Result, seed: SeedBox | None, settings: Settings, notes: dict[str, Any]) -> None:
        """Ask for a recount of a result that has an exchange folder."""
        self._send("reseed", _folder_of(result), settings, notes, seed=seed_out(seed))

    def drop(self, result: Result, index: int, settings: Settings, notes: dict[str, Any]) -> None:
        """Ask for a recount without the vertebra ``result.spine.vertebrae[index]``."""
        self._edit("drop", result, settings, notes, index=index)

    def add(self, result: Result, box: SeedBox, settings: Settings, notes: dict[str, Any]) -> None:
        """Ask for a recount with one more vertebra, whose body is in a box."""
        self._edit("add", result, settings, notes, box=seed_out(box))

    def warm(self, folder: Path) -> None:
        """Let the worker get ready for a recount, if it has nothing else to do; asking again costs nothing."""
        if self.job is None and self._warmed != folder:
            self._number += 1
            self._worker.send({"id": self._number, "command": "warm", "folder": str(folder)})
            self._warmed = folder

    def cancel(self) -> None:
        """Stop the job by ending the worker and its children."""
        job, self.job = self.job, None
        if job is not None:
            self._worker.kill()
            self._warmed = None
            self._step = Progress(0.0, "Cancelled; the scene is as it was.")

    def poll(self) -> tuple[bool, Result | Failure | None]:
        """Take in messages; return whether there was news, and what the job came to, if it has ended.

        The job stays in `job` until `done` is called, so that its notes can be read.
        """
        messages = self._worker.receive()
        for message in messages:
            outcome = self._take(message)
            if outcome is not None:
                return True, outcome
        news = self.job is not None and (bool(messages) or time.monotonic() - self._last_news >= HEARTBEAT_S)
        if news:
            self._last_news = time.monotonic()
        return news, None

    def done(self, sentence: str, fraction: float = 1.0) -> None:
        """Forget the job; `sentence` is what there is to say about it."""
        self.job = None
        self._step = Progress(fraction, sentence)

    def say(self, sentence: str) -> None:
        """Say something while no job runs."""
        if self.job is None:
            self._step = Progress(0.0, sentence)

    def close(self) -> None:
        """End the worker and remove all exchange folders."""
        self.job = self._shapes = None
        self._worker.close()
        if self._home is not None:
            with contextlib.suppress(OSError):
                self._cleaner()
            self._home = None

    def _edit(self, kind: str, result: Result, settings: Settings, notes: dict[str, Any], **more: Any) -> None:
        """Send a change of the evidence; the answer goes into a folder of its own."""
        before, folder = _folder_of(result), self.new_folder()
        more.update({"from": str(before), "spine": answer_of(result.spine)})
        with _removed_on_failure(folder):
            self._send(kind, folder, settings, notes, **more)

    def _send(self, kind: str, folder: Path, settings: Settings, notes: dict[str, Any], **more: Any) -> None:
        self._number += 1
        job = Job(self._number, kind, folder, f"answer-{self._number}", notes)
        request = {"id": job.number, "command": kind, "folder": str(folder), "answer": job.answer}
        self._worker.send({**request, "settings": asdict(settings), **more})
        self.job, self._warmed = job, folder
        self._step = Progress(0.0, "Starting" if kind == "segment" else "Counting again")

    def _take(self, message: Mapping[str, Any]) -> Result | Failure | None:
        job, event = self.job, message.get("event")
        if event == "died":
            self._warmed = None
        if job is None or (event != "died" and message.get("id") != job.number):
            return None  # of a request that nobody waits for any more
        if event == "progress":
            self._step = Progress(float(message["fraction"]), str(message["sentence"]))
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


def _folder_of(result: Result) -> Path:
    if result.folder is None:
        raise ValueError("This result holds nothing to count again from; segment the volume again.")
    return result.folder


@contextlib.contextmanager
def _removed_on_failure(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_stale_homes(folder: Path) -> None:
    """Remove the exchange folders that a crashed application left in `folder`: they hold a patient's scan."""
    if os.name != "posix":
        return  # Windows has no harmless way to ask after a process
    for home in folder.glob(f"{_PREFIX}*-*"):
        number = home.name[len(_PREFIX) :].partition("-")[0]
        try:
            os.kill(int(number), 0)
        except (ProcessLookupError, OverflowError):
            shutil.rmtree(home, ignore_errors=True)
        except (ValueError, OSError):
            continue  # no folder of ours, or another user's process
