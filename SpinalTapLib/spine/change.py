"""Compare two results of one person: the change of each measurement, and whether it is beyond the method's error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .confidence import WORDS, word_of
from .measurements import HEIGHT_LOSS_RANGES, may_lose_height
from .notes import notes_in
from .vertebra import Spine, Vertebra

COMPARED = (
    "height_anterior_mm",
    "height_middle_mm",
    "height_posterior_mm",
    "wedge_angle_deg",
    "slip_mm",
    "disc_height_anterior_mm",
    "disc_height_middle_mm",
    "disc_height_posterior_mm",
)
"""Measurements that are compared (see `measurements`); disc and slip are those below the vertebra."""

TITLES: Mapping[str, str] = {
    "height_anterior_mm": "Anterior height",
    "height_middle_mm": "Middle height",
    "height_posterior_mm": "Posterior height",
    "wedge_angle_deg": "Wedge angle",
    "slip_mm": "Slip below",
    "disc_height_anterior_mm": "Disc, anterior",
    "disc_height_middle_mm": "Disc, middle",
    "disc_height_posterior_mm": "Disc, posterior",
}
"""What a reader sees in place of the names."""

HEIGHTS = COMPARED[:3]

LIMITS: Mapping[str, float] = {
    "height_anterior_mm": 0.8,
    "height_middle_mm": 0.9,
    "height_posterior_mm": 0.7,
    "wedge_angle_deg": 1.6,
    "slip_mm": 0.7,
    "disc_height_anterior_mm": 0.8,
    "disc_height_middle_mm": 0.8,
    "disc_height_posterior_mm": 0.8,
}
"""Repeatability coefficient of each measurement: of two scans of the same spine, 95 % differ by less. Measured on ten
synthetic lumbar spines (slices 4 mm apart, pixels of 1 mm), scanned four times on shifted and turned grids with other
noise (`training.experiments.repeatability`). Real scans differ in posture, too, and may differ by more."""


@dataclass(frozen=True)
class Change:
    """The change of one measurement of one vertebra.

    Attributes
    ----------
    level : str
        The vertebra.
    name : str
        One of `COMPARED`; its ending is the unit.
    earlier, later : float
        The values.
    limit : float
        Change that 95 % of two scans of the same spine stay below (see `LIMITS`).
    is_sure : bool
        False if a corner of the vertebra was cut off or estimated in one of the results.
    """

    level: str
    name: str
    earlier: float
    later: float
    limit: float
    is_sure: bool = True

    @property
    def title(self) -> str:
        """The measurement in words."""
        return TITLES[self.name]

    @property
    def unit(self) -> str:
        """``"mm"`` or ``"°"``."""
        return "mm" if self.name.endswith("_mm") else "°"

    @property
    def change(self) -> float:
        """Later minus earlier."""
        return self.later - self.earlier

    @property
    def is_beyond_error(self) -> bool:
        """Whether the change is larger than the error of the method."""
        return self.is_sure and abs(self.change) > self.limit

    @property
    def verdict(self) -> str:
        """``"beyond the error"``, ``"within the error"``, or ``"not sure"`` where corners were estimated."""
        if not self.is_sure:
            return "not sure"
        return "beyond the error" if self.is_beyond_error else "within the error"


@dataclass(frozen=True)
class HeightLoss:
    """A height that a vertebra has lost between two results: `level`, `place`, `percent`, and Genant's `severity`."""

    level: str
    place: str
    percent: float
    severity: str

    @property
    def sentence(self) -> str:
        """One sentence for the reader."""
        return (
            f"{self.level} has lost {self.percent:.0f} % of its {self.place} height since the earlier scan "
            f"({self.severity} range of Genant's grades)."
        )


