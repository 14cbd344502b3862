"""The door of the command line: bad input, usage, faults, cancelling, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from block_spine import BlockSpine
from cli_support import BLOCKS, lines
from paths import ROOT, SUPPORT

from SpinalTapLib import result_folder as resultfolder
from SpinalTapLib.cli.main import main


def bad_files(folder: Path) -> dict[str, Path]:
    """Make inputs that cannot be read."""
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
        (["reseed", "no_such_folder", "--alternative", "two"], "--alternative takes a whole number"),
        (["reseed", "no_such_folder", "--pin", "L5=L9"], "'L9'"),
        (["reseed", "no_such_folder", "--pin", "L5=L4", "--seed-level", "L4"], "--seed-level"),
        (["reseed", "no_such_folder", "--add-box", "1,2,3"], "six numbers"),
        (["reseed", "no_such_folder", "--undo", "--steps", "6"], "--steps"),
        (["batch", "no_such_folder", "--output", "o"], "no_such_folder"),
        (["phantom", "--output", "o", "--seed", "-1"], "-1"),
        (["phantom", "--output", "o", "--slice-mm", "20"], "20"),
        (["train", "--output", "o", "--config", "no_such_recipe"], "no_such_recipe"),
        (["train", "--output", "o", "--config", "tiny", "--steps", "0"], "steps"),
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
    volume = BlockSpine(3).volume()
    scan = tmp_path / "long.nii.gz"
    sitk.WriteImage(volume.to_source(volume.array), str(scan))
    command = [sys.executable, "-m", "endless_run", "segment", str(scan), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--model", str(tiny_weights), "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in the background may ignore it
    )
    assert process.stderr is not None
    said = iter(process.stderr.readline, "")
    first = next(line for line in said if "for ever" in line)  # the detector runs
    process.send_signal(number)
    _, rest = process.communicate(timeout=600)
    assert (process.returncode, rest.strip().splitlines()[-1]) == (130, "Cancelled; nothing was written."), first + rest
    assert [path.name for path in tmp_path.iterdir()] == ["long.nii.gz"]


def test_without_a_command_it_says_how_to_begin(capsys):
    from SpinalTapLib.cli.main import EXAMPLE, make_parser

    assert main([]) == 2
    said = capsys.readouterr()
    assert EXAMPLE in said.err and said.err.count("\n") == 1 and not said.out
    assert make_parser().parse_args(EXAMPLE.split()[1:]).input == "scan.nii.gz"


def test_a_reader_of_the_results_may_stop_early(result):
    command = [sys.executable, "-m", "SpinalTapLib", "reseed", str(result), "--quiet", "--method", "detector"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=600)
    os.close(writer)
    assert done.returncode == 0 and all(line.startswith("Warning: ") for line in done.stderr.splitlines())
