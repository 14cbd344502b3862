"""The lifeline: a child process that ends with its parent, and takes its own children along."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

_PARENT_CHECK_S = 1.0
_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def end_group() -> None:
    """End this process and its children at once."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():  # only a group of our own: see `workerlink`
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def end_with_parent() -> None:
    """End when the parent ends, even by signal 9. Call it on the main thread.

    Where there are no such signals (Windows), the end of standard input is what tells (see `worker`).
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
    """Let SIGTERM end the whole group at once.

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
