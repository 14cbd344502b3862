"""Run a detector on all SPIDER slices and tabulate the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from ...scans.volume import SagittalVolume
from .bootstrap import Estimate, ratio
from .protocol import ALL, plain
from .spider_masks import load_masked_slices, score_masked
from .spider_s1 import SURE, count_s1, judge_s1, s1_words
from .spider_slices import PITCH_MM, Finder, Found, SliceScore, load_slices, rescaled, score_slice
from .tables import markdown_table

if TYPE_CHECKING:
    from ...detection.detector import PartDetector

_ONE_SLICE_MM = 20.0
"""Thickness assigned to a single slice, so that linking accepts its vertebrae as whole bodies."""

RULES = (
    f"Scale: the median disc pitch is taken as {PITCH_MM:.0f} mm. A body between two neighbouring disc boxes is found "
    "by a detection in the middle 60 % between them, at most half a box to the side; a second one there is a double. "
    "Not counted: detections that continue the spine beyond the last boxes (any number above; S1, and vertebrae whose "
    "discs have no box, below). Every other detection is false. In brackets: 95 % interval, bootstrapped by patient."
)
MASK_RULES = (
    "Bodies are cut out of the labels of whole vertebrae and compared within 8 mm; slices without bodies are left out."
)


@dataclass(frozen=True)
class SpiderEvaluation:
    """Evaluation of a detector on the SPIDER slices.

    Attributes
    ----------
    scores : tuple of SliceScore
        One for each slice with boxes.
    masked : tuple of SliceScore
        One for each slice with masks; only `dice` counts.
    """

    scores: tuple[SliceScore, ...]
    masked: tuple[SliceScore, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """``"all"`` and the sequences."""
        return (ALL, *sorted({score.group for score in self.scores}))

    def rate(self, what: str, group: str = ALL) -> Estimate:
        """Return the fraction of bodies found ``"once"``, ``"double"`` or ``"missed"``, or ``"false"`` per slice."""
        scores = [score for score in self.scores if group in (ALL, score.group)]
        wholes = [1.0 if what == "false" else float(score.bodies) for score in scores]
        return ratio([float(getattr(score, what)) for score in scores], wholes, [score.subject for score in scores])

    def dice(self) -> Estimate:
        """Return the mean Dice of the masked bodies."""
        return ratio(
            [sum(score.dice) for score in self.masked],
            [len(score.dice) for score in self.masked],
            [score.subject for score in self.masked],
        )

    def markdown(self) -> str:
        """Return the table: one row per sequence."""
        rows = [["", "Slices", "Bodies", "Found once", "Twice", "Missed", "False a slice"]]
        for group in self.groups:
            scores = [score for score in self.scores if group in (ALL, score.group)]
            figures = [self.rate(what, group).words(3) for what in ("once", "double", "missed")]
            counts = [str(len(scores)), str(sum(score.bodies for score in scores))]
            rows.append([group, *counts, *figures, self.rate("false", group).words(2)])
        text = markdown_table(rows) + f"\n{RULES}\n"
        if s1 := s1_words(self.scores):
            text += f"\n{s1}\n"
        if self.masked:
            bodies = sum(len(score.dice) for score in self.masked)
            text += (
                f"\nDice of {bodies} bodies in {len(self.masked)} masked slices: {self.dice().words(3)}. {MASK_RULES}\n"
            )
        return text

    def as_json(self) -> dict[str, Any]:
        """Return all figures and the counts of each slice, ready for ``json.dumps``."""
        rates = ("once", "double", "missed", "false")
        groups = {group: {what: plain(asdict(self.rate(what, group))) for what in rates} for group in self.groups}
        return {
            "groups": groups,
            "dice": plain(asdict(self.dice())),
            "s1": count_s1(self.scores),
            "slices": [asdict(score) for score in self.scores],
            "masked_slices": [asdict(score) for score in self.masked],
        }


def comparison_table(title: str, found: Mapping[str, SpiderEvaluation]) -> str:
    """Return several evaluations as a Markdown table, one row each; `title` heads the column of names."""
    rows = [[title, "Found once", "Twice", "Missed", "False a slice", "Dice, masked slices"]]
    for name, result in found.items():
        rates = [result.rate(what).words(3) for what in ("once", "double", "missed")]
        rows.append([name, *rates, result.rate("false").words(2), result.dice().words(3)])
    return markdown_table(rows)


def evaluate_spider(
    folder: str | Path, finder: Finder, progress: Callable[[float, str], None] | None = None
) -> SpiderEvaluation:
    """Run a detector over the SPIDER slices.

    Parameters
    ----------
    folder : path
        With ``disc_boxes.csv`` and ``images``; if there is a folder ``masks``, overlap is measured too.
    finder : callable
        See `spider_slices.Finder`; `detector_finder` returns one for the part detector.
    progress : callable, optional
        Called with the fraction done and the slice's name.

    Raises
    ------
    ValueError
        If a file is missing or cannot be read.
    """
    folder = Path(folder)
    slices = load_slices(folder)
    masked = load_masked_slices(folder) if (folder / "masks").is_dir() else ()
    count = len(slices) + len(masked)
    scores = []
    for i, item in enumerate(slices):
        if progress is not None:
            progress(i / count, item.name)
        image, back = rescaled(item.image, PITCH_MM / item.pitch_px)
        found = finder(image)
        claimed = None if found.s1 is None else in_picture(found.s1, back)[0]
        score = score_slice(item, in_picture(found.centroids, back))
        scores.append(replace(score, s1=judge_s1(item, claimed)))
    overlaps = []
    for i, masked_item in enumerate(masked, len(slices)):
        if progress is not None:
            progress(i / count, masked_item.name)
        image, back = rescaled(masked_item.image, masked_item.mm_per_px)
        mask = finder(image).mask
        if mask is not None:
            overlaps.append(score_masked(masked_item, mask_in_picture(mask, back, masked_item.image.shape)))
    return SpiderEvaluation(tuple(scores), tuple(overlaps))


def in_picture(points: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Return points of a rescaled slice, shape (n, 2), in pixels of the original picture; `back` as in `rescaled`."""
    return np.reshape(points, (-1, 2)) @ back[:2, :2].T + back[:2, 2]


