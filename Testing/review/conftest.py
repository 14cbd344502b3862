"""Results to review: one made of four blocks, copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
from block_spine import BlockSpine, put_blocks

pytest.importorskip("starlette", reason="the review needs the extra [review]")
pytest.importorskip("httpx", reason="the review's tests need httpx")

BLOCKS = {"count": 4}


@pytest.fixture(scope="session")
def perfect(tiny_weights):
    """Have a perfect detector of four blocks in the pipeline, and no picture in 3-D, which takes long."""
    from SpinalTapLib import result_folder

    with pytest.MonkeyPatch.context() as patch:
        put_blocks(patch, tiny_weights, **BLOCKS)
        patch.setattr(result_folder, "render_surfaces", lambda *_, **__: None)
        yield


@pytest.fixture(scope="session")
def made(perfect, tmp_path_factory) -> Path:
    """Return a folder with the scan ``blocks.nii.gz`` and its result."""
    from SpinalTapLib.result_folder import segment_file

    folder = tmp_path_factory.mktemp("review")
    volume = BlockSpine(**BLOCKS).volume()
    sitk.WriteImage(volume.to_source(volume.array), str(folder / "blocks.nii.gz"))
    segment_file(folder / "blocks.nii.gz", folder / "result")
    return folder


@pytest.fixture
def results(made, tmp_path) -> Path:
    """Return a folder with the results ``one`` and ``two`` of one scan."""
    for name in ("one", "two"):
        shutil.copytree(made / "result", tmp_path / "results" / name)
    return tmp_path / "results"
