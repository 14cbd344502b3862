"""Evaluate a folder of predictions against true label maps, by the project's protocol.

* Detection: the predicted centroid lies inside a true body; matched one to one. Precision, recall.
* Identification: fraction of all true vertebrae that are detected with the correct level. Also counted from S1 (the
  correct number of steps above it, whatever the names), and with one shift of all levels of a scan allowed.
* Localisation: distance of the centroids and, if the reference has them, of the corners, mm.
* Overlap of matched bodies, whatever their level: Dice (0 for missed bodies) and average symmetric surface distance (of
  found bodies), mm, in 3-D and in 2-D on the mid-slice of the true body.

Bodies cut by the upper, lower, front or back edge of the image are ignored, and so are predictions in them. Figures are
over all vertebrae of a group; intervals are 95 %, bootstrapped by subject.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .bootstrap import Estimate, ratio
from .cases import find_cases
from .scoring import CaseScore, score_case
from .tables import markdown_table

ALL = "all"


@dataclass(frozen=True)
class Metric:
    """One row of the table: a ratio of two sums over scans."""

    name: str
    title: str
    part: Callable[[CaseScore], float]
    whole: Callable[[CaseScore], float]
    decimals: int = 3


def _mean(name: str, title: str, decimals: int) -> Metric:
    """Return the metric for the mean of a `CaseScore` field with one value per vertebra."""
    return Metric(name, title, lambda s: sum(getattr(s, name)), lambda s: len(getattr(s, name)), decimals)


METRICS: tuple[Metric, ...] = (
    Metric("recall", "Recall", lambda s: s.matched, lambda s: s.reference),
    Metric("precision", "Precision", lambda s: s.matched, lambda s: s.predicted),
    Metric("identification", "Identified", lambda s: s.identified, lambda s: s.reference),
    Metric("identification_from_s1", "Identified, counted from S1", lambda s: s.from_s1, lambda s: s.reference),
    Metric(
        "identification_shifted", "Identified, one shift a scan allowed", lambda s: s.shifted, lambda s: s.reference
    ),
    Metric("scans_all_right", "Scans with every vertebra right", lambda s: s.all_right, lambda s: 1),
    _mean("centroid_mm", "Centroid distance, mm", 2),
    _mean("corner_mm", "Corner distance, mm", 2),
    _mean("dice_3d", "Dice, 3-D", 3),
    _mean("distance_3d_mm", "Surface distance, 3-D, mm", 2),
    _mean("dice_2d", "Dice, mid-slice", 3),
    _mean("distance_2d_mm", "Surface distance, mid-slice, mm", 2),
)
"""Metrics of the protocol, in the order of the table."""


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of a folder.

    Attributes
    ----------
    scores : tuple of CaseScore
        One for each scan.
    """

    scores: tuple[CaseScore, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """``"all"``, followed by the names of the groups if there are several."""
        names = sorted({score.group for score in self.scores})
        return (ALL, *names) if len(names) > 1 else (ALL,)

    def of_group(self, group: str) -> tuple[CaseScore, ...]:
        """Return the scans of a group."""
        return tuple(score for score in self.scores if group in (ALL, score.group))

    def estimate(self, metric: Metric, group: str = ALL) -> Estimate:
        """Return one figure with its interval."""
        scores = self.of_group(group)
        parts, wholes = ([float(take(score)) for score in scores] for take in (metric.part, metric.whole))
        return ratio(parts, wholes, [score.subject for score in scores])

    def markdown(self) -> str:
        """Return the table: one row per metric, one column per group."""
        scores = {group: self.of_group(group) for group in self.groups}
        rows = [
            ["", *self.groups],
            [
                "Scans (subjects)",
                *(f"{len({x.name for x in s})} ({len({x.subject for x in s})})" for s in scores.values()),
            ],
            ["Vertebrae", *(str(sum(x.reference for x in s)) for s in scores.values())],
        ]
        rows += [
            [metric.title, *(self.estimate(metric, group).words(metric.decimals) for group in self.groups)]
            for metric in METRICS
        ]
        missing = sorted({score.name for score in self.scores if score.missing})
        notes = ["In brackets: 95 % interval, bootstrapped by subject."]
        notes += [f"Without a prediction, counted as nothing found: {', '.join(missing)}."] if missing else []
        return markdown_table(rows) + "\n" + "\n".join(notes) + "\n"

    def as_json(self) -> dict[str, Any]:
        """Return all figures and the counts of each scan, ready for ``json.dumps``."""
        groups = {
            group: {metric.name: plain(asdict(self.estimate(metric, group))) for metric in METRICS}
            for group in self.groups
        }
        return {"groups": groups, "scans": [asdict(score) for score in self.scores]}


def evaluate_folders(
    references: str | Path,
    predictions: str | Path,
    *,
    table: str | Path | None = None,
    conversion: str | Path | None = None,
    by_region: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Evaluation:
    """Score a folder of predictions against a folder of true label maps.

    Parameters
    ----------
    references, predictions, table : path
        See `cases.find_cases`.
    conversion : path, optional
        CSV file with the columns ``from`` and ``to``: label values of the references, and ours.
    by_region : bool
        Group vertebrae by region of the spine instead of grouping scans by sequence.
    progress : callable, optional
        Called with the fraction done and the scan's name.

    Raises
    ------
    ValueError
        If a file cannot be read, or no prediction matches a reference.
    """
    values = _read_conversion(Path(conversion)) if conversion else None
    cases = find_cases(references, predictions, table)
    scores: list[CaseScore] = []
    for i, case in enumerate(cases):
        if progress is not None:
            progress(i / len(cases), case.name)
        scores.extend(score_case(case, values, by_region))
    return Evaluation(tuple(scores))


def plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return values rounded for JSON, with None in place of NaN."""
    return {key: None if np.isnan(value) else round(value, 5) for key, value in values.items()}


def _read_conversion(path: Path) -> dict[int, int]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return {int(row["from"]): int(row["to"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"The table {path} needs the columns from and to, with whole numbers ({error}).") from error
