"""The two engines that run the scans of a batch: processes of this machine, or the workers of a Dask cluster.

Both take jobs as `concurrent.futures` executors do; Pebble and Dask start, watch and replace the processes.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from pebble import ProcessExpired, ProcessPool

from ..errors import sentence_for, sentence_for_exit
from ..machine import free_memory_bytes, processor_count
from .tables import Row
from .work import Job, prepare_process, segment_job

Work = Callable[[Job], Row]

SCAN_BYTES = 1_200_000_000
"""Memory of a process that segments a whole spine, with a reserve: it takes 0.9 GB at most (README)."""
TRIES = 3
"""How often a scan is tried whose process ends unexpectedly."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
CONNECT_S = 10.0
"""How long to wait for the scheduler, s."""


class Engine(Protocol):
    """What a batch needs of an engine."""

    waiting: int
    """Number of jobs to submit ahead."""
    lost: tuple[type[BaseException], ...]
    """Exceptions after which another try is worth while."""

    def submit(self, job: Job) -> Future[Row]:
        """Have a scan segmented."""

    def sentence(self, error: BaseException) -> str:
        """Return the sentence for an exception of a future."""

    def close(self, now: bool = False) -> None:
        """End the engine; with `now` without waiting for the jobs that run."""


def jobs_for(wanted: int | None = None) -> int:
    """Return the number of processes: as wanted, or as many as there are cores and free memory for."""
    if wanted is not None:
        if wanted < 1:
            raise ValueError(f"The number of jobs must be auto or 1 and more; got {wanted}.")
        return wanted
    free = free_memory_bytes()
    fitting = processor_count() if free is None else free // SCAN_BYTES
    return max(1, min(processor_count(), int(fitting)))


class Processes:
    """Processes of this machine; one that ends unexpectedly is replaced, and the others go on.

    Parameters
    ----------
    jobs : int
        Number of processes. Each gets an equal share of the processor's cores and loads the weights once.
    work : callable
        What to do with a job.
    """

    lost: tuple[type[BaseException], ...] = (ProcessExpired,)

    def __init__(self, jobs: int, work: Work = segment_job) -> None:
        self.waiting = 2 * jobs
        self._work = work
        # Libraries read these when they are loaded, so that the processes must inherit them.
        threads = str(max(1, processor_count() // jobs))
        self._variables = [name for name in _THREAD_VARIABLES if name not in os.environ]
        os.environ.update(dict.fromkeys(self._variables, threads))
        self._pool = ProcessPool(
            max_workers=jobs,
            initializer=prepare_process,
            context=multiprocessing.get_context("spawn"),  # PyTorch does not survive a fork
        )

    def submit(self, job: Job) -> Future[Row]:
        """Have a scan segmented."""
        return self._pool.schedule(self._work, args=(job,))

    def sentence(self, error: BaseException) -> str:
        """Return the sentence for an exception of a future."""
        return sentence_for_exit(error.exitcode) if isinstance(error, ProcessExpired) else sentence_for(error)

    def close(self, now: bool = False) -> None:
        """End the processes; with `now` in the middle of their work."""
        if now:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()
        for name in self._variables:
            os.environ.pop(name, None)


class Cluster:
    """The workers of a Dask cluster. A worker that is lost is the scheduler's business: it sends its scan to another.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler, or path of its scheduler file.
    resources : mapping of str to float
        What a scan takes of the resources that the workers state (``{"GPU": 1}``).
    work : callable
        What to do with a job.

    Raises
    ------
    ValueError
        If Dask is not installed, or there is no scheduler.
    """

    waiting = 1000  # enough for an adaptive cluster to see how much there is to do
    lost: tuple[type[BaseException], ...] = ()

    def __init__(
        self, scheduler: str, resources: Mapping[str, float] | None = None, work: Work = segment_job
    ) -> None:
        try:
            import distributed
        except ImportError:
            raise ValueError(
                'A cluster needs Dask, which is not installed: pip install "SpinalTapLib[cluster]".'
            ) from None
        where: dict[str, Any] = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
        logging.getLogger("distributed").setLevel(logging.ERROR)  # a lost scheduler is told in one sentence
        try:
            self._client = distributed.Client(**where, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"There is no Dask scheduler at {scheduler} ({error}); start one with `dask scheduler`, and give its "
                "address or its scheduler file."
            ) from None
        more: dict[str, Any] = {"resources": dict(resources)} if resources else {}
        self._executor = self._client.get_executor(pure=False, retries=TRIES - 1, **more)
        self._work = work

    @property
    def workers(self) -> int:
        """Number of workers at present."""
        return len(self._client.nthreads())

    def submit(self, job: Job) -> Future[Row]:
        """Have a scan segmented."""
        return self._executor.submit(self._work, job)

    def sentence(self, error: BaseException) -> str:
        """Return the sentence for an exception of a future.

        Raises
        ------
        ValueError
            If the scheduler is gone, so that no other scan can be done either.
        """
        if self._client.status != "running":
            raise ValueError(
                "The connection to the Dask scheduler was lost; run the command again: what is done stays done."
            )
        if type(error).__name__ == "KilledWorker":
            return "The workers that segmented this scan ended unexpectedly, one after the other; see their logs."
        if isinstance(error, ImportError):
            return f"A worker cannot import SpinalTap ({error}); install the same version on all workers."
        return sentence_for(error)

    def close(self, now: bool = False) -> None:
        """Leave the cluster; scans that run there are finished, those that wait are given up."""
        self._executor.shutdown(wait=not now)
        self._client.close(timeout=1 if now else 10)


def with_function(segment: Callable[..., Any]) -> Work:
    """Return `segment_job` with another function than `segment_file`."""
    return partial(segment_job, segment=segment)