@dataclass(frozen=True)
class Comparison:
    """What has changed.

    Attributes
    ----------
    changes : tuple of Change
        From the bottom up, in the order of `COMPARED`.
    losses : tuple of HeightLoss
        New losses of height of 20 % or more, beyond the error of the method.
    notes : tuple of str
        Plain sentences: levels that only one result has, names that are not sure.
    between : tuple of str
        What the earlier and the later result are called.
    """

    changes: tuple[Change, ...]
    losses: tuple[HeightLoss, ...]
    notes: tuple[str, ...]
    between: tuple[str, str] = ("the earlier result", "the later result")

    @property
    def levels(self) -> tuple[str, ...]:
        """The vertebrae that were compared, from the bottom up."""
        return tuple(dict.fromkeys(change.level for change in self.changes))

    @property
    def from_the_top(self) -> tuple[Change, ...]:
        """The changes as on a sagittal image: the top vertebra first, each in the order of `COMPARED`."""
        return tuple(change for level in self.levels[::-1] for change in self.changes if change.level == level)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The losses of height, then the notes."""
        return (*(loss.sentence for loss in self.losses), *self.notes)

    @property
    def summary(self) -> str:
        """How many measurements have changed beyond the error, as one or two sentences."""
        beyond = sum(change.is_beyond_error for change in self.changes)
        unsure = sum(not change.is_sure for change in self.changes)
        text = f"{beyond or 'None'} of {len(self.changes)} measurements changed by more than the measurement error."
        return f"{text} {unsure} cannot be judged: corners were cut off or estimated." if unsure else text


def compare(earlier: Spine, later: Spine) -> Comparison:
    """Compare two measured results of one person, vertebra by vertebra of the same name.

    Raises
    ------
    ValueError
        If they have no named vertebra in common.
    """
    before, after = ({v.level: v for v in spine.vertebrae if v.level} for spine in (earlier, later))
    common = [v.level for v in later.vertebrae if v.level in before]
    if not common:
        raise ValueError(
            f"The two results have no level in common ({_range(earlier)} and {_range(later)}); name the levels first, "
            "or compare scans of the same region."
        )
    changes, losses = [], []
    for level in common:
        one, two = before[level], after[level]
        sure = _is_sure(one) and _is_sure(two)
        own = [
            Change(str(level), name, one.measurements[name], two.measurements[name], LIMITS[name], sure)
            for name in COMPARED
            if name in one.measurements and name in two.measurements
        ]
        changes += own
        loss = _loss(own) if sure and may_lose_height(two, dict(two.measurements)) else None
        losses += [loss] if loss is not None else []
    return Comparison(tuple(changes), tuple(losses), tuple(_notes(earlier, later, before, after)))


def _loss(changes: list[Change]) -> HeightLoss | None:
    """Return the largest loss of height of one vertebra, if it has a grade and is beyond the error."""
    lost = [c for c in changes if c.name in HEIGHTS and c.is_beyond_error and c.earlier > 0]
    worst = min(lost, key=lambda c: c.later / c.earlier, default=None)
    if worst is None:
        return None
    percent = 100 * (1 - worst.later / worst.earlier)
    for least, word in HEIGHT_LOSS_RANGES:
        if percent >= least:
            return HeightLoss(worst.level, worst.name.split("_")[1], percent, word)
    return None


def _is_sure(vertebra: Vertebra) -> bool:
    return not any(note.means_unsure_corners for note in notes_in(vertebra.flags))


def _notes(earlier: Spine, later: Spine, before: Mapping, after: Mapping) -> list[str]:
    notes = []
    for which, own, other in (("earlier", before, after), ("later", after, before)):
        alone = [level for level in own if level not in other]
        if alone:
            notes.append(f"Only in the {which} result, so not compared: {', '.join(alone)}.")
    if len(earlier.vertebrae) != len(later.vertebrae):
        notes.append(
            f"The earlier result has {len(earlier.vertebrae)} vertebrae, the later one {len(later.vertebrae)}; check "
            "that both count the same levels."
        )
    for which, spine in (("earlier", earlier), ("later", later)):
        doubtful = [v.level for v in spine.vertebrae if v.level and word_of(v, spine) != WORDS[0]]
        if doubtful:
            notes.append(
                f"The {which} result is not sure of {', '.join(doubtful)}: a change there may be that between two "
                "different vertebrae."
            )
    return notes


def _range(spine: Spine) -> str:
    names = [v.level for v in spine.vertebrae if v.level]
    return f"{names[-1]} to {names[0]}" if names else "no level"
