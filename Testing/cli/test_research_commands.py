"""evaluate on the command line."""

from __future__ import annotations

import json
import re

from SpinalTapLib.cli.main import main


def test_evaluate_finds_a_result_equal_to_itself(result, tmp_path, capsys):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "result_labels.nii.gz").write_bytes((result / "vertebrae.nii.gz").read_bytes())
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "truth"), str(tmp_path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["groups"]["all"]
    assert figures["recall"]["value"] == figures["identification"]["value"] == figures["dice_3d"]["value"] == 1
    assert main(["evaluate", str(tmp_path / "truth"), str(tmp_path)]) == 0
    assert re.search(r"^\| Recall +\| 1\.000", capsys.readouterr().out, re.MULTILINE)
