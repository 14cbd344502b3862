"""A scan of three blocks for the tests of the command line, and small helpers that several of them share."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

from SpinalTapLib import result_folder
from SpinalTapLib.bodies.surfaces import surface_of
from SpinalTapLib.files import result_files
from SpinalTapLib.report.canvas import png_bytes

CONTRACT = ("vertebrae.nii.gz", "vertebrae.seg.nrrd", "spine.json", "measurements.csv", "report.png")
BLOCKS = {"count": 3}
PICTURE = png_bytes(np.zeros((2, 2, 3), np.uint8))


def leave_out_pictures(patch: pytest.MonkeyPatch) -> None:
    """Replace the report, which takes longer than all the rest, by an empty picture; make each surface once."""
    patch.setattr(result_folder, "render_surfaces", lambda *_, **__: None)
    patch.setattr(result_files, "report_png", lambda *_: PICTURE)
    patch.setattr(result_folder, "surface_of", functools.lru_cache(maxsize=64)(surface_of))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def box_around(folder: Path, index: int) -> str:
    content = json.loads((folder / "spine.json").read_text())
    return ",".join(str(round(x, 1)) for x in content["vertebrae"][index]["centroid_lps_mm"]) + ",30,30,30"
