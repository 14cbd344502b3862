"""batch and summary on the command line, with the real segmentation of scans of blocks, in this process."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk
from batch_stand_in import Here
from cli_support import BLOCKS, lines
from paths import ROOT, SUPPORT

from SpinalTapLib import result_folder
from SpinalTapLib.batch import engines
from SpinalTapLib.batch.work import segment_job
from SpinalTapLib.cli.main import main
from SpinalTapLib.files.result_names import LABEL_MAP_NAME


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr(engines, "Processes", lambda jobs: Here(jobs, segment_job))


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


def test_the_summary_says_how_sure_the_names_are(folder_of_scans, tmp_path, block_spine, monkeypatch):
    block_spine(**BLOCKS)
    segment = result_folder.segment_spine
    monkeypatch.setattr(result_folder, "segment_spine", lambda *args, **more: in_doubt(segment(*args, **more)))
    assert main(["batch", str(folder_of_scans), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    with (tmp_path / "out" / "batch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["confidence"], row["level_probability"]) for row in rows] == [("0.5", "0.71")] * 2
    assert all("Check L5: the program is not sure of it." in row["warnings"] for row in rows)


def in_doubt(spine):
    """Return the spine with a doubtful L5."""
    doubtful = tuple(
        replace(v, level_probability=0.71, confidence=0.5 if v.level == "L5" else 0.7) for v in spine.vertebrae
    )
    return replace(spine, vertebrae=doubtful)


def test_a_summary_of_an_earlier_version_is_taken_for_ours(folder_of_scans, tmp_path, block_spine):
    block_spine(**BLOCKS)
    summary = tmp_path / "out" / "batch.csv"
    summary.parent.mkdir()
    summary.write_text("scan,folder,outcome,vertebrae,levels,anchor,seconds,message,warnings\n")
    assert main(["batch", str(folder_of_scans), "--output", str(summary.parent), "--quiet"]) == 0
    summary.write_text("name,age\n")
    assert main(["batch", str(folder_of_scans), "--output", str(summary.parent), "--quiet"]) == 2
    assert summary.read_text() == "name,age\n"


def test_batch_goes_on_after_a_bad_scan_and_says_so(folder_of_scans, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    (folder_of_scans / "bad.nii.gz").write_text("no image")
    out = tmp_path / "out"
    arguments = ["batch", str(folder_of_scans), "--output", str(out), "--quiet"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "bad.nii.gz is not a NIfTI" in said.err and "This run: 2 done, 1 failed." in said.out
    assert (out / "one" / "spine.json").is_file()
    assert [path.name for path in (out / "bad").iterdir()] == ["batch.json"]
    assert main([*arguments, "--strict"]) == 1


def test_label_maps_beside_the_scans_are_refused_in_a_sentence_and_the_scans_done(
    folder_of_scans, made_result, tmp_path, block_spine, capsys
):
    _, detector = block_spine(**BLOCKS)
    for path in sorted(folder_of_scans.rglob("*.nii.gz")):
        drawn = sitk.Cast(sitk.ReadImage(str(made_result / LABEL_MAP_NAME)), sitk.sitkFloat32)  # says nothing of labels
        sitk.WriteImage(drawn, str(path).replace(".nii.gz", "_labels.nii.gz"))
    out = tmp_path / "out"
    assert main(["batch", str(folder_of_scans), "--output", str(out), "--quiet"]) == 0
    assert "This run: 2 done, 2 failed." in capsys.readouterr().out and detector.runs == 2
    with (out / "batch.csv").open(newline="") as file:
        rows = {Path(row["scan"]).name: row for row in csv.DictReader(file)}
    assert [rows[name]["levels"] for name in ("one.nii.gz", "two.nii.gz")] == ["S1 L5 L4"] * 2
    for name in ("one_labels.nii.gz", "two_labels.nii.gz"):
        assert (rows[name]["outcome"], rows[name]["levels"]) == ("failed", "")
        (sentence,) = rows[name]["message"].splitlines()
        assert sentence.endswith(f"{name} is a label map, not a scan; give the scan that it was made from.")


def test_batch_skips_what_is_done(folder_of_scans, tmp_path, block_spine, capsys):
    _, detector = block_spine(**BLOCKS)
    arguments = ["batch", str(folder_of_scans), "--output", str(folder_of_scans / "results"), "--quiet"]
    assert main(arguments) == 0 and detector.runs == 2
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 0 and detector.runs == 2
    assert capsys.readouterr().out.count("already done") == 3  # each scan, and the sum
    assert main([*arguments, "--again"]) == 0 and detector.runs == 4


def test_a_scan_without_a_spine_is_a_row_and_no_failure(scan, tmp_path, block_spine, monkeypatch):
    block_spine(**BLOCKS)
    segment = result_folder.segment_spine
    without = lambda *args, **more: replace(segment(*args, **more), vertebrae=())  # noqa: E731
    monkeypatch.setattr(result_folder, "segment_spine", without)
    assert main(["batch", str(scan.parent), "--output", str(tmp_path / "out"), "--quiet", "--strict"]) == 0
    assert ",,no vertebra found,0," in (tmp_path / "out" / "batch.csv").read_text()


def test_lines_of_json_tell_machines_what_happens(folder_of_scans, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    out = tmp_path / "out"
    assert main(["batch", str(folder_of_scans), "--output", str(out), "--quiet", "--json", "--part", "2/2"]) == 0
    events = [json.loads(line) for line in lines(capsys.readouterr().out)]
    assert [event["event"] for event in events] == ["start", "scan", "end"]
    assert events[0]["scans"] == 1 and events[1]["outcome"] == "done" and events[1]["levels"] == "S1 L5 L4"
    assert events[2]["outcomes"] == {"done": 1}


def test_the_summary_is_made_anew_from_the_folders(folder_of_scans, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    out = tmp_path / "out"
    for part in ("1/2", "2/2"):
        assert main(["batch", str(folder_of_scans), "--output", str(out), "--quiet", "--part", part]) == 0
    tables = [(out / name).read_bytes() for name in ("batch.csv", "vertebrae.csv")]
    for name in ("batch.csv", "vertebrae.csv"):
        (out / name).unlink()
    assert main(["summary", str(out)]) == 0
    assert "2 done" in capsys.readouterr().out
    assert [(out / name).read_bytes() for name in ("batch.csv", "vertebrae.csv")] == tables
    assert main(["summary", str(folder_of_scans)]) == 2
    assert main(["summary", str(out / "no")]) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--part", "3"], "--part takes K/N, such as 3/20; got '3'."),
        (["--part", "4/3"], "K from 1 to N"),
        (["--jobs", "many"], "--jobs takes auto or a whole number; got 'many'."),
        (["--time-limit", "0"], "a number of minutes above 0; got '0'."),
        (["--resources", "GPU=1"], "--resources is for a Dask cluster"),
        (["--scheduler", "tcp://127.0.0.1:9", "--resources", "GPU"], "--resources takes NAME=N"),
        (["--suffix", "T1w"], "not a BIDS data set"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(folder_of_scans, tmp_path, capsys, more, words):
    assert main(["batch", str(folder_of_scans), "--output", str(tmp_path / "out"), *more]) == 2
    said = capsys.readouterr().err
    assert words in said and len(lines(said)) == 1


def test_the_bar_says_how_many_how_fast_and_how_long(folder_of_scans, tmp_path, block_spine, capsys):
    block_spine(**BLOCKS)
    assert main(["batch", str(folder_of_scans), "--output", str(tmp_path / "out")]) == 0
    assert "1 of 2 scans, 0 failed" in capsys.readouterr().err


INTERRUPTED = """
import sys
from SpinalTapLib.batch import engines
from SpinalTapLib.cli.main import main
from SpinalTapLib.files.result_names import LABEL_MAP_NAME
import batch_stand_in
own = engines.Processes
engines.Processes = lambda jobs: own(jobs, batch_stand_in.work)
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_batch_leaves_whole_results_and_goes_on(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.nii").write_text("done")
    (folder / "b.nii").write_text("hang")
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    command = [sys.executable, str(script), "batch", str(folder), "--output", str(out), "--jobs", "1", "--json"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{SUPPORT}"}
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in the background may ignore it
    )
    events = []
    while not events or events[-1]["event"] != "scan":
        events.append(json.loads(process.stdout.readline()))
    while not (folder / "b.log").is_file():  # b has begun
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=300)
    assert process.returncode == 130 and "Cancelled after 1 of 2 scans" in said
    assert json.loads(rest.splitlines()[-1]) == {"event": "cancelled", "finished": 1}
    assert sorted(path.name for path in out.iterdir()) == [".spinaltap", "a"]
