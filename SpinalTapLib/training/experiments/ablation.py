"""Ablation study: train without one ingredient at a time, and measure on real development slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...detection.detector import PartDetector
from ...detection.device import choose_device
from ...detection.part_maps import PartMaps
from ...detection.weights import load_network
from ...progress import ProgressCallback
from ..config import TrainConfig
from ..evaluation.spider_evaluation import (
    SpiderEvaluation,
    detector_finder,
    evaluate_spider,
    in_picture,
    mask_in_picture,
)
from ..evaluation.spider_slices import Finder, Found, rescaled
from ..images.sequences import only
from ..synthetic.drawing import Canvas
from ..synthetic.tissues import Tissue
from ..tiles.canvases import CanvasFolder, drawn_canvases, kept_canvases
from ..train import train

T = Tissue
_SURROUNDINGS = (
    T.MUSCLE_FAT, T.ORGAN_A, T.ORGAN_B, T.ORGAN_C, T.FLUID, T.GAS, T.LUNG, T.VESSEL, T.VESSEL_WALL, T.BRAIN, T.SKULL,
    T.HEART, T.SKIN,
)  # fmt: skip
_LESIONS = (T.MODIC_1, T.MODIC_2, T.MODIC_3, T.LESION, T.HAEMANGIOMA, T.CEMENT, T.METAL)


@dataclass(frozen=True)
class Ablation:
    """One row of the table.

    Attributes
    ----------
    name : str
        What was removed or changed.
    top, placement, appearance : dict
        Settings that differ from the base config and its parts.
    painted : tuple of (tissues, Tissue)
        Tissues to replace, and the tissue that replaces them.
    detector : type
        Detector class to run with the trained network.
    """

    name: str
    top: dict[str, Any] = field(default_factory=dict)
    placement: dict[str, Any] = field(default_factory=dict)
    appearance: dict[str, Any] = field(default_factory=dict)
    painted: tuple[tuple[Tissue, ...], Tissue] | None = None
    detector: type[PartDetector] = PartDetector

    def config(self, base: TrainConfig) -> TrainConfig:
        """Return the config of this row."""
        return replace(
            base,
            **self.top,
            placement=replace(base.placement, **self.placement),
            appearance=replace(base.appearance, **self.appearance),
        )


class AveragingDetector(PartDetector):
    """Part detector that averages its maps over three gamma values."""

    GAMMAS = (0.75, 1.0, 1.33)

    def part_maps(
        self, image: np.ndarray, neighbours: Sequence[np.ndarray | None] = (), distance_mm: float = 0.0
    ) -> PartMaps:
        """Return the mean part maps of one slice, shape (rows, columns); see `PartInference.__call__`."""
        top = max(float(image.max()), 1e-6)

        def maps_at(gamma: float) -> PartMaps:
            sides = [None if side is None else top * (side.clip(0) / top) ** gamma for side in neighbours]
            own = top * (image.clip(0) / top) ** gamma
            return super(AveragingDetector, self).part_maps(own, sides, distance_mm)

        maps = [maps_at(gamma) for gamma in self.GAMMAS]
        kinds = {f.name: [getattr(m, f.name) for m in maps] for f in fields(PartMaps)}
        return PartMaps(**{name: np.mean(kind, axis=0) for name, kind in kinds.items() if kind[0] is not None})


_COARSE_MM = 1.5

ABLATIONS = (
    Ablation("nothing"),
    Ablation("nothing, another seed", top={"seed": 2021}),
    Ablation("all contrasts but T2", appearance=only(t2=1.0)),
    Ablation("signal equations: random contrast alone", appearance=only(random=1.0)),
    Ablation("random contrast", appearance={"random": 0.0}),
    Ablation("partial volume of thick slices", appearance={"partial_volume": 0.0}),
    Ablation("coil fall-off and bias", appearance={"coil": 0.0, "bias": 0.0, "saturation_band": 0.0}),
    Ablation("what lies around the spine", painted=(_SURROUNDINGS, T.MUSCLE)),
    Ablation("lesions and metal", painted=(_LESIONS, T.MARROW)),
    Ablation("variation of scale", placement={"scale_sd": 0.0, "wide_scale": 0.0}),
    Ablation("half of the network's width", top={"widths": (4, 8, 16, 32, 48)}),
    Ablation("re-estimated batch-norm statistics", top={"recalibration_batches": 0}),
    Ablation(
        f"working resolution: {_COARSE_MM} mm a pixel instead of 1",
        placement={"pixel_mm": _COARSE_MM},
    ),
    Ablation("nothing, and three looks averaged", detector=AveragingDetector),
)
"""Rows of the table, named after what was removed. Rows with the same training share their weights."""


def run_ablation(
    row: Ablation, base: TrainConfig, output: Path, spider: Path, progress: ProgressCallback | None = None
) -> SpiderEvaluation:
    """Train one row from scratch and measure it on the SPIDER slices; trained rows are only measured.

    Parameters
    ----------
    row : Ablation
    base : TrainConfig
        The complete config.
    output : Path
        Folder for one folder per row.
    spider : Path
        Real development slices, see `spider_slices.py`. Nothing is selected by them.
    progress : callable, optional
        See `progress.ProgressCallback`.

    Raises
    ------
    ValueError
        If a folder cannot be used.
    """
    config = row.config(base)
    as_whole = config == base and row.painted is None
    folder = output / "-".join((ABLATIONS[0] if as_whole else row).name.replace(",", "").replace(":", "").split())
    weights = folder / f"{config.name}.pt"
    if not weights.exists():
        train(config, folder, progress=progress, source=_Source(config, row.painted))
    device = choose_device(config.device)
    network, _ = load_network(str(weights), device)
    finder = detector_finder(row.detector(network, device))
    return evaluate_spider(spider, at_pixel(finder, config.placement.pixel_mm))


def at_pixel(finder: Finder, pixel_mm: float) -> Finder:
    """Return a finder that resamples slices from 1 mm to `pixel_mm` before it calls another finder."""

    def find(image: np.ndarray) -> Found:
        coarse, back = rescaled(image, 1 / pixel_mm)
        found = finder(coarse)
        mask = None if found.mask is None else mask_in_picture(found.mask, back, image.shape)
        s1 = None if found.s1 is None else in_picture(found.s1, back)[0]
        return Found(in_picture(found.centroids, back), mask, s1)

    return finder if pixel_mm == 1 else find


@dataclass(frozen=True)
class _Source:
    """Source of canvases with some tissues replaced. A class, because workers need a picklable object."""

    config: TrainConfig
    painted: tuple[tuple[Tissue, ...], Tissue] | None

    def __call__(self, rng: np.random.Generator) -> Iterator[Canvas]:
        config = self.config
        stacked = config.slices > 1
        canvases = drawn_canvases(rng, config.planes_per_spine, stacked)
        if config.canvas_folder is not None:
            enough = round(config.steps * config.batch / config.tiles_per_canvas)
            folder = CanvasFolder(Path(config.canvas_folder))
            canvases = kept_canvases(folder, rng, config.planes_per_spine, enough, stacked)
        return (painted_over(canvas, self.painted) for canvas in canvases)


def painted_over(canvas: Canvas, painted: tuple[tuple[Tissue, ...], Tissue] | None) -> Canvas:
    """Return a canvas with some tissues replaced by one."""
    if painted is None:
        return canvas
    which, by = painted
    right, left = (None if side is None else painted_over(side, painted) for side in canvas.neighbours)
    tissue = np.where(np.isin(canvas.tissue, which), np.uint8(by), canvas.tissue)
    return replace(canvas, tissue=tissue, neighbours=(right, left))


def run_all(
    base: TrainConfig, output: Path, spider: Path, progress: ProgressCallback | None = None
) -> dict[str, SpiderEvaluation]:
    """Run every row of `ABLATIONS`, see `run_ablation`."""
    return {row.name: run_ablation(row, base, output, spider, progress) for row in ABLATIONS}
