"""Suppress the messages that the C and C++ image readers print to the terminal."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDERR = 2
"""File descriptor of standard error, to which ITK, GDCM and nifti_io write directly, bypassing `sys.stderr`."""

_one_at_a_time = threading.Lock()


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Discard whatever C or C++ code writes to standard error inside the `with` block.

    Switching off ITK's warnings is not enough: nifti_io, MetaIO and GDCM print without ITK. A failed read raises an
    exception or is found by the checks of this package, so no information is lost. In a process without standard
    error (a windowed program), this does nothing.

    Notes
    -----
    The redirection affects the whole process, so keep the block short.
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
