"""The worker process: started once, spoken to in lines, ended with all its children, however anything ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from block_spine import BlockSpine
from paths import ROOT, SUPPORT
from worker_jobs import START_S, blocks, is_alive, outcome_of, posix, segment, wait_until

from SpinalTapLib.corrections import Count, Edit
from SpinalTapLib.options import Options
from SpinalTapLib.session.jobs import Jobs, Purpose
from SpinalTapLib.session.state import Failure
from SpinalTapLib.spine.vertebra import SeedBox
from SpinalTapLib.worker.exchange import Result
from SpinalTapLib.worker.link import WorkerLink

pytest_plugins = ("worker_jobs",)


class TestAnAnswer:
    def test_comes_back_whole(self, jobs):
        segment(jobs)
        result = outcome_of(jobs)
        assert isinstance(result, Result), result
        assert [v.level for v in result.spine.vertebrae] == ["S1", "L5", "L4", "L3", "L2", "L1"]
        networks = {"name": "blocks", "levels": "levels", "ladder": "ladder"}
        hashes = {"sha256": "b" * 64, "levels_sha256": "b" * 64, "ladder_sha256": "b" * 64}
        assert result.spine.model == networks | hashes
        assert np.allclose(result.matrix, BlockSpine().volume().matrix)
        assert set(np.unique(result.spine.label_map)) == {0, *(v.label_value for v in result.spine.vertebrae)}
        assert set(result.surfaces) == {v.label_value for v in result.spine.vertebrae}
        for vertebra in result.spine.vertebrae:
            centre = np.array(result.surfaces[vertebra.label_value].GetBounds()).reshape(3, 2).mean(1)
            assert np.allclose(centre, vertebra.centroid_lps_mm, atol=2.5)

    def test_is_the_same_as_without_a_process(self, jobs):
        import worker_road

        segment(jobs)
        result = outcome_of(jobs)
        spine = worker_road.segment_spine(blocks())
        assert np.array_equal(result.spine.label_map, spine.label_map)
        for ours, theirs in zip(result.spine.vertebrae, spine.vertebrae):
            assert np.allclose(ours.corners_lps_mm, theirs.corners_lps_mm)
            assert ours.measurements == pytest.approx(dict(theirs.measurements), nan_ok=True)

    def test_is_counted_from_the_box_that_was_placed_before(self, jobs):
        segment(jobs)
        lowest = outcome_of(jobs).spine.vertebrae[0]
        box = SeedBox(lowest.centroid_lps_mm, np.full(3, 20.0), level="L5")
        segment(jobs, seed=box)
        spine = outcome_of(jobs).spine
        assert [v.level for v in spine.vertebrae] == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert spine.anchor == "pinned"

    def test_is_not_lost_to_a_box_that_lies_on_no_vertebra(self, jobs):
        segment(jobs)
        plain = outcome_of(jobs).spine
        segment(jobs, seed=SeedBox(np.array([900.0, 0.0, 0.0]), np.full(3, 20.0), level="S1"))
        spine = outcome_of(jobs).spine
        assert [v.level for v in spine.vertebrae] == [v.level for v in plain.vertebrae]
        assert spine.seed is None
        assert "counted without the box" in spine.warnings[-1] and "S1 box" in spine.warnings[-1]

    def test_to_a_recount_needs_no_second_run(self, jobs):
        segment(jobs)
        result = outcome_of(jobs)
        lowest = result.spine.vertebrae[0]
        box = SeedBox(lowest.centroid_lps_mm, np.full(3, 20.0), level="L5")
        jobs.recount(result, Count(box), Options(), Purpose())
        answer = outcome_of(jobs)
        assert [v.level for v in answer.spine.vertebrae] == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert np.allclose(answer.spine.seed.center_lps_mm, lowest.centroid_lps_mm)

    def test_to_a_recount_in_a_new_process_comes_from_the_folder(self, jobs, shared_link):
        segment(jobs)
        result = outcome_of(jobs)
        shared_link.kill()
        jobs.recount(result, Count(), Options(), Purpose())
        answer = outcome_of(jobs)
        assert np.array_equal(answer.spine.label_map, result.spine.label_map)

    def test_is_not_disturbed_by_what_others_print(self, jobs):
        segment(jobs, "noisy")
        assert isinstance(outcome_of(jobs), Result)

    def test_without_a_vertebra_lies_in_a_folder_of_its_own(self, jobs):
        segment(jobs)
        result = outcome_of(jobs)
        before = {path.name: path.read_bytes() for path in result.folder.iterdir()}
        gone = Edit(dropped_lps_mm=result.spine.vertebrae[2].centroid_lps_mm)
        jobs.recount(result, Count(edits=(gone,)), Options(), Purpose())
        answer = outcome_of(jobs)
        assert [v.level for v in answer.spine.vertebrae] == ["S1", "L5", "L4", "L3", "L2"]
        assert answer.folder != result.folder
        assert {path.name: path.read_bytes() for path in result.folder.iterdir()} == before

    def test_keeps_model_device_and_seconds_of_its_run_in_a_new_process(self, jobs, shared_link):
        segment(jobs)
        result = outcome_of(jobs)
        shared_link.kill()
        jobs.recount(result, Count(), Options(), Purpose())
        answer = outcome_of(jobs)
        assert answer.spine.model == result.spine.model and answer.spine.device == result.spine.device
        assert answer.spine.seconds["detect"] == result.spine.seconds["detect"]


def test_progress_rises_and_speaks_plainly(jobs):
    seen = []
    segment(jobs)
    outcome_of(jobs, watch=lambda jobs: seen.append(jobs.progress))
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[-1] <= 1
    assert any("surface 6 of 6" in progress.sentence for progress in seen) or len(set(fractions)) > 3


class TestWhatGoesWrongIsOneSentence:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("memory", "not enough memory"),
            ("card", "not enough memory"),
            ("bug", "Something went wrong inside SpinalTap (KeyError: 'left over')"),
            ("disk", "The disk is full"),
            ("nothing", "No vertebra was found in 'nothing'"),
        ],
    )
    def test_and_the_process_goes_on(self, jobs, shared_link, name, words):
        segment(jobs)
        outcome_of(jobs)
        before = shared_link.pid
        segment(jobs, name)
        failure = outcome_of(jobs)
        assert isinstance(failure, Failure) and words in failure.sentence
        assert failure.sentence.count("\n") == 0
        assert "Traceback" in failure.details
        segment(jobs)
        assert isinstance(outcome_of(jobs), Result)
        assert shared_link.pid == before

    def test_when_the_weights_are_altered(self, tiny_weights, tmp_path, monkeypatch, own_jobs):
        altered = tmp_path / "tiny.pt"
        altered.write_bytes(tiny_weights.read_bytes()[:-1] + b"x")
        altered.with_suffix(".json").write_bytes(tiny_weights.with_suffix(".json").read_bytes())
        monkeypatch.setenv("SPINALTAP_TEST_WEIGHTS", str(altered))
        segment(own_jobs, "altered")
        altered_sentence = outcome_of(own_jobs).sentence
        assert "tiny" in altered_sentence and "Traceback" not in altered_sentence
        altered.unlink()
        segment(own_jobs, "altered")
        missing_sentence = outcome_of(own_jobs).sentence
        assert "tiny" in missing_sentence and missing_sentence != altered_sentence

    def test_when_pytorch_is_missing(self):
        jobs = Jobs(WorkerLink(arguments=("--road", "road_without_torch")))
        segment(jobs)
        failure = outcome_of(jobs)
        jobs.close()
        assert failure.sentence.startswith("PyTorch, which runs the network, is not installed")
        assert sys.executable in failure.sentence

    def test_when_there_is_no_such_python(self, tmp_path):
        jobs = Jobs(WorkerLink(python=str(tmp_path / "no-python")))
        with pytest.raises(ValueError, match="could not be started"):
            segment(jobs)
        assert jobs.job is None
        jobs.close()

    @posix
    @pytest.mark.parametrize(("name", "words"), [("crash", "exit code 3"), ("killed", "signal 9")])
    def test_when_the_process_ends_by_itself_and_the_next_run_works(self, own_jobs, name, words):
        segment(own_jobs, name)
        failure = outcome_of(own_jobs)
        assert words in failure.sentence
        if name == "crash":
            assert "the last words" in failure.details
        segment(own_jobs, "bug")
        assert "left over" in outcome_of(own_jobs).sentence

    @posix
    def test_when_somebody_kills_it_with_signal_9(self, own_jobs):
        segment(own_jobs, "slow scan")
        wait_until(lambda: own_jobs.poll() and "Looking at slice" in own_jobs.progress.sentence)
        os.kill(own_jobs.link.pid, signal.SIGKILL)
        assert "was killed (signal 9)" in outcome_of(own_jobs).sentence


class TestTheEnd:
    @posix
    def test_cancel_ends_the_process_and_its_children(self, own_jobs, tmp_path, monkeypatch):
        pids = started_child(own_jobs, tmp_path, monkeypatch)
        own_jobs.cancel()
        assert own_jobs.job is None and own_jobs.link.pid is None
        wait_until(lambda: not any(map(is_alive, pids)))

    @posix
    def test_cancel_leaves_no_folder_behind(self, own_jobs):
        segment(own_jobs, "slow scan")
        home = own_jobs.job.folder.parent
        own_jobs.cancel()
        own_jobs.keep_only([])
        assert list(home.iterdir()) == []
        own_jobs.close()
        assert not home.exists()

    @posix
    @pytest.mark.parametrize("how", ["exit", "kill"])
    def test_the_process_ends_with_its_parent_however_that_ends(self, tmp_path, how):
        code = f"""
