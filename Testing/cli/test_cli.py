"""The command line: exit codes, what goes where, and what is left behind."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from block_spine import BlockSpine
from paths import ROOT

from SpinalTapLib import result_folder as resultfolder
from SpinalTapLib.cli.arguments import parse_seed_box
from SpinalTapLib.cli.main import main

CONTRACT = ("vertebrae.nii.gz", "vertebrae.seg.nrrd", "spine.json", "measurements.csv", "report.png")
BLOCKS = {"count": 3}


@pytest.fixture(scope="session")
def scan(tmp_path_factory) -> Path:
    """Return the file of a scan with three blocks."""
    path = tmp_path_factory.mktemp("scans") / "blocks.nii.gz"
    volume = BlockSpine(**BLOCKS).volume()
    sitk.WriteImage(volume.to_source(volume.array), str(path))
    return path


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Leave out the picture in 3-D, which takes longer than all the rest, and put logging back afterwards."""
    monkeypatch.setattr(resultfolder, "render_surfaces", lambda *_, **__: None)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.fixture
def result(scan, tmp_path, block_spine) -> Path:
    """Return the result folder of a run with the perfect detector."""
    block_spine(**BLOCKS)
    assert main(["segment", str(scan), "--output", str(tmp_path / "result"), "--quiet"]) == 0
    return tmp_path / "result"


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


# --- segment ---------------------------------------------------------------------------------------------------------


def test_segment_writes_the_files_of_the_contract(result):
    assert all((result / name).is_file() for name in CONTRACT)
    assert {path.stem for path in (result / "surfaces").iterdir()} == {"S1", "L5", "L4"}
    assert {path.name for path in (result / "markups").iterdir()} == {f"{n}.mrk.json" for n in ("S1", "L5", "L4")}


def test_segment_shows_results_on_stdout_and_progress_on_stderr(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in lines(out)] == ["level", "L4", "L5", "S1", "3", "Results:"]
    assert "3 vertebrae, L4 to S1, counted from S1." in out
    assert all(re.match(r" *\d+%  [A-Z]", line) for line in lines(err))


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


def test_warnings_are_plain_sentences_on_stderr(scan, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS, s1=False)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    (line,) = lines(capsys.readouterr().err)
    assert re.match(r"Warning: Neither S1 nor C2 .*\.$", line)


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


# --- bad input and usage ---------------------------------------------------------------------------------------------


def bad_files(folder: Path) -> dict[str, Path]:
    """Make inputs that can't be read."""
    (folder / "text.nii.gz").write_text("not an image")
    (folder / "empty").mkdir()
    sitk.WriteImage(sitk.Image(8, 8, 8, sitk.sitkFloat32), str(folder / "constant.nii.gz"))
    return {name: folder / name for name in ("missing.nii", "text.nii.gz", "empty", "constant.nii.gz")}


