"""Manage the temporary exchange folders of a process, and remove those left by crashed processes."""

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
        """Create an exchange folder; raise OSError if that fails."""
        if self._home is None:
            remove_stale_homes(Path(tempfile.gettempdir()))
            self._home = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{platform.node()}-{os.getpid()}-"))
            self._cleaner = weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._home))

    @contextlib.contextmanager
    def filled(self) -> Iterator[Path]:
        """Yield a new exchange folder, which is removed if the block fails."""
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
        """Remove all exchange folders."""
        if self._home is not None:
            with contextlib.suppress(OSError):
                self._cleaner()
            self._home = None


def remove_stale_homes(folder: Path) -> None:
    """Remove the folders of crashed processes on this host, because they hold patients' scans.

    Containers and cluster nodes may share the folder, and a process ID is only meaningful on its own host.
    """
    if os.name != "posix":
        return  # Windows has no safe way to ask whether a process runs
    for home in folder.glob(f"{_PREFIX}*"):
        found = re.fullmatch(re.escape(_PREFIX) + r"(.*)-(\d+)-[^-]+", home.name)
        if found is None or found.group(1) != platform.node():
            continue
        try:
            os.kill(int(found.group(2)), 0)
        except (ProcessLookupError, OverflowError):
            shutil.rmtree(home, ignore_errors=True)
        except OSError:
            continue  # it is running as another user