import os, signal, sys, time
from pathlib import Path
from SpinalTapLib.workerlink import WorkerLink
from SpinalTapLib.options import Options
from SpinalTapLib.session.jobs import Jobs, Purpose
from SpinalTapLib.scans.volume import SagittalVolume
import numpy as np
jobs = Jobs(WorkerLink(arguments=("--road", "accidents")))
jobs.segment(SagittalVolume(np.zeros((2, 2, 2), np.float32), np.eye(4), "child"), None, Options(), Purpose())
pids = Path({str(tmp_path / "pids")!r})
while not (pids.is_file() and " " in pids.read_text()):
    jobs.poll()
    time.sleep(0.05)
{"os._exit(0)" if how == "exit" else "os.kill(os.getpid(), signal.SIGKILL)"}
"""
        environment = {**os.environ, "SPINALTAP_TEST_CHILD": str(tmp_path / "pids")}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(SUPPORT)])
        subprocess.run([sys.executable, "-c", code], env=environment, timeout=2 * START_S, check=False)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        wait_until(lambda: not any(map(is_alive, pids)))

    def test_the_log_goes_with_the_link(self, own_jobs, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        own_jobs.link.send({"id": 1, "command": "warm", "folder": None})
        assert [path.suffix for path in tmp_path.iterdir()] == [".log"]
        own_jobs.close()
        assert not list(tmp_path.iterdir())


def started_child(jobs, tmp_path, monkeypatch):
    """Let the worker start a child, and return the numbers of both."""
    monkeypatch.setenv("SPINALTAP_TEST_CHILD", str(tmp_path / "pids"))
    segment(jobs, "child")
    wait_until(lambda: jobs.poll() and (tmp_path / "pids").is_file() and (tmp_path / "pids").read_text().count(" "))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(is_alive, pids))
    return pids
