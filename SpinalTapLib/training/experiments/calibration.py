"""Calibrate the confidence: of the vertebrae given 0.9, nine in ten should be right.

Result folders of scans that the network has never seen are compared with their true label maps. A vertebra is right
if its centroid lies in a true body and, where the levels were counted, that body has its level.
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
from ...files.result_files import JSON_NAME
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
"""Bins of the reliability table: finer where most of the answers are."""

PRIOR_WEIGHT = 2.0
"""So many vertebrae with a score of 0 are taken as wrong, and with a score of 1 as right, before any is looked at: a
handful of scans without an error must not make every score a certainty."""

SAME_BODY_MM = 8.0
"""The centroid of a body's volume is nowhere farther from its corners' middle (C2 has its dens above), and the next
body's always is."""

_ROUNDS = 50


@dataclass(frozen=True)
class Judged:
    """One vertebra of a result, and whether it is right.

    Attributes
    ----------
    score : float
        The detector's own, 0-1; NaN for vertebrae that it did not see.
    confidence : float
        What the result says.
    right : bool
        See the module.
    doubted : bool
        Whether the ladder and the detector disagreed on it.
    """

    score: float
    confidence: float
    right: bool
    doubted: bool


@dataclass(frozen=True)
class CalibrationStudy:
    """All vertebrae of all scans, and the curve fitted to them.

    Attributes
    ----------
    judged : tuple of Judged
    scans : int
    model : mapping
        ``name`` and ``sha256`` of the weights that made the results.
    calibration : Calibration
        Fitted to those vertebrae that the detector saw and the ladder did not doubt.
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
        """Return the entry for the model card: what the program reads, and where it comes from."""
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
        """Return the reliability tables: by confidence, by word, and where the two methods disagreed."""
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
        Folder of result folders, each named as its reference.
    references : path
        Folder of true label maps; see `cases.find_cases`.
    progress : callable, optional
        Gets the fraction done and a scan's name.

    Raises
    ------
    ValueError
        If nothing fits together, or the results come from different weights.
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
    """Return every vertebra of one result (its spine.json as read) with whether it is right."""
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
    """Return the most likely logistic curve for the vertebrae that the ladder did not doubt.

    With the targets of Platt (1999), which stay off 0 and 1, and `PRIOR_WEIGHT` at both ends of the scale; Newton's
    method. The prior also keeps the slope above zero.

    Raises
    ------
    ValueError
        If there is no vertebra to fit to.
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
        beta += step / max(1.0, float(np.abs(step).max()) / 2)  # Newton's step may overshoot far from the answer
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(float(beta[0]), max(float(beta[1]), 1e-3))


def _row(judged: Sequence[Judged]) -> tuple[str, str, str]:
    mean = float(np.mean([j.confidence for j in judged]))
    return str(len(judged)), f"{mean:.3f}", f"{np.mean([j.right for j in judged]):.3f}"


def _folder(case: Case) -> Path:
    if case.prediction is None or not (case.prediction.parent / JSON_NAME).is_file():
        raise ValueError(f"The prediction of {case.name} is no result folder of SpinalTap; the calibration needs one.")
    return case.prediction.parent


def put_into_card(study: CalibrationStudy, card: str | Path) -> None:
    """Write the curve into a model card, beside what stands there.

    Raises
    ------
    ValueError
        If the file is no card, or that of other weights than those that made the results.
    """
    path = Path(card)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        same = content["sha256"] == study.model.get("sha256")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} can't be read as a model card ({error}).") from error
    if not same:
        raise ValueError(f"{path} is the card of other weights than those that made the results; segment them again.")
    content[CARD_KEY] = study.as_json()
    write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
