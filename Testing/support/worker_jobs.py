"""What the tests of the worker process share: requests to it, waiting for their outcome, and accidents."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from block_spine import BlockSpine
from paths import SUPPORT

from SpinalTapLib.options import Options
from SpinalTapLib.session.jobs import Jobs, Purpose
from SpinalTapLib.worker.link import WorkerLink

START_S = 600.0
"""Longest wait for anything; only a test that fails waits so long."""

posix = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are those of POSIX")


@pytest.fixture(autouse=True)
def _roads_are_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="module")
def shared_link():
    """One warm process for the tests that do it no harm."""
    link = WorkerLink(arguments=("--road", "worker_road"))
    yield link
    link.close()


class Keeper:
    """A link whose process outlives the jobs that use it."""

    def __init__(self, link):
        self._link = link

    def __getattr__(self, name):
        return getattr(self._link, name)

    def close(self):
        pass


@pytest.fixture
def jobs(shared_link):
    """Jobs for the shared process."""
    jobs = Jobs(Keeper(shared_link))
    yield jobs
    jobs.close()


@pytest.fixture
def own_jobs():
    """Jobs with a process of their own, to be killed; it knows accidents only, and so starts fast."""
    link = WorkerLink(arguments=("--road", "accidents"))
    jobs = Jobs(link)
    jobs.link = link
    yield jobs
    jobs.close()


def blocks(name="blocks"):
    """A scan of blocks, by whose name `worker_road` and `accidents` know what to do."""
    return replace(BlockSpine().volume(), name=name, source=None)


def segment(jobs, name="blocks", seed=None, **options):
    jobs.segment(blocks(name), seed, Options(**options), Purpose(fresh=True))


def outcome_of(jobs, watch=None):
    """Poll until the job has ended; return the result or the failure."""
    found = []

    def ended():
        _, outcome = jobs.poll()
        if watch is not None:
            watch(jobs)
        found.append(outcome)
        return outcome is not None

    wait_until(ended)
    jobs.end("")
    return found[-1]


def wait_until(condition):
    end = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z")
