"""Load a reference label map and its bodies, and the prediction on the same grid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...files.spine_json import read_spine_json
from ...scans.orientation import sagittal_grid
from ...spine import levels
from ...spine.vertebra import CORNERS
from .cases import Case
from .matching import LabelledBody, bodies_in

_SAME_GRID_MM = 0.01
_TRUTH_ENDING = "_truth.json"


@dataclass(frozen=True, eq=False)
class Truth:
    """A reference label map in the sagittal frame, with its bodies."""

    labels: np.ndarray
    matrix: np.ndarray
    bodies: tuple[LabelledBody, ...]

    @property
    def spacing_mm(self) -> np.ndarray:
        """Distance between neighbouring slices, rows and columns, mm, shape (3,)."""
        return np.linalg.norm(self.matrix[:3, :3], axis=0)


def truth_of(image: sitk.Image, case: Case, conversion: Mapping[int, int] | None) -> Truth:
    """Return the ground truth of a scan from its label map.

    Corners and centroids come from ``<name>_truth.json`` beside the label map, if that file exists.

    Parameters
    ----------
    image : SimpleITK.Image
        The label map.
    case : Case
        The case of the label map.
    conversion : mapping of int to int or None
        Label values of the map to ours.

    Raises
    ------
    ValueError
        If ``<name>_truth.json`` cannot be read, or the image is not sagittal.
    """
    labels, matrix = sagittal_labels(image, str(case.reference))
    if conversion is not None:
        labels = _converted(labels, conversion)
    bodies = bodies_in(labels, matrix)
    known = case.reference.parent / f"{case.name}{_TRUTH_ENDING}"
    return Truth(labels, matrix, _with_corners(bodies, _truth_points(known)))


def _converted(labels: np.ndarray, conversion: Mapping[int, int]) -> np.ndarray:
    out = np.zeros_like(labels)
    for old, new in conversion.items():
        out[labels == old] = new
    return out


def _truth_points(path: Path) -> dict[int, dict[str, Any]]:
    """Return the entry of a phantom's truth file for each label value; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        return {levels.level(name).value: entry for name, entry in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, json.JSONDecodeError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _with_corners(bodies: Sequence[LabelledBody], points: Mapping[int, dict[str, Any]]) -> tuple[LabelledBody, ...]:
    """Replace centroids and corners by those of a file if it has them: exact even if the label map is coarse."""
    return tuple(
        LabelledBody(
            body.value,
            np.array(points[body.value]["centroid_lps_mm"], dtype=float),
            np.array([points[body.value]["corners_lps_mm"][name] for name in CORNERS], dtype=float),
            body.cut,
        )
        if body.value in points
        else body
        for body in bodies
    )


def predicted_bodies(path: Path, labels: np.ndarray, matrix: np.ndarray) -> tuple[LabelledBody, ...]:
    """Return the vertebrae of spine.json if the label map is part of a result, else those of the label map."""
    if not (path.parent / "spine.json").is_file():
        return bodies_in(labels, matrix)
    entries = read_spine_json(path.parent / "spine.json")["vertebrae"]
    return _with_corners(
        [LabelledBody(int(entry["label_value"]), np.zeros(3)) for entry in entries],
        {int(entry["label_value"]): entry for entry in entries},
    )


def sagittal_labels(image: sitk.Image, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of an image, (slice, row, column), int32, and their matrix to LPS mm."""
    grid = sagittal_grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), name)
    array = np.rint(grid.to_sagittal(sitk.GetArrayFromImage(image))).astype(np.int32)
    return np.ascontiguousarray(array), grid.matrix


def on_grid_of(reference: sitk.Image, prediction: sitk.Image) -> np.ndarray:
    """Return the predicted labels, (slice, row, column), on the grid of the reference; resampled only if needed."""
    same = reference.GetSize() == prediction.GetSize() and all(
        np.allclose(reference.TransformIndexToPhysicalPoint(corner), prediction.TransformIndexToPhysicalPoint(corner),
                    atol=_SAME_GRID_MM)
        for corner in _corners(reference.GetSize())
    )  # fmt: skip
    if not same:
        prediction = sitk.Resample(prediction, reference, sitk.Transform(), sitk.sitkNearestNeighbor)
    else:
        prediction.CopyInformation(reference)
    return sagittal_labels(prediction, "the prediction")[0]


def _corners(size: Sequence[int]) -> list[tuple[int, int, int]]:
    i, j, k = (int(n) - 1 for n in size)
    return [(0, 0, 0), (i, 0, 0), (0, j, 0), (0, 0, k)]
