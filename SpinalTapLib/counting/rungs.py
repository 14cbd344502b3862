"""Rungs of the ladder: one vertebra in its own frame, what the network sees of it, and what it proposes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..scans.sampling import bilinear
from ..scans.volume import SagittalVolume

CROP_SIZES = 4.8
"""Side of the square that the ladder looks at, in sizes of the current vertebra: it shows two neighbours each way."""

FLAT = 1e-6
"""A crop whose deviation is less than this share of its brightest pixel shows nothing; the rest is rounding."""

NEIGHBOUR_MM = 5.0
"""Lateral distance of the two neighbouring planes that the ladder sees, mm; one slice where they lie further apart."""


@dataclass(frozen=True, eq=False)
class Rung:
    """One vertebra on a working volume's grid.

    Attributes
    ----------
    slice : float
        Slice through the vertebra's middle; fractions allowed.
    corners : ndarray, shape (4, 2)
        (row, column) of the corners, px, in the order of `vertebra.CORNERS`.
    presence : float
        How sure the network was, 0-1, that it is there; 1 for a start that somebody gave.
    found : int or None
        Index of the detection that it was moved onto; None where only the ladder saw it.
    """

    slice: float
    corners: np.ndarray
    presence: float = 1.0
    found: int | None = None

    @property
    def centre(self) -> np.ndarray:
        """Middle of the corners, (row, column), px."""
        return self.corners.mean(0)

    @property
    def up(self) -> np.ndarray:
        """Unit vector (row, column) from the lower to the upper endplate."""
        vector = self.corners[:2].mean(0) - self.corners[2:].mean(0)
        return vector / max(float(np.linalg.norm(vector)), 1e-6)

    @property
    def size(self) -> float:
        """Square root of mean height times mean depth, px: the ladder's unit of length."""
        c = self.corners
        height = np.linalg.norm(c[0] - c[3]) + np.linalg.norm(c[1] - c[2])
        depth = np.linalg.norm(c[0] - c[1]) + np.linalg.norm(c[3] - c[2])
        return max(float(height * depth), 1e-6) ** 0.5 / 2

    def frame(self) -> np.ndarray:
        """Return the (2, 2) matrix whose columns are the vertebra's own row and column axes, px."""
        down = -self.up
        return np.array([[down[0], -down[1]], [down[1], down[0]]])

    def to_image(self, points: np.ndarray) -> np.ndarray:
        """Return image (row, column), px, of points (..., 2) in the vertebra's frame, in its sizes."""
        return self.centre + self.size * (np.asarray(points) @ self.frame().T)

    def to_own(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 2), image px, in the vertebra's frame and sizes."""
        return (np.asarray(points) - self.centre) @ self.frame() / self.size


def rung_from_points(volume: SagittalVolume, corners_lps_mm: np.ndarray) -> Rung:
    """Return the rung of corners, shape (4, 3), LPS, mm."""
    index = volume.to_index(corners_lps_mm)
    return Rung(float(index[:, 0].mean()), index[:, 1:])


def corners_lps(volume: SagittalVolume, rung: Rung) -> np.ndarray:
    """Return the corners of a rung, shape (4, 3), LPS, mm."""
    return volume.to_lps(np.column_stack([np.full(4, rung.slice), rung.corners]))


def crop_points(rung: Rung, side_px: int) -> np.ndarray:
    """Return the image positions (side, side, 2) of the pixels of the ladder's crop."""
    steps = ((np.arange(side_px) + 0.5) / side_px - 0.5) * CROP_SIZES
    own = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)
    return rung.to_image(own)


def look_at(images: Sequence[np.ndarray], rung: Rung, side_px: int) -> np.ndarray:
    """Return the network's input: three planes and the vertebra itself, in the vertebra's own frame.

    Parameters
    ----------
    images : three arrays, shape (rows, columns)
        The plane on the right, the one through the vertebra's middle, and the one on the left.
    rung : Rung
    side_px : int

    Returns
    -------
    ndarray of float32, shape (4, side, side)
        The planes z-scored by the middle one's robust mean and deviation (0.5-99.5 %), then the mask, 0-1.
    """
    points = crop_points(rung, side_px)
    planes = np.stack([_sample(image, points) for image in images])
    low, high = np.quantile(planes[1], (0.005, 0.995))
    planes = np.clip(planes, low, high)
    least = FLAT * float(np.abs(planes).max()) or 1.0
    planes = (planes - planes[1].mean()) / max(float(planes[1].std()), least)
    return np.concatenate([planes, quadrilateral_mask(rung, side_px)[None]]).astype(np.float32)


def planes_around(volume: SagittalVolume, position: float) -> list[np.ndarray]:
    """Return the planes (right, middle, left) of a volume around a fractional slice position."""
    step = max(1.0, NEIGHBOUR_MM / float(volume.spacing_mm[0]))
    return [plane_at(volume.array, position + k * step) for k in (-1, 0, 1)]


def plane_at(array: np.ndarray, position: float) -> np.ndarray:
    """Return the plane (...) of a stack (slices, ...) at a fractional position, beyond it the outermost slice."""
    position = float(np.clip(position, 0, len(array) - 1))
    low = int(position)
    share = position - low
    return array[low] if share < 0.02 else array[low] * (1 - share) + array[min(low + 1, len(array) - 1)] * share


def _sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Interpolate an image at points (..., 2); outside it is as dark as its darkest pixel."""
    rows, columns = image.shape
    r, c = points[..., 0], points[..., 1]
    inside = (r > -0.5) & (r < rows - 0.5) & (c > -0.5) & (c < columns - 0.5)
    points = np.clip(points, 0, [rows - 1.001, columns - 1.001])  # a thousandth off the edge: as in training
    return np.where(inside, bilinear(image, points), image.min())


def quadrilateral_mask(rung: Rung, side_px: int) -> np.ndarray:
    """Return the vertebra's quadrilateral as a mask, shape (side, side), 0-1, with edges one pixel soft."""
    corners = (rung.to_own(rung.corners) / CROP_SIZES + 0.5) * side_px - 0.5
    r, c = np.meshgrid(np.arange(side_px), np.arange(side_px), indexing="ij")
    inside = np.full((side_px, side_px), np.inf)
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        edge = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
        inside = np.minimum(inside, edge[1] * (r - a[0]) - edge[0] * (c - a[1]))
    return np.clip(inside + 0.5, 0, 1)


def propose(rung: Rung, output: np.ndarray, slice_mm: float, pixel_mm: float) -> tuple[Rung, Rung]:
    """Turn the network's output for one rung, shape (2, 10), into the vertebrae above and below it."""
    above, below = (_proposal(rung, values, slice_mm, pixel_mm) for values in np.asarray(output, float))
    return above, below


def _proposal(rung: Rung, values: np.ndarray, slice_mm: float, pixel_mm: float) -> Rung:
    shift = float(values[8]) * rung.size * pixel_mm / slice_mm
    presence = float(1 / (1 + np.exp(-np.clip(values[9], -30, 30))))
    return Rung(rung.slice + shift, rung.to_image(values[:8].reshape(4, 2)), presence)
