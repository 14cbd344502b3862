"""Names on real scans: are the levels right, and are the odds that go with them?

SPIDER slices: the lowest disc box is that of L5-S1 where all discs of a slice have boxes, so that every body's level
follows from the number of boxes below its middle; above the boxes the count goes on, a median pitch a body. The same
slices are also cut (`CUTS`), as if the field of view had ended there. T2-SPACE stacks: the lowest numbered body is L5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from ...spine.confidence import SURE
from ...spine.levels import COMMON
from .protocol import ALL
from .spider_evaluation import slice_volume
from .spider_slices import PITCH_MM, SpiderSlice, load_slices, rescaled
from .tables import markdown_table

if TYPE_CHECKING:
    from ...scans.volume import SagittalVolume
    from ...spine.vertebra import Vertebra

CUTS = {
    "s1": ("the middle of S1", -1, 0.45),
    "l5s1": ("the lower edge of the disc L5-S1", -1, 0.13),
    "top3": ("the third body from the top", 3, -0.13),
}
"""Name of a cut -> where the image ends: in words, which disc from the top, and pitches below its middle."""

RIGHT, WRONG, NOT_NAMED = "right", "wrong", "not named"
BELOW_S1 = "sacrum"

BINS = ((0.5, 0.7), (0.7, 0.9), (0.9, 1.01))
"""Stated probabilities that are reported together."""

_S1_REACH, _PITCH = 0.95, 0.95  # in median disc pitches: from the disc L5-S1 down to S1, and from body to body above
_NEAR_MM = 10.0

Namer = Callable[["SagittalVolume"], "Sequence[Vertebra]"]
"""Names the vertebrae of a volume, from the bottom up."""


@dataclass(frozen=True)
class NamedScan:
    """The names of one scan.

    Attributes
    ----------
    name, subject, group : str
    said : tuple of (str, float, bool)
        Each name that was claimed, its probability, and whether it is right.
    """

    name: str
    subject: str
    group: str
    said: tuple[tuple[str, float, bool], ...]

    @property
    def verdict(self) -> str:
        """`RIGHT` if all names are, `WRONG` if one is not, `NOT_NAMED` if there is none."""
        return NOT_NAMED if not self.said else RIGHT if all(right for _, _, right in self.said) else WRONG

    @property
    def wrong_and_sure(self) -> bool:
        """Whether a wrong name was given as sure."""
        return any(p >= SURE and not right for _, p, right in self.said)


@dataclass(frozen=True)
class NamesEvaluation:
    """The names of many scans; `what` says in words what they are."""

    scans: tuple[NamedScan, ...]
    what: str

    @property
    def groups(self) -> tuple[str, ...]:
        """``"all"`` and the sequences."""
        return (ALL, *sorted({scan.group for scan in self.scans}))

    def count(self, group: str = ALL) -> dict[str, int]:
        """Return how many scans are right, wrong and sure, wrong in all, and not named."""
        scans = [scan for scan in self.scans if group in (ALL, scan.group)]
        verdicts = [scan.verdict for scan in scans]
        return {
            "scans": len(scans),
            RIGHT: verdicts.count(RIGHT),
            "wrong and sure": sum(scan.wrong_and_sure for scan in scans),
            WRONG: verdicts.count(WRONG),
            NOT_NAMED: verdicts.count(NOT_NAMED),
        }

    def reliability(self) -> list[tuple[str, int, float]]:
        """Return for each of `BINS` its name, how many names have such a probability, and the share that is right."""
        said = [(p, right) for scan in self.scans for _, p, right in scan.said]
        rows = []
        for low, high in BINS:
            here = [right for p, right in said if low <= p < high]
            rows.append((f"{low:g}-{min(high, 1):g}", len(here), float(np.mean(here)) if here else float("nan")))
        return rows

    def markdown(self) -> str:
        """Return the tables."""
        rows = [["", "Scans", "Right", "Wrong and sure", "Wrong", "Not named"]]
        rows += [[group, *map(str, self.count(group).values())] for group in self.groups]
        odds = [["Stated", "Names", "Right"]]
        odds += [[name, str(n), f"{right:.3f}" if n else "-"] for name, n, right in self.reliability()]
        return f"Names, {self.what}:\n\n{markdown_table(rows)}\n{markdown_table(odds)}"

    def as_json(self) -> dict[str, Any]:
        """Return all figures and every name, ready for ``json.dumps``."""
        return {
            "what": self.what,
            "groups": {group: self.count(group) for group in self.groups},
            "reliability": [{"stated": s, "names": n, "right": r if n else None} for s, n, r in self.reliability()],
            "scans": [asdict(scan) for scan in self.scans],
        }


def make_namer(model: str, ladder: str, levels: str, device: str = "cpu") -> Namer:
    """Return a namer that detects and names as the library does, with the networks of these names or paths."""
    from ...counting.labelling import label
    from ...counting.ladder import LadderLook
    from ...counting.level_evidence import LevelLook
    from ...detection.detector import PartDetector
    from ...detection.linking import link
    from ...detection.weights import load_network
    from ...scans.resampling import WORKING_PIXEL_MM

    parts, _ = load_network(model, device, pixel_mm=WORKING_PIXEL_MM)
    detector, rungs, views = PartDetector(parts, device), load_network(ladder)[0], load_network(levels)

    def name(volume: SagittalVolume) -> Sequence[Vertebra]:
        detections = detector.detect(volume)
        working = detections.working
        look, levels_look = LadderLook(rungs, working), LevelLook(*views, detections)
        return label(link(detections), working=working, look=look, levels_look=levels_look).vertebrae

    return name


def evaluate_slices(
    folder: str | Path, namer: Namer, cut: str | None = None, progress: Callable[[float, str], None] | None = None
) -> NamesEvaluation:
    """Name the SPIDER slices all of whose discs have boxes.

    Parameters
    ----------
    folder : path
        See `spider_slices.load_slices`.
    namer : callable
    cut : str, optional
        One of `CUTS`.
    progress : callable, optional
        Called with the fraction done and the slice's name.

    Raises
    ------
    ValueError
        If there is no such cut, or a file is missing or cannot be read.
    """
    if cut is not None and cut not in CUTS:
        raise ValueError(f"There is no cut called {cut!r}; use one of {', '.join(CUTS)}.")
    items = [item for item in load_slices(folder) if not item.unboxed]
    scans = []
    for i, item in enumerate(items):
        if progress is not None:
            progress(i / len(items), item.name)
        scans.append(_named_slice(item, namer, cut))
    what = "SPIDER slices" if cut is None else f"SPIDER slices cut at {CUTS[cut][0]}"
    return NamesEvaluation(tuple(scans), what)


def _named_slice(item: SpiderSlice, namer: Namer, cut: str | None) -> NamedScan:
    image, back = rescaled(item.image, PITCH_MM / item.pitch_px)
    discs = (item.centres - back[:2, 2]) @ np.linalg.inv(back[:2, :2]).T
    volume = slice_volume(image if cut is None else image[: cut_row(discs, cut)])
    vertebrae = [v for v in namer(volume) if v.level]
    centres = np.reshape([volume.to_index(v.corners_lps_mm.mean(0))[1:] for v in vertebrae], (-1, 2))
    true = true_levels(discs, centres)
    return NamedScan(item.name, item.patient, item.sequence, _said(vertebrae, true))


def cut_row(discs: np.ndarray, cut: str) -> int:
    """Return the row at which a slice is cut; `discs` (n, 2) are the discs' middles from the top, (row, column), px."""
    _, which, below = CUTS[cut]
    pitch = float(np.median(np.linalg.norm(np.diff(discs, axis=0), axis=1)))
    disc = discs[which] if which < 0 else discs[min(which, len(discs) - 1)]
    return max(round(float(disc[0] + below * pitch)), 10)


