"""A scan of three blocks for the tests of the command line, and small helpers that several of them share."""

from __future__ import annotations

import json
from pathlib import Path

CONTRACT = ("vertebrae.nii.gz", "vertebrae.seg.nrrd", "spine.json", "measurements.csv", "report.png")
BLOCKS = {"count": 3}


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def box_around(folder: Path, index: int) -> str:
    content = json.loads((folder / "spine.json").read_text())
    return ",".join(str(round(x, 1)) for x in content["vertebrae"][index]["centroid_lps_mm"]) + ",30,30,30"
