"""Temporary folders: made in one place, removed when nothing needs them, whoever left them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from SpinalTapLib.session.run_folders import RunFolders, remove_stale_homes

posix = pytest.mark.skipif(os.name != "posix", reason="process numbers are asked after on POSIX only")


@pytest.fixture
def ended():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@posix
def test_what_a_crashed_application_left_is_removed_by_the_next(tmp_path, ended):
    host = platform.node()
    stale, living = (tmp_path / f"spinaltap-run-{host}-{pid}-abc_1" for pid in (ended, os.getpid()))
    others = tmp_path / "spinaltap-run-notes-1"
    for folder in (stale, living, others):
        folder.mkdir()
        (folder / "volume.npy").write_bytes(b"a scan")
    remove_stale_homes(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, others])


@posix
def test_folders_of_another_host_in_a_shared_temporary_folder_stay(tmp_path, ended, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(platform, "node", lambda: "node-1")
    monkeypatch.setattr(os, "getpid", lambda: ended)
    first = RunFolders()
    kept = first.new()
    monkeypatch.setattr(platform, "node", lambda: "node-2")
    second = RunFolders()
    second.new()
    assert kept.is_dir()
    monkeypatch.setattr(platform, "node", lambda: "node-1")
    remove_stale_homes(tmp_path)  # on its own host that process has ended
    assert not kept.exists() and len(list(tmp_path.iterdir())) == 1
    second.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_could_not_be_filled_goes_and_the_wanted_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folders = RunFolders()
    wanted, unwanted = folders.new(), folders.new()
    with pytest.raises(OSError, match="full"), folders.filled() as half:
        (half / "volume.npy").write_bytes(b"half a scan")
        raise OSError("full")
    assert not half.exists()
    folders.keep_only({wanted})
    assert wanted.is_dir() and not unwanted.exists()
    folders.close()
    folders.close()
    assert not list(tmp_path.iterdir())
