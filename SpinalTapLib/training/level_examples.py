"""Examples for the level network: candidates on synthetic spines at any field of view, each with the level it has.

A scene is three planes of a whole spine, drawn once. Many images are made of it: each has a field of view of its own
(lumbar, cervical, short stacks, the whole; S1 or C2 cut anywhere or out of view), and contrast, texture, shading,
resolution, artefacts and noise as the tiles of the part network have. The part network finds the structures in it,
which are what the level network sees. The candidates are the bodies in view with the errors of a detector, pieces of
the sacrum, and places that are no vertebra.

Levels must be read from the spine. What surrounds it is therefore shifted along the spine at random
(`SURROUNDINGS_SD`).

What an example is to be called is what a reader can tell from such a picture: near the sacrum the count from S1
upwards, near the neck that from C2 downwards, both with equal right in between; they differ only in people with a
vertebra more or fewer. At a transitional junction the target is shared with the count that starts one off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..counting.level_views import level_numbers, level_view, tilt_of
from ..counting.names import BLEND, NOTHING, SACRUM, place_classes
from ..counting.rungs import Rung
from ..detection.inference import PartInference
from ..detection.networks import LEVEL_CLASSES
from ..spine.structures import BODY_CLASSES, Structure
from .config import AppearanceConfig
from .images.appearance import render_planes
from .images.random_numbers import Chance
from .images.sequences import LEVELS_WEIGHTS
from .synthetic.body_shape import corners_in_plane
from .synthetic.drawing import Canvas, draw_slice
from .synthetic.junction import MISREAD_SHARE
from .synthetic.random_spine import SyntheticSpine, random_spine

PIXEL_MM = 1.0
APPEARANCE = AppearanceConfig()
"""How the images are made; the same for all."""

SURROUNDINGS_SD = 0.8
"""Spread of the shift of muscles, organs and vessels along the spine, levels."""

CHILD_SHARE = 0.06
"""Share of images in which the spine has the size of a child's, or in which the scale is wrong."""

LEAST_VISIBLE = 0.35
"""A body of which less lies in view is no candidate: the detector does not find it."""


@dataclass(frozen=True, eq=False)
class SpineScene:
    """Three parallel planes of one synthetic spine, from the coccyx to the skull.

    Attributes
    ----------
    canvases : tuple of Canvas
        Right, middle, left.
    apart_mm : float
        Distance of two adjacent planes.
    spine : SyntheticSpine
    rungs : tuple of Rung
        Bodies in the middle plane, px; from S3 or S4 up to C2, then the dens.
    targets : ndarray, shape (len(rungs), LEVEL_CLASSES)
        What each is to be called.
    """

    canvases: tuple[Canvas, Canvas, Canvas]
    apart_mm: float
    spine: SyntheticSpine
    rungs: tuple[Rung, ...]
    targets: np.ndarray


@dataclass(frozen=True, eq=False)
class LevelExample:
    """One thing for the level network to learn: view (9, rows, columns), numbers (5,), target (26,), all float32."""

    view: np.ndarray
    numbers: np.ndarray
    target: np.ndarray


def draw_scene(rng: np.random.Generator, well_formed: float) -> SpineScene:
    """Draw three planes of a random whole spine, near the middle of one of its bodies.

    Parameters
    ----------
    rng : numpy.random.Generator
    well_formed : float
        Share of people with a well-formed S1-S2 disc.
    """
    spine = random_spine(rng, healthy=rng.random() < 0.25, well_formed=well_formed)
    spine = replace(spine, habit={**spine.habit, "shift": float(rng.normal(0, SURROUNDINGS_SD))})
    n = len(spine.vertebrae)
    through = int(rng.integers(0, 7)) if rng.random() < 0.7 else int(rng.integers(0, n))
    x = float(spine.vertebrae[through].centre[0] + rng.normal(0, 4))
    centres = np.array([body.centre for body in spine.vertebrae])
    z_range = float(centres[0, 2] - 125), float(centres[-1, 2] + 75)
    y_range = float(centres[:, 1].min() - rng.uniform(50, 110)), float(centres[:, 1].max() + rng.uniform(50, 90))
    apart = float(rng.uniform(3.5, 7.0))
    right, middle, left = (
        draw_slice(spine, x + k * apart, z_range_mm=z_range, y_range_mm=y_range, pixel_mm=PIXEL_MM) for k in (-1, 0, 1)
    )
    rungs, targets = _rungs(spine, middle, x)
    return SpineScene((right, middle, left), apart, spine, rungs, targets)


