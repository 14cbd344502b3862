"""Calibrate the confidence, so that of the vertebrae with confidence 0.9, nine in ten are correct.

Result folders of scans that were not used for training are compared with their true label maps. A vertebra is correct
if its centroid lies in a true body and, if the levels are known, that body has its level.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...files.atomic import write_whole
from ...files.evidence_file import EVIDENCE_NAME, read_scores
from ...files.result_names import JSON_NAME
from ...files.spine_json import read_spine_json
from ...scans.orientation import sagittal_grid
from ...scans.reader import read_image
from ...spine import levels
from ...spine.confidence import CARD_KEY, WORDS, Calibration, word
from ...spine.notes import notes_in
from ..evaluation.cases import Case, find_cases
from ..evaluation.matching import value_at
from ..evaluation.tables import markdown_table

BIN_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Bins of the reliability table, finer where most results are."""

PRIOR_WEIGHT = 2.0
"""Weight of the prior: this many wrong vertebrae with score 0 and correct ones with score 1. Without it, a few scans
without an error would make every score a certainty."""

SAME_BODY_MM = 8.0
"""Largest distance between the centroid of a body's volume and the mean of its corners (C2: because of the dens); the
next body is always farther away."""

_ROUNDS = 50


@dataclass(frozen=True)
class Judged:
    """One vertebra of a result, and whether it is correct.

    Attributes
    ----------
    score : float
        Score of the detector, 0-1; NaN for vertebrae that it did not detect.
    confidence : float
        Confidence in the result.
    right : bool
        Whether it is correct, see the module docstring.
    doubted : bool
        Whether the ladder and the detector disagreed on it.
    """

    score: float
    confidence: float
    right: bool
    doubted: bool


@dataclass(frozen=True)
class CalibrationStudy:
    """Vertebrae of all scans, and the calibration curve fitted to them.

    Attributes
    ----------
    judged : tuple of Judged
    scans : int
    model : mapping
        ``name`` and ``sha256`` of the weights that made the results.
    calibration : Calibration
        Fitted to the vertebrae that the detector found and on which both methods agree.
    """

    judged: tuple[Judged, ...]
    scans: int
    model: dict[str, str]
    calibration: Calibration

    @property
    def fitted(self) -> tuple[Judged, ...]:
        """The vertebrae that the curve was fitted to."""
        return tuple(j for j in self.judged if np.isfinite(j.score) and not j.doubted)

    def as_json(self) -> dict[str, Any]:
        """Return the entry of the model card: the curve, and the data that it was fitted to."""
        right = sum(j.right for j in self.fitted)
        return {
            "offset": round(self.calibration.offset, 4),
            "slope": round(self.calibration.slope, 4),
            "fitted_on": f"{self.scans} scans that the network has never seen",
            "vertebrae": len(self.fitted),
            "right": right,
            "sha256": self.model.get("sha256", ""),
        }

    def markdown(self) -> str:
        """Return the reliability tables: by confidence, by word, and by agreement of the two methods."""
        rows = [("confidence given", "vertebrae", "mean confidence", "right")]
        confidences = np.array([j.confidence for j in self.judged])
        for low, high in zip(BIN_EDGES, BIN_EDGES[1:]):
            last = high == BIN_EDGES[-1]
            inside = (confidences >= low) & ((confidences <= high) if last else (confidences < high))
            if inside.any():
                rows.append((f"{low:g}–{high:g}", *_row([j for j, keep in zip(self.judged, inside) if keep])))
        words = [("in words", "vertebrae", "mean confidence", "right")]
        groups = [(name, [j for j in self.judged if word(j.confidence) == name]) for name in WORDS]
        groups += [("methods agree", [j for j in self.judged if not j.doubted])]
        groups += [("methods disagree", [j for j in self.judged if j.doubted])]
        words += [(name, *_row(group)) for name, group in groups if group]
        return f"{markdown_table(rows)}\n{markdown_table(words)}"


