"""How many axial slices are named rightly by the result of a sagittal scan of the same synthetic person.

The truth is the label map of the axial phantom, over the whole thickness of a slice: near an endplate, the image is
the mean of body and disc. A slice is right if the body or disc that it is called fills at least `ENOUGH` of the bone
and disc in it, and one off if it is a neighbour of the one with the largest share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...pipeline import segment_spine
from ...spine import levels
from ...spine.level_at import LevelMap, Plane
from ..synthetic.phantom import Phantom, draw_phantom

ENOUGH = 0.3
"""Least fraction of a structure that a reader sees as well as its larger neighbour in the same slice."""
PLANES = 5
"""Number of planes of labels, evenly spaced, in the thickness of a slice."""
LEAST_MM2 = 60.0
"""Least area of bone and disc in a slice that is counted; below, it shows a rim."""


@dataclass(frozen=True)
class SliceScore:
    """Number of axial `slices` with a known structure, and how many were `right`, `one_off`, `far` off and `empty`.

    `largest` counts the slices that were called after the structure with the largest share.
    """

    slices: int = 0
    right: int = 0
    largest: int = 0
    one_off: int = 0
    far: int = 0
    empty: int = 0

    def __add__(self, other: SliceScore) -> SliceScore:
        return SliceScore(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))


def score_slices(
    seeds: Sequence[int],
    *,
    region: str = "whole",
    slice_mm: float = 4.0,
    pixel_mm: float = 1.0,
    progress: Callable[[float], None] | None = None,
) -> SliceScore:
    """Segment sagittal phantoms, name the slices of axial ones of the same people, and count.

    Parameters
    ----------
    seeds : sequence of int
        The people, all with pathology.
    region, slice_mm, pixel_mm : str, float, float
        Slice spacing and pixel edge of both scans, as for `draw_phantom`.
    progress : callable, optional
        Called with the fraction done.
    """
    total = SliceScore()
    for i, seed in enumerate(seeds):
        sagittal, axial = (
            draw_phantom(seed, region=region, plane=plane, slice_mm=distance, pixel_mm=pixel_mm, healthy=False)
            for plane, distance in (("sagittal", slice_mm), ("axial", slice_mm / PLANES))
        )
        total += score_axial(LevelMap(segment_spine(sagittal.image)), axial, PLANES)
        if progress is not None:
            progress((i + 1) / len(seeds))
    return total


def score_axial(known: LevelMap, axial: Phantom, planes: int = 1) -> SliceScore:
    """Return the score of the slices of one axial phantom, each as thick as `planes` of its planes (an odd number)."""
    order = [levels.level(name).value for name in axial.names]
    place = {value: 2 * i for i, value in enumerate(order)}
    place |= {levels.disc_value(value): 2 * i - 1 for i, value in enumerate(order) if i}
    pixel_mm2 = float(np.delete(axial.image.spacing_mm, 1).prod())
    total = SliceScore()
    for first in range(0, axial.labels.shape[1] - planes + 1, planes):
        values, counts = np.unique(axial.labels[:, first : first + planes], return_counts=True)
        areas = {int(v): float(n) * pixel_mm2 / planes for v, n in zip(values, counts) if int(v) in place}
        if sum(areas.values()) >= LEAST_MM2:
            middle = np.array([0, first + planes // 2, 0])
            shown = known.at(Plane(axial.image.to_lps(middle), np.array([0.0, 0.0, 1.0])))
            named = None
            if shown is not None and len(shown.levels) <= 2:
                named = levels.level(shown.levels[-1]).value + (levels.DISC_BASE if shown.is_disc else 0)
            total += _score(areas, place, named)
    return total


def _score(areas: Mapping[int, float], place: Mapping[int, int], named: int | None) -> SliceScore:
    if named is None:
        return SliceScore(slices=1, empty=1)
    largest = max(areas, key=lambda value: areas[value])
    if areas.get(named, 0.0) >= ENOUGH * sum(areas.values()):
        return SliceScore(slices=1, right=1, largest=int(named == largest))
    near = abs(place.get(named, 99) - place[largest]) <= 1
    return SliceScore(slices=1, one_off=int(near), far=int(not near))