def _rungs(spine: SyntheticSpine, canvas: Canvas, x_mm: float) -> tuple[tuple[Rung, ...], np.ndarray]:
    """Return what lies in a plane, from the bottom up, and what each is to be called."""
    rungs, targets = [], []
    below = [(body, _one(SACRUM)) for body in reversed(spine.sacrum[: 2 + int(spine.seed % 3 == 0)])]
    above = list(zip(spine.vertebrae, level_targets(spine)))
    for body, target in (*below, *above):
        points = corners_in_plane(body, x_mm)
        if points is not None:
            rungs.append(Rung(0.0, _pixels(points[:4], canvas)))
            targets.append(target)
    top = spine.vertebrae[-1]
    scale = top.depth / 13.5
    middle = top.centre + top.axes[:, 2] * (top.height / 2 + 6 * scale)
    if abs(top.centre[0] - x_mm) < 0.4 * top.half_width:  # the dens, which a detector may take for a body
        half = np.array([[-4.5, 7.5], [4.5, 7.5], [4.5, -7.0], [-4.5, -7.0]]) * scale
        corners = middle[1:] + half @ top.axes[1:, 1:].T
        rungs.append(Rung(0.0, _pixels(corners, canvas)))
        targets.append(_one(NOTHING))
    return tuple(rungs), np.array(targets).reshape(-1, LEVEL_CLASSES)


