"""Seed boxes as users write them: six numbers, or a Markups ROI saved by 3D Slicer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from . import levels
from .geometry import SeedBox


def parse_seed_box(text: str, level: str = "S1") -> SeedBox:
    """Read a box from ``"X,Y,Z,SX,SY,SZ"``: centre and full size, LPS, mm.

    Raises
    ------
    ValueError
        If these are not six numbers, a size is not above zero, or there is no such level.

    Examples
    --------
    >>> parse_seed_box("1,-20,-300,40,40,36").center_lps_mm.tolist()
    [1.0, -20.0, -300.0]
    """
    try:
        numbers = np.array([float(part) for part in text.split(",")])
    except ValueError:
        numbers = np.empty(0)
    if numbers.shape != (6,):
        raise ValueError(
            f"The seed box {text!r} can't be read; give six numbers X,Y,Z,SX,SY,SZ without spaces: "
            "its centre and its size in millimetres, LPS."
        )
    return SeedBox(numbers[:3], numbers[3:], level=levels.level(level).name)


def read_seed_roi(path: str | Path, level: str = "S1") -> SeedBox:
    """Read a box from a Markups ROI file (``.mrk.json``), stored in LPS or RAS, turned or not.

    The file keeps the box's axes as the columns of a 3 x 3 matrix in row-major order (read from files that
    3D Slicer's own storage node wrote).

    Raises
    ------
    ValueError
        If the file is missing, is no Markups file, or holds no box.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no ROI file {path}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"The ROI file {path} can't be read as a Markups file: {error}.") from None
    return SeedBox(*_roi_geometry(content, path), level=levels.level(level).name)


def _roi_geometry(content: Any, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centre (3,), size (3,) and axes (3, 3) in LPS of the first ROI in a Markups file."""
    markups = content.get("markups", []) if isinstance(content, dict) else []
    rois = [markup for markup in markups if isinstance(markup, dict) and markup.get("type") == "ROI"]
    if not rois:
        raise ValueError(f"The file {path} holds no ROI; save the S1 box from Slicer as Markups (.mrk.json).")
    try:
        center = np.array(rois[0]["center"], dtype=float).reshape(3)
        size = np.array(rois[0]["size"], dtype=float).reshape(3)
        axes = np.array(rois[0].get("orientation", np.eye(3)), dtype=float).reshape(3, 3)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"The ROI in {path} has no complete centre, size and orientation.") from None
    if str(rois[0].get("coordinateSystem", "LPS")).upper() in ("RAS", "0"):
        flip = np.diag([-1.0, -1.0, 1.0])
        center, axes = flip @ center, flip @ axes
    return center, size, axes
