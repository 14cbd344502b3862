"""Match predicted vertebrae with true ones, and compare their levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...spine import levels

_LARGEST_LEVEL = 28
_EDGE_AXES = (1, 2)  # rows and columns; bodies cut by the first or last slice still count

_POSITION = {name: position for position, name in enumerate(levels.COMMON)}


@dataclass(frozen=True, eq=False)
class LabelledBody:
    """One vertebra, true or predicted.

    Attributes
    ----------
    value : int
        Label value.
    centroid_lps_mm : ndarray, shape (3,)
        Centre, LPS, mm.
    corners_lps_mm : ndarray, shape (4, 3), or None
        Corners in the order of `vertebra.CORNERS`, if known.
    cut : bool
        Whether it touches the upper, lower, front or back edge of the image.
    """

    value: int
    centroid_lps_mm: np.ndarray
    corners_lps_mm: np.ndarray | None = None
    cut: bool = False


def is_vertebra(value: int) -> bool:
    """Return whether a label value is that of a vertebra, not of a disc, the canal or the background."""
    return 0 < value <= _LARGEST_LEVEL or levels.UNANCHORED_BASE < value < levels.DISC_BASE


def bodies_in(labels: np.ndarray, matrix: np.ndarray) -> tuple[LabelledBody, ...]:
    """Return the vertebrae of a label map, in the order of their values.

    Parameters
    ----------
    labels : ndarray, shape (slice, row, column)
        Label values.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) to LPS mm.
    """
    boxes = ndimage.find_objects(labels.astype(np.int32))
    bodies = []
    for value, box in enumerate(boxes, 1):
        if box is None or not is_vertebra(value):
            continue
        centre = np.argwhere(labels[box] == value).mean(0) + [span.start for span in box]
        cut = any(box[axis].start == 0 or box[axis].stop == labels.shape[axis] for axis in _EDGE_AXES)
        bodies.append(LabelledBody(value, matrix[:3, :3] @ centre + matrix[:3, 3], None, cut))
    return tuple(bodies)


def match(
    predicted: Sequence[LabelledBody], reference: Sequence[LabelledBody], labels: np.ndarray, matrix: np.ndarray
) -> dict[int, int]:
    """Pair predictions with true bodies, one to one.

    A prediction is matched with the body that contains its centroid. If a body contains several, the one nearest to its
    centre is matched and the others are false positives.

    Parameters
    ----------
    predicted, reference : sequence of LabelledBody
        Vertebrae.
    labels : ndarray, shape (slice, row, column)
        The true label map.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the label map to LPS mm.

    Returns
    -------
    dict of int to int
        Position in `predicted` to position in `reference`.
    """
    home = {body.value: i for i, body in enumerate(reference)}
    best: dict[int, tuple[float, int]] = {}
    for i, body in enumerate(predicted):
        found = home.get(value_at(labels, matrix, body.centroid_lps_mm))
        if found is None:
            continue
        distance = float(np.linalg.norm(body.centroid_lps_mm - reference[found].centroid_lps_mm))
        best[found] = min(best.get(found, (np.inf, -1)), (distance, i))
    return {i: found for found, (_, i) in best.items()}


def value_at(labels: np.ndarray, matrix: np.ndarray, point_lps_mm: np.ndarray) -> int:
    """Return the label value at a point, shape (3,), LPS, mm; 0 outside the label map."""
    index = np.rint(np.linalg.solve(matrix[:3, :3], point_lps_mm - matrix[:3, 3])).astype(int)
    inside = (index >= 0).all() and (index < labels.shape).all()
    return int(labels[tuple(index)]) if inside else 0


def positions(values: Sequence[int]) -> list[int | None]:
    """Return the number of steps from S1 up to each label value, in a spine with these values.

    L6 and T13 count as a step if present. Vertebrae without a level (101, 102, ...) are counted from the lowest;
    C1 and discs have no step (None).
    """
    names = [level.name if (level := levels.level_of_value(value)) else None for value in values]
    extra = {"L6": "L6" in names, "T13": "T13" in names}
    return [_position(value, name, extra) for value, name in zip(values, names)]


def _position(value: int, name: str | None, extra: Mapping[str, bool]) -> int | None:
    if name is None:
        return value - levels.unanchored_value(0) if is_vertebra(value) else None
    if name == "L6":
        return 1
    if name == "T13":
        return _POSITION["L1"] + extra["L6"] + 1
    if name not in _POSITION:
        return None
    step = _POSITION[name]
    return step + (extra["L6"] and step >= 1) + (extra["T13"] and step > _POSITION["L1"])
