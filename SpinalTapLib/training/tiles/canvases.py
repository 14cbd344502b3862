"""Draw an endless stream of random sagittal slices, single or in stacks; optionally store them on disk."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..synthetic.drawing import Canvas, draw_slice
from ..synthetic.random_spine import SyntheticSpine, random_spine

_WINDOW_MM = {"up": 215.0, "down": 215.0, "front": 185.0, "behind": 160.0}
# Extent of a canvas from the centre of a vertebra: enough for a rotated tile at the largest scale.

_ANCHORS = (0.45, 0.22)  # fractions of canvases at the sacrum and at the neck; the others are anywhere between
_NEAR_MIDLINE = 0.45  # fraction of planes within about 5 mm of the body's centre; the others extend beyond its sides
_BEYOND = 1.35  # lateral range of planes, in half widths of the body: the tissue beside bodies is trained on, too
_THIN = 0.4  # fraction of planes without thickness, as in 3-D acquisitions
_THICKNESS_MM = (2.0, 6.5)
_THIN_APART_MM = (2.5, 4.5)  # between planes of 3-D acquisitions: the detector uses neighbours at about this distance
_GAP = (1.0, 1.35)  # spacing of thick slices, in slice thicknesses
_WELL_FORMED = 0.5  # fraction of spines with a well-formed S1-S2 disc: more than in people, to learn that S2 is not S1
_OUTERMOST = 0.3  # fraction of stacks whose first or last slice, which lacks a neighbour, is used as well
_PIXEL_MM = (0.58, 0.66)
_FIELDS = ("tissue", "structures", "instance", "pixel_mm", "corners_px", "origin_mm", "centres_px", "distance_mm")
_NEIGHBOUR_FIELDS = ("tissue", "instance")  # fields stored for each neighbour


def random_canvas(spine: SyntheticSpine, rng: np.random.Generator) -> Canvas:
    """Draw a random sagittal plane at a random vertebra, through its centre or to the side of it."""
    body = spine.vertebrae[_around(spine, rng)]
    far = _BEYOND * max(body.half_width, 14)
    beside = rng.normal(0, 5) if rng.random() < _NEAR_MIDLINE else rng.uniform(-far, far)
    thickness = 0.0 if rng.random() < _THIN else float(rng.uniform(*_THICKNESS_MM))
    return canvas_at(spine, body.centre + [beside, 0, 0], thickness, float(rng.uniform(*_PIXEL_MM)))


def random_stack(spine: SyntheticSpine, rng: np.random.Generator, slices: int) -> list[Canvas]:
    """Draw adjacent sagittal slices at a random vertebra, each with its two neighbours.

    Parameters
    ----------
    spine : SyntheticSpine
    rng : numpy.random.Generator
    slices : int
        Number of slices; the outermost ones are mostly used as neighbours only.

    Returns
    -------
    list of Canvas
        From right to left.
    """
    body = spine.vertebrae[_around(spine, rng)]
    far = _BEYOND * max(body.half_width, 14)
    beside = rng.normal(0, 5) if rng.random() < _NEAR_MIDLINE else rng.uniform(-far, far)
    thickness = 0.0 if rng.random() < _THIN else float(rng.uniform(*_THICKNESS_MM))
    apart = float(rng.uniform(*_GAP)) * thickness if thickness else 0.0
    apart = apart if apart >= 3.0 else float(rng.uniform(*_THIN_APART_MM))
    places = beside + apart * (np.arange(slices) - rng.uniform(0, slices - 1))
    pixel = float(rng.uniform(*_PIXEL_MM))
    alone: list[Canvas | None] = [canvas_at(spine, body.centre + [x, 0, 0], thickness, pixel) for x in places]
    together = [
        replace(canvas, neighbours=(before, after), distance_mm=apart)
        for before, canvas, after in zip([None, *alone], alone, [*alone[1:], None])
        if canvas is not None
    ]
    ends = rng.random(2) < _OUTERMOST
    kept = [k for k in range(slices) if slices < 3 or 0 < k < slices - 1 or ends[int(k > 0)]]
    return [together[k] for k in kept]


def canvas_at(spine: SyntheticSpine, place_mm: np.ndarray, thickness_mm: float, pixel_mm: float = 0.62) -> Canvas:
    """Draw the sagittal plane through a point (LPS, mm), as large as a tile at this point can need."""
    x, y, z = (float(v) for v in place_mm)
    return draw_slice(
        spine,
        x,
        z_range_mm=(z - _WINDOW_MM["down"], z + _WINDOW_MM["up"]),
        y_range_mm=(y - _WINDOW_MM["front"], y + _WINDOW_MM["behind"]),
        thickness_mm=thickness_mm,
        planes=3 if thickness_mm else 1,
        pixel_mm=pixel_mm,
    )


def _around(spine: SyntheticSpine, rng: np.random.Generator) -> int:
    """Return a random vertebra; low and high ones are more frequent, because levels are counted from them."""
    n = len(spine.vertebrae)
    place = rng.random()
    if place < _ANCHORS[0]:
        return int(rng.integers(0, 5))
    if place < sum(_ANCHORS):
        return int(rng.integers(n - 5, n))
    return int(rng.integers(4, n - 3))


def drawn_canvases(rng: np.random.Generator, planes_per_spine: int, stacked: bool = False) -> Iterator[Canvas]:
    """Yield random planes of random spines endlessly, single or in stacks of neighbours."""
    while True:
        spine = random_spine(rng, well_formed=_WELL_FORMED)
        if stacked:
            yield from random_stack(spine, rng, planes_per_spine)
        else:
            for _ in range(planes_per_spine):
                yield random_canvas(spine, rng)


class CanvasFolder:
    """Canvases stored on disk, to draw each once and use it in many runs.

    Parameters
    ----------
    folder : Path
        Created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def paths(self) -> list[Path]:
        """Return the files of all complete canvases, sorted."""
        return sorted(self.folder.glob("*.npz"))

    def write(self, canvas: Canvas, name: str) -> Path:
        """Store a canvas atomically."""
        path = self.folder / f"{name}.npz"
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            with temporary.open("wb") as stream:
                values = {field: getattr(canvas, field) for field in _FIELDS}
                for k, neighbour in enumerate(canvas.neighbours):
                    if neighbour is not None:
                        values.update({f"{field}_{k}": getattr(neighbour, field) for field in _NEIGHBOUR_FIELDS})
                np.savez_compressed(stream, **values)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @staticmethod
    def read(path: Path) -> Canvas:
        """Read a stored canvas.

        Raises
        ------
        ValueError
            If the file is not a complete canvas.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                values = {field: stored[field] for field in _FIELDS}
                sides = [
                    {field: stored[f"{field}_{k}"] for field in _NEIGHBOUR_FIELDS} if f"tissue_{k}" in stored else None
                    for k in range(2)
                ]
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a complete canvas ({error}); delete it to draw a new one.") from error
        canvas = Canvas(**{**values, **{name: float(values[name]) for name in ("pixel_mm", "distance_mm")}})
        pair = [None if side is None else replace(canvas, **side) for side in sides]
        return replace(canvas, neighbours=(pair[0], pair[1]))


def kept_canvases(
    folder: CanvasFolder, rng: np.random.Generator, planes_per_spine: int, enough: int, stacked: bool = False
) -> Iterator[Canvas]:
    """Yield canvases: new ones, stored in a folder until it holds `enough`, then stored ones in random order."""
    new = drawn_canvases(rng, planes_per_spine, stacked)
    while True:
        paths = folder.paths()
        if len(paths) < enough:
            canvas = next(new)
            with contextlib.suppress(OSError):  # a full disk must not end the training
                folder.write(canvas, f"{rng.integers(2**62):016x}")
            yield canvas
        else:
            order = rng.permutation(len(paths))
            for index in order:
                yield folder.read(paths[index])
