"""Repeat the poster's experiment on phantoms: detector on squeezed images, detector on tiles, ladder, and both.

After Windsor, Jamaludin, Kadir and Zisserman's poster "The Spinal Tap: Learning Full Spine Segmentations without
Training Examples". The ladder is trained on pairs of lumbar vertebrae only; the detector is whichever is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from ...counting.labelling import label
from ...counting.ladder import LadderLook, climb
from ...counting.rungs import corners_lps, rung_from_points
from ...counting.start import rung_in
from ...detection.detector import PartDetector
from ...detection.linking import link
from ...detection.tiling import TILE_PX
from ...scans.orientation import sagittal_grid
from ...scans.reader import read_image
from ...scans.resampling import WORKING_PIXEL_MM, working_volume
from ...scans.volume import SagittalVolume, load_volume
from ...spine import levels
from ...spine.boxes import corners_of
from ...spine.vertebra import CORNERS, SeedBox, Vertebra
from ..evaluation.matching import LabelledBody, bodies_in, match, value_at
from ..evaluation.tables import markdown_table
from ..images.sequences import IN_PHANTOMS
from ..synthetic.phantom import draw_phantom, write_phantom

REGIONS = ("lumbar", "whole")
SLICE_MM = {"lumbar": 4.0, "whole": 5.0}

SQUEEZED = "detector, whole slice in one square"
TILES = "detector, on tiles"
LADDER = "ladder, from the true S1 box"
FUSED = "detector and ladder together"
METHODS = (SQUEEZED, TILES, LADDER, FUSED)

FIRST_SEED = 90_000
"""Far from all seeds used for training or tuning."""


@dataclass(frozen=True)
class Outcome:
    """What one method found in one phantom.

    Attributes
    ----------
    method, region, name : str
    reference, predicted, matched, identified : int
        Numbers of true vertebrae, predictions, pairs, and pairs with the correct level; without cut vertebrae.
    climbed : int
        True vertebrae found with the correct level from S1 upwards, before the first error.
    """

    method: str
    region: str
    name: str
    reference: int
    predicted: int
    matched: int
    identified: int
    climbed: int


@dataclass(frozen=True, eq=False)
class Subject:
    """A phantom to run the methods on.

    Attributes
    ----------
    region : str
    image : SagittalVolume
    labels : ndarray of int, shape (slice, row, column)
        True label values on the image's grid.
    s1 : SeedBox
        The true box around S1, along the world's axes.
    """

    region: str
    image: SagittalVolume
    labels: np.ndarray
    s1: SeedBox


@dataclass(frozen=True)
class Poster:
    """Results of the whole experiment.

    Attributes
    ----------
    outcomes : tuple of Outcome
    networks : mapping of str to str
        What the detector and the ladder were trained on, as their cards say.
    """

    outcomes: tuple[Outcome, ...]
    networks: dict[str, str]

    def figures(self, method: str, region: str) -> dict[str, float]:
        """Return the number of scans, and precision, recall, correct levels, and correct in order from S1, 0-1."""
        mine = [o for o in self.outcomes if (o.method, o.region) == (method, region)]
        total = {name: sum(getattr(o, name) for o in mine) for name in _COUNTS}
        there, found = max(total["reference"], 1), max(total["predicted"], 1)
        return {
            "scans": len(mine),
            "precision": total["matched"] / found,
            "recall": total["matched"] / there,
            "levels_right": total["identified"] / there,
            "in_order": total["climbed"] / there,
            "scans_in_order": sum(o.climbed == o.reference for o in mine) / max(len(mine), 1),
        }

    def markdown(self) -> str:
        """Return one table per region, and a caption."""
        parts = []
        for region in REGIONS:
            heading = [f"{region} spine", "precision", "recall", "levels right", "in order", "scans without a miscount"]
            rows = [heading]
            for method in METHODS:
                f = self.figures(method, region)
                shares = (f["precision"], f["recall"], f["levels_right"], f["in_order"])
                perfect = f"{round(f['scans_in_order'] * f['scans'])} of {f['scans']}"
                rows.append([method, *(f"{share:.3f}" for share in shares), perfect])
            parts.append(markdown_table(rows))
        return "\n".join(parts) + "\n" + self.caption() + "\n"

    def caption(self) -> str:
        """Return what the figures mean, and what the networks were trained on."""
        seen = " ".join(f"The {name}: {text}." for name, text in self.networks.items())
        return (
            "Synthetic scans of people that are not in any training set. Precision and recall: a vertebra counts as "
            "found if a centroid lies inside the true body, one to one. Levels right: share of all vertebrae in view "
            "that are found with the right level. In order: the same, counted from S1 up to the first miscount. The "
            f"square has sides of {TILE_PX} px. {seen}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return all figures and the counts of each scan."""
        table = {region: {method: self.figures(method, region) for method in METHODS} for region in REGIONS}
        return {"table": table, "networks": self.networks, "outcomes": [asdict(o) for o in self.outcomes]}


_COUNTS = ("reference", "predicted", "matched", "identified", "climbed")


