"""Canvases: an endless supply of random sagittal slices, drawn anew or kept on disk for later."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .anatomy import SyntheticSpine, random_spine
from .drawing import Canvas, draw_slice

_MARGIN_MM = {"below": (60.0, 150.0), "above": (40.0, 100.0), "front": (90.0, 190.0), "behind": (60.0, 125.0)}
# How far beyond the bodies' centres a canvas reaches (drawn evenly): tiles see the pelvis, the skull, the belly's skin
# and the air behind the back, and sometimes the end of the image.

_NEAR_MIDLINE = 0.45  # share of planes within some 6 mm of a body's middle; the rest lie anywhere up to past its sides
_LATERAL_MM = 36.0
_THIN = 0.3  # share of planes without thickness, as from 3-D acquisitions
_THICKNESS_MM = (2.0, 6.0)
_PIXEL_MM = (0.6, 0.72)
_FIELDS = ("tissue", "structure", "instance", "pixel_mm", "corners_px", "origin_mm")


def random_canvas(spine: SyntheticSpine, rng: np.random.Generator) -> Canvas:
    """Draw a random plane of a spine, through the middle of a random body or beside it."""
    centres = np.array([body.centre for body in spine.vertebrae])
    x = centres[rng.integers(len(centres)), 0]
    x += rng.normal(0, 6) if rng.random() < _NEAR_MIDLINE else rng.uniform(-_LATERAL_MM, _LATERAL_MM)
    low, high = centres.min(0), centres.max(0)
    margin = {side: rng.uniform(*span) for side, span in _MARGIN_MM.items()}
    thin = rng.random() < _THIN
    return draw_slice(
        spine,
        float(x),
        z_range_mm=(low[2] - margin["below"], high[2] + margin["above"]),
        y_range_mm=(low[1] - margin["front"], high[1] + margin["behind"]),
        thickness_mm=0.0 if thin else float(rng.uniform(*_THICKNESS_MM)),
        planes=1 if thin else 3,
        pixel_mm=float(rng.uniform(*_PIXEL_MM)),
    )


def drawn_canvases(rng: np.random.Generator, planes_per_spine: int) -> Iterator[Canvas]:
    """Yield random planes of random spines, for ever."""
    while True:
        spine = random_spine(rng)
        for _ in range(planes_per_spine):
            yield random_canvas(spine, rng)


class CanvasFolder:
    """Canvases kept on disk: each is drawn once and used in many runs.

    Parameters
    ----------
    folder : Path
        Made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def paths(self) -> list[Path]:
        """Return the files of all whole canvases, sorted."""
        return sorted(self.folder.glob("*.npz"))

    def write(self, canvas: Canvas, name: str) -> Path:
        """Keep a canvas; the file appears whole or not at all."""
        path = self.folder / f"{name}.npz"
        temporary = path.with_suffix(f".{os.getpid()}.part")
        try:
            with temporary.open("wb") as stream:
                np.savez_compressed(stream, **{field: getattr(canvas, field) for field in _FIELDS})
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @staticmethod
    def read(path: Path) -> Canvas:
        """Read a canvas back.

        Raises
        ------
        ValueError
            If the file is not a whole canvas.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                values = {field: stored[field] for field in _FIELDS}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a whole canvas ({error}); delete it, it will be drawn again.") from error
        return Canvas(**{**values, "pixel_mm": float(values["pixel_mm"])})


def kept_canvases(
    folder: CanvasFolder, rng: np.random.Generator, planes_per_spine: int, enough: int
) -> Iterator[Canvas]:
    """Yield canvases of a folder in random order, drawing new ones until the folder holds `enough`."""
    new = drawn_canvases(rng, planes_per_spine)
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
