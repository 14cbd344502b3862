"""Shape of a vertebral body, as an implicit function in its own frame, and parameters of the disc below it; mm.

A point has the coordinates u (left), v (posterior) and w (up) in the frame of the vertebra. `body_distance` returns the
approximate distance of points to the nearest wall, positive inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Body:
    """A vertebral body (or a sacral segment), described in its own frame.

    Attributes
    ----------
    name : str
        Level name.
    centre : ndarray, shape (3,)
        Centre of the body, LPS, mm.
    axes : ndarray, shape (3, 3)
        Unit columns: left, posterior, up, in LPS.
    height, wedge : float
        Height at the centre (mm) and angle between the endplates (rad, positive if the front is higher).
    depth_upper, depth_lower, width_upper, width_lower : float
        Sizes of the endplates, mm.
    concavity_upper, concavity_lower : float
        Depth of the concavity of the endplates, mm.
    waist : float
        Concavity of front, back and sides at mid-height, mm.
    kidney : float
        Concavity of the posterior wall in the axial plane, mm.
    uncinate : float
        Height of the uncinate processes at the sides of the upper endplate, mm (cervical).
    lip : float
        Size of the anterior osteophytes, mm.
    schmorl : tuple
        Schmorl's nodes as (u, v, upper, radius), mm; `upper` is 1 for the upper plate and -1 for the lower one.
    front_power, back_power : float
        Superellipse exponents of the anterior and posterior half of the cross-section; 2 is an ellipse.
    slant : float
        Posterior offset of the lower endplate against the upper one, mm (S1).
    """

    name: str
    centre: np.ndarray
    axes: np.ndarray
    height: float
    wedge: float
    depth_upper: float
    depth_lower: float
    width_upper: float
    width_lower: float
    concavity_upper: float = 0.7
    concavity_lower: float = 1.5
    waist: float = 1.5
    kidney: float = 1.5
    uncinate: float = 0.0
    lip: float = 0.0
    schmorl: tuple[tuple[float, float, float, float], ...] = ()
    front_power: float = 2.4
    back_power: float = 4.0
    slant: float = 0.0

    @property
    def depth(self) -> float:
        """Mean depth, mm."""
        return (self.depth_upper + self.depth_lower) / 2

    @property
    def half_width(self) -> float:
        """Half of the mean width, mm."""
        return (self.width_upper + self.width_lower) / 4

    def local(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return u, v, w of points, shape (..., 3), LPS, mm."""
        offset = points - self.centre.astype(points.dtype)
        u, v, w = np.moveaxis(offset @ self.axes.astype(points.dtype), -1, 0)
        return u, v, w


@dataclass(frozen=True)
class Disc:
    """Disc below a vertebra.

    Attributes
    ----------
    height : float
        Height at the centre, mm.
    angle : float
        Angle between the adjacent endplates, rad, positive if the front is higher.
    degeneration : float
        0 (healthy) to 1 (collapsed).
    bulge_front, bulge_back : float
        Protrusion beyond the walls of the bodies, mm.
    vacuum : bool
        Whether there is gas in the nucleus.
    fused : bool
        Whether it is bridged by bone.
    reach : float
        Fraction of the depth of the bodies that the disc fills; the rest is bone (only between S1 and S2).
    """

    height: float
    angle: float
    degeneration: float = 0.0
    bulge_front: float = 1.0
    bulge_back: float = 0.5
    vacuum: bool = False
    fused: bool = False
    reach: float = 1.0


