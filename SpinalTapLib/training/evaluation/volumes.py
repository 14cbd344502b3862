"""Score the segmentation of whole vertebrae, arches, discs and the dural sac in volumes with reference masks.

Two kinds of folder are supported: stacks as ``NNN_image.nii.gz`` with ``NNN_classes.nii.gz`` (1 whole vertebra, 2 disc,
3 dural sac) and ``NNN_bodies.nii.gz`` (bodies numbered from the lowest upwards), and phantoms as
``spinaltap phantom --arches`` writes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bodies.regularity import BALL_MM, MOST_FILLED, MOST_REMOVED, ball_mm, irregularity
from ...bodies.segmentation import Bodies, separate_bodies
from ...bodies.solids import Solid
from ...detection.linking import link
from ...scans.reader import read_image
from ...scans.resampling import working_volume
from ...scans.volume import SagittalVolume, load_volume
from ...spine import levels
from ...spine.confidence import WORDS, word
from ...spine.structures import Structure
from .bootstrap import Estimate, ratio
from .cases import subject_of
from .overlap import dice
from .protocol import plain
from .reference import sagittal_labels
from .tables import markdown_table

if TYPE_CHECKING:
    from ...detection.detector import PartDetector

STRUCTURES = ("bodies", "vertebrae", "arches", "discs", "canal")
SIDES = (0.0, 0.4, 0.8, np.inf)
"""Borders of the parts of a body from its middle to its sides, in half widths; slices that show more than half of the
largest cross-section make up its width."""

_WHOLE, _DISC, _SAC = 1, 2, 3  # of NNN_classes.nii.gz


@dataclass(frozen=True, eq=False)
class Reference:
    """A scan with its true masks, all on the scan's grid, (slice, row, column).

    Attributes
    ----------
    volume : SagittalVolume
    bodies : ndarray of int
        0, or the number of the body, counted from the lowest upwards.
    vertebrae, discs, canal : ndarray of bool
        Whole vertebrae with their arches; discs; the dural sac.
    synthetic : bool
    """

    volume: SagittalVolume
    bodies: np.ndarray
    vertebrae: np.ndarray
    discs: np.ndarray
    canal: np.ndarray
    synthetic: bool

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """The mask of each of `STRUCTURES`."""
        bodies = self.bodies > 0
        arches = self.vertebrae & ~bodies
        return dict(zip(STRUCTURES, (bodies, self.vertebrae, arches, self.discs, self.canal)))


@dataclass(frozen=True)
class VolumeScore:
    """Measurements of one scan.

    Attributes
    ----------
    name, subject : str
    dice : dict of str to float
        For each of `STRUCTURES`, in 3-D; NaN if reference and prediction are both empty.
    removed, filled : tuple of float
        For each body not cut by the upper, lower, front or back edge: see `regularity.irregularity`.
    outline_confidence : tuple of float
        Of each of these bodies, 0-1.
    sides : tuple of (int, int)
        For each part of `SIDES`, over the bodies whose sides are in view: voxels that both masks have, and the sum of
        both masks' voxels.
    """

    name: str
    subject: str
    dice: dict[str, float]
    removed: tuple[float, ...] = ()
    filled: tuple[float, ...] = ()
    outline_confidence: tuple[float, ...] = ()
    sides: tuple[tuple[int, int], ...] = ()

    @property
    def regular(self) -> int:
        """Number of regular bodies."""
        return sum(self._regular())

    @property
    def irregular_and_sure(self) -> int:
        """Number of irregular bodies whose outline is called sure: there should be none."""
        return sum(not regular and word(c) == WORDS[0] for regular, c in zip(self._regular(), self.outline_confidence))

    def _regular(self) -> list[bool]:
        return [r <= MOST_REMOVED and f <= MOST_FILLED for r, f in zip(self.removed, self.filled)]


@dataclass(frozen=True)
class VolumeEvaluation:
    """Evaluation of a folder whose scans are either all real or all synthetic."""

    scores: tuple[VolumeScore, ...]
    synthetic: bool

    def dice(self, structure: str) -> Estimate:
        """Return the mean Dice of a structure over the scans that have it."""
        known = [score for score in self.scores if np.isfinite(score.dice[structure])]
        return ratio([s.dice[structure] for s in known], [1.0] * len(known), [s.subject for s in known])

    def regular(self) -> Estimate:
        """Return the fraction of regular bodies."""
        return ratio(
            [float(s.regular) for s in self.scores],
            [float(len(s.removed)) for s in self.scores],
            [s.subject for s in self.scores],
        )

    @property
    def irregular_and_sure(self) -> int:
        """Number of irregular bodies whose outline is called sure."""
        return sum(score.irregular_and_sure for score in self.scores)

    def sides(self) -> tuple[float, ...]:
        """Return the Dice of the bodies in each part of `SIDES`, over all scans; NaN where no side is in view."""
        both = np.sum([s.sides for s in self.scores if s.sides] or [((0, 0),) * (len(SIDES) - 1)], axis=0)
        return tuple(2 * common / total if total else float("nan") for common, total in both)

    def markdown(self) -> str:
        """Return the table, one row per structure, and a sentence about regularity."""
        kind = "synthetic" if self.synthetic else "real"
        rows = [[f"{len(self.scores)} {kind} scans", "3-D Dice"]]
        rows += [[structure.capitalize(), self.dice(structure).words(3)] for structure in STRUCTURES]
        removed = [x for s in self.scores for x in s.removed]
        filled = [x for s in self.scores for x in s.filled]
        text = markdown_table(rows) + "\nIn brackets: 95 % interval, bootstrapped by subject.\n"
        if removed:
            text += (
                f"\n{len(removed)} bodies: a ball of {BALL_MM:g} mm (less for small bodies) removes "
                f"{np.mean(removed):.1%} of a body (worst {max(removed):.1%}) and fills {np.mean(filled):.1%} (worst "
                f"{max(filled):.1%}). Regular (at most {MOST_REMOVED:.0%} and {MOST_FILLED:.0%}): "
                f"{self.regular().words(3)}. Irregular with an outline that is called sure: "
                f"{self.irregular_and_sure}.\n"
            )
        parts = [(low, high, value) for low, high, value in zip(SIDES, SIDES[1:], self.sides()) if np.isfinite(value)]
        if parts:
            table = [["Bodies, from the middle to the sides", "3-D Dice"]]
            table += [[f"{low:g}-{high:g} half widths", f"{value:.3f}"] for low, high, value in parts]
            text += "\n" + markdown_table(table).replace("-inf half widths", " half widths and beyond")
        return text

    def as_json(self) -> dict[str, Any]:
        """Return all figures and the measurements of each scan, ready for ``json.dumps``."""
        return {
            "synthetic": self.synthetic,
            "dice": {structure: plain(asdict(self.dice(structure))) for structure in STRUCTURES},
            "regular": plain(asdict(self.regular())),
            "irregular_and_sure": self.irregular_and_sure,
            "sides": [None if np.isnan(value) else value for value in self.sides()],
            "scans": [{**asdict(score), "dice": plain(score.dice)} for score in self.scores],
        }


def evaluate_volumes(
    folder: str | Path,
    detector: PartDetector,
    slice_mm: float | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> VolumeEvaluation:
    """Segment every scan of a folder and compare it with its masks.

    Parameters
    ----------
    folder : path
        See the module docstring.
    detector : PartDetector
    slice_mm : float, optional
        Average the slices to about this spacing first; the result is still compared on the grid of the scan.
    progress : callable, optional
        Called with the fraction done and the scan's name.

    Raises
    ------
    ValueError
        If the folder has no such scan, or a file cannot be read or is on another grid.
    """
    names = find_volumes(folder)
    scores = []
    for i, name in enumerate(names):
        if progress is not None:
            progress(i / len(names), name)
        reference = read_reference(folder, name)
        scores.append(score_volume(reference, detector, slice_mm, name))
    return VolumeEvaluation(tuple(scores), reference.synthetic)


def find_volumes(folder: str | Path) -> list[str]:
    """Return the names of the scans in a folder that have masks; raise ValueError if there are none."""
    folder = Path(folder)
    stacks = sorted(path.name[: -len("_image.nii.gz")] for path in folder.glob("*_image.nii.gz"))
    stacks = [name for name in stacks if (folder / f"{name}_classes.nii.gz").is_file()]
    phantoms = sorted(path.name[: -len("_labels.nii.gz")] for path in folder.glob("phantom-*_labels.nii.gz"))
    if stacks and phantoms:
        raise ValueError(f"{folder} holds phantoms and real stacks; evaluate them separately, in two folders.")
    if not stacks and not phantoms:
        raise ValueError(
            f"There is no NAME_image.nii.gz with NAME_classes.nii.gz, and no phantom with labels, in {folder}."
        )
    return stacks or phantoms


def read_reference(folder: str | Path, name: str) -> Reference:
    """Read one scan of a folder with its masks; for errors see `evaluate_volumes`."""
    folder = Path(folder)
    if not (folder / f"{name}_image.nii.gz").is_file():
        return _phantom(folder, name)
    volume = load_volume(folder / f"{name}_image.nii.gz")
    classes = _on_grid(folder / f"{name}_classes.nii.gz", volume)
    bodies = _on_grid(folder / f"{name}_bodies.nii.gz", volume)
    return Reference(volume, bodies, classes == _WHOLE, classes == _DISC, classes == _SAC, synthetic=False)


def _phantom(folder: Path, name: str) -> Reference:
    volume = load_volume(folder / f"{name}.nii.gz")
    labels = _on_grid(folder / f"{name}_labels.nii.gz", volume)
    if not (labels > levels.ARCH_BASE).any():
        raise ValueError(f"{folder / name} has no arches: draw it with 'spinaltap phantom --arches'.")
    order = {level.value: i for i, level in enumerate(levels.LEVELS, start=1)}
    bodies = np.zeros(labels.shape, np.int32)
    for value, place in order.items():
        if value != levels.level("S1").value:  # its wings and back are the sacrum's
            bodies[labels == value] = place
    discs = (labels > levels.DISC_BASE) & (labels < levels.ARCH_BASE)
    whole = (bodies > 0) | (labels > levels.ARCH_BASE)
    return Reference(volume, bodies, whole, discs, labels == levels.CANAL_VALUE, synthetic=True)


def _on_grid(path: Path, volume: SagittalVolume) -> np.ndarray:
    """Read a label map; raise ValueError if it is not on the grid of its scan."""
    labels, matrix = sagittal_labels(read_image(path).image, str(path))
    if labels.shape != volume.array.shape or not np.allclose(matrix, volume.matrix, atol=0.01):
        raise ValueError(f"{path} does not lie on the grid of its scan.")
    return labels


def score_volume(reference: Reference, detector: PartDetector, slice_mm: float | None, name: str) -> VolumeScore:
    """Segment one scan and compare it with its masks."""
    volume = reference.volume
    seen = volume if slice_mm is None else working_volume(volume, float(volume.spacing_mm[1]), slice_mm)
    detections = detector.detect(working_volume(seen))
    candidates = link(detections)
    found = separate_bodies(detections, candidates, volume, "all")
    known = _labelled(found, reference)
    masks = predicted_masks(found, known)
    whole = [j for j in known if not _is_cut(found.index == j + 1)]
    shares = {j: _irregularity(solid, volume) for j in whole if (solid := found.solids[j]) is not None}
    return VolumeScore(
        name,
        subject_of(name),
        {key: dice(mask, reference.masks[key]) for key, mask in masks.items()},
        tuple(removed for removed, _ in shares.values()),
        tuple(filled for _, filled in shares.values()),
        tuple(found.outline_confidence[j] for j in shares),
        overlap_by_side(found.index, reference.bodies, found.count),
    )


def overlap_by_side(index: np.ndarray, bodies: np.ndarray, count: int) -> tuple[tuple[int, int], ...]:
    """Return the overlap of found and true bodies in each part of `SIDES`; see `VolumeScore.sides`.

    Parameters
    ----------
    index : ndarray of int, shape (slice, row, column)
        Found bodies, 1 to `count`; other values are ignored.
    bodies : ndarray of int, same shape
        True bodies, from 1.
    count : int
        Number of found bodies.
    """
    sums = np.zeros((len(SIDES) - 1, 2), int)
    for body in np.unique(bodies[bodies > 0]):
        truth = bodies == body
        area = truth.sum((1, 2))
        wide = np.flatnonzero(area > area.max() / 2)
        if wide[0] == 0 or wide[-1] == len(area) - 1:
            continue  # the image ends within the body
        votes = np.bincount(index[truth & (index <= count)], minlength=count + 1)
        found = index == (votes[1:].argmax() + 1 if votes[1:].any() else -1)
        away = np.abs(np.arange(len(area)) - (wide[0] + wide[-1]) / 2) / (len(wide) / 2)
        common, total = (truth & found).sum((1, 2)), area + found.sum((1, 2))
        for k, (low, high) in enumerate(zip(SIDES, SIDES[1:])):
            here = (away >= low) & (away < high)
            sums[k] += common[here].sum(), total[here].sum()
    return tuple((int(common), int(total)) for common, total in sums)


def _labelled(found: Bodies, reference: Reference) -> list[int]:
    """Return the candidates to compare: all except those beyond the lowest or highest body of the reference."""
    rows = [np.argwhere(reference.bodies == b)[:, 1].mean() for b in np.unique(reference.bodies) if b]
    counted = []
    for j in range(found.count):
        mine = found.index == j + 1
        if not mine.any():
            continue
        hit = reference.bodies[mine]
        row = np.argwhere(mine)[:, 1].mean()
        if hit.any() or min(rows) < row < max(rows):
            counted.append(j)
    return counted


def predicted_masks(found: Bodies, known: list[int]) -> dict[str, np.ndarray]:
    """Return the mask of each of `STRUCTURES`, on the volume's grid."""
    near = {j for k in known for j in (k - 1, k)}
    kept = {Structure.BODY: set(known), Structure.ARCH: set(known), Structure.DISC: near, Structure.CANAL: {0}}
    bodies, arches, discs, canal = (
        np.isin(found.index, [1 + i for i, p in enumerate(found.parts) if p.kind == kind and p.candidate in places])
        for kind, places in kept.items()
    )
    return dict(zip(STRUCTURES, (bodies, bodies | arches, arches, discs, canal)))


def _is_cut(mask: np.ndarray) -> bool:
    """Return whether the upper, lower, front or back edge of the image cuts a body."""
    return bool(mask[:, [0, -1]].any() or mask[:, :, [0, -1]].any())


def _irregularity(solid: Solid, volume: SagittalVolume) -> tuple[float, float]:
    """Return the irregularity of a solid within the width of the scan, on a grid of 1 mm."""
    spacing = volume.spacing_mm
    box = solid.bounds(volume.matrix, volume.array.shape)
    shape = tuple(max(1, round((s.stop - s.start) * float(mm))) for s, mm in zip(box, spacing))
    matrix = volume.matrix @ np.diag([*(1 / spacing), 1.0])
    start = np.array([s.start - 0.5 for s in box]) + 0.5 / spacing
    matrix[:3, 3] = volume.matrix[:3, :3] @ start + volume.matrix[:3, 3]
    mask = solid.sample(matrix, shape) > 0
    return irregularity(mask, ball_mm(float(np.count_nonzero(mask))))
