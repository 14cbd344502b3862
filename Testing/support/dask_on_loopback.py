"""A real Dask scheduler and real workers, each a process of its own on the loopback interface."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paths import ROOT, SUPPORT

HANGING_S = 300.0  # a limit against hanging only


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Path]:
    """Yield the scheduler file of a cluster; its processes end with the block.

    The workers have no nanny: one that is killed is gone, so that another one must do its scan.
    """
    path = folder / "scheduler.json"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(SUPPORT))),
        "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",  # as docs/cohorts.md advises
    }
    common = ("--scheduler-file", str(path), "--no-dashboard")
    commands = [("scheduler", *common, "--host", "127.0.0.1", "--port", "0")]
    commands += [("worker", *common, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny")] * workers
    processes = []
    try:
        for command in commands:
            line = [sys.executable, "-m", "dask", *command]
            with (folder / f"{len(processes)}.log").open("w") as log:
                processes.append(subprocess.Popen(line, env=environment, stdout=log, stderr=log, cwd=folder))
            end = time.monotonic() + HANGING_S
            while not path.is_file():
                assert processes[0].poll() is None, (folder / "0.log").read_text()
                assert time.monotonic() < end, "the scheduler does not start"
                time.sleep(0.05)
        yield path
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
