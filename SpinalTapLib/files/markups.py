"""Write a vertebra's five points as a Slicer Markups file (``.mrk.json``), and read a seed ROI from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..spine.levels import level as level_called
from ..spine.segments import segment_of
from ..spine.vertebra import CORNERS, SeedBox, Vertebra
from .atomic import write_whole

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/"
    "Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
)
POINT_NAMES = (*(name.replace("_", " ") for name in CORNERS), "centroid")
"""The five points of a vertebra, in file order."""

_GLYPH_MM = 3.0  # small compared to a body of 15-30 mm, large enough to click
_SLICER_AXES = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]  # RAS axes written in LPS: Slicer's own default


def points_lps_mm(vertebra: Vertebra) -> np.ndarray:
    """Return the four corners and the centroid, shape (5, 3), LPS, mm, in the order of `POINT_NAMES`."""
    return np.vstack([vertebra.corners_lps_mm, vertebra.centroid_lps_mm])


def vertebra_markups(vertebra: Vertebra) -> dict[str, Any]:
    """Return one vertebra as a Slicer fiducial list: five labelled, locked points, LPS, mm."""
    name = vertebra.name
    points = points_lps_mm(vertebra)
    return {
        "@schema": SCHEMA,
        "markups": [
            {
                "type": "Fiducial",
                "name": name,
                "coordinateSystem": "LPS",
                "coordinateUnits": "mm",
                "locked": True,
                "fixedNumberOfControlPoints": True,
                "labelFormat": "%N-%d",
                "lastUsedControlPointNumber": len(points),
                "controlPoints": [
                    _control_point(i + 1, f"{name} {what}", point)
                    for i, (what, point) in enumerate(zip(POINT_NAMES, points))
                ],
                "measurements": [],
                "display": _display(vertebra),
            }
        ],
    }


def _control_point(number: int, label: str, point: np.ndarray) -> dict[str, Any]:
    return {
        "id": str(number),
        "label": label,
        "description": "",
        "associatedNodeID": "",
        "position": [round(float(x), 4) for x in np.nan_to_num(point)],
        "orientation": _SLICER_AXES,
        "selected": True,
        "locked": True,
        "visibility": True,
        "positionStatus": "defined" if np.isfinite(point).all() else "undefined",
    }


def _display(vertebra: Vertebra) -> dict[str, Any]:
    rgb = [round(part / 255, 4) for part in segment_of(vertebra.label_value).colour]
    return {
        "visibility": True,
        "color": rgb,
        "selectedColor": rgb,
        "propertiesLabelVisibility": False,
        "pointLabelsVisibility": False,  # five labels for each of 24 vertebrae would hide the image
        "glyphType": "Sphere3D",
        "useGlyphScale": False,
        "glyphSize": _GLYPH_MM,
    }


def write_markups(path: str | Path, vertebra: Vertebra) -> None:
    """Write one vertebra's five points to a Slicer Markups file.

    Raises
    ------
    ValueError
        If the file cannot be written.
    """
    write_whole(path, (json.dumps(vertebra_markups(vertebra), indent=1) + "\n").encode())


def read_markups(path: str | Path) -> dict[str, np.ndarray]:
    """Read the placed points of a Slicer Markups file.

    Returns
    -------
    dict of str to ndarray, shape (3,)
        Label to position, LPS, mm, in file order.

    Raises
    ------
    ValueError
        If the file is missing or is not a Slicer Markups file.
    """
    points: dict[str, np.ndarray] = {}
    for markup in _load(Path(path)):
        to_lps = _to_lps(markup, Path(path))
        for point in markup.get("controlPoints") or []:
            if point.get("positionStatus", "defined") == "defined":
                points[str(point.get("label", ""))] = to_lps @ _numbers(point, "position", 3, Path(path))
    return points


def read_seed_roi(path: str | Path, level: str = "S1") -> SeedBox:
    """Read the seed box from a Slicer Markups ROI file.

    Parameters
    ----------
    path : path
        A ``.mrk.json`` file with one ROI; axis-aligned or turned, LPS or RAS.
    level : str
        The level that the box marks.

    Raises
    ------
    ValueError
        If the file is missing, is not a Markups file, or has no placed ROI or more than one, or if there is no
        such level.
    """
    level = level_called(level).name
    path = Path(path)
    rois = [markup for markup in _load(path) if markup.get("type") == "ROI"]
    if not rois:
        raise ValueError(f"The seed file {path} has no ROI; save a Markups ROI (not points) drawn around {level}.")
    if len(rois) > 1:
        raise ValueError(f"The seed file {path} has {len(rois)} ROIs; keep only the one around {level}.")
    roi = rois[0]
    if not roi.get("center") or not roi.get("size"):
        raise ValueError(f"The ROI in {path} has not been placed; draw it around {level} and save it again.")
    to_lps = _to_lps(roi, path)
    return SeedBox(
        center_lps_mm=to_lps @ _numbers(roi, "center", 3, path),
        size_mm=_numbers(roi, "size", 3, path),
        axes=_positive(to_lps @ _axes(roi, path)),
        level=level,
    )


def _axes(roi: dict[str, Any], path: Path) -> np.ndarray:
    """Return the box's unit axes as columns, in the file's own coordinate system."""
    if "orientation" not in roi:
        return np.eye(3)
    axes = _numbers(roi, "orientation", 9, path).reshape(3, 3)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        raise ValueError(f"The ROI in {path} has axes that are not at right angles; draw it again in Slicer.")
    return axes


def _positive(axes: np.ndarray) -> np.ndarray:
    """Return the axes with each column's largest component positive; the box is symmetric and does not change."""
    largest = axes[np.abs(axes).argmax(axis=0), range(3)]
    return axes * np.where(largest < 0, -1.0, 1.0)


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no file {path}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a Slicer Markups file (.mrk.json): {error}.") from error
    markups = content.get("markups") if isinstance(content, dict) else None
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise ValueError(f"{path} is not a Slicer Markups file (.mrk.json): it has no list of markups.")
    return markups


def _to_lps(markup: dict[str, Any], path: Path) -> np.ndarray:
    """Return the matrix, shape (3, 3), from the file's coordinates to LPS mm."""
    system = markup.get("coordinateSystem", "LPS")
    system = {"0": "RAS", "1": "LPS"}.get(str(system), str(system).upper())
    if system not in ("LPS", "RAS"):
        raise ValueError(f"{path} uses the coordinate system {system!r}; only LPS and RAS are known.")
    if markup.get("coordinateUnits", "mm") not in ("mm", ["mm", "UCUM", "millimeter"]):
        raise ValueError(f"{path} gives its coordinates in {markup['coordinateUnits']!r}; only mm is known.")
    return np.diag([-1.0, -1.0, 1.0]) if system == "RAS" else np.eye(3)


def _numbers(owner: dict[str, Any], key: str, count: int, path: Path) -> np.ndarray:
    try:
        values = np.asarray(owner.get(key), dtype=float)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(f"{path} has a {key!r} that is not {count} finite numbers: {owner.get(key)!r}.")
    return values
