"""Fixtures of the tests of the command line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import SimpleITK as sitk
from block_spine import BlockSpine
from cli_support import BLOCKS

from SpinalTapLib import result_folder as resultfolder
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
