"""Requests to a worker that answers when the test says so."""

from __future__ import annotations

import math

import pytest
from block_spine import BlockSpine

from SpinalTapLib.errors import sentence_for
from SpinalTapLib.options import Options
from SpinalTapLib.session import jobs as module
from SpinalTapLib.session import status_line
from SpinalTapLib.session.jobs import Jobs, Purpose
from SpinalTapLib.session.state import Failure
from SpinalTapLib.worker import exchange


class SilentWorker:
    """A worker that says what it is told to say."""

    def __init__(self):
        self.requests, self.messages = [], []

    def send(self, request):
        self.requests.append(request)

    def receive(self):
        messages, self.messages = self.messages, []
        return messages

    def kill(self):
        self.messages = []

    def log_tail(self):
        return "the log"

    def close(self):
        pass


@pytest.fixture
def worker():
    return SilentWorker()


@pytest.fixture
def jobs(worker, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    jobs = Jobs(worker)
    yield jobs
    jobs.close()


def segment(jobs):
    jobs.segment(BlockSpine().volume(), None, Options(), Purpose(fresh=True))


def test_a_silent_worker_makes_news_at_every_heartbeat(jobs, monkeypatch):
    segment(jobs)
    monkeypatch.setattr(module, "HEARTBEAT_S", math.inf)
    assert jobs.poll() == (False, None)
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.0)
    assert jobs.poll() == (True, None) == jobs.poll()


def test_a_long_step_tells_its_seconds(jobs, worker, monkeypatch):
    segment(jobs)
    worker.messages = [{"id": 1, "event": "progress", "fraction": 0.3, "sentence": "Looking"}]
    jobs.poll()
    monkeypatch.setattr(status_line, "SLOW_S", math.inf)
    assert (jobs.progress.fraction, jobs.progress.sentence) == (0.3, "Looking")
    monkeypatch.setattr(status_line, "SLOW_S", 0.0)
    assert jobs.progress.sentence.startswith("Looking (") and jobs.progress.sentence.endswith(" s)")
    jobs.cancel()
    assert jobs.progress.sentence == "Cancelled; the scene is as it was."


def test_messages_of_a_request_that_was_cancelled_are_ignored(jobs, worker):
    segment(jobs)
    jobs.cancel()
    segment(jobs)
    worker.messages = [{"id": 1, "event": "failed", "sentence": "too late"}]
    assert jobs.poll()[1] is None
    worker.messages = [{"id": 2, "event": "failed", "sentence": "now"}]
    assert jobs.poll() == (True, Failure("now", "the log"))


def test_warming_is_asked_for_once_and_never_while_a_job_runs(jobs, worker, tmp_path):
    jobs.warm(tmp_path)
    jobs.warm(tmp_path)
    segment(jobs)
    jobs.warm(tmp_path / "other")
    assert [request["command"] for request in worker.requests] == ["warm", "segment"]


def test_a_full_disk_before_the_run_is_told_and_leaves_nothing(jobs, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exchange, "write_volume", full)
    with pytest.raises(OSError) as caught:
        segment(jobs)
    assert "disk is full" in sentence_for(caught.value)
    assert jobs.job is None and not [folder for home in tmp_path.iterdir() for folder in home.iterdir()]
