"""The worker process: started once, spoken to in lines, ended with all its children, however anything ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from block_spine import BlockSpine
from paths import ROOT, SUPPORT

from SpinalTapLib.errors import sentence_for, sentence_for_exit
from SpinalTapLib.files.spine_codec import answer_of, seed_in, seed_out, spine_of
from SpinalTapLib.session.jobs import Runner, remove_stale_homes
from SpinalTapLib.session.state import Failure, Result, Settings
from SpinalTapLib.spine.vertebra import SeedBox
from SpinalTapLib.worker import exchange
from SpinalTapLib.worker.link import WorkerLink

START_S = 120.0  # importing PyTorch on a busy machine
posix = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are those of POSIX")


@pytest.fixture(autouse=True)
def roads_are_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="module")
def shared_link():
    """One warm process for the tests that do it no harm."""
    link = WorkerLink(arguments=("--road", "worker_road"))
    yield link
    link.close()


class Keeper:
    """A link whose process outlives the runner that uses it."""

    def __init__(self, link):
        self._link = link

    def __getattr__(self, name):
        return getattr(self._link, name)

    def close(self):
        pass


@pytest.fixture
def runner(shared_link):
    runner = Runner(Keeper(shared_link))
    yield runner
    runner.close()


@pytest.fixture
def own_runner():
    """A runner with a process of its own, to be killed; it knows accidents only, and so starts fast."""
    link = WorkerLink(arguments=("--road", "accidents"))
    runner = Runner(link)
    runner.link = link
    yield runner
    runner.close()


def blocks(name="blocks"):
    from dataclasses import replace

    return replace(BlockSpine().volume(), name=name, source=None)


def outcome_of(runner, timeout_s=START_S, watch=None):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        _, outcome = runner.poll()
        if watch is not None:
            watch(runner)
        if outcome is not None:
            runner.done("")
            return outcome
        time.sleep(0.02)
    raise TimeoutError(runner.progress)


def segment(runner, name="blocks", seed=None, **settings):
    runner.segment(blocks(name), seed, Settings(**settings), {})


def wait_until(condition, timeout_s=START_S):
    end = time.monotonic() + timeout_s
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


class TestAnAnswer:
    def test_comes_back_whole(self, runner):
        segment(runner)
        result = outcome_of(runner)
        assert isinstance(result, Result), result
        assert [v.level for v in result.spine.vertebrae] == ["S1", "L5", "L4", "L3", "L2", "L1"]
        assert result.spine.model == {"name": "blocks", "sha256": "b" * 64}
        assert np.allclose(result.matrix, BlockSpine().volume().matrix)
        assert set(np.unique(result.spine.label_map)) == {0, *(v.label_value for v in result.spine.vertebrae)}
        assert set(result.surfaces) == {v.label_value for v in result.spine.vertebrae}
        for vertebra in result.spine.vertebrae:
            centre = np.array(result.surfaces[vertebra.label_value].GetBounds()).reshape(3, 2).mean(1)
            assert np.allclose(centre, vertebra.centroid_lps_mm, atol=2.5)

    def test_is_the_same_as_without_a_process(self, runner):
        import worker_road

        segment(runner)
        result = outcome_of(runner)
        spine = worker_road.segment_spine(blocks())
        assert np.array_equal(result.spine.label_map, spine.label_map)
        for ours, theirs in zip(result.spine.vertebrae, spine.vertebrae):
            assert np.allclose(ours.corners_lps_mm, theirs.corners_lps_mm)
            assert ours.measurements == pytest.approx(dict(theirs.measurements), nan_ok=True)

    def test_is_counted_from_the_box_that_was_placed_before(self, runner):
        segment(runner)
        lowest = outcome_of(runner).spine.vertebrae[0]
        box = SeedBox(lowest.centroid_lps_mm, np.full(3, 20.0), level="L5")
        segment(runner, seed=box)
        spine = outcome_of(runner).spine
        assert [v.level for v in spine.vertebrae] == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert spine.anchor == "pinned"

    def test_is_not_lost_to_a_box_that_lies_on_no_vertebra(self, runner):
        segment(runner)
        plain = outcome_of(runner).spine
        segment(runner, seed=SeedBox(np.array([900.0, 0.0, 0.0]), np.full(3, 20.0), level="S1"))
        spine = outcome_of(runner).spine
        assert [v.level for v in spine.vertebrae] == [v.level for v in plain.vertebrae]
        assert spine.seed is None
        assert "counted without the box" in spine.warnings[-1] and "S1 box" in spine.warnings[-1]

    def test_to_a_recount_needs_no_second_run(self, runner):
        segment(runner)
        result = outcome_of(runner)
        lowest = result.spine.vertebrae[0]
        box = SeedBox(lowest.centroid_lps_mm, np.full(3, 20.0), level="L5")
        runner.reseed(result, box, Settings(), {})
        answer = outcome_of(runner)
        assert [v.level for v in answer.spine.vertebrae] == ["L5", "L4", "L3", "L2", "L1", "T12"]
        assert np.allclose(answer.spine.seed.center_lps_mm, lowest.centroid_lps_mm)

    def test_to_a_recount_in_a_new_process_comes_from_the_folder(self, runner, shared_link):
        segment(runner)
        result = outcome_of(runner)
        shared_link.kill()
        runner.reseed(result, None, Settings(), {})
        answer = outcome_of(runner)
        assert np.array_equal(answer.spine.label_map, result.spine.label_map)

    def test_is_not_disturbed_by_what_others_print(self, runner):
        segment(runner, "noisy")
        assert isinstance(outcome_of(runner), Result)


class TestProgress:
    def test_rises_and_speaks_plainly(self, runner):
        seen = []
        segment(runner)
        outcome_of(runner, watch=lambda r: seen.append(r.progress))
        fractions = [progress.fraction for progress in seen]
        assert fractions == sorted(fractions) and fractions[-1] <= 1
        assert any("surface 6 of 6" in progress.sentence for progress in seen) or len(set(fractions)) > 3

    def test_goes_on_in_a_silent_stage(self, runner):
        news = 0
        segment(runner, "silent")
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            fresh, outcome = runner.poll()
            news += fresh
            if outcome is not None:
                break
            time.sleep(0.02)
        runner.done("")
        assert news > 4  # in two and a half seconds of silence


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
    def test_and_the_process_goes_on(self, runner, shared_link, name, words):
        segment(runner)
        outcome_of(runner)
        before = shared_link.pid
        segment(runner, name)
        failure = outcome_of(runner)
        assert isinstance(failure, Failure) and words in failure.sentence
        assert failure.sentence.count("\n") == 0
        assert "Traceback" in failure.details
        segment(runner)
        assert isinstance(outcome_of(runner), Result)
        assert shared_link.pid == before

    def test_when_the_weights_are_altered(self, tiny_weights, tmp_path, monkeypatch, own_runner):
        altered = tmp_path / "tiny.pt"
        altered.write_bytes(tiny_weights.read_bytes()[:-1] + b"x")
        altered.with_suffix(".json").write_bytes(tiny_weights.with_suffix(".json").read_bytes())
        monkeypatch.setenv("SPINALTAP_TEST_WEIGHTS", str(altered))
        segment(own_runner, "altered")
        altered_sentence = outcome_of(own_runner).sentence
        assert "tiny" in altered_sentence and "Traceback" not in altered_sentence
        altered.unlink()
        segment(own_runner, "altered")
        missing_sentence = outcome_of(own_runner).sentence
        assert "tiny" in missing_sentence and missing_sentence != altered_sentence

    def test_when_pytorch_is_missing(self):
        runner = Runner(WorkerLink(arguments=("--road", "road_without_torch")))
        segment(runner)
        failure = outcome_of(runner)
        runner.close()
        assert failure.sentence.startswith("PyTorch, which runs the network, is not installed")
        assert sys.executable in failure.sentence

    def test_when_there_is_no_such_python(self, tmp_path):
        runner = Runner(WorkerLink(python=str(tmp_path / "no-python")))
        with pytest.raises(ValueError, match="could not be started"):
            segment(runner)
        assert runner.job is None
        runner.close()

    @posix
    @pytest.mark.parametrize(("name", "words"), [("crash", "exit code 3"), ("killed", "signal 9")])
    def test_when_the_process_ends_by_itself_and_the_next_run_works(self, own_runner, name, words):
        segment(own_runner, name)
        failure = outcome_of(own_runner)
        assert words in failure.sentence
        if name == "crash":
            assert "the last words" in failure.details
        segment(own_runner, "bug")
        assert "left over" in outcome_of(own_runner).sentence

    @posix
    def test_when_somebody_kills_it_with_signal_9(self, own_runner):
        segment(own_runner, "slow scan")
        wait_until(lambda: own_runner.poll() and "Looking at slice" in own_runner.progress.sentence)
        os.kill(own_runner.link.pid, signal.SIGKILL)
        assert "was killed (signal 9)" in outcome_of(own_runner, 5).sentence


class TestTheEnd:
    @posix
    def test_cancel_ends_the_process_and_its_children(self, own_runner, tmp_path, monkeypatch):
        pids = started_child(own_runner, tmp_path, monkeypatch)
        own_runner.cancel()
        assert own_runner.job is None and own_runner.link.pid is None
        wait_until(lambda: not any(map(is_alive, pids)), 5)

    @posix
    def test_cancel_leaves_no_folder_behind(self, own_runner):
        segment(own_runner, "slow scan")
        home = own_runner.job.folder.parent
        own_runner.cancel()
        own_runner.keep_only([])
        assert list(home.iterdir()) == []
        own_runner.close()
        assert not home.exists()

    @posix
    @pytest.mark.parametrize("how", ["exit", "kill"])
    def test_the_process_ends_with_its_parent_however_that_ends(self, tmp_path, how):
        code = f"""