@pytest.mark.parametrize("name", ["missing.nii", "text.nii.gz", "empty", "constant.nii.gz"])
def test_bad_input_is_one_sentence_exit_2_and_no_file(name, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    path = bad_files(tmp_path / "in")[name]
    assert main(["segment", str(path), "--output", str(tmp_path / "out"), "--quiet"]) == 2
    out, err = capsys.readouterr()
    (line,) = lines(err)
    assert out == "" and line.startswith("spinaltap: ") and name in line and line.endswith(".")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, names",
    [
        ([], "spinaltap segment"),
        (["sgment"], "sgment"),
        (["segment"], "INPUT"),
        (["segment", "a.nii"], "--output"),
        (["segment", "a.nii", "--output", "o", "--device", "tpu"], "tpu"),
        (["segment", "a.nii", "--output", "o", "--method", "magic"], "magic"),
        (["segment", "a.nii", "--output", "o", "--structures", "ribs"], "ribs"),
        (["segment", "a.nii", "--output", "o", "--surface-format", "doc"], "doc"),
        (["segment", "a.nii", "--output", "o", "--steps", "many"], "many"),
        (["segment", "a.nii", "--output", "o", "--steps", "-1"], "-1"),
        (["segment", "a.nii", "--output", "o", "--steps", "1000"], "1000"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,3"], "1,2,3"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,3,4,5,wide"], "wide"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,3,0,5,6"], "size above zero"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,nan,4,5,6"], "finite"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,3,4,5,6", "--seed-level", "L9"], "L9"),
        (["segment", "a.nii", "--output", "o", "--seed-level", "L5"], "--seed-box"),
        (["segment", "a.nii", "--output", "o", "--seed-roi", "gone.mrk.json"], "gone.mrk.json"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,3,4,5,6", "--seed-roi", "r.json"], "--seed-roi"),
        (["segment", "a.nii", "--output", "o", "--seed-box", "1,2,3,4,5,6", "--seed-box", "1,2,3,4,5,6"], "twice"),
        (["reseed", "no_such_folder"], "no_such_folder"),
        (["reseed", "no_such_folder", "--shift", "1", "--undo"], "--undo"),
        (["reseed", "no_such_folder", "--pin", "L5=L4", "--drop", "L5"], "--drop"),
        (["reseed", "no_such_folder", "--seed-box", "1,2,3,4,5,6", "--shift", "1"], "--shift"),
        (["reseed", "no_such_folder", "--shift", "1", "--shift", "1"], "twice"),
        (["reseed", "no_such_folder", "--shift", "up"], "'up'"),
        (["reseed", "no_such_folder", "--shift", "0.5"], "'0.5'"),
        (["reseed", "no_such_folder", "--pin", "L5"], "NAME=LEVEL"),
        (["reseed", "no_such_folder", "--pin", "L5=L9"], "'L9'"),
        (["reseed", "no_such_folder", "--pin", "L5=L4", "--seed-level", "L4"], "--seed-level"),
        (["reseed", "no_such_folder", "--add-box", "1,2,3"], "six numbers"),
        (["reseed", "no_such_folder", "--undo", "--steps", "6"], "--steps"),
        (["batch", "no_such_folder", "--output", "o"], "no_such_folder"),
        (["phantom", "--output", "o", "--seed", "-1"], "-1"),
        (["phantom", "--output", "o", "--slice-mm", "20"], "20"),
        (["train", "--output", "o", "--config", "no_such_recipe"], "no_such_recipe"),
        (["train", "--output", "o", "--config", "tiny", "--steps", "0"], "steps"),
        (["train", "--output", "o", "--config", "ladder", "--resume", "x"], "--resume"),
        (["train", "--output", "o", "--config", "ladder", "--seed", "-1"], "'seed' must be zero or more; got -1"),
        (["evaluate"], "REFERENCES"),
        (["evaluate", "one_folder"], "PREDICTIONS"),
        (["evaluate", "one", "two", "--spider", "three"], "--spider"),
        (["evaluate", "no_such_folder", "two"], "no_such_folder"),
        (["experiment", "alchemy"], "alchemy"),
        (["experiment", "fidelity", "--spines", "0"], "--spines"),
        (["experiment", "contact-sheet", "--output", "x.png", "--count", "0"], "--count"),
        (["experiment", "poster", "--scans", "0"], "--scans"),
        (["experiment", "poster", "--ladder", "gone.pt"], "gone"),
        (["experiment", "calibration", "other", "no_such_folder"], "no_such_folder"),
        (["benchmark", "--repeats", "0"], "--repeats"),
        (["benchmark", "reseed", "--scan", "gone.nii"], "gone.nii"),
    ],
)
def test_bad_usage_is_one_line_that_names_it_and_exit_2(arguments, names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert len(lines(err)) == 1 and names in err and "Traceback" not in err
    assert out == "" and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--help"], ["segment", "--help"], ["--version"]])
def test_help_and_version_end_well(arguments, capsys):
    assert main(arguments) == 0
    assert capsys.readouterr().out


def test_an_output_that_is_a_file_is_refused_before_the_work(scan, tmp_path, block_spine, capsys):
    _, detector = block_spine(**BLOCKS)
    (tmp_path / "out").write_text("a file")
    assert main(["segment", str(scan), "--output", str(tmp_path / "out" / "here"), "--quiet"]) == 2
    assert detector.runs == 0
    assert "is a file" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_an_output_that_may_not_be_written_is_refused_before_the_work(scan, tmp_path, block_spine, capsys):
    _, detector = block_spine(**BLOCKS)
    (tmp_path / "locked").mkdir(mode=0o500)
    assert main(["segment", str(scan), "--output", str(tmp_path / "locked" / "out"), "--quiet"]) == 2
    assert detector.runs == 0
    assert "not writable" in capsys.readouterr().err


def test_a_full_disk_is_told_and_nothing_is_left(scan, tmp_path, block_spine, monkeypatch, capsys):
    block_spine(**BLOCKS)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("SpinalTapLib.files.result_files.write_markups", full)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--quiet"]) == 2
    assert "disk is full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- faults and cancelling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [RuntimeError("a bug"), KeyError("a bug"), AssertionError()])
def test_a_fault_of_the_program_is_a_short_sentence_with_a_log_and_exit_1(fault, scan, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise fault

    monkeypatch.setattr(resultfolder, "segment_spine", broken)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--quiet"]) == 1
    (line,) = lines(capsys.readouterr().err)
    log = Path(re.search(r"log (\S+)\.$", line).group(1))
    assert type(fault).__name__ in log.read_text() and "Traceback" in log.read_text()
    log.unlink()


def test_a_value_error_of_another_library_is_a_fault_and_no_bad_input(scan, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        json.loads("{")  # a ValueError that does not come from SpinalTap

    monkeypatch.setattr(resultfolder, "segment_spine", broken)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--quiet"]) == 1
    Path(re.search(r"log (\S+)\.$", capsys.readouterr().err.strip()).group(1)).unlink()


def test_memory_that_runs_out_is_told_plainly(scan, tmp_path, monkeypatch, capsys):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr(resultfolder, "segment_spine", greedy)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--quiet"]) == 1
    assert "not enough memory" in capsys.readouterr().err


def test_an_interrupt_ends_with_130_and_leaves_nothing(scan, tmp_path, block_spine, monkeypatch, capsys):
    block_spine(**BLOCKS)

    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("SpinalTapLib.files.result_files.report_png", pressed)
    assert main(["segment", str(scan), "--output", str(tmp_path / "out"), "--quiet"]) == 130
    assert capsys.readouterr().err == "Cancelled; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_from_outside_ends_a_real_process_with_130(number, tmp_path, tiny_weights):
    volume = BlockSpine(40).volume()  # many tiles: the signal comes while the detector runs
    scan = tmp_path / "long.nii.gz"
    sitk.WriteImage(volume.to_source(volume.array), str(scan))
    command = [sys.executable, "-m", "SpinalTapLib", "segment", str(scan), "--output", str(tmp_path / "out")]
    for _ in range(4):  # on a fast machine a run may be over before the signal is delivered
        process = subprocess.Popen(
            [*command, "--model", str(tiny_weights), "--device", "cpu"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in the background may ignore it
        )
        assert process.stderr is not None
        first = process.stderr.readline()  # the run has begun
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
        if process.returncode != 3:  # 3: it ended first, with nothing found
            break
    assert (process.returncode, rest.strip().splitlines()[-1]) == (130, "Cancelled; nothing was written."), first + rest
    assert [path.name for path in tmp_path.iterdir()] == ["long.nii.gz"]


# --- seeds -----------------------------------------------------------------------------------------------------------


def box_around(folder: Path, index: int) -> str:
    content = json.loads((folder / "spine.json").read_text())
    return ",".join(str(round(x, 1)) for x in content["vertebrae"][index]["centroid_lps_mm"]) + ",30,30,30"


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


def test_numbers_of_a_box_are_centre_and_size():
    box = parse_seed_box("-1,2,3.5,10,20,30", "c2")
    assert box.center_lps_mm.tolist() == [-1, 2, 3.5] and box.size_mm.tolist() == [10, 20, 30] and box.level == "C2"


# --- reseed ----------------------------------------------------------------------------------------------------------


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


# --- edits on the command line ---------------------------------------------------------------------------------------


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
    assert "nothing to take back" in capsys.readouterr().err


@pytest.mark.parametrize(
    "edit, names",
    [
        (["--undo"], "nothing to take back"),
        (["--shift", "0"], "changes nothing"),
        (["--shift", "-1"], "nothing lies beyond S1"),
        (["--shift", "99"], "nothing lies beyond S1"),
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


# --- batch -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder_of_scans(scan, tmp_path) -> Path:
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    (folder / "one.nii.gz").write_bytes(scan.read_bytes())
    (folder / "deep" / "two.nii.gz").write_bytes(scan.read_bytes())
    (folder / "readme.txt").write_text("no scan")
    return folder


def test_batch_segments_every_scan_and_sums_up(folder_of_scans, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    out = tmp_path / "out"
    assert main(["batch", str(folder_of_scans), "--output", str(out), "--quiet"]) == 0
    assert (out / "one" / "spine.json").is_file() and (out / "deep" / "two" / "spine.json").is_file()
    rows = lines((out / "batch.csv").read_text())
    assert len(rows) == 3 and all(",done,3,S1 L5 L4,S1," in row for row in rows[1:])


def test_batch_goes_on_after_a_bad_scan_and_says_so(folder_of_scans, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    (folder_of_scans / "bad.nii.gz").write_text("no image")
    assert main(["batch", str(folder_of_scans), "--output", str(tmp_path / "out"), "--quiet"]) == 2
    assert "bad.nii.gz" in capsys.readouterr().err
    assert (tmp_path / "out" / "one" / "spine.json").is_file()
    assert not (tmp_path / "out" / "bad").exists()


def test_batch_skips_what_is_done(folder_of_scans, tmp_path, block_spine, capsys):
    _, detector = block_spine(**BLOCKS)
    arguments = ["batch", str(folder_of_scans), "--output", str(folder_of_scans / "results"), "--quiet"]
    assert main(arguments) == 0 and detector.runs == 2
    assert main(arguments) == 0 and detector.runs == 2
    assert "already done" in capsys.readouterr().out
    assert main([*arguments, "--again"]) == 0 and detector.runs == 4


def test_batch_tells_apart_scans_of_one_name(folder_of_scans):
    from SpinalTapLib.batch import find_scans

    (folder_of_scans / "one.nii").write_bytes(b"")
    names = {found.name for found in find_scans(folder_of_scans)}
    assert names == {str(Path("deep") / "two"), "one.nii", "one.nii.gz"}


# --- the other commands ----------------------------------------------------------------------------------------------


def test_phantom_draws_a_scan_that_can_be_read_again(tmp_path, capsys):
    from SpinalTapLib import load_volume
    from SpinalTapLib.scans.reader import read_image

    arguments = ["--region", "cervical", "--slice-mm", "8", "--pixel-mm", "1.6", "--seed", "3"]
    assert main(["phantom", "--output", str(tmp_path / "p"), *arguments]) == 0
    image, labels, truth = (Path(line) for line in lines(capsys.readouterr().out))
    assert load_volume(image).source.size == read_image(labels).image.GetSize()
    with pytest.raises(ValueError, match="is a label map"):
        load_volume(labels)
    assert "C5" in json.loads(truth.read_text())


def test_train_makes_weights_that_can_be_loaded(tmp_path, capsys):
    from SpinalTapLib.detection.weights import load_network

    assert main(["train", "--config", "tiny", "--steps", "2", "--output", str(tmp_path)]) == 0
    _, card = load_network(lines(capsys.readouterr().out)[-1])
    assert card["steps"] == 2


def test_weights_taught_at_another_size_of_pixel_end_with_2(scan, tmp_path, capsys):
    from SpinalTapLib.detection.networks import PartNetwork
    from SpinalTapLib.detection.weights import save_network

    save_network(tmp_path / "coarse.pt", PartNetwork((2, 4)), {"pixel_mm": 2.0})
    coarse = ["--model", str(tmp_path / "coarse.pt")]
    assert main(["segment", str(scan), "--output", str(tmp_path / "o"), *coarse]) == 2
    assert "taught at 2.0 mm a pixel" in capsys.readouterr().err
    assert main(["evaluate", "--spider", str(tmp_path), *coarse]) == 2
    assert "taught at 2.0 mm a pixel" in capsys.readouterr().err


def test_train_goes_on_with_the_settings_of_its_checkpoint(tmp_path, capsys):
    from SpinalTapLib.detection.weights import load_network
    from SpinalTapLib.training.config import CONFIG_FOLDER

    recipe = json.loads((CONFIG_FOLDER / "tiny.json").read_text())
    mine = {**recipe, "name": "mine", "widths": [4, 8], "learning_rate": 0.002}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    output = ["--output", str(tmp_path / "run")]
    assert main(["train", "--config", str(tmp_path / "mine.json"), "--steps", "2", *output]) == 0
    assert main(["train", *output, "--resume", str(tmp_path / "run"), "--steps", "3"]) == 0
    _, card = load_network(lines(capsys.readouterr().out)[-1])
    assert (card["steps"], card["tiles"], card["name"], card["config"]["learning_rate"]) == (3, 12, "mine", 0.002)
    assert main(["train", *output, "--resume", str(tmp_path / "run"), "--config", "tiny"]) == 2
    err = capsys.readouterr().err
    assert "learning_rate (0.002, not 0.005)" in err and "Traceback" not in err


def test_evaluate_finds_a_result_equal_to_itself(result, tmp_path, capsys):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "result_labels.nii.gz").write_bytes((result / "vertebrae.nii.gz").read_bytes())
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "truth"), str(tmp_path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["groups"]["all"]
    assert figures["recall"]["value"] == figures["identification"]["value"] == figures["dice_3d"]["value"] == 1
    assert main(["evaluate", str(tmp_path / "truth"), str(tmp_path)]) == 0
    assert re.search(r"^\| Recall +\| 1\.000", capsys.readouterr().out, re.MULTILINE)


def test_without_a_command_it_says_how_to_begin(capsys):
    from SpinalTapLib.cli.main import EXAMPLE, make_parser

    assert main([]) == 2
    said = capsys.readouterr()
    assert EXAMPLE in said.err and said.err.count("\n") == 1 and not said.out
    assert make_parser().parse_args(EXAMPLE.split()[1:]).input == "scan.nii.gz"


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


def test_a_reader_of_the_results_may_stop_early(result):
    command = [sys.executable, "-m", "SpinalTapLib", "reseed", str(result), "--quiet", "--method", "detector"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
