"""Output in the terminal: progress and warnings on stderr, results on stdout."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

PLAIN_SECONDS = 5.0
"""Where stderr is not a terminal, a line is written at each new stage and at most this often within one."""


class Console:
    """Progress as one line that updates itself on a terminal, as plain lines elsewhere.

    Parameters
    ----------
    stream : TextIO, optional
        Where to write; stderr if not given.
    quiet : bool
        Leave the progress out; warnings are always shown.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._open = False
        self._stage = ""
        self._shown_at = 0.0

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """Show how far the run is; `fraction` 0-1 of the whole."""
        if self._quiet:
            return
        line = f"{fraction:4.0%}  {message}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{line[:width]}")
            self._open = True
        elif stage != self._stage or time.monotonic() - self._shown_at > PLAIN_SECONDS:
            self._write(line + "\n")
            self._shown_at = time.monotonic()
        self._stage = stage

    def line(self, sentence: str) -> None:
        """Show one sentence on a line of its own."""
        self.clear()
        self._write(sentence + "\n")

    def warn(self, sentence: str) -> None:
        """Show one warning."""
        self.line(f"Warning: {sentence}")

    def clear(self) -> None:
        """Wipe the progress line off a terminal."""
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