def plates(body: Body, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the heights w (mm) of the lower and the upper endplate at points (u, v)."""
    slope = np.tan(body.wedge / 2) * v
    hollow = 1 - (u / (0.85 * body.half_width)) ** 2 - ((v - 0.08 * body.depth) / (0.45 * body.depth)) ** 2
    hollow = np.clip(hollow, 0, None) ** 0.8
    upper = body.height / 2 - slope - body.concavity_upper * hollow
    lower = -body.height / 2 + slope + body.concavity_lower * hollow
    if body.uncinate:
        side = np.clip((np.abs(u) / body.half_width - 0.6) / 0.4, 0, 1)
        upper = upper + body.uncinate * side * side
    return lower, upper


def walls(body: Body, u: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the anterior and posterior wall (v, mm) and the distance to the lateral wall (mm) at points (u, w).

    The anterior half is a superellipse, the posterior half a squarer one that is concave towards the canal. All walls
    are concave at mid-height.
    """
    half_depth, half_width, hollow = _section(body, w)
    s = np.clip(np.abs(u) / half_width, 0, 1)
    front = -half_depth * _half_superellipse(s, body.front_power) + body.waist * hollow
    t = np.clip(w / (body.height / 2), -1, 1)
    if body.lip:
        front = front - body.lip * np.exp(-(((1 - np.abs(t)) / 0.16) ** 2)) * (1 - s)
    back = half_depth * _half_superellipse(s, body.back_power) - 0.5 * body.waist * hollow
    back = back - body.kidney * np.exp(-((u / (0.42 * half_width)) ** 2))
    shift = -body.slant * t / 2
    return front + shift, back + shift, half_width - np.abs(u)


def _section(body: Body, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return half the depth and half the width (mm) at heights w, and the fraction of the waist there, 0-1."""
    t = np.clip(w / (body.height / 2), -1, 1)
    rise, hollow = (t + 1) / 2, 1 - t * t
    half_depth = (body.depth_lower + (body.depth_upper - body.depth_lower) * rise) / 2
    half_width = (body.width_lower + (body.width_upper - body.width_lower) * rise) / 2 - body.waist * 1.2 * hollow
    return half_depth, half_width, hollow


def _half_superellipse(s: np.ndarray, power: float) -> np.ndarray:
    """Return (1 - s^power)^(1 / power), 0 <= s <= 1."""
    return (1 - s**power) ** (1 / power)


def body_distance(body: Body, u: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the approximate signed distance (mm) of points to the wall of a body, positive inside."""
    lower, upper = plates(body, u, v)
    front, back, side = walls(body, u, w)
    vertical = np.minimum(upper - w, w - lower)
    # Near the sides, front and back are oblique to the sagittal plane, so the wall is nearer than along v.
    s = np.clip(np.abs(u) / body.half_width, 0, 0.97)
    ratio = body.depth / 2 / body.half_width
    powers = body.front_power, body.back_power
    before, behind = (np.hypot(1, ratio * s ** (n - 1) * (1 - s**n) ** (1 / n - 1)) for n in powers)
    horizontal = np.minimum(np.minimum((v - front) / before, (back - v) / behind), side)
    rounded = (vertical + horizontal) * 0.7071 - 0.45  # edges rounded by about 1 mm
    inside = np.minimum(np.minimum(vertical, horizontal), rounded)
    for su, sv, plate, radius in body.schmorl:
        sw = upper if plate > 0 else lower
        inside = np.minimum(inside, np.sqrt((u - su) ** 2 + (v - sv) ** 2 + (w - sw) ** 2) - radius)
    return inside


def corners_in_plane(body: Body, x_mm: float) -> np.ndarray | None:
    """Return the corners of a body in the sagittal plane x = `x_mm` (LPS, mm).

    Returns
    -------
    ndarray, shape (5, 2), or None
        (y, z) in mm of the four corners (superior anterior, superior posterior, inferior posterior,
        inferior anterior) and the centroid; None if the plane misses the body or shows less than half of
        its depth.
    """
    if abs(body.axes[0, 0]) < 0.5:
        return None
    targets = np.zeros((4, 2))
    u = np.full(4, (x_mm - body.centre[0]) / body.axes[0, 0])
    if (np.abs(u) > 0.92 * body.half_width).any():
        return None
    top = np.array([True, True, False, False])
    anterior = np.array([True, False, False, True])
    w = np.where(top, body.height / 2, -body.height / 2)
    points = np.zeros((4, 2))
    for _ in range(3):  # u depends on the position of the corner in the tilted plane
        bare = Body(**{**body.__dict__, "lip": 0.0, "schmorl": ()})
        front, back, _ = walls(bare, u, w)
        v = np.where(anterior, front, back)
        lower, upper = plates(bare, u, v)
        w = np.where(top, upper, lower)
        targets = np.stack([v, w], 1)
        points, u = _solve_plane(body, x_mm, targets)
    if (np.abs(u) > 0.9 * body.half_width).any():
        return None
    length = float(np.abs(targets[1, 0] - targets[0, 0]) + np.abs(targets[2, 0] - targets[3, 0])) / 2
    if length < 0.5 * body.depth:
        return None
    return np.vstack([points, points.mean(0)])


def _solve_plane(body: Body, x_mm: float, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, z) and u of the points of the plane whose local coordinates (v, w) are `targets`."""
    a = body.axes
    system = np.array([[a[1, 1], a[2, 1]], [a[1, 2], a[2, 2]]])
    shift = a[0, 1:] * (x_mm - body.centre[0])
    points = np.linalg.solve(system, (targets - shift).T).T
    u = a[0, 0] * (x_mm - body.centre[0]) + points @ a[1:, 0]
    return points + body.centre[1:], u