import os, signal, sys, time
from SpinalTapLib.workerlink import WorkerLink
from SpinalTapLib.session.jobs import Runner
from SpinalTapLib.session.state import Settings
from SpinalTapLib.scans.volume import SagittalVolume
import numpy as np
runner = Runner(WorkerLink(arguments=("--road", "accidents")))
runner.segment(SagittalVolume(np.zeros((2, 2, 2), np.float32), np.eye(4), "child"), None, Settings(), {{}})
while not os.path.exists({str(tmp_path / "pids")!r}):
    runner.poll()
    time.sleep(0.05)
time.sleep(0.3)
{"os._exit(0)" if how == "exit" else "os.kill(os.getpid(), signal.SIGKILL)"}
"""
        environment = {**os.environ, "SPINALTAP_TEST_CHILD": str(tmp_path / "pids")}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(SUPPORT)])
        subprocess.run([sys.executable, "-c", code], env=environment, timeout=2 * START_S, check=False)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        wait_until(lambda: not any(map(is_alive, pids)), 10)

    def test_the_log_goes_with_the_link(self, own_runner):
        own_runner.link.send({"id": 1, "command": "warm", "folder": None})
        log = own_runner.link._log_file
        assert log.is_file()
        own_runner.close()
        assert not log.exists()


def started_child(runner, tmp_path, monkeypatch):
    """Let the worker start a child, and return the numbers of both."""
    monkeypatch.setenv("SPINALTAP_TEST_CHILD", str(tmp_path / "pids"))
    segment(runner, "child")
    wait_until(lambda: runner.poll() and (tmp_path / "pids").is_file() and (tmp_path / "pids").read_text().count(" "))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(is_alive, pids))
    return pids


class TestFilesAndTexts:
    def test_a_spine_survives_json(self, runner):
        segment(runner)
        spine = outcome_of(runner).spine
        again = spine_of(json.loads(json.dumps(answer_of(spine))), spine.label_map)
        assert json.dumps(answer_of(again)) == json.dumps(answer_of(spine))

    def test_a_seed_box_survives_json(self):
        box = SeedBox(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]), np.eye(3)[[1, 2, 0]], "C2")
        again = seed_in(json.loads(json.dumps(seed_out(box))))
        assert np.array_equal(again.axes, box.axes) and again.level == "C2"
        assert np.array_equal(again.center_lps_mm, box.center_lps_mm) and np.array_equal(again.size_mm, box.size_mm)
        assert seed_in(seed_out(None)) is None

    @pytest.mark.parametrize("answer", [{}, {"format": 1}, {"format": 99}, {"format": 1, "vertebrae": [{}]}])
    def test_a_damaged_answer_is_refused_with_a_sentence(self, answer):
        with pytest.raises(ValueError, match="segment the volume again"):
            spine_of(answer)

    def test_a_missing_answer_is_refused_with_a_sentence(self, tmp_path):
        with pytest.raises(ValueError, match="shapes could not be read"):
            exchange.read_shapes(tmp_path)
        shapes = exchange.Shapes(tmp_path, np.zeros((1, 1, 1), int), {})
        with pytest.raises(ValueError, match="answer could not be read"):
            exchange.read_answer(shapes, "answer-1")

    def test_a_volume_survives_the_folder(self, tmp_path):
        volume = blocks()
        exchange.write_volume(tmp_path, volume)
        again = exchange.read_volume(tmp_path)
        assert np.array_equal(again.array, volume.array) and np.array_equal(again.matrix, volume.matrix)
        assert again.name == volume.name

    def test_a_full_disk_before_the_run_is_told_and_leaves_nothing(self, runner, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(exchange, "write_volume", full)
        with pytest.raises(OSError) as caught:
            segment(runner)
        assert "disk is full" in sentence_for(caught.value)
        assert list(runner._home.iterdir()) == [] and runner.job is None

    @posix
    def test_what_a_crashed_application_left_is_removed_by_the_next(self, tmp_path):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        stale, living = (tmp_path / f"spinaltap-run-{pid}-abc" for pid in (ended.pid, os.getpid()))
        others = tmp_path / "spinaltap-run-notes-1"
        for folder in (stale, living, others):
            folder.mkdir()
            (folder / "volume.npy").write_bytes(b"a scan")
        remove_stale_homes(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([living, others])

    def test_every_exit_has_its_sentence(self):
        assert "signal 9" in sentence_for_exit(-9)
        assert "signal 11" in sentence_for_exit(-11)
        assert "exit code 1" in sentence_for_exit(1)
