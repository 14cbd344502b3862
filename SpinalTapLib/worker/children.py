"""Children: processes that run the library in another Python; what they are given, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

KILL_WAIT_S = 0.8
"""How long an ended process may take to disappear: a cancel promises to return within a second."""


def environment() -> dict[str, str]:
    """Return the environment of a child that shall find this library."""
    found = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    # Threads that wait for work shall sleep, not spin: beside a busy Slicer (or anything else) spinning made a
    # recount ten times slower.
    found.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    library = str(Path(__file__).resolve().parents[2])
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (library, found.get("PYTHONPATH"))))
    return found


def own_group() -> dict[str, Any]:
    """Return Popen's arguments that give a process a group of its own, so that its children can be ended with it."""
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
