"""Locks in a folder of results, so that several runs may write into it at once, also from several machines."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

LOCKS_FOLDER = ".spinaltap"
_log = logging.getLogger(__name__)


@contextmanager
def locked(output: Path, name: str, wait: bool = True) -> Iterator[bool]:
    """Hold a lock in a `with` block. It is released when the process ends, even by signal 9.

    Parameters
    ----------
    output : Path
        The folder of results.
    name : str
        What is locked: the relative name of a result folder, or another word.
    wait : bool
        Whether to wait for another process that holds the lock.

    Yields
    ------
    bool
        False if another process holds the lock.
    """
    folder = output / LOCKS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    lock = filelock.FileLock(folder / f"{digest}.lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    except NotImplementedError:  # a file system without locks: two runs may do one scan twice, but each writes it whole
        _log.warning("%s is on a file system without locks.", output)
        yield True
        return
    try:
        yield True
    finally:
        lock.release()
