"""Start a child process, end it with its children, and end this process when its parent ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

KILL_WAIT_S = 0.8
"""Longest wait for a killed process to end, so that cancel returns within a second."""

_PARENT_CHECK_S = 1.0
_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


# --- in the parent ---------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Return the environment of a child process that imports this library."""
    found = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    # Idle threads sleep instead of spinning: next to a busy program, spinning made a recount ten times
    # slower.
    found.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    library = str(Path(__file__).resolve().parents[2])
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (library, found.get("PYTHONPATH"))))
    return found


def own_group() -> dict[str, Any]:
    """Return Popen arguments that put a process into its own group, so that its children end with it."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined]
    return {"start_new_session": True}


def end_tree(process: subprocess.Popen[str]) -> None:
    """End a process that was started with `own_group`, and its children, now."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILL_WAIT_S)


# --- in the child ----------------------------------------------------------------------------------------------


def end_group() -> None:
    """End this process and its children at once."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():  # only if the group is ours, see `own_group`
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def end_with_parent() -> None:
    """End when the parent ends, even by signal 9. Call it on the main thread.

    Windows has no such signals; there the worker ends when its standard input does (see `server`).
    """
    if os.name != "posix":
        return
    parent = os.getppid()
    _end_when_terminated()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_S)
        end_group()

    threading.Thread(target=watch, daemon=True).start()


def _end_when_terminated() -> None:
    """End the whole process group on SIGTERM.

    A thread waits for the signal's byte, because Python runs a handler only between two of its own steps, and a
    blocked signal would still reach, and end, the threads that numerical libraries have started before.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writer)

    def wait() -> None:
        while signal.SIGTERM not in os.read(reader, 64):
            pass
        end_group()

    threading.Thread(target=wait, daemon=True).start()
