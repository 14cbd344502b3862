"""Measure how well a detector finds the vertebral bodies in the SPIDER slices: single, real, mid-sagittal slices.

The slices are 8-bit pictures without a millimetre scale, with a box around each disc (van der Graaf et al., Sci Data
11:264, 2024; slices and boxes extracted by others). Scale and ground truth are therefore approximations:

* **Scale.** The median distance between neighbouring discs is taken as 36 mm, a lumbar pitch.
* **Ground truth.** Between two neighbouring boxes there is one body. It is found if a detection lies in its region: the
  middle 60 % of the line from box centre to box centre, at most half the mean width of the boxes to the side. One
  detection in the region is correct, none is a miss, more than one is a double.
* **Ignored** are detections that continue the spine beyond the last boxes (each 0.5 to 1.35 pitches from the previous
  one, the first at most one pitch from the box): any number above the top box; below the bottom box one (S1), plus one
  for each disc that `overview.csv` counts but that has no box.
* Every other detection is **false**.

One picture (`UPSIDE_DOWN`) is stored with the sacrum at the top, although its boxes are those of the upright slice. It
is flipped when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...scans.resampling import working_volume
from ...scans.volume import SagittalVolume
from .tables import read_table

PITCH_MM = 36.0
"""Median distance between neighbouring lumbar discs (bodies of 25-28 mm, discs of 8-12 mm): an approximation."""
UPSIDE_DOWN = ("52_t2_SPACE",)
"""Pictures whose rows run from inferior to superior."""
_ALONG = (0.2, 0.8)
_STEP = (0.5, 1.35)  # pitches from one unannotated body to the next
_FIRST_STEP = 1.0
_SLICE_MM = 4.0  # slice spacing of the original volumes; needed to make a volume of a slice


@dataclass(frozen=True, eq=False)
class Found:
    """Detections in one slice, in pixels of the slice given to the detector.

    Attributes
    ----------
    centroids : ndarray, shape (n, 2)
        (row, column).
    mask : ndarray of bool, shape (rows, columns), or None
        Vertebral bodies, if the detector segments them.
    s1 : ndarray, shape (2,), or None
        (row, column) of the vertebra named S1, if any.
    """

    centroids: np.ndarray
    mask: np.ndarray | None = None
    s1: np.ndarray | None = None


Finder = Callable[[np.ndarray], Found]
"""A detector: takes a slice, shape (rows, columns), float32, 1 mm pixels, upright, anterior on the left."""


@dataclass(frozen=True, eq=False)
class SpiderSlice:
    """One slice with its disc boxes.

    Attributes
    ----------
    name, patient, sequence : str
        ``"104_t2"``, ``"104"``, ``"T2"``.
    image : ndarray, shape (rows, columns), float32
        Grey values.
    boxes : ndarray, shape (n, 4)
        Disc boxes from top to bottom: row, column of the upper left, then of the lower right corner, px.
    unboxed : int
        Discs that the overview counts but that have no box.
    """

    name: str
    patient: str
    sequence: str
    image: np.ndarray
    boxes: np.ndarray
    unboxed: int = 0

    @property
    def centres(self) -> np.ndarray:
        """Centres of the boxes, shape (n, 2), (row, column), px."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    @property
    def pitch_px(self) -> float:
        """Median distance between neighbouring boxes' centres, px."""
        return float(np.median(np.linalg.norm(np.diff(self.centres, axis=0), axis=1)))


@dataclass(frozen=True)
class SliceScore:
    """Counts of one slice; `bodies` = `once` + `double` + `missed`. For `s1` see `spider_s1.judge_s1`."""

    name: str
    subject: str
    group: str
    bodies: int = 0
    once: int = 0
    double: int = 0
    missed: int = 0
    false: int = 0
    neutral: int = 0
    dice: tuple[float, ...] = field(default=())
    s1: str | None = None


def load_slices(folder: str | Path) -> tuple[SpiderSlice, ...]:
    """Read the slices that have disc boxes.

    Parameters
    ----------
    folder : path
        With ``disc_boxes.csv``, ``images/<name>.png`` and, optionally, ``overview.csv``.

    Raises
    ------
    ValueError
        If a table or a picture is missing or cannot be read.
    """
    folder = Path(folder)
    boxes: dict[str, list[tuple[int, list[float]]]] = {}
    for row in read_table(folder / "disc_boxes.csv", ("image", "idx_top_to_bottom", "x0", "y0", "x1", "y1")):
        box = [float(row[key]) for key in ("y0", "x0", "y1", "x1")]
        boxes.setdefault(row["image"], []).append((int(row["idx_top_to_bottom"]), box))
    counts: dict[str, int] = {}
    if (folder / "overview.csv").is_file():
        rows = read_table(folder / "overview.csv", ("new_file_name", "num_discs"))
        counts = {row["new_file_name"]: int(row["num_discs"]) for row in rows}
    return tuple(
        SpiderSlice(
            name,
            *name_parts(name),
            _upright(read_picture(folder / "images" / f"{name}.png"), name),
            np.array([box for _, box in sorted(entries)]),
            max(counts.get(name, 0) - len(entries), 0),
        )
        for name, entries in sorted(boxes.items())
        if len(entries) > 1
    )


