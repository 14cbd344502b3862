"""Find the overlapping DICOM stations of a whole spine, and compose them into one volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from .dicom_headers import DicomSlice

LEAST_OVERLAP_MM = 5.0
"""Least overlap of two stations; with less, their intensities cannot be matched, and they stay separate."""
MOST_OVERLAP = 0.8
"""Largest overlap of two stations, as a fraction of the height; above it, two stacks show the same region twice."""
LARGEST_TURN_COSINE = 0.966
"""Least cosine between the axes of two stations: less than 15 degrees, as they follow the curve of the spine."""
_GAINS = (0.2, 5.0)
"""Range of the factor that matches the intensities of two stations."""
_EDGE = 0.05
"""Fraction of a voxel by which a corner may lie outside the grid before the grid is enlarged."""

Station = tuple[DicomSlice, ...]


def chains_of_stations(stacks: Sequence[Station]) -> list[tuple[Station, ...]]:
    """Find the stacks of one series that continue each other from head to foot.

    Parameters
    ----------
    stacks : sequence of tuple of DicomSlice
        Stacks of one series, each sorted along its normal.

    Returns
    -------
    list of tuple
        Chains of two or more overlapping stations, the uppermost first.
    """
    waiting = [stack for stack in stacks if len(stack) > 1 and not stack[0].missing and stack[0].components == 1]
    waiting.sort(key=lambda stack: -sum(_reach(stack)))
    chains: list[list[Station]] = []
    for stack in waiting:
        home = next((chain for chain in chains if _continues(stack, chain[-1])), None)
        if home is None:
            chains.append([stack])
        else:
            home.append(stack)
    return [tuple(chain) for chain in chains if len(chain) > 1]


def _continues(below: Station, above: Station) -> bool:
    """Return whether one station continues another: same kind of image, suitable overlap."""
    a, b = above[0], below[0]
    (low, high), (other_low, other_high) = _reach(above), _reach(below)
    overlap = min(high, other_high) - max(low, other_low)
    aside = np.abs((_middle(above) - _middle(below))[:2])
    return bool(
        (a.image_type, a.echo_ms) == (b.image_type, b.echo_ms)
        and np.allclose(a.spacing, b.spacing, rtol=1e-2)
        and (a.direction * b.direction).sum(0).min() > LARGEST_TURN_COSINE
        and LEAST_OVERLAP_MM < overlap < MOST_OVERLAP * min(high - low, other_high - other_low)
        and aside.max() < min(high - low, other_high - other_low) / 2
    )


def _reach(station: Station) -> tuple[float, float]:
    """Return the lowest and the highest position of a station's middle slice along the superior axis, mm."""
    middle = station[len(station) // 2]
    edges = middle.direction[2, :2] * np.array(middle.spacing) * middle.size
    ends = middle.origin[2] + np.array([0, edges[0], edges[1], edges.sum()])
    return float(ends.min()), float(ends.max())


def _middle(station: Station) -> np.ndarray:
    middle = station[len(station) // 2]
    return middle.origin + middle.direction[:, :2] @ (np.array(middle.spacing) * middle.size / 2)


def composed(stations: Sequence[sitk.Image]) -> tuple[sitk.Image, str]:
    """Compose overlapping stations into one volume.

    Parameters
    ----------
    stations : sequence of sitk.Image
        Stations from the head down, each overlapping the next.

    Returns
    -------
    image : sitk.Image
        float32, on the first station's grid, enlarged. Overlapping stations are blended with weights that fall towards
        the upper and lower edge of each; the intensities of each station are scaled to those of the station above.
        Voxels outside all stations hold the lowest value.
    warning : str
        The number of stations, and the positions of the seams.
    """
    grid = _common_grid(stations)
    vertical = _vertical_axis(stations[0])
    total, weights, shown, seams = None, None, None, []
    for station in stations:
        value, weight = _on_grid(station, grid, vertical)
        if total is None or weights is None:
            total, weights = value * weight, weight
        else:
            both = (weights > 0) & (weight > 0)
            gain = _gain(total[both] / weights[both], value[both])
            total += gain * value * weight
            weights += weight
            seams.append((_heights(grid, both), gain))
    assert total is not None and weights is not None
    shown = weights > 0
    array = np.divide(total, weights, out=np.zeros_like(total), where=shown)
    array[~shown] = array[shown].min()
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(grid)
    return image, _sentence(len(stations), [heights for heights, _ in seams])


def _vertical_axis(image: sitk.Image) -> int:
    """Return the axis of an image (0, 1, 2) that is closest to the head-foot direction."""
    return int(np.abs(np.reshape(image.GetDirection(), (3, 3))[2]).argmax())


def _common_grid(stations: Sequence[sitk.Image]) -> sitk.Image:
    """Return an empty image with the first station's axes and spacing that encloses all stations."""
    first = stations[0]
    corners = []
    for station in stations:
        for corner in np.ndindex(2, 2, 2):
            index = [c * (n - 1) for c, n in zip(corner, station.GetSize())]
            place = station.TransformIndexToPhysicalPoint([int(i) for i in index])
            corners.append(first.TransformPhysicalPointToContinuousIndex(place))
    low = np.floor(np.min(corners, 0) + _EDGE).astype(int)
    high = np.ceil(np.max(corners, 0) - _EDGE).astype(int)
    grid = sitk.Image([int(n) for n in high - low + 1], sitk.sitkUInt8)
    grid.SetSpacing(first.GetSpacing())
    grid.SetDirection(first.GetDirection())
    grid.SetOrigin(first.TransformContinuousIndexToPhysicalPoint([float(i) for i in low]))
    return grid


def _on_grid(station: sitk.Image, grid: sitk.Image, vertical: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a station's values on a grid, and their weights: 0 outside, rising from its upper and lower edge."""
    count = station.GetSize()[vertical]
    ramp = np.minimum(np.arange(count) + 1, count - np.arange(count)).astype(np.float32)
    shape = [1, 1, 1]
    shape[2 - vertical] = count
    ramps = sitk.GetImageFromArray(np.broadcast_to(ramp.reshape(shape), station.GetSize()[::-1]).copy())
    ramps.CopyInformation(station)
    value, weight = (
        sitk.GetArrayFromImage(
            sitk.Resample(sitk.Cast(image, sitk.sitkFloat32), grid, sitk.Transform(), sitk.sitkLinear, 0.0)
        )
        for image in (station, ramps)
    )
    return value, weight


def _gain(above: np.ndarray, below: np.ndarray) -> float:
    """Return the factor that scales a station's values in the overlap to those of the one above (least squares)."""
    power = float((below.astype(float) ** 2).sum())
    gain = float((above.astype(float) * below).sum()) / power if power > 0 else 1.0
    return float(np.clip(gain, *_GAINS))


def _heights(grid: sitk.Image, both: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest position of an overlap along the superior axis, mm."""
    indices = np.argwhere(both)
    if not len(indices):
        return 0.0, 0.0
    middle = indices[:, ::-1].mean(0)
    vertical = _vertical_axis(grid)
    ends = []
    for end in (indices[:, 2 - vertical].min(), indices[:, 2 - vertical].max()):
        middle[vertical] = end
        ends.append(grid.TransformContinuousIndexToPhysicalPoint(middle.tolist())[2])
    return min(ends), max(ends)


def _sentence(count: int, seams: Sequence[tuple[float, float]]) -> str:
    places = ", ".join(f"S {low:.0f} to {high:.0f} mm" for low, high in seams)
    return (
        f"{count} stations of one series were composed into one volume, blended and matched in brightness where they "
        f"overlap ({places}); a vertebra there may be distorted."
    )
