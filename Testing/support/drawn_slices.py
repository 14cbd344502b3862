"""Outlines of a straight or scoliotic spine in a stack of slices, as a detector would give them. Shared by tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from drawn_parts import box

from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.detection.part_maps import SliceVertebra
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

OBLIQUE = np.array([[0.96, 0.28, 0.0], [0.28, -0.96, 0.0], [0.0, 0.0, 1.0]])[:, [0, 2, 1]] * [1, -1, -1]
"""Unit directions of slice, row and column in LPS, turned by 16 degrees about the long axis."""


@dataclass
class Stack:
    """A spine of boxes in a stack of slices; lengths in mm.

    Attributes
    ----------
    centres : ndarray, shape (n, 3)
        (across, row, column) from the bottom up.
    rolls_degrees : ndarray, shape (n,)
        Coronal tilt of each body, positive where its left side is lower.
    """

    centres: np.ndarray
    rolls_degrees: np.ndarray
    height: float = 18.0
    depth: float = 24.0
    width: float = 36.0
    slice_mm: float = 4.0
    pixel_mm: float = 1.0
    n_slices: int = 16
    size_mm: tuple[float, float] = (300.0, 160.0)
    skip: set[tuple[int, int]] = field(default_factory=set)

    def sees(self, body: int, index: int) -> bool:
        """Return whether a body shows in a slice: its tilted sides are within the width."""
        offset = index * self.slice_mm - self.centres[body, 0]
        reach = self.width / 2 * np.cos(np.deg2rad(self.rolls_degrees[body]))
        return bool(abs(offset) <= reach) and (body, index) not in self.skip

    def corners_px(self, body: int, index: int) -> np.ndarray:
        """Return the corners of a body in a slice, (4, 2), px."""
        offset = index * self.slice_mm - self.centres[body, 0]
        down = offset * np.tan(np.deg2rad(self.rolls_degrees[body]))
        return box(self.centres[body, 1] + down, self.centres[body, 2], self.height, self.depth) / self.pixel_mm

    def volume(self) -> SagittalVolume:
        """Return an empty volume that lies obliquely in LPS."""
        shape = (self.n_slices, *(round(s / self.pixel_mm) for s in self.size_mm))
        matrix = np.eye(4)
        matrix[:3, :3] = OBLIQUE * [self.slice_mm, self.pixel_mm, self.pixel_mm]
        matrix[:3, 3] = (-31.0, 52.0, 240.0)
        return SagittalVolume(np.zeros(shape, np.float32), matrix)

    def centre_lps(self, body: int) -> np.ndarray:
        """Return the true centre of a body, LPS, mm."""
        return self.volume().to_lps(self.centres[body] / (self.slice_mm, self.pixel_mm, self.pixel_mm))

    def detections(
        self, *, noise_mm: float = 0.0, seed: int = 0, extra: tuple[SliceVertebra, ...] = ()
    ) -> tuple[Detections, dict[int, int]]:
        """Return what a detector sees, and for the id of each `SliceVertebra` the body that it is of."""
        rng = np.random.default_rng(seed)
        seen, owner = list(extra), {}
        for index in range(self.n_slices):
            for body in range(len(self.centres)):
                if self.sees(body, index):
                    corners = self.corners_px(body, index) + rng.normal(0, noise_mm, (4, 2)) / self.pixel_mm
                    seen.append(outline(index, corners))
                    owner[id(seen[-1])] = body
        return Detections(self.volume(), tuple(seen), np.zeros((self.n_slices, N_STRUCTURES, 1, 1), np.float16)), owner


def outline(index: int, corners: np.ndarray, score: float = 0.9, rebuilt: tuple[str, ...] = ()) -> SliceVertebra:
    """Return one body in one slice, sure to be a body."""
    return SliceVertebra(index, corners, corners.mean(0), score, np.eye(N_STRUCTURES)[Structure.BODY], rebuilt)


def straight(n: int = 6, **kwargs: object) -> Stack:
    """Return an upright spine in the middle of the stack."""
    rows = 260.0 - 25.0 * np.arange(n)
    centres = np.column_stack((np.full(n, 30.0), rows, np.full(n, 80.0)))
    return Stack(centres, np.zeros(n), **kwargs)  # type: ignore[arg-type]


def scoliotic(cobb_degrees: float, n: int = 9, pitch: float = 23.0, **kwargs: object) -> Stack:
    """Return a spine with one coronal curve: the ends are tilted by half the angle, to either side."""
    rolls = np.linspace(-cobb_degrees / 2, cobb_degrees / 2, n)
    # A body whose left side is lower leans the spine to the left above it.
    lean = np.deg2rad((rolls[:-1] + rolls[1:]) / 2)
    across = np.concatenate(([0.0], np.cumsum(pitch * np.sin(lean))))
    rows = 260.0 - np.concatenate(([0.0], np.cumsum(pitch * np.cos(lean))))
    centres = np.column_stack((across - across.mean() + 30.0, rows, np.full(n, 80.0)))
    return Stack(centres, rolls, **kwargs)  # type: ignore[arg-type]
