"""Score the prediction for one scan against its true label map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...scans.reader import read_image
from ...spine import levels
from .cases import Case
from .matching import LabelledBody, match, positions, value_at
from .overlap import dice, surface_distance_mm
from .reference import Truth, on_grid_of, predicted_bodies, truth_of

REGIONS = {"cervical": "C", "thoracic": "T", "lumbar": "L", "sacral": "S"}
"""Regions of the spine and the first letter of their levels' names."""


@dataclass(frozen=True)
class CaseScore:
    """Counts and distances of one scan.

    Attributes
    ----------
    name, subject, group : str
        See `cases.Case`.
    reference, predicted, matched : int
        Numbers of true vertebrae, predicted vertebrae and matched pairs, without those cut by the edge of the image.
    identified, from_s1, shifted : int
        Pairs with the correct level; with the correct number of steps above S1; correct after the best single shift.
    centroid_mm, corner_mm, dice_3d, distance_3d_mm, dice_2d, distance_2d_mm : tuple of float
        One value per pair (`corner_mm`: per corner; Dice: per true vertebra).
    missing : bool
        Whether there was no prediction file.
    """

    name: str
    subject: str
    group: str
    reference: int = 0
    predicted: int = 0
    matched: int = 0
    identified: int = 0
    from_s1: int = 0
    shifted: int = 0
    centroid_mm: tuple[float, ...] = ()
    corner_mm: tuple[float, ...] = ()
    dice_3d: tuple[float, ...] = ()
    distance_3d_mm: tuple[float, ...] = ()
    dice_2d: tuple[float, ...] = ()
    distance_2d_mm: tuple[float, ...] = ()
    missing: bool = False

    @property
    def all_right(self) -> bool:
        """Whether every true vertebra was found and named, without false positives."""
        return self.identified == self.reference == self.predicted


def score_case(
    case: Case, conversion: Mapping[int, int] | None = None, by_region: bool = False
) -> tuple[CaseScore, ...]:
    """Score one scan as a whole, or each region of the spine that it shows.

    Parameters
    ----------
    case : Case
        Reference and prediction.
    conversion : mapping of int to int, optional
        Label values of the reference to ours; values that are not in it are ignored.
    by_region : bool
        Return one score for each of `REGIONS`, each a group of its own.

    Raises
    ------
    ValueError
        If a file cannot be read.
    """
    image = read_image(case.reference).image
    truth = truth_of(image, case, conversion)
    groups: dict[str, Collection[int] | None] = {case.group: None}
    if by_region:
        groups = {region: _values_of(letter) for region, letter in REGIONS.items()}
    cases = [
        (replace(case, group=group), only)
        for group, only in groups.items()
        if only is None or any(body.value in only for body in truth.bodies)
    ]
    if case.prediction is None:
        return tuple(_nothing_found(part, truth, only) for part, only in cases)
    labels = on_grid_of(image, read_image(case.prediction).image)
    predicted = predicted_bodies(case.prediction, labels, truth.matrix)
    return tuple(score(truth, labels, predicted, part, only) for part, only in cases)


def _values_of(letter: str) -> frozenset[int]:
    return frozenset(known.value for known in levels.LEVELS if known.name.startswith(letter))


def _nothing_found(case: Case, truth: Truth, only: Collection[int] | None) -> CaseScore:
    none = (0.0,) * sum(not body.cut and (only is None or body.value in only) for body in truth.bodies)
    return CaseScore(case.name, case.subject, case.group, len(none), dice_3d=none, dice_2d=none, missing=True)