def mask_in_picture(mask: np.ndarray, back: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the mask of a rescaled slice on the grid of the original picture."""
    there = np.linalg.inv(back)
    return ndimage.affine_transform(mask.astype(np.float32), there[:2, :2], there[:2, 2], shape, order=1) >= 0.5


def slice_volume(image: np.ndarray) -> SagittalVolume:
    """Return a slice with 1 mm pixels as a volume of one slice, `_ONE_SLICE_MM` thick."""
    matrix = np.zeros((4, 4))  # rows run downwards and columns backwards in LPS
    matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = _ONE_SLICE_MM, -1.0, 1.0, 1.0
    return SagittalVolume(np.ascontiguousarray(image)[None], matrix)


def detector_finder(detector: PartDetector) -> Finder:
    """Return a finder that runs the part detector and linking, as for a scan of one slice."""
    from ...detection.linking import link
    from ...spine.structures import Structure

    def find(image: np.ndarray) -> Found:
        detections = detector.detect(slice_volume(image))
        candidates = link(detections)
        centroids = [detections.working.to_index(c.centroid_lps_mm)[1:] for c in candidates]
        sure = [float(c.evidence[Structure.S1]) for c in candidates]
        s1 = centroids[int(np.argmax(sure))] if sure and max(sure) >= SURE else None
        best = np.asarray(detections.probabilities[0], dtype=np.float32).argmax(0)
        return Found(np.reshape(centroids, (-1, 2)), np.isin(best, (Structure.BODY, Structure.S1, Structure.C2)), s1)

    return find
