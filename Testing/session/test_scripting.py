"""The scripts in docs/scripting.md run as they stand, and its names can be imported."""

from __future__ import annotations

import numpy as np
import pytest
from paths import ROOT

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
from scene_fixtures import DirectWorker, add_blocks

pytest_plugins = ("scene_fixtures",)

LIBRARY = ROOT / "SpinalTapLib"


class TestTheScriptsInTheDocumentation:
    def blocks(self):
        text = (LIBRARY.parent / "docs" / "scripting.md").read_text(encoding="utf-8")
        return [part.split("```")[0] for part in text.split("```python\n")[1:]]

    def scripts(self):
        """Return the blocks that begin a session; all others go on with one."""
        return [block for block in self.blocks() if "Session(" in block]

    @pytest.mark.parametrize("number", [0, 1])
    def test_run_as_they_stand(self, scene, tmp_path, monkeypatch, capsys, number):
        add_blocks(scene, "t2_lumbar")
        monkeypatch.setattr("SpinalTapLib.worker.link.WorkerLink", lambda python: DirectWorker())
        monkeypatch.chdir(tmp_path)
        exec(compile(self.scripts()[number], "docs/scripting.md", "exec"), {"slicer": slicer})
        said = capsys.readouterr().out
        if number == 0:
            assert "('L1', 'sure')" in said
            assert sorted(p.name for p in (tmp_path / "vertebrae").iterdir()) == [
                "t2_lumbar_L4.stl",
                "t2_lumbar_L5.stl",
            ]
        else:
            assert said == "t2_lumbar 6 vertebrae, L1 to S1. Counted from S1: 99 %.\n"

    def test_the_others_run_in_a_session_with_a_result(self, segmented):
        session, _ = segmented
        others = [block for block in self.blocks() if "Session(" not in block]
        point = session.result.spine["L4"].centroid_lps_mm
        given = {"session": session, "point_lps_mm": point, "normal_lps": np.array([0.0, 0.0, 1.0])}
        assert others
        for block in others:
            exec(compile(block, "docs/scripting.md", "exec"), dict(given))
        assert session.level_at(point).text == "L4"

    def test_the_first_has_ten_lines(self):
        assert len(self.scripts()[0].splitlines()) == 10

    def test_earlier_addresses_still_work(self):
        from SpinalTapLib.options import Options as now
        from SpinalTapLib.values import Settings, State

        assert Settings is now and Settings(structures="all").structures == "all" and State.DONE == "done"
