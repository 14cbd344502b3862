"""batch on the command line: every scan, and a summary."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from cli_support import BLOCKS, lines

from SpinalTapLib.cli.main import main


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
    from SpinalTapLib import batch

    block_spine(**BLOCKS)
    segment = batch.segment_file
    monkeypatch.setattr(batch, "segment_file", lambda *args, **more: in_doubt(segment(*args, **more)))
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