def score(
    truth: Truth, labels: np.ndarray, predicted: Sequence[LabelledBody], case: Case, only: Collection[int] | None = None
) -> CaseScore:
    """Score predicted bodies and their label map, shape (slice, row, column), on the grid of the truth.

    Bodies cut by the edge of the image are ignored, and so are predictions whose centroid lies in them. With `only`,
    bodies with other label values are ignored in the same way, and so are predictions outside all bodies that have
    another label value.
    """
    reference = [body for body in truth.bodies if not body.cut and (only is None or body.value in only)]
    wanted, seen = ({body.value for body in bodies} for bodies in (reference, truth.bodies))
    homes = [value_at(truth.labels, truth.matrix, p.centroid_lps_mm) for p in predicted]
    counted = [
        p
        for p, home in zip(predicted, homes)
        if home in wanted or (home not in seen and (only is None or p.value in only))
    ]
    pairs = match(counted, reference, truth.labels, truth.matrix)
    matched = [(counted[i], reference[k]) for i, k in sorted(pairs.items(), key=lambda pair: pair[1])]
    found = {known.value: item for item, known in matched}
    overlaps = [_overlap(truth, labels, known, found.get(known.value)) for known in reference]
    dice_3d, distance_3d, dice_2d, distance_2d = zip(*overlaps) if overlaps else ((), (), (), ())
    from_s1, shifted = _relative(matched, predicted, truth.bodies)
    return CaseScore(
        name=case.name,
        subject=case.subject,
        group=case.group,
        reference=len(reference),
        predicted=len(counted),
        matched=len(matched),
        identified=sum(item.value == known.value for item, known in matched),
        from_s1=from_s1,
        shifted=shifted,
        centroid_mm=tuple(float(np.linalg.norm(p.centroid_lps_mm - t.centroid_lps_mm)) for p, t in matched),
        corner_mm=tuple(distance for pair in matched for distance in _corner_distances(*pair)),
        dice_3d=dice_3d,
        distance_3d_mm=tuple(x for x in distance_3d if np.isfinite(x)),
        dice_2d=dice_2d,
        distance_2d_mm=tuple(x for x in distance_2d if np.isfinite(x)),
    )


def _relative(
    matched: Sequence[tuple[LabelledBody, LabelledBody]],
    predicted: Sequence[LabelledBody],
    reference: Sequence[LabelledBody],
) -> tuple[int, int]:
    """Count the pairs with the correct number of steps above S1, and those correct after the best single shift."""
    here, there = (
        dict(zip(values, positions(values)))
        for values in ([b.value for b in bodies] for bodies in (predicted, reference))
    )
    shifts: Counter[int] = Counter()
    from_s1 = 0
    for item, known in matched:
        step, right = here[item.value], there[known.value]
        if step is not None and right is not None:
            shifts[step - right] += 1
            from_s1 += step == right and item.value < levels.UNANCHORED_BASE  # unnamed ones are not counted
    return from_s1, max(shifts.values(), default=0)


def _corner_distances(predicted: LabelledBody, known: LabelledBody) -> tuple[float, ...]:
    if predicted.corners_lps_mm is None or known.corners_lps_mm is None:
        return ()
    return tuple(float(d) for d in np.linalg.norm(predicted.corners_lps_mm - known.corners_lps_mm, axis=1))


def _overlap(
    truth: Truth, labels: np.ndarray, known: LabelledBody, found: LabelledBody | None
) -> tuple[float, float, float, float]:
    """Return Dice and surface distance in 3-D and on the true body's mid-slice."""
    if found is None:
        return 0.0, float("nan"), 0.0, float("nan")
    one, other = truth.labels == known.value, labels == found.value
    rows = np.flatnonzero((one | other).any((0, 2)))
    near = slice(rows[0], rows[-1] + 1)
    one, other = one[:, near], other[:, near]
    index = np.linalg.solve(truth.matrix[:3, :3], known.centroid_lps_mm - truth.matrix[:3, 3])
    k = round(float(index[0]))
    spacing = truth.spacing_mm
    return (
        dice(one, other),
        surface_distance_mm(one, other, spacing),
        dice(one[k], other[k]),
        surface_distance_mm(one[k], other[k], spacing[1:]),
    )
