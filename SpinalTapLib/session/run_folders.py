"""Temporary exchange folders of one process; those that a crashed process left behind are removed."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator
from pathlib import Path

_PREFIX = "spinaltap-run-"  # host, process number and a random part follow


class RunFolders:
    """Exchange folders inside one temporary folder of this process."""

    def __init__(self) -> None:
        self._home: Path | None = None

    def new(self) -> Path:
        """Make an exchange folder; raise OSError if there is no place for it."""
        if self._home is None:
            remove_stale_homes(Path(tempfile.gettempdir()))
            self._home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{platform.node()}-{os.getpid()}-"))
            self._cleaner = weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._home))

    @contextlib.contextmanager
    def filled(self) -> Iterator[Path]:
        """Give a new exchange folder, which is removed if the block that fills it fails."""
        folder = self.new()
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def keep_only(self, wanted: Collection[Path]) -> None:
        """Remove all other exchange folders."""
        for folder in self._home.iterdir() if self._home is not None else ():
            if folder not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove all of them."""
        if self._home is not None:
            with contextlib.suppress(OSError):
                self._cleaner()
            self._home = None


def remove_stale_homes(folder: Path) -> None:
    """Remove what crashed processes of this host left in a temporary folder: it holds patients' scans.

    Containers and cluster nodes may share the folder, and a process number means something on its own host only.
    """
    if os.name != "posix":
        return  # Windows has no harmless way to ask whether a process runs
    for home in folder.glob(f"{_PREFIX}*"):
        found = re.fullmatch(re.escape(_PREFIX) + r"(.*)-(\d+)-[^-]+", home.name)
        if found is None or found.group(1) != platform.node():
            continue
        try:
            os.kill(int(found.group(2)), 0)
        except (ProcessLookupError, OverflowError):
            shutil.rmtree(home, ignore_errors=True)
        except OSError:
            continue  # it runs, as another user
