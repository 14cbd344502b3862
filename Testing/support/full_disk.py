"""A disk that takes only half of a file."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def limit_disk(
    patch: pytest.MonkeyPatch, is_limited: Callable[[Path], bool] = lambda path: True, silent: bool = False
) -> None:
    """Let every file that is opened to write, and for which `is_limited` is true, take half of what is written.

    Then the disk says that it is full, unless it is `silent`.
    """
    real = Path.open

    class Half(io.FileIO):
        def write(self, data) -> int:
            super().write(data[: len(data) // 2])
            if not silent:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return len(data)

    def opened(path: Path, mode: str = "r", *args, **kwargs):
        return Half(path, "wb") if mode == "wb" and is_limited(path) else real(path, mode, *args, **kwargs)

    patch.setattr(Path, "open", opened)
