"""Convert a spine to JSON and back; its label map and evidence are stored beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import DAMAGE
from ..spine import levels
from ..spine.vertebra import Alternative, SeedBox, Spine, Vertebra

FORMAT = 1
"""Format version; increased when older versions of the program could not read the answer."""


def answer_of(spine: Spine) -> dict[str, Any]:
    """Return a spine without its label map and evidence as a dict, ready for ``json.dumps``."""
    return {
        "format": FORMAT,
        "vertebrae": [_vertebra_out(vertebra) for vertebra in spine.vertebrae],
        "anchor": spine.anchor,
        "seed": seed_out(spine.seed),
        "warnings": list(spine.warnings),
        "seconds": dict(spine.seconds),
        "model": dict(spine.model),
        "device": spine.device,
        "alternatives": [[other.index, other.level, other.probability] for other in spine.alternatives],
    }


def spine_of(answer: Mapping[str, Any], label_map: np.ndarray | None = None) -> Spine:
    """Return the spine that `answer_of` wrote.

    Parameters
    ----------
    answer : mapping
        From `answer_of`.
    label_map : ndarray, shape (slice, row, column), optional
        The label map of the spine.

    Raises
    ------
    ValueError
        If the answer is incomplete, damaged or of another version.
    """
    if isinstance(answer, Mapping) and "format" in answer and answer["format"] != FORMAT:
        raise ValueError("The stored result is of another version of SpinalTap; segment the volume again.")
    try:
        answer["format"]
        return Spine(
            vertebrae=tuple(_vertebra_in(vertebra) for vertebra in answer["vertebrae"]),
            anchor=str(answer["anchor"]),
            label_map=label_map,
            seed=seed_in(answer["seed"]),
            warnings=tuple(map(str, answer["warnings"])),
            seconds=dict(answer["seconds"]),
            model=dict(answer["model"]),
            device=str(answer["device"]),
            alternatives=tuple(
                Alternative(int(index), str(level), float(p)) for index, level, p in answer.get("alternatives", ())
            ),
        )
    except DAMAGE as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error


def seed_out(seed: SeedBox | None) -> dict[str, Any] | None:
    """Return a seed box as a dict for JSON."""
    if seed is None:
        return None
    return {
        "center": np.asarray(seed.center_lps_mm, float).tolist(),
        "size": np.asarray(seed.size_mm, float).tolist(),
        "axes": np.asarray(seed.axes, float).tolist(),
        "level": seed.level,
    }


def seed_in(seed: Mapping[str, Any] | None) -> SeedBox | None:
    """Return the seed box that `seed_out` wrote."""
    return box_in(seed) if seed is not None else None


def box_in(seed: Mapping[str, Any]) -> SeedBox:
    """Return the box that `seed_out` wrote; it must not be None."""
    return SeedBox(np.array(seed["center"]), np.array(seed["size"]), np.array(seed["axes"]), str(seed["level"]))


def level_in(stored: str | None) -> str | None:
    """Return a stored level; raise ValueError if there is none of that name."""
    return None if stored is None else levels.level(stored).name


def label_value_in(stored: int) -> int:
    """Return a stored label value; raise ValueError if no label map can hold it."""
    value = int(stored)
    if not 0 < value <= np.iinfo(np.uint16).max:
        raise ValueError(f"{value} is not a label value")
    return value


def _vertebra_out(vertebra: Vertebra) -> dict[str, Any]:
    return {
        "level": vertebra.level,
        "label_value": int(vertebra.label_value),
        "confidence": float(vertebra.confidence),
        "centroid": np.asarray(vertebra.centroid_lps_mm, float).tolist(),
        "corners": np.asarray(vertebra.corners_lps_mm, float).tolist(),
        "slices": [int(k) for k in vertebra.slices],
        "measurements": {name: float(value) for name, value in vertebra.measurements.items()},
        "flags": list(vertebra.flags),
        "candidate": vertebra.candidate,
        "level_probability": vertebra.level_probability,
        "outline_confidence": vertebra.outline_confidence,
    }


def _vertebra_in(stored: Mapping[str, Any]) -> Vertebra:
    return Vertebra(
        level=level_in(stored["level"]),
        label_value=label_value_in(stored["label_value"]),
        confidence=float(stored["confidence"]),
        centroid_lps_mm=np.array(stored["centroid"], float).reshape(3),
        corners_lps_mm=np.array(stored["corners"], float).reshape(4, 3),
        slices=tuple(stored["slices"]),
        measurements=dict(stored["measurements"]),
        flags=tuple(stored["flags"]),
        candidate=stored.get("candidate"),
        level_probability=stored.get("level_probability"),
        outline_confidence=stored.get("outline_confidence"),
    )
