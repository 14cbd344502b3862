"""Start the worker process, send it requests, receive its messages, and end it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import sentence_for_exit
from .processes import KILL_WAIT_S, end_tree, environment, own_group


class WorkerLink:
    """The parent's end of a worker process, which starts on the first request (see `ports.Worker`).

    Parameters
    ----------
    python : str, optional
        Python executable; the running one by default, inside 3D Slicer, ``scene.worker_python()``.
    arguments : sequence of str
        More arguments for ``SpinalTapLib.worker``.
    """

    def __init__(self, python: str | None = None, arguments: Sequence[str] = ()) -> None:
        self._python = python or sys.executable
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[str] | None = None
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._log_file: Path | None = None

    @property
    def pid(self) -> int | None:
        """Process ID, or None if no process runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request, starting the process if it does not run; raise ValueError if it cannot be started."""
        if self.pid is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        # If the process has died, `receive` reports why; the error of the broken pipe would not help.
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have come since the last call, without waiting; see `ports.Worker`."""
        ended = self._process is not None and self._process.poll() is not None
        if ended:
            self._reader.join(KILL_WAIT_S)  # deliver its last messages first
        messages = []
        with contextlib.suppress(queue.Empty):
            while True:
                messages.append(self._messages.get_nowait())
        if ended and self._process is not None:
            messages.append({"event": "died", "sentence": sentence_for_exit(self._process.returncode)})
            self.kill()  # end its children, if any
        return messages

    def kill(self) -> None:
        """End the process and its children now; messages that were not received are dropped."""
        if self._process is not None:
            end_tree(self._process)
            self._forget()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the log of the process that runs, or ran last."""
        if self._log_file is None or not self._log_file.is_file():
            return ""
        return "\n".join(self._log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """End the process and remove its log."""
        self.kill()
        if self._log_file is not None:
            with contextlib.suppress(OSError):
                self._log_file.unlink(missing_ok=True)
            self._log_file = None

    def _start(self) -> None:
        self._messages = queue.Queue()
        command = [self._python, "-m", __package__, *self._arguments]
        try:
            with self._open_log() as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment(),
                    encoding="utf-8",
                    **own_group(),
                )
        except OSError as error:
            raise ValueError(f"The segmentation process could not be started with {self._python}: {error}.") from error
        self._reader = threading.Thread(target=_read, args=(self._process, self._messages), daemon=True)
        self._reader.start()

    def _open_log(self) -> Any:
        if self._log_file is None:
            handle, name = tempfile.mkstemp(prefix="spinaltap-", suffix=".log")
            os.close(handle)
            self._log_file = Path(name)
        return self._log_file.open("w", encoding="utf-8")

    def _forget(self) -> None:
        process, self._process = self._process, None
        self._messages = queue.Queue()
        for stream in (process.stdin, process.stdout) if process is not None else ():
            with contextlib.suppress(OSError, ValueError):
                stream.close()  # type: ignore[union-attr]


def _read(process: subprocess.Popen[str], messages: queue.Queue[dict[str, Any]]) -> None:
    """Move messages from the pipe to the queue; runs on its own thread."""
    with contextlib.suppress(OSError, ValueError):
        for line in process.stdout or ():
            with contextlib.suppress(json.JSONDecodeError):  # not a message: printed by a library
                messages.put(json.loads(line))
