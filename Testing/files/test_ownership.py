"""Whose files are in an output folder: nothing that is not SpinalTap's is ever replaced."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys

import pytest
import SimpleITK as sitk
from batch_stand_in import Here
from block_spine import BlockSpine

from SpinalTapLib.batch import engines
from SpinalTapLib.batch.work import segment_job
from SpinalTapLib.cli.main import main
from SpinalTapLib.files.ownership import check_output

BLOCKS = {"count": 3, "s1": True}


def sums(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scans" / "vertebrae.nii.gz"
    path.parent.mkdir()
    volume = BlockSpine(**BLOCKS).volume()
    sitk.WriteImage(volume.to_source(volume.array), str(path))
    return path


def test_the_scan_itself_is_never_replaced(scan, capsys):
    before = sums(scan.parent)
    assert main(["segment", str(scan), "--output", str(scan.parent), "--quiet"]) == 2
    assert "would replace the scan" in capsys.readouterr().err
    assert sums(scan.parent) == before


@pytest.mark.parametrize("name", ["measurements.csv", "report.png", "spine.json", "surfaces/L4.stl"])
def test_a_file_of_the_users_own_is_not_replaced(scan, tmp_path, capsys, name):
    own = tmp_path / "own"
    (own / name).parent.mkdir(parents=True)
    (own / name).write_text("{}")
    assert main(["segment", str(scan), "--output", str(own), "--quiet"]) == 2
    assert f"holds a {name} that is not SpinalTap's; choose another output folder" in capsys.readouterr().err
    assert [str(p.relative_to(own)) for p in own.rglob("*") if p.is_file()] == [name]


def test_an_earlier_result_is_replaced_and_other_files_stay(scan, tmp_path, block_spine, monkeypatch, capsys):
    monkeypatch.setattr("SpinalTapLib.result_folder.render_surfaces", lambda *_, **__: None)
    block_spine(**BLOCKS)
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["segment", str(scan), "--output", str(out), "--quiet"]) == 0
        (out / "notes.txt").write_text("mine")
        (out / "vertebrae.dcm").write_text("of the first count")
    check_output(out)
    assert main(["reseed", str(out), "--shift", "1", "--quiet"]) == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "vertebrae.dcm").exists()  # its levels are not those any more
    assert "vertebrae.dcm showed the earlier levels and was removed" in capsys.readouterr().err


def test_a_new_folder_is_anybodys(tmp_path):
    check_output(tmp_path / "new")
    check_output(tmp_path, tmp_path / "scan.nii")


@pytest.mark.parametrize(
    "arguments",
    [["segment", "", "--output", "x"], ["segment", "scan.nii", "--output", " "], ["batch", "", "--output", "x"]],
)
def test_an_empty_text_is_no_folder(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert "got an empty text" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems allow no such names")
def test_a_name_that_is_not_utf8_is_refused(scan, tmp_path, capsys):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/pati\xebnt.nii.gz")
    shutil.copy(scan, odd)
    assert main(["segment", odd, "--output", str(tmp_path / "out")]) == 2
    assert "not valid UTF-8; rename it" in capsys.readouterr().err
    assert main(["segment", str(scan), "--output", odd[: -len(".nii.gz")]]) == 2
    assert "not valid UTF-8; rename it" in capsys.readouterr().err


def test_no_accident_ends_a_batch(scan, tmp_path, capsys, monkeypatch):
    shutil.copy(scan, scan.with_name("second.nii.gz"))
    (scan.parent / "locked").write_bytes(b"x" * 200)
    failures = iter([MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])

    def fail(*_, **__):
        raise next(failures)

    monkeypatch.setattr("SpinalTapLib.result_folder.segment_file", fail)
    monkeypatch.setattr(engines, "Processes", lambda jobs: Here(jobs, segment_job))
    out = tmp_path / "out"
    assert main(["batch", str(scan.parent), "--output", str(out), "--quiet"]) == 0
    assert (out / "batch.csv").read_text().count("not enough memory") == 2


def test_a_summary_of_something_else_is_not_replaced(scan, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "batch.csv").write_text("batch,price\n1,2\n")
    assert main(["batch", str(scan.parent), "--output", str(out)]) == 2
    assert "batch.csv was not written by SpinalTap" in capsys.readouterr().err
    assert (out / "batch.csv").read_text() == "batch,price\n1,2\n"


def test_a_cancelled_batch_says_what_is_done(scan, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("SpinalTapLib.result_folder.segment_file", interrupt)
    monkeypatch.setattr(engines, "Processes", lambda jobs: Here(jobs, segment_job))
    assert main(["batch", str(scan.parent), "--output", str(tmp_path / "out")]) == 130
    assert "Cancelled after 0 of 1 scans" in capsys.readouterr().err
