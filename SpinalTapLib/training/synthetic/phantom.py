"""Draw phantoms: synthetic scans with ground truth, for `spinaltap phantom`, the tests and the measurements."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ...scans.orientation import grid_of_matrix
from ...scans.volume import SagittalVolume, volume_from_array
from ...spine import levels
from ...spine.structures import Structure
from ...spine.vertebra import CORNERS
from ..images.sequences import IN_PHANTOMS, only
from .body_shape import corners_in_plane
from .drawing import Canvas, draw_slice
from .junction import WELL_FORMED_SHARE
from .random_spine import SyntheticSpine, random_spine
from .tissues import N_TISSUES

REGIONS = {"whole": ("S1", "C2"), "lumbar": ("S1", "T11"), "thoracic": ("T12", "T1"), "cervical": ("T3", "C2")}
"""Region name -> lowest and highest level in view."""

PLANES = {"sagittal": 0, "axial": 1, "coronal": 2}
"""Plane of the slices -> the axis of a `SagittalVolume` that runs through them."""


@dataclass(frozen=True)
class Phantom:
    """A synthetic scan with its ground truth.

    Attributes
    ----------
    image : SagittalVolume
        The scan.
    labels : ndarray of uint16, shape (slice, row, column)
        Label values of bodies, discs and canal (the dural sac) on the grid of the scan; on request, also of the arches
        and the sacrum.
    spine : SyntheticSpine
        The person.
    names : tuple of str
        Levels completely in view, from the bottom up.
    """

    image: SagittalVolume
    labels: np.ndarray
    spine: SyntheticSpine
    names: tuple[str, ...]

    def truth(self) -> dict[str, dict[str, list]]:
        """Return ``centroid_lps_mm`` (of the labels) and ``corners_lps_mm`` (in the mid-plane of the body) by level."""
        out = {}
        for name in self.names:
            body = self.spine.vertebrae[self.spine.index(name)]
            points = corners_in_plane(body, float(body.centre[0]))
            where = np.argwhere(self.labels == levels.level(name).value)
            if points is not None and len(where):
                lps = np.column_stack([np.full(5, body.centre[0]), points])
                out[name] = {
                    "centroid_lps_mm": self.image.to_lps(where.mean(0)).round(3).tolist(),
                    "corners_lps_mm": dict(zip(CORNERS, lps[:4].round(3).tolist())),
                }
        return out


def draw_phantom(
    seed: int,
    *,
    region: str = "whole",
    sequence: str = "t2",
    slice_mm: float = 4.0,
    pixel_mm: float = 1.0,
    healthy: bool = True,
    noise: float = 0.03,
    arches: bool = False,
    plane: str = "sagittal",
    well_formed: float = WELL_FORMED_SHARE,
    progress: Callable[[float], None] | None = None,
) -> Phantom:
    """Draw a synthetic scan.

    Parameters
    ----------
    seed : int
        The same seed gives the same person and scan.
    region : str
        One of `REGIONS`.
    sequence : str
        One of `sequences.IN_PHANTOMS`.
    slice_mm, pixel_mm : float
        Slice spacing (0.8-8 mm) and pixel edge (0.3-1.6 mm). In axial and coronal stacks, the pixel is the largest
        one up to `pixel_mm` of which an odd number makes a slice.
    healthy : bool
        Without fractures, slips, lesions and unusual numbers of vertebrae.
    noise : float
        Standard deviation of the Rician noise, relative to the brightest common tissue.
    arches : bool
        Label the arches and the sacrum as well.
    plane : str
        One of `PLANES`: the plane of the slices. Axial and coronal stacks show the same person, the labels are those
        in the middle of each slice, and `Phantom.image` keeps the axes of a `SagittalVolume`.
    well_formed : float
        Probability of a well-formed disc between S1 and S2; by default as frequent as in people.
    progress : callable, optional
        Called with the fraction drawn.

    Raises
    ------
    ValueError
        If the region, the sequence, the plane or a spacing is invalid.
    """
    _check(region, sequence, plane, slice_mm, pixel_mm)
    rng = np.random.default_rng([seed, 7])
    spine = random_spine(rng, healthy=healthy, well_formed=well_formed)
    window = _field_of_view(spine, region)
    across = PLANES[plane]
    block = 1 if across == 0 else 2 * int(np.ceil((slice_mm / pixel_mm - 1) / 2 - 1e-6)) + 1
    fine_mm = pixel_mm if across == 0 else slice_mm / block
    x = np.arange(window[0][0], window[0][1] + 1e-6, slice_mm if across == 0 else fine_mm)
    means, factors = _contrast(seed, sequence, len(spine.vertebrae))
    slices, labels = [], []
    for k, position in enumerate(x):
        canvas = draw_slice(
            spine, float(position), y_range_mm=window[1], z_range_mm=window[2], pixel_mm=fine_mm,
            thickness_mm=0.9 * slice_mm if across == 0 else fine_mm, planes=3 if across == 0 else 1,
        )  # fmt: skip
        slices.append(_intensity(canvas, means, factors))
        labels.append(_label_values(canvas, spine, arches))
        if progress is not None:
            progress((k + 1) / len(x))
    array, truth = np.stack(slices), np.stack(labels)
    matrix = np.eye(4)
    step = x[1] - x[0]
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = (step, 0, 0), (0, 0, -fine_mm), (0, fine_mm, 0)
    matrix[:3, 3] = x[0], window[1][0], window[2][1]
    name = f"phantom-{seed}-{region}-{sequence}"
    if across == 0:
        image = volume_from_array(_acquire(array, rng, noise), matrix, name=name)
    else:
        array, truth, matrix = _thick(array, truth, matrix, across, block)
        image = _stack(_acquire(array, rng, noise), matrix, across, f"{name}-{plane}")
    return Phantom(image, truth, spine, _names_in_view(spine, window))


def write_phantom(phantom: Phantom, folder: Path) -> tuple[Path, Path, Path]:
    """Write ``<name>.nii.gz``, ``<name>_labels.nii.gz`` and ``<name>_truth.json`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = phantom.image.name
    paths = folder / f"{stem}.nii.gz", folder / f"{stem}_labels.nii.gz", folder / f"{stem}_truth.json"
    image = phantom.image.to_source(phantom.image.array)
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(paths[0]), useCompression=True)
    sitk.WriteImage(phantom.image.to_source(phantom.labels), str(paths[1]), useCompression=True)
    paths[2].write_text(json.dumps(phantom.truth(), indent=1), encoding="utf-8")
    return paths


def _thick(
    array: np.ndarray, labels: np.ndarray, matrix: np.ndarray, across: int, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join `block` (odd) planes along an axis into one slice: the mean of the values, the labels of the middle one."""
    count = array.shape[across] // block
    array = np.moveaxis(array, across, 0)[: count * block]
    array = array.reshape(count, block, *array.shape[1:]).mean(1)
    labels = np.moveaxis(labels, across, 0)[block // 2 : count * block : block]
    matrix = matrix.copy()
    matrix[:3, 3] += (block // 2) * matrix[:3, across]
    matrix[:3, across] *= block
    return np.moveaxis(array, 0, across), np.moveaxis(labels, 0, across), matrix


def _stack(array: np.ndarray, matrix: np.ndarray, across: int, name: str) -> SagittalVolume:
    """Return an array (slice, row, column) as a stack along another axis; it may be too thick to be segmented."""
    order = {1: (1, 2, 0), 2: (2, 1, 0)}[across]  # axial slices: (z, y, x), coronal ones: (y, z, x)
    flips = [axis == 1 and across == 1 for axis in order]  # axial slices are stored from below
    stored = matrix.copy()
    for axis, flip in zip(order, flips):
        if flip:
            stored[:3, 3] += stored[:3, axis] * (array.shape[axis] - 1)
            stored[:3, axis] *= -1
    grid = grid_of_matrix(tuple(array.shape[axis] for axis in order), stored[:, [*order, 3]], name)
    return SagittalVolume(array, matrix, name, grid)


def _check(region: str, sequence: str, plane: str, slice_mm: float, pixel_mm: float) -> None:
    if region not in REGIONS:
        raise ValueError(f"There is no region called {region!r}; use one of {', '.join(REGIONS)}.")
    if sequence not in IN_PHANTOMS:
        raise ValueError(f"There is no sequence called {sequence!r}; use one of {', '.join(IN_PHANTOMS)}.")
    if plane not in PLANES:
        raise ValueError(f"There is no plane called {plane!r}; use one of {', '.join(PLANES)}.")
    if not 0.5 <= slice_mm <= 8 or not 0.3 <= pixel_mm <= 1.6:
        raise ValueError(
            f"A phantom needs slices 0.5-8 mm apart and pixels of 0.3-1.6 mm; got {slice_mm:g} mm and {pixel_mm:g} mm."
        )


def _field_of_view(spine: SyntheticSpine, region: str) -> tuple[tuple[float, float], ...]:
    """Return the ranges of x, y and z (mm) of a region, with the margins of a clinical scan."""
    low, high = _lowest(spine, REGIONS[region][0]), spine.index(REGIONS[region][1])
    bodies = spine.vertebrae[low : high + 1]
    centres = np.array([b.centre for b in bodies])
    margin = max(b.half_width for b in bodies) + 4
    bottom = 75.0 if region in ("whole", "lumbar") else 5.0
    top = 45.0 if region in ("whole", "cervical") else 5.0
    x = centres[:, 0].min() - margin, centres[:, 0].max() + margin
    y = min(centres[:, 1].min() - 110, centres[:, 1].mean() - 160), max(centres[:, 1].max() + 90, 110.0)
    return x, y, (centres[0, 2] - bottom, centres[-1, 2] + top)


def _lowest(spine: SyntheticSpine, name: str) -> int:
    """Return the position of a level or, in a person without it, of the lowest level of its region."""
    return spine.names.index(name if name in spine.names else next(n for n in spine.names if n[0] == name[0]))


def _names_in_view(spine: SyntheticSpine, window: tuple[tuple[float, float], ...]) -> tuple[str, ...]:
    low, high = window[2]
    reach = {b.name: 0.54 * np.hypot(b.height, b.depth) for b in spine.vertebrae}  # half the height of a tilted body
    return tuple(b.name for b in spine.vertebrae if low + reach[b.name] < b.centre[2] < high - reach[b.name])


def _contrast(seed: int, sequence: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensity of every tissue and a factor for every vertebra."""
    from ..images.contrast import draw_contrast
    from ..images.random_numbers import Chance

    contrast = draw_contrast(list(only(**{sequence: 1.0}).values()), Chance(seed), 1)
    factors = np.random.default_rng([seed, 9]).normal(1, 0.04, n + 1)
    factors[0] = 1.0
    return contrast.mean[0].numpy()[:N_TISSUES], factors.astype(np.float32)


def _intensity(canvas: Canvas, means: np.ndarray, factors: np.ndarray) -> np.ndarray:
    return means[canvas.tissue].mean(0) * factors[canvas.instance]


def _label_values(canvas: Canvas, spine: SyntheticSpine, arches: bool) -> np.ndarray:
    """Return label values, shape (rows, columns), of bodies, discs and canal, and of arches and sacrum on request."""
    values = np.array([0] + [levels.level(name).value for name in spine.names], np.uint16)
    bone = np.isin(canvas.structure, (Structure.BODY, Structure.S1, Structure.C2))
    out = np.where(bone, values[canvas.instance], 0).astype(np.uint16)
    c2 = (canvas.structure == Structure.C2) & (out == 0)  # the dens
    out[c2] = levels.level("C2").value
    out[canvas.structure == Structure.CANAL] = levels.CANAL_VALUE
    if arches:
        arch = canvas.structure == Structure.ARCH
        out[arch] = levels.ARCH_BASE + values[canvas.instance[arch]]
        out[canvas.structure == Structure.SACRUM] = levels.SACRUM_VALUE
    disc = canvas.structure == Structure.DISC
    if disc.any():
        rows, columns = np.nonzero(disc)
        centres = canvas.corners_px[:, 4]
        above = [i for i in range(len(values) - 1) if np.isfinite(centres[i]).all()]
        if above:
            gap = rows[:, None] - centres[above][None, :, 0]  # a disc belongs to the lowest vertebra above it
            gap = np.where(gap > 0, gap, np.inf)
            owner = np.array(above)[gap.argmin(1)]
            out[rows, columns] = levels.DISC_BASE + values[1 + owner]
    return out


def _acquire(array: np.ndarray, rng: np.random.Generator, noise: float) -> np.ndarray:
    """Blur, apply the sensitivity of a posterior coil, add Rician noise, and scale to scanner values."""
    blurred = ndimage.gaussian_filter(array, (0, 0.4, 0.4))
    mottle = ndimage.zoom(rng.normal(0, 1, tuple(max(2, n // 6 + 2) for n in array.shape)), 6, order=1)
    mottle = mottle[tuple(slice(0, n) for n in array.shape)]
    shade = np.linspace(rng.uniform(0.45, 0.9), 1.0, array.shape[2])[None, None, :]
    signal = blurred * (1 + 0.05 * mottle) * shade
    noisy = np.hypot(signal + rng.normal(0, noise, array.shape), rng.normal(0, noise, array.shape))
    return (noisy * 800).astype(np.float32).round()
