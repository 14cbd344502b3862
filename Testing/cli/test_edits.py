"""Changes to a result on the command line: shift, pin, drop, add, undo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cli_support import BLOCKS, box_around, lines

from SpinalTapLib.cli.arguments import parse_seed_box
from SpinalTapLib.cli.main import main


def test_numbers_of_a_box_are_centre_and_size():
    box = parse_seed_box("-1,2,3.5,10,20,30", "c2")
    assert box.center_lps_mm.tolist() == [-1, 2, 3.5] and box.size_mm.tolist() == [10, 20, 30] and box.level == "C2"


def levels_in(folder: Path) -> list[str | None]:
    return [v["level"] for v in json.loads((folder / "spine.json").read_text())["vertebrae"]]


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file of a result but those that tell the time."""
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name not in ("spine.json", "report.png", "changes.json"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def test_a_shift_renames_every_file_and_undo_brings_them_back_to_the_byte(result):
    before = files_in(result)
    assert main(["reseed", str(result), "--shift", "1", "--quiet"]) == 0
    assert levels_in(result) == ["L5", "L4", "L3"]
    assert {path.stem for path in (result / "surfaces").iterdir()} == {"L5", "L4", "L3"}
    assert main(["reseed", str(result), "--shift", "-1", "--quiet"]) == 0
    assert levels_in(result) == ["S1", "L5", "L4"]
    assert main(["reseed", str(result), "--undo", "--quiet"]) == 0
    assert levels_in(result) == ["L5", "L4", "L3"]
    assert main(["reseed", str(result), "--undo", "--quiet"]) == 0
    assert files_in(result) == before


def test_a_pinned_level_is_what_the_others_are_counted_from(result):
    assert main(["reseed", str(result), "--pin", "l5=T13", "--quiet"]) == 0
    content = json.loads((result / "spine.json").read_text())
    assert levels_in(result) == ["L1", "T13", "T12"] and content["anchor"] == "pinned"


def test_vertebrae_without_levels_are_pinned_by_their_number(scan, tmp_path, block_spine):
    block_spine(**BLOCKS, s1=False)
    out = tmp_path / "out"
    assert main(["segment", str(scan), "--output", str(out), "--quiet"]) == 0
    assert main(["reseed", str(out), "--pin", "102=L3", "--quiet"]) == 0
    assert levels_in(out) == ["L4", "L3", "L2"]
    assert main(["reseed", str(out), "--undo", "--quiet"]) == 0
    assert main(["reseed", str(out), "--pin", "vertebra 3=C2", "--quiet"]) == 0
    assert levels_in(out) == ["C4", "C3", "C2"]


def test_a_dropped_vertebra_can_be_added_from_a_box_and_both_be_taken_back(result):
    middle = box_around(result, 1)
    before = files_in(result)
    assert main(["reseed", str(result), "--drop", "L5", "--quiet"]) == 0
    assert levels_in(result) == ["S1", "L5"]
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(result / "vertebrae.nii.gz")))
    assert set(np.unique(labels)) == {0, 24, 26}
    assert main(["reseed", str(result), "--add-box", middle, "--quiet"]) == 0
    content = json.loads((result / "spine.json").read_text())
    assert levels_in(result) == ["S1", "L5", "L4"] and "added by hand" in content["vertebrae"][1]["flags"]
    assert main(["reseed", str(result), "--shift", "1", "--quiet"]) == 0
    assert levels_in(result) == ["L5", "L4", "L3"]
    for _ in range(3):
        assert main(["reseed", str(result), "--undo", "--quiet"]) == 0
    assert files_in(result) == before


def test_steps_stay_what_they_were_until_others_are_given(scan, tmp_path, block_spine):
    block_spine(count=3)
    out = tmp_path / "out"
    assert main(["segment", str(scan), "--output", str(out), "--steps", "1", "--quiet"]) == 0
    assert levels_in(out) == ["S1", "L5"]
    assert main(["reseed", str(out), "--shift", "1", "--quiet"]) == 0
    assert levels_in(out) == ["L5", "L4"]
    assert main(["reseed", str(out), "--steps", "auto", "--quiet"]) == 0
    assert levels_in(out) == ["S1", "L5", "L4"]
    assert main(["reseed", str(out), "--undo", "--quiet"]) == 0
    assert levels_in(out) == ["L5", "L4"]


def test_a_new_run_has_nothing_to_take_back(result, scan, block_spine, capsys):
    assert main(["reseed", str(result), "--shift", "1", "--quiet"]) == 0
    assert main(["segment", str(scan), "--output", str(result), "--quiet"]) == 0
    assert main(["reseed", str(result), "--undo", "--quiet"]) == 2
    assert "nothing to undo" in capsys.readouterr().err


@pytest.mark.parametrize(
    "edit, names",
    [
        (["--undo"], "nothing to undo"),
        (["--shift", "0"], "changes nothing"),
        (["--shift", "-40"], "no vertebra would keep a level"),
        (["--shift", "99"], "no vertebra would keep a level"),
        (["--pin", "T5=L4"], "no vertebra called 'T5' in this result; it has S1, L5, L4"),
        (["--drop", "none"], "no vertebra called 'none'"),
        (["--add-box", "900,0,0,20,20,20"], "outside the scan"),
        (["--add-box", "0,nan,0,20,20,20"], "finite"),
        (["--add-box", "0,0,0,20,0,20"], "size above zero"),
        (["--add-box", "L5"], "already"),
        (["--seed-box", "900,0,0,20,20,20"], "outside the scan"),
        (["--steps", "-1"], "-1"),
        (["--steps", "1000"], "1000"),
    ],
)
def test_an_impossible_change_is_one_sentence_and_leaves_the_folder_as_it_was(edit, names, result, capsys):
    edit = [box_around(result, 1) if value == "L5" else value for value in edit]
    before = {path: path.read_bytes() for path in result.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["reseed", str(result), *edit, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(lines(err)) == 1 and names in err
    assert {path: path.read_bytes() for path in result.rglob("*") if path.is_file()} == before


def test_a_damaged_history_is_told(result, capsys):
    (result / "changes.json").write_text('{"format": 1, "counts": [{"seed": 3}]}')
    assert main(["reseed", str(result), "--quiet"]) == 2
    assert "changes.json is damaged" in capsys.readouterr().err


def test_a_result_without_a_history_can_be_changed_and_undone(result):
    (result / "changes.json").unlink()
    assert main(["reseed", str(result), "--shift", "1", "--quiet"]) == 0
    assert main(["reseed", str(result), "--undo", "--quiet"]) == 0
    assert levels_in(result) == ["S1", "L5", "L4"]