def study_calibration(
    predictions: str | Path, references: str | Path, progress: Callable[[float, str], None] | None = None
) -> CalibrationStudy:
    """Compare result folders with true label maps and fit the curve.

    Parameters
    ----------
    predictions : path
        Folder of result folders, each with the name of its reference.
    references : path
        Folder of true label maps; see `cases.find_cases`.
    progress : callable, optional
        Called with the fraction done and the scan's name.

    Raises
    ------
    ValueError
        If no result matches a reference, or the results come from different weights.
    """
    cases = [case for case in find_cases(references, predictions) if case.prediction is not None]
    judged: list[Judged] = []
    models: dict[str, dict[str, str]] = {}
    for done, case in enumerate(cases):
        if progress is not None:
            progress(done / len(cases), case.name)
        content = read_spine_json(_folder(case) / JSON_NAME)
        models[str(content["model"].get("sha256"))] = dict(content["model"])
        judged += judge(case, content)
    if len(models) != 1:
        raise ValueError(f"The results in {predictions} come from {len(models)} different weights; segment them again.")
    return CalibrationStudy(tuple(judged), len(cases), next(iter(models.values())), fit(judged))


def judge(case: Case, content: dict[str, Any]) -> list[Judged]:
    """Return the vertebrae of one result, judged by its reference; `content` is its spine.json."""
    image = read_image(case.reference).image
    grid = sagittal_grid(
        image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), str(case.reference)
    )
    labels = grid.to_sagittal(sitk.GetArrayFromImage(image))
    centroids, scores = read_scores(_folder(case) / EVIDENCE_NAME)
    out = []
    for entry in content["vertebrae"]:
        point = np.array(entry["centroid_lps_mm"], float)
        true = levels.level_of_value(value_at(labels, grid.matrix, point))
        right = true is not None and (content["anchor"] == "none" or true.name == entry["level"])
        far = np.linalg.norm(centroids - point, axis=1) if len(centroids) else np.array([np.inf])
        score = float(scores[far.argmin()]) if far.min() <= SAME_BODY_MM else float("nan")
        doubted = any(note.means_disagreement for note in notes_in(entry["flags"]))
        out.append(Judged(score, float(entry["confidence"]), right, doubted))
    return out


def fit(judged: Sequence[Judged]) -> Calibration:
    """Fit a logistic curve to the vertebrae on which both methods agree.

    Maximum likelihood by Newton's method, with the targets of Platt (1999), which avoid 0 and 1, and a prior of
    `PRIOR_WEIGHT` at both ends of the scale, which also keeps the slope positive.

    Raises
    ------
    ValueError
        If there is no such vertebra.
    """
    used = [j for j in judged if np.isfinite(j.score) and not j.doubted]
    if not used:
        raise ValueError("There is no vertebra to calibrate with: no result has one that the two methods agree on.")
    right = np.array([j.right for j in used])
    high, low = (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2)
    x = np.array([*(j.score for j in used), 0.0, 1.0])
    target = np.array([*np.where(right, high, low), 0.0, 1.0])
    weight = np.array([*np.ones(len(used)), PRIOR_WEIGHT, PRIOR_WEIGHT])
    design = np.column_stack([np.ones_like(x), x])
    beta = np.zeros(2)
    for _ in range(_ROUNDS):
        p = (1 + np.tanh(design @ beta / 2)) / 2
        gradient = design.T @ (weight * (target - p))
        curvature = design.T @ (design * (weight * p * (1 - p) + 1e-9)[:, None])
        step = np.linalg.solve(curvature, gradient)
        beta += step / max(1.0, float(np.abs(step).max()) / 2)  # limited: Newton's step may overshoot
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(beta[0]), max(float(beta[1]), 1e-3))


def _row(judged: Sequence[Judged]) -> tuple[str, str, str]:
    mean = float(np.mean([j.confidence for j in judged]))
    return str(len(judged)), f"{mean:.3f}", f"{np.mean([j.right for j in judged]):.3f}"


def _folder(case: Case) -> Path:
    if case.prediction is None or not (case.prediction.parent / JSON_NAME).is_file():
        raise ValueError(f"The prediction of {case.name} is not a result folder of SpinalTap; calibration needs one.")
    return case.prediction.parent


def put_into_card(study: CalibrationStudy, card: str | Path) -> None:
    """Add the curve to a model card.

    Raises
    ------
    ValueError
        If the file is not a model card, or is the card of other weights than those of the results.
    """
    path = Path(card)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = content["sha256"] == study.model.get("sha256")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as a model card ({error}).") from error
    if not same:
        raise ValueError(f"{path} is the card of other weights than those that made the results; segment them again.")
    content[CARD_KEY] = study.as_json()
    write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
