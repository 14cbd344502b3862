"""segment and reseed: what goes where, and what is left behind."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from cli_support import BLOCKS, CONTRACT, box_around, lines

from SpinalTapLib.cli.main import main


def test_segment_writes_the_files_of_the_contract(result):
    assert all((result / name).is_file() for name in CONTRACT)
    assert {path.stem for path in (result / "surfaces").iterdir()} == {"S1", "L5", "L4"}
    assert {path.name for path in (result / "markups").iterdir()} == {f"{n}.mrk.json" for n in ("S1", "L5", "L4")}


def test_segment_shows_results_on_stdout_and_progress_on_stderr(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--structures", "bodies"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in lines(out)] == ["level", "L4", "L5", "S1", "3", "Results:"]
    assert "3 vertebrae, L4 to S1. Counted from S1: 99 %." in out
    assert all(re.match(r" *\d+%  [A-Z]", line) for line in lines(err))


def test_segment_says_which_vertebrae_to_check_and_calls_none_sure_that_is_in_doubt(result, capsys):
    from worker_road import in_doubt

    from SpinalTapLib.cli.console import Console
    from SpinalTapLib.cli.segment_commands import _report
    from SpinalTapLib.files.result_files import read_result

    spine = in_doubt(read_result(result))
    doubtful = replace(spine.vertebrae[1], confidence=0.5)
    spine = replace(spine, vertebrae=(spine.vertebrae[0], doubtful, *spine.vertebrae[2:]))
    capsys.readouterr()
    assert _report(spine, result, Console(quiet=True), as_json=False) == 0
    out, err = capsys.readouterr()
    assert "sure" not in out and "S1 or L5? 71 : 29" in out
    assert "Check L5: the program is not sure of it." in err


def test_json_prints_spine_json_and_nothing_else(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "spine.json").read_text())
    assert [v["level"] for v in printed["vertebrae"]] == ["S1", "L5", "L4"]
    assert printed["input"]["path"] == str(scan.resolve())
    assert {"read", "detect", "bodies", "surfaces"} <= set(printed["seconds"])


def test_the_label_map_has_the_geometry_of_the_scan(scan, result):
    source, labels = sitk.ReadImage(str(scan)), sitk.ReadImage(str(result / "vertebrae.nii.gz"))
    assert labels.GetSize() == source.GetSize()
    assert labels.GetDirection() == pytest.approx(source.GetDirection())
    assert labels.GetOrigin() == pytest.approx(source.GetOrigin())
    assert set(np.unique(sitk.GetArrayFromImage(labels))) == {0, 23, 24, 26}


def test_surfaces_come_in_the_format_that_was_asked_for(scan, tmp_path, block_spine):
    block_spine(**BLOCKS)
    out = tmp_path / "out"
    assert main(["segment", str(scan), "--output", str(out), "--surface-format", "ply", "--quiet"]) == 0
    assert {path.suffix for path in (out / "surfaces").iterdir()} == {".ply"}


def test_structures_all_adds_discs_and_canal(scan, tmp_path, block_spine):
    block_spine(**BLOCKS)
    out = tmp_path / "out"
    assert main(["segment", str(scan), "--output", str(out), "--structures", "all", "--quiet"]) == 0
    values = np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(out / "vertebrae.nii.gz"))))
    assert {60, 223, 224} <= set(values)


def test_whole_vertebrae_have_arches_in_the_label_map_and_surfaces_of_their_own(scan, tmp_path, block_spine):
    block_spine(**BLOCKS, arches=True)
    out = tmp_path / "out"

    def values() -> set[int]:
        return set(np.unique(sitk.GetArrayFromImage(sitk.ReadImage(str(out / "vertebrae.nii.gz")))))

    def surfaces() -> set[str]:
        return {path.stem for path in (out / "surfaces").iterdir()}

    assert main(["segment", str(scan), "--output", str(out), "--structures", "vertebrae", "--quiet"]) == 0
    assert values() == {0, 26, 24, 23, 324, 323}
    assert surfaces() == {"S1", "L5", "L5_arch", "L5_whole", "L4", "L4_arch", "L4_whole"}
    assert main(["reseed", str(out), "--shift", "1", "--quiet"]) == 0
    assert {324 - 1, 323 - 1} <= values(), "a recount keeps the structures, and names the arches anew"
    assert main(["reseed", str(out), "--structures", "bodies", "--quiet"]) == 0
    assert values() == {0, 26, 24, 23} and surfaces() == {"S1", "L5", "L4"}
    assert main(["reseed", str(out), "--structures", "all", "--quiet"]) == 0
    assert {60, 223, 224, 323, 324} <= values()


def test_weights_without_arches_say_so(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    assert main(["segment", str(scan), "--output", str(tmp_path / "o"), "--structures", "vertebrae", "--quiet"]) == 0
    (line,) = lines(capsys.readouterr().err)
    assert line.startswith("Warning: The network was not trained on the posterior elements")


def test_warnings_are_plain_sentences_on_stderr(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS, s1=False)
    options = ["--structures", "bodies", "--quiet"]
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), *options]) == 0
    (line,) = lines(capsys.readouterr().err)
    assert re.match(r"Warning: The levels are not known, so the vertebrae are numbered from the bottom up: .*\.$", line)


def test_an_untrained_network_ends_with_3_and_writes_nothing(scan, tmp_path, tiny_weights, capsys):
    out = tmp_path / "out"
    assert main(["segment", str(scan), "--output", str(out), "--model", str(tiny_weights), "--device", "cpu"]) == 3
    assert "no vertebra found" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_replaces_the_first(result, scan, block_spine):
    (result / "notes.txt").write_text("mine")
    block_spine(**BLOCKS, s1=False)
    assert main(["segment", str(scan), "--output", str(result), "--quiet"]) == 0
    assert {path.stem for path in (result / "surfaces").iterdir()} == {"vertebra_101", "vertebra_102", "vertebra_103"}
    assert (result / "notes.txt").read_text() == "mine"


def test_a_seed_box_with_a_leading_minus_is_no_option(result, scan, tmp_path, capsys):
    box = box_around(result, 1)
    assert box.startswith("0.0,") or box.startswith("-")
    shifted = "-2" + box[box.index(",") :]
    out = tmp_path / "again"
    assert main(["segment", str(scan), "--output", str(out), "--seed-box", shifted, "--quiet"]) == 0
    assert [v["level"] for v in json.loads((out / "spine.json").read_text())["vertebrae"]] == ["S1", "L5"]


def test_the_seed_of_an_roi_file_is_the_seed_of_the_same_numbers(result, scan, tmp_path):
    numbers = [float(x) for x in box_around(result, 2).split(",")]
    roi = {"type": "ROI", "coordinateSystem": "LPS", "center": numbers[:3], "size": numbers[3:]}
    (tmp_path / "box.mrk.json").write_text(json.dumps({"markups": [roi]}))
    out = tmp_path / "again"
    arguments = ["--seed-roi", str(tmp_path / "box.mrk.json"), "--seed-level", "l1", "--quiet"]
    assert main(["segment", str(scan), "--output", str(out), *arguments]) == 0
    content = json.loads((out / "spine.json").read_text())
    assert [v["level"] for v in content["vertebrae"]] == ["L3", "L2", "L1"]
    assert (content["anchor"], content["seed"]["level"]) == ("pinned", "L1")


@pytest.mark.parametrize(
    "box, names", [("900,900,900,30,30,30", "outside the scan"), ("0,-36,0,6,6,6", "no vertebra in the S1 box")]
)
def test_a_box_with_no_vertebra_in_it_is_bad_input(box, names, result, scan, tmp_path, capsys):
    out = tmp_path / "again"
    assert main(["segment", str(scan), "--output", str(out), "--seed-box", box, "--quiet"]) == 2
    assert names in capsys.readouterr().err
    assert not out.exists()


def test_reseed_recounts_without_the_detector_and_replaces_the_files(result, block_spine):
    _, detector = block_spine(**BLOCKS)
    seed = ["--seed-box", box_around(result, 0), "--seed-level", "L3"]
    assert main(["reseed", str(result), *seed, "--quiet"]) == 0
    assert detector.runs == 0
    content = json.loads((result / "spine.json").read_text())
    assert [v["level"] for v in content["vertebrae"]] == ["L3", "L2", "L1"]
    assert {path.stem for path in (result / "surfaces").iterdir()} == {"L3", "L2", "L1"}


def test_reseed_can_write_elsewhere_and_be_undone(result, tmp_path):
    before = (result / "vertebrae.nii.gz").read_bytes()
    seed = ["--seed-box", box_around(result, 0), "--seed-level", "L3"]
    assert main(["reseed", str(result), "--output", str(tmp_path / "other"), *seed, "--quiet"]) == 0
    assert (result / "vertebrae.nii.gz").read_bytes() == before
    assert main(["reseed", str(tmp_path / "other"), "--quiet"]) == 0
    back = json.loads((tmp_path / "other" / "spine.json").read_text())
    assert [v["level"] for v in back["vertebrae"]] == ["S1", "L5", "L4"] and back["anchor"] == "S1"
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "other" / "vertebrae.nii.gz"))) ==
            sitk.GetArrayFromImage(sitk.ReadImage(str(result / "vertebrae.nii.gz")))).all()  # fmt: skip


def test_reseed_of_a_scan_that_was_moved_asks_where_it_is(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    here, there, out = tmp_path / "here.nii.gz", tmp_path / "there.nii.gz", tmp_path / "out"
    here.write_bytes(scan.read_bytes())
    assert main(["segment", str(here), "--output", str(out), "--quiet"]) == 0
    here.rename(there)
    capsys.readouterr()
    assert main(["reseed", str(out), "--quiet"]) == 2
    assert "--input" in capsys.readouterr().err
    assert main(["reseed", str(out), "--input", str(there), "--quiet"]) == 0
    assert json.loads((out / "spine.json").read_text())["input"]["path"] == str(there)
