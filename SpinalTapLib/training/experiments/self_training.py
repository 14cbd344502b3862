"""Continue training on real slices without labels, with the network's own answers as truth (self-training).

The patients of the SPIDER slices are cut into two halves. The network learns from one half, beside as many synthetic
tiles, and is measured on the other; then the other way round. Boxes and masks are used to measure, and the boxes to
guess a slice's scale. The shipped weights hold nothing of it.
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
GAMMA_SD, NOISE = 0.3, 0.03  # spread of the brightness curve's logarithm; most noise, as a share of the brightest


@dataclass(frozen=True, eq=False)
class AnsweredSlice:
    """A real slice with what a network said about it.

    Attributes
    ----------
    image : ndarray, shape (rows, columns), float32
        At 1 mm a pixel.
    points : ndarray, shape (n, 5, 2)
        (row, column) of the corners and the centroid of each vertebra, px.
    structure : ndarray of uint8, shape (rows, columns)
        Most likely `Structure`.
    """

    image: np.ndarray
    points: np.ndarray
    structure: np.ndarray


def answered(detector: PartDetector, image: np.ndarray) -> AnsweredSlice:
    """Ask a detector about a slice, shape (rows, columns), at 1 mm a pixel."""
    found = detector.detect(SagittalVolume(image[None], np.eye(4)))
    points = [np.vstack([v.corners, v.centroid]) for v in found.vertebrae]
    structure = np.asarray(found.probabilities[0], np.float32).argmax(0).astype(np.uint8)
    return AnsweredSlice(image, np.reshape(points, (-1, N_CORNERS + 1, 2)), structure)


def cut_tile(slice_: AnsweredSlice, rng: np.random.Generator, config: TrainConfig) -> Tiles:
    """Cut one training example out of a slice: moved, scaled and turned as synthetic ones are, its grey values changed.

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
    fine = (SUPERSAMPLING * side,) * 2  # subpixel i lies at (i + 0.5) / SUPERSAMPLING - 0.5
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


def beside(tiles: Iterator[Tiles], slices: Sequence[AnsweredSlice], config: TrainConfig) -> Iterator[Tiles]:
    """Yield synthetic batches, each with as many tiles of real slices behind it."""
    rng = np.random.default_rng([config.seed, len(slices)])
    for batch in tiles:
        device = batch.image.device
        real = [cut_tile(slices[int(rng.integers(len(slices)))], rng, config) for _ in range(len(batch.image))]
        yield joined([batch, *(tile.to(device) for tile in real)])


def run_self_training(
    base: TrainConfig, output: Path, spider: Path, progress: ProgressCallback | None = None
) -> dict[str, SpiderEvaluation]:
    """Measure weights on the SPIDER slices as they are, and after self-training on the other half of the patients.

    Parameters
    ----------
    base : TrainConfig
        With `initial_weights`: the network that answers and then learns on.
    output : Path
        Gets one folder a half; a half that was trained before is only measured.
    spider : Path
        Real development slices, see `spider_slices.py`.
    progress : callable, optional
        See `progress.ProgressCallback`.

    Raises
    ------
    ValueError
        If a folder can't be used, or no weights to start from are given.
    """
    if base.initial_weights is None:
        raise ValueError("Self-training goes on from weights; 'initial_weights' names none.")
    network, _ = load_network(base.initial_weights, pixel_mm=WORKING_PIXEL_MM)
    detector = PartDetector(network)
    slices = load_slices(spider)
    before = evaluate_spider(spider, detector_finder(detector))
    halves = {patient: i % HALVES for i, patient in enumerate(sorted({s.patient for s in slices}))}
    parts = []
    for half in range(HALVES):
        weights = output / f"half{half + 1}" / f"{base.name}.pt"
        if not weights.exists():
            taught = [_answer_to(detector, item) for item in slices if halves[item.patient] != half]
            extra = Extra("and SPIDER slices without labels (CC BY 4.0)", _Beside(tuple(taught), base))
            train(replace(base, seed=base.seed + half), weights.parent, progress=progress, extra=extra)
        learnt, _ = load_network(str(weights))
        parts.append(of_half(evaluate_spider(spider, detector_finder(PartDetector(learnt))), halves, half))
    after = SpiderEvaluation(
        tuple(score for part in parts for score in part.scores), tuple(score for part in parts for score in part.masked)
    )
    return {"synthetic spines alone": before, "and self-trained on other patients' slices": after}


def of_half(found: SpiderEvaluation, halves: dict[str, int], half: int) -> SpiderEvaluation:
    """Return what was counted in the slices of one half's patients; patients with masks alone belong to the first."""

    def mine(subject: str) -> bool:
        return halves.get(subject, 0) == half

    return SpiderEvaluation(
        tuple(s for s in found.scores if mine(s.subject)), tuple(s for s in found.masked if mine(s.subject))
    )


@dataclass(frozen=True)
class _Beside:
    """`beside` with its slices."""

    slices: tuple[AnsweredSlice, ...]
    config: TrainConfig

    def __call__(self, tiles: Iterator[Tiles]) -> Iterator[Tiles]:
        return beside(tiles, self.slices, self.config)


def _answer_to(detector: PartDetector, item: SpiderSlice) -> AnsweredSlice:
    image, _ = rescaled(item.image, PITCH_MM / item.pitch_px)
    return answered(detector, image)
