"""A scan of bright blocks, and a detector that knows where they are: the road without a trained network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from SpinalTapLib import evidence, pipeline
from SpinalTapLib.bodies.segmentation import Bodies, separate_bodies
from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.detection.part_maps import SliceVertebra
from SpinalTapLib.detection.weights import load_network
from SpinalTapLib.scans.volume import SagittalVolume, volume_from_array
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

BACKGROUND, BODY, S1, C2, DISC, CANAL, _, ARCH = Structure

HEIGHT, DEPTH, PITCH, FRONT, MARGIN = 26, 34, 36, 30, 20
"""Blocks, px = mm: height, depth, distance of neighbours, first column, rows above and below them."""
SLICES, SLICE_MM = 7, 4.0
PEDICLES = (1, 5)
"""Slices in which arches are joined to their blocks."""


@dataclass(frozen=True)
class BlockSpine:
    """So many blocks; the lowest may look like S1, the highest like C2; all but S1 may have arches."""

    count: int = 6
    s1: bool = True
    c2: bool = False
    arches: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return SLICES, 2 * MARGIN + PITCH * (self.count - 1) + HEIGHT, 100

    def top(self, index: int) -> int:
        """First row of a block, counted from the bottom."""
        return MARGIN + PITCH * (self.count - 1 - index)

    def structures(self) -> np.ndarray:
        """Return the class of every pixel, (rows, columns)."""
        classes = np.full(self.shape[1:], BACKGROUND)
        for i in range(self.count):
            kind = S1 if i == 0 and self.s1 else C2 if i == self.count - 1 and self.c2 else BODY
            classes[self.top(i) : self.top(i) + HEIGHT, FRONT : FRONT + DEPTH] = kind
            if i + 1 < self.count:
                classes[self.top(i + 1) + HEIGHT : self.top(i), FRONT : FRONT + DEPTH] = DISC
        classes[:, FRONT + DEPTH + 3 : FRONT + DEPTH + 18] = CANAL
        return classes

    def volume(self) -> SagittalVolume:
        """Return the scan: slices 4 mm apart, pixels of 1 mm; its first two slices and its last two show no body."""
        matrix = np.array([[SLICE_MM, 0, 0, -12], [0, 0, 1, -40], [0, -1, 0, 30], [0, 0, 0, 1]])
        noise = np.random.default_rng(0).normal(100, 5, self.shape)
        inside = np.isin(self.structures(), (BODY, S1, C2))
        noise[1:-1] += 300 * inside
        return volume_from_array(noise.astype(np.float32), matrix, "blocks")

    def detections(self, working: SagittalVolume) -> Detections:
        """Return what a perfect detector sees."""
        classes = self.structures()
        probabilities = np.zeros((SLICES, N_STRUCTURES, *classes.shape), np.float16)
        probabilities[:, BACKGROUND] = 1
        probabilities[1:-1] = (classes == np.arange(N_STRUCTURES)[:, None, None])[None]
        homes = self._add_arches(probabilities) if self.arches else None
        seen = [self._seen(k, i, classes) for k in range(1, SLICES - 1) for i in range(self.count)]
        return Detections(working, tuple(seen), probabilities, homes)

    def owner(self) -> np.ndarray:
        """Return the block that the arch at each voxel belongs to, or -1, (slices, rows, columns).

        Behind the canal, an arch reaches below its block; in two slices, a pedicle joins it.
        """
        owner = np.full(self.shape, -1)
        for i in range(int(self.s1), self.count):
            owner[1:-1, self.top(i) + 8 : self.top(i) + 34, FRONT + DEPTH + 19 : 98] = i
            for k in PEDICLES:
                owner[k, self.top(i) + 4 : self.top(i) + 14, FRONT + DEPTH : 98] = i
        return owner

    def _add_arches(self, probabilities: np.ndarray) -> np.ndarray:
        """Write the arches into the mask, in place, and return the offset from each of their pixels to its block."""
        owner = self.owner()
        probabilities[:] = np.where(owner[:, None] >= 0, np.arange(N_STRUCTURES)[:, None, None] == ARCH, probabilities)
        rows, columns = np.indices(self.shape[1:])
        tops = np.array([self.top(i) for i in range(self.count)])[owner]
        homes = np.stack(np.broadcast_arrays(tops + (HEIGHT - 1) / 2 - rows, FRONT + (DEPTH - 1) / 2 - columns), 1)
        return np.where(owner[:, None] >= 0, homes, 0).astype(np.float16)

    def _seen(self, k: int, i: int, classes: np.ndarray) -> SliceVertebra:
        top, bottom, front, back = self.top(i), self.top(i) + HEIGHT - 1, FRONT, FRONT + DEPTH - 1
        corners = np.array([(top, front), (top, back), (bottom, back), (bottom, front)], float)
        inside = classes[top : bottom + 1, front : back + 1]
        evidence = np.array([(inside == kind).mean() for kind in range(N_STRUCTURES)])
        return SliceVertebra(k, corners, corners.mean(0), 0.95, evidence)

    def detector(self) -> type:
        """Return a class to put in the place of `PartDetector`; `runs` counts how often it was asked."""
        spine = self

        class Detector:
            runs = 0

            def __init__(self, network: object, device: str = "cpu") -> None:
                pass

            def detect(self, working, progress=None, cancelled=None):
                type(self).runs += 1
                for k in range(SLICES):
                    progress("detect", k / SLICES, f"Looking at slice {k + 1} of {SLICES}")
                return spine.detections(working)

        return Detector


_SHELF: dict[tuple, Bodies] = {}


def bodies_from_the_shelf(detections, candidates, volume, structures="bodies") -> Bodies:
    """Return what `separate_bodies` returns; the same blocks, which most tests begin with, are done once."""
    members = tuple(tuple((m.slice, m.corners.tobytes()) for m in candidate.members) for candidate in candidates)
    key = (structures, volume.array.shape, volume.matrix.tobytes(), detections.probabilities.tobytes(), members)
    if key not in _SHELF:
        _SHELF[key] = separate_bodies(detections, candidates, volume, structures)
    return _SHELF[key]


def put_blocks(patch: pytest.MonkeyPatch, weights: Path, **blocks) -> tuple[BlockSpine, type]:
    """Put a perfect detector of a `BlockSpine` in the pipeline, with no ladder and no level network; return both."""
    spine = BlockSpine(**blocks)
    detector = spine.detector()
    patch.setattr(pipeline, "PartDetector", detector)
    patch.setattr(pipeline, "_part_network", lambda *_: load_network(weights))
    patch.setattr(evidence, "separate_bodies", bodies_from_the_shelf)
    # The detector's order and its classes count.
    patch.setattr(pipeline, "_look", lambda *_: None)
    patch.setattr(pipeline, "_levels_look", lambda *_: None)
    patch.setattr(pipeline, "_counting_network", lambda name: (None, {"name": name, "sha256": 64 * "0"}))
    return spine, detector
