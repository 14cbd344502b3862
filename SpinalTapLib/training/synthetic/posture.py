"""Random supine posture: stack the vertebrae above S1, and the sacral segments below it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .body_shape import Body, Disc
from .published_sizes import SACRAL_SCALE

if TYPE_CHECKING:
    from .junction import Junction


def rotation(pitch: float, roll: float, yaw: float) -> np.ndarray:
    """Return axes (left, posterior, up as columns) pitched forward, rolled sideways, yawed about z; rad, LPS."""
    cp, sp, cr, sr, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw)
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def stand(rng: np.random.Generator, bodies: list[Body], discs: list[Disc], slips: np.ndarray) -> list[Body]:
    """Stack the bodies on S1 and tilt the column so that the neck is roughly above the sacrum, as when supine."""
    curve = _coronal_curve(rng, len(bodies))
    slope = np.deg2rad(np.clip(rng.normal(36, 9), 10, 60))
    first = _stack(bodies, discs, slips, slope, *curve)
    reach = first[-6].centre - first[0].centre
    lean = np.arctan2(-reach[1], reach[2])
    return _stack(bodies, discs, slips, slope - lean + np.deg2rad(rng.normal(2, 5)), *curve)


def _stack(
    bodies: list[Body], discs: list[Disc], slips: np.ndarray, slope: float, roll: np.ndarray, yaw: np.ndarray
) -> list[Body]:
    """Place the bodies upwards from S1, whose upper endplate has the slope `slope` (rad)."""
    n = len(bodies)
    pitch = slope + bodies[0].wedge / 2
    placed = [replace(bodies[0], axes=rotation(pitch, roll[0], yaw[0]))]
    for i in range(1, n):
        below = placed[-1]
        upper_pitch = pitch - below.wedge / 2
        middle = upper_pitch - discs[i].angle / 2
        pitch = upper_pitch - discs[i].angle - bodies[i].wedge / 2
        axes = rotation(pitch, roll[i], yaw[i])
        step = rotation(middle, (roll[i - 1] + roll[i]) / 2, (yaw[i - 1] + yaw[i]) / 2)
        centre = (
            below.centre
            + below.axes[:, 2] * below.height / 2
            + step[:, 2] * discs[i].height
            + axes[:, 2] * bodies[i].height / 2
            + step[:, 1] * (slips[i, 0] + (below.depth_upper - bodies[i].depth_lower) * 0.15)
            + step[:, 0] * slips[i, 1]
        )
        placed.append(replace(bodies[i], centre=centre, axes=axes))
    return placed


def _coronal_curve(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return roll and yaw (rad) per level: scoliotic in a third of people, otherwise nearly straight."""
    levels = np.arange(n)
    draw = rng.random()
    cobb = np.deg2rad(rng.uniform(8, 40) if draw < 0.3 else rng.uniform(0, 7))
    period = rng.uniform(9, 20)
    wave = np.sin(2 * np.pi * levels / period + rng.uniform(0, 2 * np.pi))
    roll = cobb / 2 * (wave - wave.mean()) + np.deg2rad(rng.normal(0, 1.2)) + np.deg2rad(rng.normal(0, 0.8, n))
    yaw = roll * rng.uniform(-0.1, 0.6) + np.deg2rad(rng.normal(0, 3))
    return roll, yaw


def random_sacrum(rng: np.random.Generator, first: Body, junction: Junction) -> list[Body]:
    """Place S2 to S5 and two coccygeal segments below S1 along the sacral curve; `junction` gives the S1-S2 segment."""
    bend = np.deg2rad(np.array([0, 4, 12, 20, 24, 20]) * rng.uniform(0.6, 1.4) + rng.normal(0, 3, 6))
    bend[0] -= junction.kink
    pitch = np.arctan2(first.axes[2, 1], first.axes[2, 2]) + first.wedge / 2
    roll, yaw = 0.0, 0.0
    end = first.centre - first.axes[:, 2] * first.height / 2
    below = []
    for k, scale in enumerate(SACRAL_SCALE * rng.uniform(0.92, 1.08, 6)):
        gap = rng.uniform(0.6, 2.5) if k else junction.disc_mm
        pitch = pitch - bend[k]
        axes = rotation(pitch, roll, yaw)
        height = first.height * (0.88 if k < 4 else 0.5) * (0.45 + 0.55 * scale)
        depth = first.depth_lower * scale / SACRAL_SCALE[0] * junction.s2_depth
        width = first.width_lower * (0.5 + 0.5 * scale)
        middle = end - axes[:, 2] * (gap + height / 2)
        below.append(
            Body(
                name=f"S{k + 2}" if k < 4 else "Co",
                centre=middle,
                axes=axes,
                height=height,
                wedge=np.deg2rad(rng.uniform(2, 8)),
                depth_upper=depth,
                depth_lower=depth * 0.85,
                width_upper=width,
                width_lower=width * 0.9,
                concavity_upper=0.0,
                concavity_lower=0.0,
                waist=0.4,
                kidney=0.4,
            )
        )
        end = middle - axes[:, 2] * height / 2
    return below
