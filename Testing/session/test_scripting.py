"""The scripts in docs/scripting.md run as they stand, and its names can be imported."""

from __future__ import annotations

import pytest
from paths import ROOT

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
from scene_fixtures import DirectWorker, add_blocks

pytest_plugins = ("scene_fixtures",)

LIBRARY = ROOT / "SpinalTapLib"


class TestTheScriptsInTheDocumentation:
    def scripts(self):
        text = (LIBRARY.parent / "docs" / "scripting.md").read_text(encoding="utf-8")
        return [part.split("```")[0] for part in text.split("```python\n")[1:]]

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

    def test_the_first_has_ten_lines(self):
        assert len(self.scripts()[0].splitlines()) == 10

    def test_earlier_addresses_still_work(self):
        from SpinalTapLib.options import Options as now
        from SpinalTapLib.values import Settings, State

        assert Settings is now and Settings(structures="all").structures == "all" and State.DONE == "done"
