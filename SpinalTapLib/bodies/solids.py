"""Reconstruct a smooth solid from the outlines of a structure in thick slices.

Method
------
Shape-based interpolation (Raya and Udupa, IEEE Trans Med Imaging 9(1), 1990) of signed distances, with two additions.

* Slices are thick. Where a wall is parallel or oblique to a slice, the probability tells how much of the slice's
  thickness is filled, and thus where the wall lies between two slice centres. The distance of a voxel to the nearest
  wall is therefore the smaller of the distances within its slice and across the slices. Bodies oblique to the slices
  (scoliosis, oblique stacks) become smooth, and their lateral walls are measured rather than guessed. Shifting the
  slices along the vertebra's axis first, as other methods do, makes this worse, as the partial volume of a slice does
  not shift.
* Across the slices, the distances are interpolated by Akima cubics (J ACM 17(4), 1970), which do not overshoot, and
  the whole body is grown or shrunk by a fraction of a pixel to the volume that the slices add up to.

A body that is not regular then (see `regularity`) is made so by `_regular` as far as possible: spurs, bites and steps,
which have little support from their surroundings, become smaller or go. Regular bodies stay as they were measured, and
bodies that cannot be made regular keep their volume.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.interpolate import Akima1DInterpolator
from scipy.spatial import cKDTree
from skimage.measure import euler_number, find_contours

from ..scans.sampling import on_parallel_grid
from .outlines import Outline
from .pieces import largest_piece
from .regularity import is_regular

FAR_SLICES = 2.0
"""Limit of the distances across the slices, in slice distances; walls further away have no influence."""
MAX_OFFSET_MM = 0.3
"""Largest shift of the wall to match the volume of the slices."""
JITTER_MM = 1.2
"""Standard deviation of the smoothing across the slices, against jitter of the walls from slice to slice. It has an
effect at a slice distance of 2 mm, and hardly any at 4 mm."""
_SURE = 0.05
"""Probabilities within this of 0 or 1 are rounded to 0 or 1, so that small ones do not add up to volume."""
_LEAST_PIXELS = 4
"""Least number of pixels of a body in a slice; slices with fewer are ignored as noise."""
_PAD = 2
"""Empty slices added at both ends, and empty voxels kept around a solid, so that it closes there."""
SURROUNDINGS_MM = 4.0
"""Largest standard deviation of the Gaussian that weights the surroundings of a point; in a structure that holds no
ball of this radius, the radius of the ball."""
EVIDENCE = 0.5
"""Weight of the mask at a point itself, relative to that of its surroundings: a point inside the mask stays if more
than a quarter of its surroundings, (1 - EVIDENCE) / 2, is inside; a rim of 90 degrees has just that. A point outside is
filled if more than three quarters are inside."""
ROUNDS = 10
"""Rounds of the regularisation; a spur shrinks from its tip in each."""
BLUR_MM = 1.5
"""Distance over which the mask changes from outside to inside; more makes the shapes more regular, and rims rounder."""
TOLERANCES_MM = (0.7, 0.35, 0.0)
"""Distances up to which the measured wall may lie off the regular one, tried in turn until the body is regular. The
first is more than the two can differ by: a body that is regular as it was measured stays as it is."""
MOST_CHANGED = 0.1
"""Largest share of its volume that a body may lose, or gain, to become regular. A torn one keeps its shape, and is
marked as uncertain."""
MOST_LOST = 0.02
"""Largest fraction of its volume that smoothing may take from, or add to, a body that it does not make regular. The
rims of a small body, such as C5, are more of its volume than a regular body may lose to the ball: smoothing would only
shrink it."""
THIN_MM = 3.0
"""Half thickness below which a structure, such as a body seen in a single slice, cannot be regular: the ball that
measures it does not fit in, so its tolerance is not lowered."""
_PARALLEL = 1e-3
"""Deviation of two grids' axes, in voxels at the far end, up to which they count as parallel."""
_SMOOTHING = (0.7, 1.0, 1.5, 2.0, 3.0)
"""Standard deviations, in voxels, of the smoothing that closes handles and tunnels; tried in turn."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A body as a continuous function: the signed distance to its wall on a fine grid.

    Attributes
    ----------
    field : ndarray, shape (a, b, c), float32
        Approximate distance to the wall, mm, positive inside; negative on the grid's border. The inside of a body is
        one piece without cavities or tunnels.
    matrix : ndarray, shape (4, 4)
        (a, b, c, 1) to LPS mm. The axes need not be perpendicular.
    regular : bool
        Whether the body is regular: see `regularity.is_regular`.
    """

    field: np.ndarray
    matrix: np.ndarray
    regular: bool = True

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel of the grid, mm³."""
        return abs(float(np.linalg.det(self.matrix[:3, :3])))

    @cached_property
    def volume_mm3(self) -> float:
        """Volume of the body, mm³; voxels at its wall count in part."""
        steps = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return _filled(self.field, _slope(self.field, steps)) * self.voxel_mm3

    @property
    def centroid_lps_mm(self) -> np.ndarray:
        """Centroid of the body's volume, shape (3,), LPS, mm."""
        middle = np.argwhere(self.field > 0).mean(0)
        return self.matrix[:3, :3] @ middle + self.matrix[:3, 3]

    def trimmed(self) -> Solid:
        """Return the solid on the part of its grid that the body needs: two voxels around it."""
        inside = self.field > 0
        if not inside.any():
            return self
        spans = [np.flatnonzero(inside.any(others)) for others in ((1, 2), (0, 2), (0, 1))]
        box = tuple(slice(max(int(s[0]) - _PAD, 0), int(s[-1]) + _PAD + 1) for s in spans)
        matrix = self.matrix.copy()
        matrix[:3, 3] += matrix[:3, :3] @ [s.start for s in box]
        return Solid(np.ascontiguousarray(self.field[box]), matrix, self.regular)

    def sample(self, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return the field on another grid.

        Parameters
        ----------
        matrix : ndarray, shape (4, 4)
            Index of the other grid to LPS mm.
        shape : tuple of int
            Shape of the other grid.

        Returns
        -------
        ndarray of that shape, float32
            Linearly interpolated; a large negative number outside this solid's grid.
        """
        change = np.linalg.inv(self.matrix) @ matrix
        outside = -float(np.abs(self.field).max()) - 1
        step = np.diagonal(change)[:3]
        if np.abs(change[:3, :3] - np.diag(step)).max() * max(shape) < _PARALLEL:
            return on_parallel_grid(self.field, change[:3, 3], step, shape, outside)
        return ndimage.affine_transform(
            self.field, change[:3, :3], change[:3, 3], tuple(shape), order=1, mode="constant", cval=outside
        )

    def bounds(self, matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return the box of indices of another grid that encloses the body, clipped to that grid's shape.

        Parameters
        ----------
        matrix : ndarray, shape (4, 4)
            Index of the other grid to LPS mm.
        shape : tuple of int
            Shape of the other grid.
        """
        inside = np.nonzero(self.field > 0)
        box = np.array([[i.min() - 1, i.max() + 1] for i in inside]) if len(inside[0]) else np.zeros((3, 2))
        corners = np.stack(np.meshgrid(*box, indexing="ij"), -1).reshape(-1, 3)
        change = np.linalg.inv(matrix) @ self.matrix
        there = corners @ change[:3, :3].T + change[:3, 3]
        low = np.clip(np.floor(there.min(0)).astype(int), 0, shape)
        high = np.clip(np.ceil(there.max(0)).astype(int) + 1, low, shape)
        return tuple(slice(int(a), int(b)) for a, b in zip(low, high))


def solid_of(outline: Outline, matrix: np.ndarray, tolerances_mm: Sequence[float] = TOLERANCES_MM) -> Solid | None:
    """Return the solid of a body or disc: as `interpolated`, with a regular surface, of one piece, without cavities.

    Parameters
    ----------
    outline, matrix
        As for `interpolated`.
    tolerances_mm : sequence of float
        See `TOLERANCES_MM`.

    Returns
    -------
    Solid or None
        None if no slice shows at least `_LEAST_PIXELS` pixels.
    """
    solid = interpolated(outline, matrix)
    if solid is None:
        return None
    steps_mm = np.linalg.norm(solid.matrix[:3, :3], axis=0)
    start = (np.linalg.inv(matrix) @ solid.matrix)[0, 3] - outline.window.first
    steps = round(float(np.linalg.norm(matrix[:3, 0]) / steps_mm[0]))
    sides = _image_sides(outline, round(start), len(solid.field), steps)
    field, regular = _regular(solid.field, steps_mm, sides, tolerances_mm)
    field = _one_ball(field)
    return Solid(field, solid.matrix, regular).trimmed() if (field > 0).any() else None


def interpolated(outline: Outline, matrix: np.ndarray) -> Solid | None:
    """Reconstruct a solid from the slices of an outline; it may have several pieces, cavities and tunnels.

    Parameters
    ----------
    outline : Outline
        A structure's probability slice by slice.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the working volume to LPS mm.

    Returns
    -------
    Solid or None
        None if no slice shows at least `_LEAST_PIXELS` pixels.
    """
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    shown = np.flatnonzero((outline.probability > 0.5).sum((1, 2)) >= _LEAST_PIXELS)
    if not len(shown):
        return None
    first, last = int(shown[0]) - _PAD, int(shown[-1]) + _PAD
    probability = np.pad(outline.probability, ((_PAD, _PAD), (0, 0), (0, 0)))[first + _PAD : last + _PAD + 1]
    nodes = _distances(probability, spacing)
    nodes = ndimage.gaussian_filter1d(nodes, JITTER_MM / float(spacing[0]), axis=0, mode="nearest")
    steps = max(1, round(float(spacing[0] / spacing[1])))
    at = np.arange((len(nodes) - 1) * steps + 1) / steps
    field = Akima1DInterpolator(np.arange(len(nodes)), nodes)(at).astype(np.float32)
    volume = float(_certain(probability).sum() * np.prod(spacing))
    field = _with_volume(field, spacing / [steps, 1, 1], volume)
    change = np.diag([1 / steps, 1, 1, 1])
    change[:3, 3] = outline.window.first + first, *outline.window.corner
    return Solid(field, matrix @ change)


def _image_sides(outline: Outline, first: int, planes: int, steps: int) -> tuple[int, int]:
    """Return the planes of a field, from slice `first` of the outline's window, in which the image's sides lie.

    -1, and the number of planes, where the window ends within the image.
    """
    low = round((0.5 - first) * steps) if outline.cut[0] else -1
    high = round((len(outline.probability) - 1.5 - first) * steps) if outline.cut[1] else planes
    return max(low, -1), min(high, planes)


def _regular(
    field: np.ndarray, steps_mm: np.ndarray, sides: tuple[int, int], tolerances_mm: Sequence[float]
) -> tuple[np.ndarray, bool]:
    """Return a field whose shape follows the given one and has a regular surface, and whether it is regular.

    Threshold dynamics (Merriman, Bence and Osher, 1994; with a data term: Esedoglu and Tsai, J Comput Phys 211, 2006):
    a point is inside if the mask there, and the part of its surroundings that is inside, say so together. Repeated,
    this lowers the area of the surface and the disagreement with the mask. Beyond the image's `sides`, two planes,
    the shape is extended unchanged, as the image ends there and not the body. A body that does not become regular
    stays as measured, or is smoothed as far as `MOST_LOST` allows.
    """
    low, high = sides
    within, seen = slice(low + 1, high), slice(max(low, 0), high + 1)
    regular = _surrounded(field[within], steps_mm)
    volume = int(np.count_nonzero(field > 0))
    thin = field.max() < THIN_MM
    best = field
    for tolerance in tolerances_mm[:1] if thin else tolerances_mm:
        out = field.copy()
        out[within] = np.clip(field[within], regular - tolerance, regular + tolerance)
        change = abs(int(np.count_nonzero(out > 0)) - volume) / max(volume, 1)
        if change > MOST_CHANGED:  # what is left is regular, but no longer the body that the mask shows
            break
        if is_regular(out[seen], steps_mm):
            return out, True
        if best is field or change <= MOST_LOST:
            best = out
    return best, False


def _surrounded(field: np.ndarray, steps_mm: np.ndarray) -> np.ndarray:
    """Return the regular field of `_regular`: about the distance to its wall, mm, near the wall."""
    reach = min(SURROUNDINGS_MM, float(field.max()))
    if reach <= steps_mm.min():
        return field
    stride = np.maximum(1, np.rint(reach / 2 / steps_mm)).astype(int)
    given = _inside(field[:: stride[0], :: stride[1], :: stride[2]])
    slope = 1 / (reach * np.sqrt(2 * np.pi)) + EVIDENCE / BLUR_MM  # of the sum at a plane wall, per mm
    blur = float(slope * BLUR_MM)
    now = around = given
    for _ in range(ROUNDS):
        around = ndimage.gaussian_filter(now, reach / (stride * steps_mm), mode="nearest", truncate=2.5)
        now = np.clip((around + EVIDENCE * given - (1 + EVIDENCE) / 2) / blur + 0.5, 0, 1)
    around = on_parallel_grid(around, np.zeros(3), 1 / stride, field.shape)
    return ((around + EVIDENCE * _inside(field) - (1 + EVIDENCE) / 2) / slope).astype(np.float32)


def _inside(field: np.ndarray) -> np.ndarray:
    """Return what a field of distances, mm, says of each point, from 0, outside, to 1, inside."""
    return np.clip(field / BLUR_MM + 0.5, 0, 1)


def _distances(probability: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return signed distances to the nearest wall, mm, within or across the slices, at the slice centres."""
    slice_mm, pixel_mm = float(spacing[0]), float(spacing[1])
    far = FAR_SLICES * slice_mm
    planar = np.stack([np.clip(_planar_distance(p, far / pixel_mm) * pixel_mm, -far, far) for p in probability])
    across = np.minimum(_across(probability, slice_mm, far), _across(probability[::-1], slice_mm, far)[::-1])
    distance = np.where(probability > 0.5, 1, -1) * np.minimum(np.abs(planar), across)
    for away in range(1, _PAD + 1):
        # Beyond the last slice, outside the body's projection: the distance to the edge of the projection.
        for end, last in ((_PAD - away, _PAD), (away - 1 - _PAD, -1 - _PAD)):
            beside = np.maximum(-planar[last], 0)
            distance[end] = np.where(beside > 0, -np.hypot(beside, (away - 0.5) * slice_mm), distance[end])
    return distance


def _planar_distance(probability: np.ndarray, far: float) -> np.ndarray:
    """Return the signed distance of every pixel to the 0.5 contour, px, positive inside, with sub-pixel precision.

    Distances above `far` are infinite.
    """
    inside = probability > 0.5
    if not inside.any():
        return np.full(probability.shape, -np.inf)
    points = []
    for contour in find_contours(np.pad(probability, 1), 0.5):
        third = np.diff(contour, axis=0)[:, None] * (np.arange(3) / 3)[:, None]
        points.append((contour[:-1, None] + third).reshape(-1, 2) - 1)
    pixels = np.stack(np.meshgrid(*(np.arange(n) for n in inside.shape), indexing="ij"), -1).reshape(-1, 2)
    distance = cKDTree(np.concatenate(points)).query(pixels, distance_upper_bound=far)[0].reshape(inside.shape)
    return np.where(inside, distance, -distance)


def _across(probability: np.ndarray, slice_mm: float, far: float) -> np.ndarray:
    """Return the distance, mm, at most `far`, from each slice centre to the next wall towards higher slices.

    A wall between slice k (inside) and slice k + 1 is placed according to the filled fractions p of the two: at
    ``p[k] - 0.5 + p[k + 1]`` slice distances from the centre of slice k.
    """
    out = np.full(probability.shape, far, np.float32)
    for k in range(len(probability) - 2, -1, -1):
        here, there = probability[k], probability[k + 1]
        inside = here > 0.5
        filled = np.where(inside, here - 0.5 + there, 1.5 - there - here)
        wall = np.clip(filled, 0.02, 0.98) * slice_mm
        out[k] = np.where(inside != (there > 0.5), wall, np.minimum(out[k + 1] + slice_mm, far))
    return out


def _certain(probability: np.ndarray) -> np.ndarray:
    """Return the probabilities with those near 0 and 1 rounded; see `_SURE`."""
    return np.where(probability < _SURE, 0, np.where(probability > 1 - _SURE, 1, probability))


def _with_volume(field: np.ndarray, steps_mm: np.ndarray, volume_mm3: float) -> np.ndarray:
    """Return the field shifted to enclose a given volume, by `MAX_OFFSET_MM` at most."""
    slope = _slope(field, steps_mm)
    low, high = -MAX_OFFSET_MM, MAX_OFFSET_MM
    for _ in range(8):  # to a thousandth of a millimetre
        middle = (low + high) / 2
        low, high = (middle, high) if _filled(field + middle, slope) < volume_mm3 / np.prod(steps_mm) else (low, middle)
    return field + np.float32((low + high) / 2)


def _filled(field: np.ndarray, slope: np.ndarray) -> float:
    """Return the number of voxels inside a field; those at its wall count in part."""
    return float(np.clip(field / slope + 0.5, 0, 1).sum())


def _slope(field: np.ndarray, steps_mm: np.ndarray) -> np.ndarray:
    """Return the change of a field across a voxel in the direction of its gradient, mm, limited from below."""
    changes = np.array(np.gradient(field))
    size = np.sqrt(((changes / steps_mm[:, None, None, None]) ** 2).sum(0))
    return np.maximum(size * np.prod(steps_mm) ** (1 / 3), 0.2 * steps_mm.min()).astype(np.float32)


def _one_ball(field: np.ndarray) -> np.ndarray:
    """Return the field with an inside of one piece, without cavities or tunnels, as 3-D printing needs it."""
    out = _one_piece(field)
    for width in _SMOOTHING:
        if euler_number(out > 0, connectivity=1) == 1:
            break
        out = _one_piece(ndimage.gaussian_filter(field, width))
    return out


def _one_piece(field: np.ndarray) -> np.ndarray:
    """Return the field reduced to its largest component, without cavities, and negative on the grid's border."""
    inside = field > 0
    inside[[0, -1]] = inside[:, [0, -1]] = inside[:, :, [0, -1]] = False
    piece = largest_piece(inside)
    inside = inside if piece is None else ndimage.binary_fill_holes(piece)
    least = np.maximum(np.abs(field), 0.05).astype(np.float32)
    return np.where(inside, least, -least)
