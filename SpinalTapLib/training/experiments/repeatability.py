"""How much the measurements of one spine differ between scans: the same phantom in other grids, with other noise.

A phantom is drawn once without noise, in slices half as far apart. Each repetition samples it on a grid that is shifted
by up to half a voxel and turned by up to `TURN_DEG` about each axis, adds noise of its own, and is segmented. The
limit of a measurement is the repeatability coefficient: of two repetitions, 95 % differ by less (Bland and Altman,
Lancet 1986;1:307-310).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ...pipeline import Options, segment_spine
from ...scans.volume import SagittalVolume, volume_from_array
from ...spine.notes import notes_in
from ...spine.vertebra import Spine
from ..synthetic.phantom import draw_phantom

TURN_DEG = 4.0
NOISE = 24.0
"""Standard deviation of the noise; phantoms have a brightest tissue of about 800, so this is their usual 3 %."""
REPEATABILITY = 1.96 * np.sqrt(2)
"""Ratio of the repeatability coefficient to the standard deviation of repetitions."""


@dataclass(frozen=True)
class Repeatability:
    """Repeatability of one measurement.

    Attributes
    ----------
    name : str
        Key in `Vertebra.measurements`.
    bodies : int
        Number of vertebrae measured more than once.
    deviation : float
        Standard deviation of the repetitions of one vertebra, pooled over all.
    """

    name: str
    bodies: int
    deviation: float

    @property
    def limit(self) -> float:
        """Difference below which 95 % of two repetitions stay, in the unit of the measurement."""
        return float(REPEATABILITY * self.deviation)


def measure_repeatability(
    seeds: Sequence[int],
    repetitions: int,
    *,
    region: str = "lumbar",
    slice_mm: float = 4.0,
    pixel_mm: float = 1.0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Repeatability, ...]:
    """Segment phantoms repeatedly and return the repeatability of each measurement.

    Parameters
    ----------
    seeds : sequence of int
        One phantom each, with pathology.
    repetitions : int
        Scans of each phantom, at least two.
    region, slice_mm, pixel_mm : str, float, float
        As for `draw_phantom`.
    progress : callable, optional
        Called with the fraction done.

    Raises
    ------
    ValueError
        If there are fewer than two repetitions.
    """
    if repetitions < 2:
        raise ValueError(f"Repeatability needs at least two scans of each phantom; got {repetitions}.")
    found: dict[tuple[int, str], list[Mapping[str, float]]] = {}
    for i, seed in enumerate(seeds):
        fine = draw_phantom(
            seed, region=region, slice_mm=slice_mm / 2, pixel_mm=pixel_mm, healthy=False, noise=0.0
        ).image
        for k in range(repetitions):
            scan = scanned(fine, slice_mm, pixel_mm, np.random.default_rng([seed, k, 11]))
            spine = segment_spine(scan, options=Options(method="detector"))
            for name, values in _by_level(spine).items():
                found.setdefault((seed, name), []).append(values)
            if progress is not None:
                progress((i * repetitions + k + 1) / (len(seeds) * repetitions))
    return pooled(found.values())


def scanned(fine: SagittalVolume, slice_mm: float, pixel_mm: float, rng: np.random.Generator) -> SagittalVolume:
    """Return a noisy scan of a phantom without noise, on a grid that is shifted and turned at random."""
    image = fine.to_source(fine.array)
    spacing = np.array([pixel_mm, pixel_mm, slice_mm])  # column, row, slice
    size = [max(int(n * s / t) - 1, 2) for n, s, t in zip(image.GetSize(), image.GetSpacing(), spacing)]
    centre = np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*np.radians(rng.uniform(-TURN_DEG, TURN_DEG, 3)).tolist())
    direction = np.array(turn.GetMatrix()).reshape(3, 3) @ np.array(image.GetDirection()).reshape(3, 3)
    centre = centre + direction @ (rng.uniform(-0.5, 0.5, 3) * spacing)
    origin = centre - direction @ ((np.array(size) - 1) / 2 * spacing)
    grid = sitk.Image(*size, sitk.sitkFloat32)
    grid.SetSpacing(spacing.tolist())
    grid.SetOrigin(origin.tolist())
    grid.SetDirection(direction.ravel().tolist())
    signal = sitk.GetArrayFromImage(sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, 0.0))
    noisy = np.hypot(signal + rng.normal(0, NOISE, signal.shape), rng.normal(0, NOISE, signal.shape))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (direction * spacing)[:, ::-1], origin
    return volume_from_array(noisy.astype(np.float32), matrix, fine.name)


def pooled(groups: Iterable[Sequence[Mapping[str, float]]]) -> tuple[Repeatability, ...]:
    """Return the repeatability of each measurement from the repetitions of each vertebra.

    `groups` yields, for each vertebra, a list of its measurements, one mapping a repetition.
    """
    squares: dict[str, list[tuple[float, int]]] = {}
    for repetitions in groups:
        for name in sorted({name for values in repetitions for name in values}):
            values = np.array([values[name] for values in repetitions if name in values])
            if len(values) > 1:
                squares.setdefault(name, []).append((float(((values - values.mean()) ** 2).sum()), len(values) - 1))
    return tuple(
        Repeatability(name, len(sums), float(np.sqrt(sum(s for s, _ in sums) / sum(n for _, n in sums))))
        for name, sums in squares.items()
    )


def repeatability_table(rows: Sequence[Repeatability]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| measurement | vertebrae | standard deviation | limit (95 % of two scans) |", 4 * "| --- " + "|"]
    lines += [f"| {row.name} | {row.bodies} | {row.deviation:.3f} | {row.limit:.2f} |" for row in rows]
    return "\n".join(lines)


def _by_level(spine: Spine) -> dict[str, Mapping[str, float]]:
    """Return the measurements of each level whose corners were all seen; only these are judged in a comparison."""
    return {
        vertebra.level: vertebra.measurements
        for vertebra in spine.vertebrae
        if vertebra.level and not any(note.means_unsure_corners for note in notes_in(vertebra.flags))
    }