def _pixels(points_mm: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Return (row, column), px, of points (n, 2) as (y, z), mm."""
    row = (canvas.origin_mm[1] - points_mm[:, 1]) / canvas.pixel_mm
    return np.stack([row, (points_mm[:, 0] - canvas.origin_mm[0]) / canvas.pixel_mm], axis=1)


def level_targets(spine: SyntheticSpine) -> np.ndarray:
    """Return what each vertebra is to be called, shape (n, LEVEL_CLASSES): probabilities."""
    out = place_classes(len(spine.vertebrae))
    if spine.junction.misread_by:
        for place in range(BLEND[0] + 1):
            other = place - spine.junction.misread_by
            out[place] *= 1 - MISREAD_SHARE
            out[place, other if other >= 0 else SACRUM] += MISREAD_SHARE
    return out


def make_examples(
    scene: SpineScene, rng: np.random.Generator, inference: PartInference, rows: int, columns: int, times: int = 1
) -> list[LevelExample]:
    """Return an example for each candidate of one image of a scene, detected anew `times` times.

    `inference` is that of the part network, whose structures the level network sees.
    """
    images, shift = random_image(scene, rng)
    candidates = [(Rung(0.0, rung.corners - shift), target) for rung, target in zip(scene.rungs, scene.targets)]
    if rng.random() < 0.3:  # a single slice
        images = images[[1, 1, 1]]
        structures = inference(images[1]).probabilities
    else:
        images = images[::-1] if rng.random() < 0.5 else images
        structures = inference(images[1], (images[0], images[2]), scene.apart_mm).probabilities
    return [example for _ in range(times) for example in _looked_at(candidates, structures, rng, rows, columns)]


def _looked_at(
    places: list[tuple[Rung, np.ndarray]], structures: np.ndarray, rng: np.random.Generator, rows: int, columns: int
) -> list[LevelExample]:
    """Return an example for each candidate in view; `places` are quadrilaterals and what each is to be called."""
    shape = structures.shape[1:]
    candidates = [
        (_as_detected(rung, shape, rng), target) for rung, target in places if _visible(rung, shape) >= LEAST_VISIBLE
    ]
    if not candidates:
        return []
    candidates += _no_vertebrae([rung for rung, _ in places], shape, rng)
    scale = float(np.exp(rng.normal(0, 0.09)))  # a scan's own scale is right, that of a picture is estimated
    if rng.random() < CHILD_SHARE:
        scale *= float(rng.uniform(0.5, 0.9))
    lean = float(rng.normal(0, np.deg2rad(6)))
    size_known, tilt_known = rng.random() < 0.65, rng.random() < 0.75
    stretch = float(np.exp(rng.normal(0, 0.07)))
    shown = _confused(structures, rng)
    examples = []
    for rung, target in candidates:
        size_mm = rung.size * PIXEL_MM * scale * float(np.exp(rng.normal(0, 0.02))) if size_known else None
        tilt = tilt_of(rung) + lean if tilt_known else None
        view = level_view(shown, rung, rows, columns, stretch)
        examples.append(LevelExample(view, level_numbers(size_mm, tilt), target.astype(np.float32)))
    return examples


def _confused(structures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return probabilities (N_STRUCTURES, rows, columns) as of a network that mistakes or misses some structures."""
    out = structures.copy()
    if rng.random() < 0.3:  # the level must be seen from the surroundings too
        out[Structure.BODY] = out[BODY_CLASSES].sum(0)
        out[Structure.BODY + 1 : BODY_CLASSES.stop] = 0.0
    for structure in (Structure.DISC, Structure.CANAL, Structure.SACRUM, Structure.ARCH):
        if rng.random() < 0.1:
            out[structure] = 0.0
    return out


def random_image(scene: SpineScene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the three planes in a random field of view, (3, rows, columns), and its first row and column, (2,)."""
    top, bottom, left, right = _field_of_view(scene, rng)
    return _images(scene, rng, (slice(top, bottom), slice(left, right))), np.array([top, left], float)


def _one(index: int) -> np.ndarray:
    out = np.zeros(LEVEL_CLASSES)
    out[index] = 1.0
    return out


def _field_of_view(scene: SpineScene, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return the first and last row and column of a random field of view, px."""
    shape = scene.canvases[1].structure.shape
    n = len(scene.spine.vertebrae)
    middles = np.full(n, np.nan)
    for i, body in enumerate(scene.spine.vertebrae):
        middles[i] = (scene.canvases[1].origin_mm[1] - body.centre[2]) / PIXEL_MM
    pitch = -np.diff(middles, append=middles[-1] - 14 / PIXEL_MM)  # rows from each middle to the next one up
    draw = rng.random()
    if draw < 0.36:  # lumbar, S1 in view
        bottom, top = middles[0] + rng.uniform(0.9, 3.2) * pitch[0], middles[int(rng.integers(5, 10))]
    elif draw < 0.62:  # lumbar, cut through S1 or out of view
        bottom, top = middles[0] + rng.uniform(-0.75, 0.9) * pitch[0], middles[int(rng.integers(4, 10))]
    elif draw < 0.76:  # a few bodies anywhere, most of them lumbar
        low = int(rng.integers(0, 7)) if rng.random() < 0.7 else int(rng.integers(0, n - 2))
        high = min(low + int(rng.integers(2, 5)), n - 1)
        bottom, top = middles[low] + 0.5 * pitch[low], middles[high]
    elif draw < 0.88:  # cervical
        low = n - 1 - int(rng.integers(4, 11))
        bottom, top = middles[low], middles[-1] - rng.uniform(0.6, 5) * pitch[-1]
        if rng.random() > 0.7:  # the dens is cut, or C2 is out of view
            top = middles[n - 1 - int(rng.integers(0, 3))]
    elif draw < 0.94:  # thoracic
        low = int(rng.integers(4, 9))
        bottom, top = middles[low], middles[min(low + int(rng.integers(6, 13)), n - 1)]
    else:  # the whole
        bottom, top = middles[0] + rng.uniform(0, 4) * pitch[0], middles[-1] - rng.uniform(0, 5) * pitch[-1]
    bottom, top = bottom + rng.uniform(-8, 8), top - rng.uniform(-12, 12)
    first, last = int(np.clip(top, 0, shape[0] - 60)), int(np.clip(bottom, 60, shape[0]))
    if last - first < 60:
        first = max(last - 60, 0)
    columns = [r.corners[:, 1] for r in scene.rungs if first < r.centre[0] < last]
    front = min((c.min() for c in columns), default=0.3 * shape[1]) - rng.uniform(8, 160)
    back = max((c.max() for c in columns), default=0.7 * shape[1]) + rng.uniform(12, 110)
    return first, last, int(np.clip(front, 0, shape[1] - 40)), int(np.clip(back, 40, shape[1]))


def _images(scene: SpineScene, rng: np.random.Generator, window: tuple[slice, slice]) -> np.ndarray:
    """Return the three planes in a field of view as images, shape (3, rows, columns)."""
    tissue = np.stack([c.tissue[0][window] for c in scene.canvases])
    instance = np.stack([c.instance[window] for c in scene.canvases])
    rows, columns = tissue.shape[1:]
    side = max(rows, columns)
    beyond = ((0, 0), (0, side - rows), (0, side - columns))
    points = torch.from_numpy(scene.canvases[1].corners_px - [window[0].start, window[1].start])
    images = render_planes(
        torch.from_numpy(np.pad(tissue, beyond, mode="edge").astype(np.int32)),
        torch.from_numpy(np.pad(instance, beyond)),
        points.float(),
        APPEARANCE,
        LEVELS_WEIGHTS,
        Chance(int(rng.integers(2**31))),
    )
    out = images[:, :rows, :columns].numpy().copy()
    if rng.random() < 0.5:  # thick slices show some of their neighbours
        part = np.float32(rng.uniform(0, 0.5))
        out[1] = (1 - part) * out[1] + part * out[int(rng.integers(0, 2)) * 2]
    if rng.random() < 0.25:
        _darken_ends(out, rng)
    return out


def _darken_ends(images: np.ndarray, rng: np.random.Generator) -> None:
    """Black out rows at an end, or let the coil's reach fade there, in place."""
    rows = images.shape[1]
    end = int(rng.uniform(0.02, 0.25) * rows)
    fade = np.ones(rows, np.float32)
    fade[:end] = 0.0 if rng.random() < 0.5 else np.linspace(0.1, 1, end)
    images *= (fade if rng.random() < 0.5 else fade[::-1])[None, :, None]


def _visible(rung: Rung, shape: tuple[int, ...]) -> float:
    """Return the share of a quadrilateral that lies in the image."""
    t = np.linspace(0.05, 0.95, 8)
    down, back = (g.ravel()[:, None] for g in np.meshgrid(t, t, indexing="ij"))
    a, b, c, d = rung.corners
    points = (1 - down) * ((1 - back) * a + back * b) + down * (back * c + (1 - back) * d)
    return float(((points > 0) & (points < np.array(shape) - 1)).all(1).mean())


def _as_detected(rung: Rung, shape: tuple[int, ...], rng: np.random.Generator) -> Rung:
    """Return a quadrilateral with a detector's errors; one that is cut may end at the border of the image."""
    corners = rung.corners.copy()
    if rng.random() < 0.5:
        corners = np.clip(corners, 0, np.array(shape) - 1.0)
    middle = corners.mean(0)
    loose = 2.0 if rng.random() < 0.15 else 1.0
    offset = (corners - middle) * np.exp(rng.normal(0, 0.05 * loose)) * np.exp(rng.normal(0, 0.04 * loose, 2))
    offset = offset + rng.normal(0, 0.035 * loose * rung.size, (4, 2))
    middle = middle + rng.normal(0, 0.05 * loose * rung.size, 2)
    angle = np.deg2rad(rng.normal(0, 3 * loose))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Rung(0.0, middle + offset @ turn.T)


def _no_vertebrae(rungs: list[Rung], shape: tuple[int, ...], rng: np.random.Generator) -> list[tuple[Rung, np.ndarray]]:
    """Return quadrilaterals that are no vertebra: between two bodies, or away from all of them."""
    out = []
    seen = [i for i, r in enumerate(rungs) if _visible(r, shape) > 0.5]
    if len(seen) > 1 and rng.random() < 0.3:
        i = seen[int(rng.integers(len(seen) - 1))]
        if i + 1 < len(rungs):
            out.append(replace(rungs[i], corners=(rungs[i].corners + rungs[i + 1].corners) / 2))
    if seen and rng.random() < 0.3:
        model = rungs[seen[int(rng.integers(len(seen)))]]
        centre = rng.uniform(0, 1, 2) * shape
        if all(np.linalg.norm(r.centre - centre) > 1.2 * r.size for r in rungs):
            out.append(Rung(0.0, model.corners - model.centre + centre))
    return [(_as_detected(r, shape, rng), _one(NOTHING)) for r in out if _visible(r, shape) > 0.5]
