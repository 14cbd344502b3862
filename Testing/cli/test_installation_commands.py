"""doctor and benchmark on the command line."""

from __future__ import annotations

import json

import pytest
from block_spine import BlockSpine
from cli_support import BLOCKS

from SpinalTapLib.cli.main import main


def test_doctor_says_what_is_wrong_and_ends_with_2(monkeypatch, capsys):
    from SpinalTapLib.cli import doctor

    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    assert main(["doctor", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert {check["name"]: check["ok"] for check in report["checks"]}["no-such-package"] is False


def test_doctor_runs_the_road(monkeypatch, block_spine, capsys):
    from SpinalTapLib.cli import doctor

    monkeypatch.setattr(doctor, "check_needs", lambda: ())
    monkeypatch.setattr(doctor, "column_of_blocks", lambda: BlockSpine(**BLOCKS).volume().array)
    block_spine(**BLOCKS)
    assert main(["doctor"]) == 0
    assert "Self-check" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["segment", "reseed"])
def test_benchmark_prints_the_seconds_of_each_stage(what, scan, block_spine, capsys):
    block_spine(**BLOCKS)
    assert main(["benchmark", what, "--scan", str(scan), "--repeats", "1", "--json"]) == 0
    timing = json.loads(capsys.readouterr().out)
    assert timing["vertebrae"] == 3 and timing["seconds"]["total"] > 0
    assert ("detect" in timing["seconds"]) == (what == "segment")