def run_poster(
    detector: PartDetector,
    ladder: Any,
    networks: dict[str, str],
    *,
    scans: int = 5,
    first_seed: int = FIRST_SEED,
    cache: str | Path | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Poster:
    """Run every method on phantoms of each region.

    Parameters
    ----------
    detector : PartDetector
    ladder : LadderNetwork
    networks : mapping of str to str
        Name of each network to its training data, for the caption.
    scans, first_seed : int
        Phantoms per region, and the seed of the first.
    cache : path, optional
        Folder in which phantoms are stored and from which they are reused.
    progress : callable, optional
        Called with the fraction done and a description of the step.
    """
    outcomes: list[Outcome] = []
    jobs = [(region, first_seed + i) for region in REGIONS for i in range(scans)]
    for done, (region, seed) in enumerate(jobs):
        name = f"{region} phantom {seed}"
        if progress is not None:
            progress(done / len(jobs), f"Drawing {name}")
        subject = draw_subject(region, seed, cache)
        if progress is not None:
            progress((done + 0.5) / len(jobs), f"Finding vertebrae in {name}")
        outcomes += [judge(subject, method, found) for method, found in find_all(subject, detector, ladder).items()]
    return Poster(tuple(outcomes), networks)


def draw_subject(region: str, seed: int, cache: str | Path | None = None) -> Subject:
    """Return a phantom, drawn or from the cache; the sequence alternates with the seed."""
    sequence = IN_PHANTOMS[seed % len(IN_PHANTOMS)]
    if cache is None:
        phantom = draw_phantom(seed, region=region, sequence=sequence, slice_mm=SLICE_MM[region])
        return Subject(region, phantom.image, phantom.labels.astype(int), box_of(phantom.truth()["S1"]))
    stem = f"phantom-{seed}-{region}-{sequence}"
    paths = [Path(cache) / f"{stem}{end}" for end in (".nii.gz", "_labels.nii.gz", "_truth.json")]
    if not all(path.is_file() for path in paths):
        write_phantom(draw_phantom(seed, region=region, sequence=sequence, slice_mm=SLICE_MM[region]), Path(cache))
    image = read_image(paths[1]).image
    grid = sagittal_grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), stem)
    labels = grid.to_sagittal(sitk.GetArrayFromImage(image)).astype(int)
    truth = json.loads(paths[2].read_text(encoding="utf-8"))
    return Subject(region, load_volume(paths[0]), labels, box_of(truth["S1"]))


def box_of(entry: dict[str, Any]) -> SeedBox:
    """Return the axis-aligned box around the four corners of a body, as wide as it is deep."""
    corners = np.array([entry["corners_lps_mm"][name] for name in CORNERS], float)
    low, high = corners.min(0), corners.max(0)
    size = high - low
    size[0] = size[1]
    return SeedBox((low + high) / 2, size)


def find_all(subject: Subject, detector: PartDetector, ladder: Any) -> dict[str, list[LabelledBody]]:
    """Return the bodies found by each method."""
    working = working_volume(subject.image)
    rows_mm, columns_mm = (working.array.shape[k] * float(working.spacing_mm[k]) for k in (1, 2))
    squeezed = working_volume(subject.image, pixel_mm=max(rows_mm, columns_mm, TILE_PX * WORKING_PIXEL_MM) / TILE_PX)
    look = LadderLook(ladder, working)
    candidates = link(detector.detect(working))
    return {
        SQUEEZED: _bodies(label(link(detector.detect(squeezed)), method="detector").vertebrae),
        TILES: _bodies(label(candidates, method="detector").vertebrae),
        LADDER: climb_from(subject.s1, working, look),
        FUSED: _bodies(label(candidates, working=working, look=look).vertebrae),
    }


def climb_from(box: SeedBox, working: SagittalVolume, look: LadderLook) -> list[LabelledBody]:
    """Return the bodies found by the ladder alone from a box around S1, up to C2."""
    start = rung_in(box, working, look) or rung_from_points(working, corners_of(box))
    rungs = climb(look, start, working.array.shape).rungs
    corners = [corners_lps(working, rung) for rung in rungs[: len(levels.COMMON)]]
    return [LabelledBody(levels.level(name).value, c.mean(0), c) for name, c in zip(levels.COMMON, corners)]


def _bodies(vertebrae: Sequence[Vertebra]) -> list[LabelledBody]:
    return [LabelledBody(v.label_value, v.centroid_lps_mm, v.corners_lps_mm) for v in vertebrae]


def judge(subject: Subject, method: str, found: Sequence[LabelledBody]) -> Outcome:
    """Compare the bodies found by a method with the ground truth."""
    labels, matrix = subject.labels, subject.image.matrix
    true = bodies_in(labels, matrix)
    cut = {body.value for body in true if body.cut}
    reference = [body for body in true if not body.cut]
    counted = [body for body in found if value_at(labels, matrix, body.centroid_lps_mm) not in cut]
    pairs = match(counted, reference, labels, matrix)
    right = {reference[k].value for i, k in pairs.items() if counted[i].value == reference[k].value}
    upwards = sorted(reference, key=lambda body: body.centroid_lps_mm[2])
    climbed = next((k for k, body in enumerate(upwards) if body.value not in right), len(upwards))
    return Outcome(
        method, subject.region, subject.image.name, len(reference), len(counted), len(pairs), len(right), climbed
    )
