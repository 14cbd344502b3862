"""Output in the terminal: progress and warnings on stderr, results on stdout."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

PLAIN_SECONDS = 5.0
"""If stderr is not a terminal: shortest time between two lines within a stage; they always differ."""


class Console:
    """Shows progress as one updating line on a terminal, and as plain lines elsewhere.

    Parameters
    ----------
    stream : TextIO, optional
        Where to write; stderr if not given.
    quiet : bool
        Hide the progress; warnings are always shown.
    """

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._open = False
        self._stage = self._shown = ""
        self._shown_at = 0.0

    @property
    def is_terminal(self) -> bool:
        """Whether a person may be looking: the progress is one line, which is updated."""
        return self._terminal

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """Show the progress; `fraction` of the run, 0-1."""
        if self._quiet:
            return
        line = f"{fraction:4.0%}  {message}"
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{line[:width]}")
            self._open = True
        elif line != self._shown and (stage != self._stage or time.monotonic() - self._shown_at > PLAIN_SECONDS):
            self._write(line + "\n")
            self._shown, self._shown_at = line, time.monotonic()
        self._stage = stage

    def line(self, sentence: str) -> None:
        """Show one sentence on a line of its own."""
        self.clear()
        self._write(sentence + "\n")

    def warn(self, sentence: str) -> None:
        """Show one warning."""
        self.line(f"Warning: {sentence}")

    def clear(self) -> None:
        """Erase the progress line on a terminal."""
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
