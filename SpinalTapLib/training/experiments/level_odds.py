"""Measure whether the stated probabilities of level names are calibrated, on deliberately difficult synthetic scans.

Each scan is one slice of a random person with a random contrast and a field of view that shows, cuts or misses the ends
of the spine. It is segmented by the part network and named by the level network. The reference is what a reader could
infer from the image (see `level_examples.level_targets`): at a transitional junction, a name counts as correct by its
target probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...counting.labelling import distances
from ...counting.level_evidence import CUT_TEMPER, LevelLook, part_evidence
from ...counting.names import SACRUM_NAME, Names, name_column
from ...counting.rungs import rung_from_points
from ...detection.linking import link
from ...scans.resampling import working_volume
from ...scans.volume import SagittalVolume
from ...spine.levels import COMMON
from ...spine.notes import Note
from ...spine.quadrilaterals import contains
from ..evaluation.tables import markdown_table
from ..level_examples import NOTHING, PIXEL_MM, SACRUM, SpineScene, draw_scene, random_image

if TYPE_CHECKING:
    from ...detection.detector import PartDetector

IMAGES_PER_SCENE = 4
WELL_FORMED = 0.4
"""Fraction of spines with a well-formed S1-S2 disc: more than in the population."""

BINS = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.97), (0.97, 1.01))
"""Bins of the stated probability."""


@dataclass(frozen=True)
class Said:
    """One name given to a vertebra: its stated probability, and its correctness, 0-1."""

    name: str
    probability: float
    right: float


@dataclass(frozen=True)
class OddsStudy:
    """Names given in all scans; `bodies` is the number of vertebrae, named or not, and `scans` that of the scans."""

    said: tuple[Said, ...]
    bodies: int
    scans: int

    def table(self) -> list[tuple[str, int, float, float]]:
        """Return for each of `BINS` its name, the number of names, their mean probability and the fraction correct."""
        rows = []
        for low, high in BINS:
            here = [s for s in self.said if low <= s.probability < high]
            mean = (float(np.mean([getattr(s, what) for s in here])) if here else float("nan") for what in
                    ("probability", "right"))  # fmt: skip
            rows.append((f"{low:g}-{min(high, 1):g}", len(here), *mean))
        return rows  # type: ignore[return-value]

    def markdown(self) -> str:
        """Return the table."""
        rows = [["Stated", "Names", "Mean", "Right"]]
        rows += [[name, str(n), f"{p:.3f}" if n else "-", f"{r:.3f}" if n else "-"] for name, n, p, r in self.table()]
        share = len(self.said) / max(self.bodies, 1)
        return f"{markdown_table(rows)}\n{self.scans} scans, {self.bodies} vertebrae, {share:.2f} of them named.\n"

    def as_json(self) -> dict[str, Any]:
        """Return the figures, ready for ``json.dumps``."""
        keys = ("stated", "names", "mean", "right")
        rows = [{k: v if v == v else None for k, v in zip(keys, row)} for row in self.table()]
        return {"scans": self.scans, "bodies": self.bodies, "reliability": rows}


def study_odds(
    detector: PartDetector,
    levels: tuple[Any, dict[str, Any]],
    *,
    scans: int = 200,
    seed: int = 901,
    progress: Callable[[float, str], None] | None = None,
) -> OddsStudy:
    """Name the vertebrae of synthetic scans and compare the stated probabilities with the reference.

    Parameters
    ----------
    detector : PartDetector
    levels : network and card
        The level network, from `load_network`.
    scans, seed : int
        Number of scans, and the seed of the first person.
    progress : callable, optional
        Called with the fraction done and a message.
    """
    said: list[Said] = []
    bodies = 0
    for i, (volume, rungs, targets) in enumerate(_scans(scans, seed)):
        if progress is not None:
            progress(i / scans, f"Naming scan {i + 1} of {scans}")
        detections = detector.detect(volume)
        candidates = link(detections)
        if not candidates:
            continue
        corners = np.array([c.corners_lps_mm for c in candidates])
        look = LevelLook(*levels, detections)
        whole = np.array([CUT_TEMPER if Note.CUT in c.flags else 1.0 for c in candidates])
        evidence = whole[:, None] * look([rung_from_points(detections.working, c) for c in corners])
        evidence = evidence + np.array([part_evidence(c.evidence, beside=True) for c in candidates])
        names = name_column(evidence, distances(corners))
        points = [volume.to_index(c.centroid_lps_mm)[1:] for c in candidates]
        true = [_target(point, rungs, targets) for point in points]
        bodies += sum(target[NOTHING] < 1 and target[SACRUM] < 1 for target in true)
        said += _judged(names, true)
    return OddsStudy(tuple(said), bodies, scans)


def _scans(count: int, seed: int) -> Iterator[tuple[SagittalVolume, list[np.ndarray], np.ndarray]]:
    """Yield volumes of one slice at the working resolution, with the true quadrilaterals, px, and their targets."""
    rng = np.random.default_rng(seed)
    scene: SpineScene | None = None
    for i in range(count):
        if scene is None or i % IMAGES_PER_SCENE == 0:
            scene = draw_scene(rng, WELL_FORMED)
        images, shift = random_image(scene, rng)
        matrix = np.zeros((4, 4))
        matrix[0, 0], matrix[2, 1], matrix[1, 2], matrix[3, 3] = 20.0, -PIXEL_MM, PIXEL_MM, 1.0
        volume = working_volume(SagittalVolume(images[1][None].copy(), matrix))
        scale = PIXEL_MM / float(volume.spacing_mm[1])
        offset = volume.to_index(np.zeros(3))[1:]
        yield volume, [(r.corners - shift) * scale + offset for r in scene.rungs], scene.targets


def _target(point: np.ndarray, rungs: Sequence[np.ndarray], targets: np.ndarray) -> np.ndarray:
    """Return the target of a detection at a point (row, column), px."""
    for corners, target in zip(rungs, targets):
        if contains(corners, point[None])[0]:
            return target
    return np.eye(targets.shape[1])[NOTHING]


def _judged(names: Names, true: Sequence[np.ndarray]) -> list[Said]:
    """Return the names given and their correctness; T13 is left out, because the targets do not include it."""
    said = []
    for name, p, target in zip(names.best, names.probability, true):
        if p >= 0.5 and name in COMMON and name != SACRUM_NAME:
            said.append(Said(name, float(p), float(target[COMMON.index(name)])))
    return said
