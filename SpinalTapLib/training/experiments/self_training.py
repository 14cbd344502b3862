"""Continue training on real slices without labels, using the network's own output as labels (self-training).

The patients of the SPIDER slices are split into two halves. The network is trained on one half, together with as many
synthetic tiles, and measured on the other; then the halves are exchanged. Boxes and masks are used for measuring, and
the boxes to estimate the scale of a slice. The shipped weights are not affected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from ...detection.detector import PartDetector
from ...detection.networks import N_CORNERS
from ...detection.tiling import network_input, normalise_tiles
from ...detection.weights import load_network
from ...progress import ProgressCallback
from ...scans.resampling import WORKING_PIXEL_MM
from ...scans.volume import SagittalVolume
from ..config import TrainConfig
from ..evaluation.spider_evaluation import SpiderEvaluation, detector_finder, evaluate_spider
from ..evaluation.spider_slices import PITCH_MM, SpiderSlice, load_slices, rescaled
from ..tiles.placement import SUPERSAMPLING, tile_matrix
from ..tiles.targets import draw_targets
from ..tiles.tiles import Extra, Tiles, joined
from ..train import train

HALVES = 2
GAMMA_SD, NOISE = 0.3, 0.03  # sd of the logarithm of gamma; largest noise, relative to the maximum


@dataclass(frozen=True, eq=False)
class AnsweredSlice:
    """A real slice with the output of a network.

    Attributes
    ----------
    image : ndarray, shape (rows, columns), float32
        With 1 mm pixels.
    points : ndarray, shape (n, 5, 2)
        (row, column) of the corners and the centroid of each vertebra, px.
    structure : ndarray of uint8, shape (rows, columns)
        Most likely `Structure`.
    """

    image: np.ndarray
    points: np.ndarray
    structure: np.ndarray


def answered(detector: PartDetector, image: np.ndarray) -> AnsweredSlice:
    """Run a detector on a slice, shape (rows, columns), with 1 mm pixels."""
    found = detector.detect(SagittalVolume(image[None], np.eye(4)))
    points = [np.vstack([v.corners, v.centroid]) for v in found.vertebrae]
    structure = np.asarray(found.probabilities[0], np.float32).argmax(0).astype(np.uint8)
    return AnsweredSlice(image, np.reshape(points, (-1, N_CORNERS + 1, 2)), structure)


def cut_tile(slice_: AnsweredSlice, rng: np.random.Generator, config: TrainConfig) -> Tiles:
    """Cut a training example from a slice: moved, scaled and rotated like synthetic tiles, with changed grey values.

    Returns
    -------
    Tiles
        A batch of one.
    """
    side = config.placement.tile_px
    middles = slice_.points[:, N_CORNERS]
    middle = middles[rng.integers(len(middles))] if len(middles) else np.array(slice_.image.shape) / 2
    centre = middle + rng.normal(0, config.placement.jitter_mm, 2)
    matrix = tile_matrix(centre, 1.0, rng, config.placement).astype(float)
    linear, shift = matrix[:, :2], matrix[:, 2]
    image = ndimage.affine_transform(slice_.image, linear, shift, (side, side), order=1)
    there = ndimage.affine_transform(np.ones_like(slice_.image), linear, shift, (side, side), order=0) > 0.5
    fine = (SUPERSAMPLING * side,) * 2  # subpixel i is at (i + 0.5) / SUPERSAMPLING - 0.5
    back = linear @ np.full(2, 0.5 / SUPERSAMPLING - 0.5) + shift
    structure = ndimage.affine_transform(slice_.structure, linear / SUPERSAMPLING, back, fine, order=0)
    points = (slice_.points - shift) @ np.linalg.inv(linear).T
    top = max(float(image.max()), 1e-6)
    image = top * (image.clip(0) / top) ** np.exp(rng.normal(0, GAMMA_SD))
    image = image + rng.normal(0, top * rng.uniform(0, NOISE), image.shape)
    pixels = torch.from_numpy(np.where(there, image, 0).astype(np.float32))
    truth = (torch.from_numpy(array)[None] for array in (points.astype(np.float32), structure, there))
    images = normalise_tiles(functional.pad(pixels[None, None], (0, 0, 0, 0, 0, config.slices - 1)))
    return Tiles(network_input(images, torch.zeros(1, config.slices - 1)), draw_targets(*truth))


def with_real_tiles(tiles: Iterator[Tiles], slices: Sequence[AnsweredSlice], config: TrainConfig) -> Iterator[Tiles]:
    """Yield synthetic batches, each extended by as many tiles of real slices."""
    rng = np.random.default_rng([config.seed, len(slices)])
    for batch in tiles:
        device = batch.image.device
        real = [cut_tile(slices[int(rng.integers(len(slices)))], rng, config) for _ in range(len(batch.image))]
        yield joined([batch, *(tile.to(device) for tile in real)])


def run_self_training(
    base: TrainConfig, output: Path, spider: Path, progress: ProgressCallback | None = None
) -> dict[str, SpiderEvaluation]:
    """Measure weights on the SPIDER slices before and after self-training on the other half of the patients.

    Parameters
    ----------
    base : TrainConfig
        With `initial_weights`: the network that labels the slices and is then trained further.
    output : Path
        Folder for one folder per half; a half that was trained before is only measured.
    spider : Path
        Real development slices, see `spider_slices.py`.
    progress : callable, optional
        See `progress.ProgressCallback`.

    Raises
    ------
    ValueError
        If a folder cannot be used, or the config has no initial weights.
    """
    if base.initial_weights is None:
        raise ValueError("Self-training continues from trained weights; set 'initial_weights' in the config.")
    network, _ = load_network(base.initial_weights, pixel_mm=WORKING_PIXEL_MM)
    detector = PartDetector(network)
    slices = load_slices(spider)
    before = evaluate_spider(spider, detector_finder(detector))
    halves = {patient: i % HALVES for i, patient in enumerate(sorted({s.patient for s in slices}))}
    parts = []
    for half in range(HALVES):
        weights = output / f"half{half + 1}" / f"{base.name}.pt"
        if not weights.exists():
            labelled = [_output_for(detector, item) for item in slices if halves[item.patient] != half]
            extra = Extra("and SPIDER slices without labels (CC BY 4.0)", _RealTiles(tuple(labelled), base))
            train(replace(base, seed=base.seed + half), weights.parent, progress=progress, extra=extra)
        trained, _ = load_network(str(weights))
        parts.append(of_half(evaluate_spider(spider, detector_finder(PartDetector(trained))), halves, half))
    after = SpiderEvaluation(
        tuple(score for part in parts for score in part.scores), tuple(score for part in parts for score in part.masked)
    )
    return {"synthetic spines alone": before, "and self-trained on other patients' slices": after}


def of_half(found: SpiderEvaluation, halves: dict[str, int], half: int) -> SpiderEvaluation:
    """Return the scores of the patients of one half; patients with masks only belong to the first half."""

    def mine(subject: str) -> bool:
        return halves.get(subject, 0) == half

    return SpiderEvaluation(
        tuple(s for s in found.scores if mine(s.subject)), tuple(s for s in found.masked if mine(s.subject))
    )


@dataclass(frozen=True)
class _RealTiles:
    """`with_real_tiles` with its slices; a class, so that it can be pickled."""

    slices: tuple[AnsweredSlice, ...]
    config: TrainConfig

    def __call__(self, tiles: Iterator[Tiles]) -> Iterator[Tiles]:
        return with_real_tiles(tiles, self.slices, self.config)


def _output_for(detector: PartDetector, item: SpiderSlice) -> AnsweredSlice:
    image, _ = rescaled(item.image, PITCH_MM / item.pitch_px)
    return answered(detector, image)
