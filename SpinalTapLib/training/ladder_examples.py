"""Draw training examples for the ladder: pairs of neighbouring lumbar vertebrae, and places without a vertebra.

Only the pairs S1-L5 ... L1-T12 are used. The current vertebra is moved, rotated and scaled at random, to simulate the
errors of earlier rungs; so the network learns to correct them, and they do not add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..counting.rungs import Rung, look_at
from ..detection.networks import RUNG_OUTPUTS
from .images.contrast import draw_contrast
from .images.random_numbers import Chance
from .images.sequences import LADDER_WEIGHTS
from .synthetic.drawing import Canvas, draw_slice
from .synthetic.random_spine import SyntheticSpine, random_spine

PIXEL_MM = 0.9
TOP_RUNG = 6
"""Index of the highest vertebra used as a neighbour: T12 in most people, six rungs above S1."""

_FAR_SIZES = 0.9  # a place further than this from every vertebra has no recognisable neighbours


@dataclass(frozen=True)
class LumbarScene:
    """Three parallel planes of one synthetic lumbar spine.

    Attributes
    ----------
    canvases : tuple of Canvas
        Right, middle, left.
    spine : SyntheticSpine
    x_mm : float
        Lateral position of the middle plane, LPS.
    """

    canvases: tuple[Canvas, Canvas, Canvas]
    spine: SyntheticSpine
    x_mm: float


@dataclass(frozen=True)
class RungExample:
    """One training example of the ladder network.

    Attributes
    ----------
    crop : ndarray of float32, shape (4, side, side)
    target : ndarray of float32, shape (2, 10)
        For the neighbours above and below: corners and lateral shift, in units of the rung's size; presence, 0 or 1.
    weight : ndarray of float32, shape (2, 2)
        For the same neighbours: whether geometry and presence are known.
    """

    crop: np.ndarray
    target: np.ndarray
    weight: np.ndarray


def draw_scene(rng: np.random.Generator) -> LumbarScene:
    """Draw three planes of a random lumbar spine, near the middle of one of its bodies."""
    spine = random_spine(rng)
    through = spine.vertebrae[int(rng.integers(0, TOP_RUNG + 1))]
    x = float(through.centre[0] + rng.normal(0, 4))
    low, high = spine.vertebrae[0].centre, spine.vertebrae[TOP_RUNG + 1].centre
    z_range = float(low[2] - rng.uniform(50, 90)), float(high[2] + rng.uniform(25, 60))
    y_range = float(min(low[1], high[1]) - rng.uniform(70, 110)), float(max(low[1], high[1]) + rng.uniform(60, 90))
    apart = float(rng.uniform(3.5, 7.0))
    right, middle, left = (
        draw_slice(spine, x + k * apart, z_range_mm=z_range, y_range_mm=y_range, pixel_mm=PIXEL_MM) for k in (-1, 0, 1)
    )
    return LumbarScene((right, middle, left), spine, x)


def make_examples(scene: LumbarScene, rng: np.random.Generator, count: int, side_px: int) -> list[RungExample]:
    """Return examples of one scene, all with the same random contrast."""
    images, top, bottom = _images(scene, rng)
    rungs = [Rung(0.0, c[:4].astype(float)) if np.isfinite(c[:4]).all() else None for c in scene.canvases[1].corners_px]
    return [example for _ in range(count) if (example := _example(scene, images, rungs, (top, bottom), rng, side_px))]


def _images(scene: LumbarScene, rng: np.random.Generator) -> tuple[list[np.ndarray], float, float]:
    """Return the three planes as images, and the first and last acquired row."""
    chance = Chance(int(rng.integers(2**31)))
    means = draw_contrast(LADDER_WEIGHTS, chance, 1).mean[0].numpy()
    factors = rng.normal(1, 0.06, 256).astype(np.float32)
    factors[0] = 1
    blur, noise = rng.uniform(0.2, 1.1), float(np.exp(rng.uniform(np.log(0.008), np.log(0.10))))
    rows, columns = scene.canvases[1].structure.shape
    bias = ndimage.zoom(rng.normal(0, rng.uniform(0, 0.35), (4, 4)), (rows / 4, columns / 4), order=1)
    fall = rng.uniform(0.3, 1.0)
    shade = np.exp(bias[:rows, :columns]) * np.linspace(fall, 1, columns)[None]
    top, bottom = 0.0, float(rows)
    if rng.random() < 0.4:
        top = rng.uniform(0, 0.5) * rows
    if rng.random() < 0.2:
        bottom = rows - rng.uniform(0, 0.35) * rows
    images = []
    for canvas in scene.canvases:
        image = ndimage.gaussian_filter(means[canvas.tissue[0]] * factors[canvas.instance], blur) * shade
        image = np.hypot(image + rng.normal(0, noise, image.shape), rng.normal(0, noise, image.shape))
        image[: int(top)] = 0
        image[int(bottom) :] = 0
        images.append(image.astype(np.float32))
    return images, top, bottom


def _example(
    scene: LumbarScene, images: list[np.ndarray], rungs: list[Rung | None], rows: tuple[float, float],
    rng: np.random.Generator, side_px: int,
) -> RungExample | None:  # fmt: skip
    target, weight = np.zeros((2, RUNG_OUTPUTS), np.float32), np.zeros((2, 2), np.float32)
    seen = [r for r in rungs if r is not None]
    if not seen:
        return None
    if rng.random() < 0.12:
        start = _place_without_vertebra(seen, images[1].shape, rng)
        if start is None:
            return None
        weight[:, 1] = 1
        return RungExample(look_at(images, start, side_px), target, weight)
    index = int(rng.choice([0, 0, 1, 2, 3, 4, 5, 6]))
    current = rungs[index]
    if current is None or not rows[0] < current.centre[0] < rows[1]:
        return None
    start = _perturbed(current, rng, loose=rng.random() < (0.45 if index == 0 else 0.12))
    for side, neighbour in enumerate((index + 1, index - 1)):
        if neighbour > TOP_RUNG:
            continue  # nothing above T12 is used for training
        if neighbour < 0:
            weight[side, 1] = 1  # nothing below S1
            continue
        _set_target(target[side], weight[side], start, rungs[neighbour], scene, neighbour, rows)
    return RungExample(look_at(images, start, side_px), target, weight)


def _set_target(
    target: np.ndarray, weight: np.ndarray, start: Rung, true: Rung | None, scene: LumbarScene, index: int,
    rows: tuple[float, float],
) -> None:  # fmt: skip
    """Write what is known about one neighbour into its target and weight."""
    if true is None:
        return
    visible = np.clip((np.minimum(true.corners[:, 0].max(), rows[1]) - np.maximum(true.corners[:, 0].min(), rows[0]))
                      / np.ptp(true.corners[:, 0]), 0, 1)  # fmt: skip
    if visible < 0.3:
        weight[1] = 1
    elif visible > 0.75:
        weight[:] = 1
        shift_mm = scene.spine.vertebrae[index].centre[0] - scene.x_mm
        target[:8] = start.to_own(true.corners).ravel()
        target[8] = shift_mm / (start.size * PIXEL_MM)
        target[9] = 1


def _perturbed(rung: Rung, rng: np.random.Generator, loose: bool) -> Rung:
    """Return a rung with random errors as in a climb or, if `loose`, as in a box that a user drew around it."""
    centre, corners = rung.centre, rung.corners - rung.centre
    if loose:  # an axis-aligned box, up to 12 mm off and 40 % too large or small
        low, high = corners.min(0), corners.max(0)
        corners = np.array([[low[0], low[1]], [low[0], high[1]], [high[0], high[1]], [high[0], low[1]]])
        corners = corners * np.exp(rng.uniform(-0.45, 0.4)) * np.exp(rng.normal(0, 0.08, 2))
        centre = centre + rng.uniform(-0.42, 0.42, 2) * rung.size
        angle = np.deg2rad(rng.normal(0, 8))
    else:
        corners = corners * np.exp(rng.normal(0, 0.09)) * np.exp(rng.normal(0, 0.05, 2))
        corners = corners + rng.normal(0, 0.05 * rung.size, (4, 2))
        centre = centre + rng.normal(0, 0.10 * rung.size, 2)
        angle = np.deg2rad(rng.normal(0, 6))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Rung(rung.slice, centre + corners @ turn.T)


def _place_without_vertebra(seen: list[Rung], shape: tuple[int, ...], rng: np.random.Generator) -> Rung | None:
    """Return a quadrilateral of the size of a vertebra, far from every vertebra; None if no place is found."""
    model = seen[int(rng.integers(len(seen)))]
    for _ in range(20):
        centre = rng.uniform(0, 1, 2) * shape
        if all(np.linalg.norm(r.centre - centre) > _FAR_SIZES * 1.3 * r.size for r in seen):
            return _perturbed(Rung(0.0, model.corners - model.centre + centre), rng, loose=False)
    return None
