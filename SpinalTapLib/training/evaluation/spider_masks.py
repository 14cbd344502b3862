"""Measure the overlap of predicted bodies with the SPIDER masks, in single slices.

The masks show whole vertebrae, body and posterior elements, one label each. Only the body is compared. It is extracted
in three steps: an opening with a disc of 70 % of the largest circle that fits into the bodies of the slice removes
pedicles, laminae and most processes, which are thinner; the most anterior remaining piece is the core of the body; the
label is cut along the rear edge of the smallest rectangle around the core (one pixel behind it), and the part that
contains the core is the body.

A slice counts if it has at least three bodies whose largest inscribed circle has a radius of at least a quarter of
their pitch; lateral slices show posterior elements only. A body more than a third longer, from front to back, than the
median of the slice still includes its pedicle and is left out. Unlabelled vertebrae (the sacrum, those at the upper
edge) are ignored: a prediction is compared with a body only within 8 mm of it, and only where no other labelled body is
nearer. Scale: as in `spider_slices`, the median pitch of the bodies is taken as 36 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from .overlap import dice
from .spider_slices import PITCH_MM, SliceScore, name_parts, read_picture

_OPENING = 0.7
_LEAST_RADIUS = 0.25
_LEAST_BODIES = 3
_LONGEST = 1.33
_ZONE_MM = 8.0


@dataclass(frozen=True, eq=False)
class MaskedSlice:
    """One slice with its bodies.

    Attributes
    ----------
    name, patient, sequence : str
        As in `spider_slices.SpiderSlice`.
    image : ndarray, shape (rows, columns), float32
        Grey values.
    bodies : ndarray, shape (rows, columns), uint8
        Label values on body pixels only.
    mm_per_px : float
        Approximate scale.
    """

    name: str
    patient: str
    sequence: str
    image: np.ndarray
    bodies: np.ndarray
    mm_per_px: float


def load_masked_slices(folder: str | Path) -> tuple[MaskedSlice, ...]:
    """Read the masked slices that show bodies.

    Parameters
    ----------
    folder : path
        With ``masks/<name>_image.png`` and ``masks/<name>_labels.png``.

    Raises
    ------
    ValueError
        If there are no masks, or a picture cannot be read.
    """
    paths = sorted((Path(folder) / "masks").glob("*_labels.png"))
    if not paths:
        raise ValueError(f"There are no masks (masks/*_labels.png) in {folder}.")
    slices = []
    for path in paths:
        name = path.name[: -len("_labels.png")]
        bodies = body_parts(read_picture(path))
        if bodies is not None:
            image = read_picture(path.with_name(f"{name}_image.png")).astype(np.float32)
            patient, _ = name_parts(name)
            slices.append(MaskedSlice(name, patient, "masks", image, bodies, PITCH_MM / pitch_px(bodies)))
    return tuple(slices)


def body_parts(labels: np.ndarray) -> np.ndarray | None:
    """Return the labels on body pixels only, or None for a slice that does not count (see the module docstring).

    Parameters
    ----------
    labels : ndarray, shape (rows, columns)
        Whole vertebrae, upright, anterior on the left.
    """
    boxes = {v: box for v, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1) if box is not None}
    masks = {value: labels[box] == value for value, box in boxes.items()}
    if len(masks) < _LEAST_BODIES:
        return None
    radius = float(np.percentile([_depth(mask).max() for mask in masks.values()], 75))
    parts = {value: _body_part(mask, _OPENING * radius) for value, mask in masks.items()}
    lengths = {value: int(np.ptp(np.nonzero(part)[1])) for value, part in parts.items() if part is not None}
    bodies = np.zeros(labels.shape, np.uint8)
    for value, length in lengths.items():
        if length <= _LONGEST * np.median(list(lengths.values())):
            bodies[boxes[value]][parts[value]] = value
    if len(np.unique(bodies)) <= _LEAST_BODIES or radius < _LEAST_RADIUS * pitch_px(bodies):
        return None
    return bodies


def pitch_px(bodies: np.ndarray) -> float:
    """Return the median distance between the centres of neighbouring bodies, px."""
    values = [int(v) for v in np.unique(bodies) if v]
    centres = np.array(ndimage.center_of_mass(bodies > 0, bodies, values))
    centres = centres[np.argsort(centres[:, 0])]
    return float(np.median(np.linalg.norm(np.diff(centres, axis=0), axis=1)))


def score_masked(item: MaskedSlice, mask: np.ndarray) -> SliceScore:
    """Return the Dice of each body with a predicted mask of all bodies, shape (rows, columns), on the slice's grid."""
    values = [int(v) for v in np.unique(item.bodies) if v]
    away = np.stack([ndimage.distance_transform_edt(item.bodies != v) for v in values]) * item.mm_per_px
    nearest = away.argmin(0)
    overlaps = tuple(
        dice(item.bodies == value, mask & (nearest == i) & (away[i] <= _ZONE_MM)) for i, value in enumerate(values)
    )
    return SliceScore(item.name, item.patient, item.sequence, dice=overlaps)


def _depth(mask: np.ndarray) -> np.ndarray:
    """Return the depth of each pixel inside a mask, px; the mask ends at the edge of the array."""
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]


def _body_part(mask: np.ndarray, radius: float) -> np.ndarray | None:
    """Return the body of one label, or None if it has no core."""
    core = _opened(mask, radius)
    pieces, count = ndimage.label(core)
    if not count:
        return None
    foremost = 1 + int(np.argmin([centre[1] for centre in ndimage.center_of_mass(core, pieces, range(1, count + 1))]))
    core = pieces == foremost
    normal, rear = _rear_edge(np.argwhere(core))
    rows, columns = np.indices(mask.shape)
    parts, _ = ndimage.label(mask & (rows * normal[0] + columns * normal[1] <= rear + 1))
    return parts == np.bincount(parts[core]).argmax()


def _opened(mask: np.ndarray, radius: float) -> np.ndarray:
    """Return the opening of a mask with a disc of that radius."""
    fits = _depth(mask) >= radius
    return ndimage.distance_transform_edt(~fits) < radius if fits.any() else fits


def _rear_edge(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the outward normal, (row, column), of the rearmost side of the smallest rectangle, and its offset."""
    try:
        hull = points[ConvexHull(points).vertices].astype(float)
    except QhullError:  # a line of pixels
        hull = points.astype(float)
    edges = np.roll(hull, -1, axis=0) - hull
    best: tuple[float, np.ndarray] = (np.inf, np.array([0.0, 1.0]))
    for edge in edges[np.linalg.norm(edges, axis=1) > 0]:
        along = edge / np.linalg.norm(edge)
        across = np.array([-along[1], along[0]])
        area = float(np.ptp(hull @ along) * np.ptp(hull @ across))
        normal = max((along, -along, across, -across), key=lambda way: way[1])
        best = min(best, (area, normal), key=lambda entry: entry[0])
    return best[1], float((hull @ best[1]).max())
