"""Write and read ``spine.json``, the stable description of a spine that other programs read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import DAMAGE
from ..scans.orientation import SourceGrid
from ..scans.volume import SagittalVolume
from ..spine.vertebra import CORNERS, Alternative, SeedBox, Spine, Vertebra
from .spine_codec import label_value_in, level_in

SCHEMA_VERSION = 2
"""Schema version; increased when scripts that read spine.json would have to change.

Version 2 added `level_probability`, `alternatives`, the anchor `estimated`, and partly named spines."""

READ_VERSIONS = (1, 2)
"""Schema versions that can be read."""

_DECIMALS = 3  # micrometres, thousandths of a degree
_CONFIDENCE_DECIMALS = 4


def spine_json(spine: Spine, volume: SagittalVolume, source: Mapping[str, Any] | None = None) -> str:
    """Return the content of spine.json.

    Parameters
    ----------
    spine : Spine
        The answer.
    volume : SagittalVolume
        The scan.
    source : mapping, optional
        More entries for ``input``, such as its ``path`` and ``series``.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "input": _input(volume, source or {}),
        "software": {"name": "SpinalTap", "version": __version__},
        "model": dict(spine.model),
        "device": spine.device,
        "seconds": _rounded(spine.seconds),
        "seed": _seed(spine.seed),
        "anchor": spine.anchor,
        "warnings": list(spine.warnings),
        "alternatives": [_alternative(other) for other in spine.alternatives],
        "vertebrae": [_vertebra(vertebra, volume) for vertebra in spine.vertebrae],
    }
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def read_spine_json(path: str | Path) -> dict[str, Any]:
    """Read a spine.json as a dict.

    Raises
    ------
    ValueError
        If the file is missing, damaged, or of another schema.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no {path.name} in {path.parent}, so it is not a SpinalTap result.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}); segment the scan again.") from error
    found = content.get("schema_version") if isinstance(content, dict) else None
    if found not in READ_VERSIONS:
        known = " and ".join(map(str, READ_VERSIONS))
        raise ValueError(f"{path} is of schema {found}, and this version of SpinalTap reads {known}.")
    return content


def spine_from_json(
    content: Mapping[str, Any], grid: SourceGrid | None = None, label_map: np.ndarray | None = None
) -> Spine:
    """Return the spine that a spine.json describes.

    Parameters
    ----------
    content : mapping
        From `read_spine_json`.
    grid : SourceGrid, optional
        The input's grid, to which the slice numbers refer; without it, they stay as in the file.
    label_map : ndarray, shape (slice, row, column), optional
        The label map, in the sagittal frame.

    Raises
    ------
    ValueError
        If an entry is missing or has the wrong type.
    """
    try:
        return Spine(
            vertebrae=tuple(_vertebra_from(entry, grid) for entry in content["vertebrae"]),
            anchor=str(content["anchor"]),
            label_map=label_map,
            seed=_seed_from(content["seed"]),
            warnings=tuple(str(warning) for warning in content["warnings"]),
            seconds={str(k): float(v) for k, v in content["seconds"].items()},
            model={str(k): str(v) for k, v in content["model"].items()},
            device=str(content["device"]),
            alternatives=tuple(_alternative_from(entry) for entry in content.get("alternatives", ())),
        )
    except DAMAGE as error:
        raise ValueError(f"The spine.json is damaged ({error}); segment the scan again.") from error


def input_slices(slices: Iterable[int], grid: SourceGrid | None) -> list[int]:
    """Convert slice numbers between right-to-left order and the input's own order along its sagittal axis, from 0."""
    if grid is None or not grid.flips[0]:
        return sorted(int(k) for k in slices)
    return sorted(grid.shape[0] - 1 - int(k) for k in slices)


def _input(volume: SagittalVolume, source: Mapping[str, Any]) -> dict[str, Any]:
    image = volume.source
    geometry = {} if image is None else {
        "size": list(image.size),
        "spacing_mm": [float(x) for x in image.spacing],
        "origin_lps_mm": [float(x) for x in image.origin],
        "direction_lps": [float(x) for x in image.direction],
        "sagittal_axis": int(image.axes[0]),
    }  # fmt: skip
    return {"name": volume.name, **source, **geometry}


def _seed(seed: SeedBox | None) -> dict[str, Any] | None:
    if seed is None:
        return None
    return {
        "level": seed.level,
        "center_lps_mm": _list(seed.center_lps_mm),
        "size_mm": _list(seed.size_mm),
        "axes": [[float(x) for x in row] for row in np.asarray(seed.axes)],
    }


def _seed_from(seed: Mapping[str, Any] | None) -> SeedBox | None:
    if seed is None:
        return None
    center, size, axes = (np.array(seed[key], dtype=float) for key in ("center_lps_mm", "size_mm", "axes"))
    return SeedBox(center, size, axes, str(seed["level"]))


def _alternative(other: Alternative) -> dict[str, Any]:
    probability = round(float(other.probability), _CONFIDENCE_DECIMALS)
    return {"start": {"index": int(other.index), "level": other.level}, "probability": probability}


def _alternative_from(entry: Mapping[str, Any]) -> Alternative:
    return Alternative(int(entry["start"]["index"]), str(entry["start"]["level"]), float(entry["probability"]))


def _vertebra(vertebra: Vertebra, volume: SagittalVolume) -> dict[str, Any]:
    return {
        "level": vertebra.level,
        "label_value": int(vertebra.label_value),
        "level_probability": _odds(vertebra.level_probability),
        "confidence": round(float(vertebra.confidence), _CONFIDENCE_DECIMALS),
        "outline_confidence": _odds(vertebra.outline_confidence),
        "centroid_lps_mm": _list(vertebra.centroid_lps_mm),
        "corners_lps_mm": {name: _list(corner) for name, corner in zip(CORNERS, vertebra.corners_lps_mm)},
        "slices": input_slices(vertebra.slices, volume.source),
        "measurements": _rounded(vertebra.measurements),
        "flags": list(vertebra.flags),
    }


def _vertebra_from(entry: Mapping[str, Any], grid: SourceGrid | None) -> Vertebra:
    corners = np.array([entry["corners_lps_mm"][name] for name in CORNERS], dtype=float)
    return Vertebra(
        level=level_in(entry["level"]),
        label_value=label_value_in(entry["label_value"]),
        confidence=float(entry["confidence"]),
        centroid_lps_mm=np.array(entry["centroid_lps_mm"], dtype=float).reshape(3),
        corners_lps_mm=corners.reshape(4, 3),
        slices=tuple(input_slices(entry["slices"], grid)),
        measurements={str(k): float(v) for k, v in entry["measurements"].items()},
        flags=tuple(str(flag) for flag in entry["flags"]),
        level_probability=_odds_from(entry, "level_probability"),
        outline_confidence=_odds_from(entry, "outline_confidence"),
    )


def _odds(probability: float | None) -> float | None:
    return None if probability is None else round(float(probability), _CONFIDENCE_DECIMALS)


def _odds_from(entry: Mapping[str, Any], key: str) -> float | None:
    """Return a probability, or None where an older file lacks it."""
    return None if entry.get(key) is None else float(entry[key])


def _list(values: Iterable[float]) -> list[float | None]:
    """Return rounded numbers, with null for values that are not finite, which JSON cannot express."""
    return [round(float(x), _DECIMALS) if np.isfinite(x) else None for x in values]


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Return the finite values only, because JSON cannot express the others."""
    return {key: round(float(value), _DECIMALS) for key, value in values.items() if np.isfinite(value)}