def _upright(image: np.ndarray, name: str) -> np.ndarray:
    return np.ascontiguousarray(image[::-1] if name in UPSIDE_DOWN else image, dtype=np.float32)


def name_parts(name: str) -> tuple[str, str]:
    """Return patient and sequence of a file name: ``"104_t2_SPACE"`` gives ``("104", "T2 SPACE")``."""
    patient, _, rest = name.partition("_")
    sequence = re.sub(r"_.*(image|labels)$", "", rest)
    return patient, sequence.replace("_", " ").upper()


def read_picture(path: Path) -> np.ndarray:
    """Read a grey PNG file, shape (rows, columns).

    Raises
    ------
    ValueError
        If it is missing or not grey.
    """
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise ValueError(f"The picture {path} is missing or damaged.") from error
    if array.ndim != 2:
        raise ValueError(f"The picture {path} is not grey.")
    return array


def rescaled(image: np.ndarray, mm_per_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Resample a slice to 1 mm pixels, as the library does with a scan.

    Returns
    -------
    image : ndarray, shape (rows, columns), float32
        With 1 mm pixels.
    matrix : ndarray, shape (3, 3)
        (row, column, 1) of the new slice to (row, column, 1) of the old one.
    """
    steps = np.diag([_SLICE_MM, mm_per_px, mm_per_px, 1.0])
    working = working_volume(SagittalVolume(image[None].astype(np.float32), steps))
    back = np.linalg.inv(steps) @ working.matrix
    return working.array[0], back[1:, 1:]


def score_slice(item: SpiderSlice, centroids: np.ndarray) -> SliceScore:
    """Count correct, missed and false detections, by the rules in the module docstring.

    Parameters
    ----------
    item : SpiderSlice
        The slice.
    centroids : ndarray, shape (n, 2)
        Detections, (row, column), px of the original picture.
    """
    centroids = np.reshape(centroids, (-1, 2)).astype(float)
    inside = np.array([_in_region(item, i, centroids) for i in range(len(item.boxes) - 1)])
    hits = inside.sum(1)
    rest = centroids[~inside.any(0)]
    neutral = _chain(rest, item.centres[0], item.centres[0] - item.centres[1], item.pitch_px, len(rest))
    rest = np.delete(rest, neutral, axis=0)
    below = _chain(rest, item.centres[-1], item.centres[-1] - item.centres[-2], item.pitch_px, 1 + item.unboxed)
    return SliceScore(
        item.name,
        item.patient,
        item.sequence,
        bodies=len(hits),
        once=int((hits == 1).sum()),
        double=int((hits > 1).sum()),
        missed=int((hits == 0).sum()),
        false=len(rest) - len(below),
        neutral=len(neutral) + len(below),
    )


def _in_region(item: SpiderSlice, i: int, points: np.ndarray) -> np.ndarray:
    """Return which points lie in the region of the body between boxes i and i + 1."""
    start, end = item.centres[i : i + 2]
    axis = end - start
    along = (points - start) @ axis / (axis @ axis)
    sideways = np.abs((points - start) @ np.array([-axis[1], axis[0]])) / np.linalg.norm(axis)
    half = float((item.boxes[i : i + 2, 3] - item.boxes[i : i + 2, 1]).mean()) / 2
    return (along >= _ALONG[0]) & (along <= _ALONG[1]) & (sideways <= half)


def _chain(points: np.ndarray, start: np.ndarray, way: np.ndarray, pitch: float, longest: int) -> list[int]:
    """Return which points continue the spine from `start` in direction `way`, at most `longest` of them."""
    chain: list[int] = []
    at, way = start, way / np.linalg.norm(way)
    low, high = 0.0, _FIRST_STEP * pitch
    while len(chain) < longest:
        steps = points - at
        distances = np.linalg.norm(steps, axis=1)
        ahead = (distances >= low) & (distances <= high) & (steps @ way > 0.5 * distances)
        ahead[chain] = False
        if not ahead.any():
            break
        chain.append(int(np.where(ahead, distances, np.inf).argmin()))
        way = (points[chain[-1]] - at) / max(distances[chain[-1]], 1e-9)
        at = points[chain[-1]]
        low, high = _STEP[0] * pitch, _STEP[1] * pitch
    return chain
