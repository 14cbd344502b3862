"""A session with a real worker process."""

from __future__ import annotations

import sys

import pytest
from paths import SUPPORT

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import add_blocks
from session_helpers import UP, drag, levels_of
from worker_jobs import wait_until

from SpinalTapLib.session.state import State

pytest_plugins = ("scene_fixtures",)


class TestWithAProcess:
    @pytest.fixture
    def link(self, monkeypatch):
        from SpinalTapLib.worker.link import WorkerLink

        monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
        return WorkerLink(arguments=("--road", "worker_road"))

    def test_a_drag_changes_the_scene(self, scene, make_session, link):
        session = make_session(link)
        session.set_volume(add_blocks(scene).GetID())
        session.segment()
        assert session.wait(120) is State.DONE, session.failure
        spine = session.result.spine
        for level, left in (("L5", 5), ("L4", 4), ("L5", 5), ("S1", 6)):
            drag(scene, spine[level].centroid_lps_mm)
            assert session.wait(60) is State.DONE
            assert levels_of(session) == UP[-left:]

    @pytest.mark.skipif(sys.platform == "win32", reason="signal 9 is one of POSIX")
    def test_its_death_by_signal_9_leaves_the_scene_as_it_was_and_the_next_run_works(self, scene, make_session, link):
        import os
        import signal

        session = make_session(link)
        volume = add_blocks(scene, "slow scan")
        session.set_volume(volume.GetID())
        before = scene.GetNumberOfNodes()
        session.segment()
        wait_until(lambda: session.poll() or "Looking at slice" in session.progress.sentence)
        os.kill(link.pid, signal.SIGKILL)
        assert session.wait(120) is State.FAILED
        assert "was killed (signal 9)" in session.failure.sentence
        assert scene.GetNumberOfNodes() == before
        volume.SetName("blocks")
        session.segment()
        assert session.wait(120) is State.DONE and levels_of(session) == UP
