"""Keep the C++ image readers' own messages off the user's terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDERR = 2
"""File descriptor that ITK, GDCM and nifti_io write their messages to, below Python's `sys.stderr`."""

_one_at_a_time = threading.Lock()


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Drop whatever C or C++ code writes to standard error inside the `with` block.

    Switching off ITK's warnings is not enough: nifti_io, MetaIO and GDCM print past ITK. A read that
    fails is told by an exception or found by our own checks, so nothing that the user needs is lost.
    Where the process has no standard error (a windowed program), this does nothing.

    Notes
    -----
    The redirection holds for the whole process, so keep what stands inside short.
    """
    with _one_at_a_time:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        try:
            saved = os.dup(STDERR)
        except OSError:
            yield
            return
        try:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, STDERR)
            os.close(sink)
            yield
        finally:
            os.dup2(saved, STDERR)
            os.close(saved)