def true_levels(discs: np.ndarray, centres: np.ndarray) -> list[str]:
    """Return the level of each body; `discs` (n, 2), from the top, and `centres` (k, 2) are (row, column), px."""
    pitch = float(np.median(np.linalg.norm(np.diff(discs, axis=0), axis=1)))
    out = []
    for row in centres[:, 0]:
        above_s1 = int((discs[:, 0] > row).sum())
        if above_s1 == 0 and (row - discs[-1, 0]) / pitch > _S1_REACH:
            out.append(BELOW_S1)
            continue
        if above_s1 == len(discs):
            above_s1 += max(0, int((discs[0, 0] - row) / pitch / _PITCH - 0.1))
        out.append(COMMON[min(above_s1, len(COMMON) - 1)])
    return out


def evaluate_stacks(
    folder: str | Path, namer: Namer, progress: Callable[[float, str], None] | None = None
) -> NamesEvaluation:
    """Name the T2-SPACE stacks ``NNN_image.nii.gz`` whose bodies are numbered in ``NNN_bodies.nii.gz``, L5 first.

    Raises
    ------
    ValueError
        If there is no such stack or a file cannot be read.
    """
    from ...scans.resampling import working_volume
    from ...scans.volume import load_volume

    paths = sorted(Path(folder).glob("*_image.nii.gz"))
    if not paths:
        raise ValueError(f"There is no NNN_image.nii.gz in {folder}.")
    scans = []
    for i, path in enumerate(paths):
        name = path.name.removesuffix("_image.nii.gz")
        if progress is not None:
            progress(i / len(paths), name)
        truth = numbered_centres(path.with_name(f"{name}_bodies.nii.gz"))
        vertebrae = [v for v in namer(working_volume(load_volume(path))) if v.level]
        true = _levels_of_stack(truth, np.array([v.centroid_lps_mm for v in vertebrae]).reshape(-1, 3))
        scans.append(NamedScan(name, name, "T2 SPACE", _said(vertebrae, true)))
    return NamesEvaluation(tuple(scans), "T2-SPACE stacks")


