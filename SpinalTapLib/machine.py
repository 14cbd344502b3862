"""Tell how many processor cores and how much memory this process may use, in a container or a job too."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_MEMORY = Path("/proc/meminfo")


def processor_count() -> int:
    """Return the number of processor cores that this process may use, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *(int(share) for share in _processor_shares())]))


def in_threads(function: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
    """Yield a function's results for all items, in their order, computed in threads.

    Worth it where NumPy and SciPy do the work, which run side by side. There are as many threads as numerical
    libraries may use (``OMP_NUM_THREADS``), or one for each core.

    Raises
    ------
    Exception
        Whatever the function raises first; items that have not been started are given up.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(limit) if limit.isdigit() and int(limit) else processor_count()
    if threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads, "spinaltap")
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def free_memory_bytes() -> int | None:
    """Return how much memory this process can still use, in bytes, or None if the system does not say."""
    known = [free for free in (_free_bytes(), *_free_in_groups()) if free is not None]
    return min(known) if known else None


def _free_bytes() -> int | None:
    """Return the free memory of the whole machine."""
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        if _MEMORY.is_file():
            fields = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines() if ":" in line)
            return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else None
        if sys.platform == "darwin":  # it does not tell what is free; half of the memory is a cautious guess
            return int(subprocess.check_output(["sysctl", "-n", "hw.memsize"])) // 2
    return None


def _own_groups() -> Iterator[Path]:
    """Yield the folders of this process's control group (version 2) and of the groups that contain it."""
    with contextlib.suppress(OSError):
        for line in _OWN_CGROUP.read_text().splitlines():
            number, _, path = line.partition("::")
            if number == "0":
                own = _CGROUPS / path.lstrip("/")
                yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(_CGROUPS))


def _numbers(path: Path) -> list[int]:
    """Return the numbers in a file of a control group; none if it is missing or says ``max``, which is no limit."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []


def _free_in_groups() -> Iterator[int]:
    for group in _own_groups():
        limit, used = _numbers(group / "memory.max"), _numbers(group / "memory.current")
        if limit and used:
            yield max(0, limit[0] - used[0] + _cached_bytes(group))


def _cached_bytes(group: Path) -> int:
    """Return the used memory that holds copies of files, which the system gives back when it is needed."""
    with contextlib.suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "inactive_file":
                return int(count)
    return 0


def _processor_shares() -> Iterator[float]:
    """Yield the processor time per second that the groups allow."""
    for group in _own_groups():
        share = _numbers(group / "cpu.max")  # microseconds per period, and the period
        if len(share) == 2 and share[1] > 0:
            yield max(1.0, share[0] / share[1])
