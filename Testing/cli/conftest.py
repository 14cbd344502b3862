"""Fixtures of the tests of the command line."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
from block_spine import BlockSpine, put_blocks
from cli_support import BLOCKS, leave_out_pictures

from SpinalTapLib.cli.main import main


@pytest.fixture(scope="session")
def scan(tmp_path_factory) -> Path:
    """Return the file of a scan with three blocks."""
    path = tmp_path_factory.mktemp("scans") / "blocks.nii.gz"
    volume = BlockSpine(**BLOCKS).volume()
    sitk.WriteImage(volume.to_source(volume.array), str(path))
    return path


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Leave out what takes longest, and put logging back afterwards."""
    leave_out_pictures(monkeypatch)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.fixture(scope="session")
def made_result(scan, tmp_path_factory, tiny_weights) -> Path:
    """Return the result folder of a run with the perfect detector; not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "result"
    with pytest.MonkeyPatch.context() as patch:
        leave_out_pictures(patch)
        put_blocks(patch, tiny_weights, **BLOCKS)
        assert main(["segment", str(scan), "--output", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture
def result(made_result, tmp_path, block_spine) -> Path:
    """Return a copy of such a result folder, with the perfect detector in place."""
    block_spine(**BLOCKS)
    return Path(shutil.copytree(made_result, tmp_path / "result"))