def numbered_centres(path: Path) -> np.ndarray:
    """Return the centroids of the bodies numbered 1, 2, ... in a label map, shape (n, 3), LPS, mm.

    Raises
    ------
    ValueError
        If the file is missing or cannot be read.
    """
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(f"The label map {path} is missing or damaged.") from error
    numbers = np.rint(sitk.GetArrayFromImage(image))
    middles = [np.argwhere(numbers == k).mean(0)[::-1] for k in range(1, int(numbers.max()) + 1)]
    return np.array([image.TransformContinuousIndexToPhysicalPoint(m.tolist()) for m in middles]).reshape(-1, 3)


def _levels_of_stack(truth: np.ndarray, centres: np.ndarray) -> list[str]:
    """Return the levels of bodies from the bottom up: of those that have a number, and counted on from them."""
    if not len(centres):
        return []
    apart = np.linalg.norm(centres[:, None] - truth[None], axis=2)
    places = np.where(apart.min(1) < _NEAR_MM, apart.argmin(1) + 1, -1)
    known = np.flatnonzero(places > 0)
    if not len(known):
        return [BELOW_S1] * len(centres)
    out = []
    for i in range(len(centres)):
        nearest = int(known[np.abs(known - i).argmin()])
        place = int(places[nearest]) + i - nearest
        out.append(COMMON[place] if 0 <= place < len(COMMON) else BELOW_S1)
    return out


def _said(vertebrae: Iterable[Vertebra], true: Sequence[str]) -> tuple[tuple[str, float, bool], ...]:
    return tuple((str(v.level), float(v.level_probability or 0.0), v.level == t) for v, t in zip(vertebrae, true))
