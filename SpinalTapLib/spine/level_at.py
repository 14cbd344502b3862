"""Tell what a plane or a point in the body shows: a vertebra, one of its halves, a disc, or a range of vertebrae.

Works on the corners of the vertebrae alone, so that a slice of any scan in the same frame of reference can be named
while the user scrolls. Each body and each disc is a block between its four corners on the mid-slice, as wide as
`HALF_WIDTH` says; a plane shows the block in which it cuts the largest area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .confidence import WORDS, word_of
from .notes import Note
from .vertebra import Spine, Vertebra

HALF_WIDTH = 0.6
"""Half the width of a body over its depth. Width over depth is 1.0-1.5 from C3 to S1 (sizes of Panjabi et al., Spine
16:861 and 16:888, 1991, and 17:299, 1992). It matters only for planes along the spine."""
CANAL_DEPTH = 0.6
"""How far behind a body a point still belongs to it, over the body's depth: the canal."""
ALONG = 0.5
"""Sine of the angle between plane and spine below which the plane runs along the spine (30 degrees)."""
HOLLOW = (0.013, 0.028)
"""Mean depth of the hollow in the upper and in the lower endplate of a body, over the body's depth: two thirds of the
greatest depth, 0.7 and 1.5 mm in lumbar bodies (PMC3481085). A disc reaches that far beyond the line between two
corners."""
LEAST_AREA = 0.15
"""Least area of a cut, over the block's own area seen from above, that counts as shown."""
MIDDLE = (0.4, 0.6)
"""Part of a body's height that is called neither its lower nor its upper half."""
DENS_HEIGHT, DENS_DEPTH = 0.85, 0.6
"""Height and depth of the dens above the body of C2, over the depth of that body (some 13 and 9 of 16 mm)."""
THICKEST_DISC = 0.8
"""Height of the space between two bodies, over the height of the taller one, above which it is no single disc; that
of the thickest discs is half of it (L4-L5, C2-C3)."""

_REACH_MM = 3.0  # distance from the plane at which a sample point no longer counts; the samples are no further apart
_UP, _BACK, _SIDE = 12, 9, 5  # sample points of a block along its height, depth and width


@dataclass(frozen=True)
class Plane:
    """The plane of an image, LPS, mm.

    Attributes
    ----------
    point_lps_mm : ndarray, shape (3,)
        A point on the plane; the centre of the image if `axes` are given.
    normal : ndarray, shape (3,)
        Perpendicular to the plane, of any length above zero.
    axes : ndarray, shape (2, 3), or None
        Unit vectors along the image's two edges; None for an unlimited plane.
    half_size_mm : tuple of float
        Half the image's size along the two axes.
    """

    point_lps_mm: np.ndarray
    normal: np.ndarray
    axes: np.ndarray | None = None
    half_size_mm: tuple[float, float] = (np.inf, np.inf)

    def __post_init__(self) -> None:
        values = np.concatenate([np.ravel(self.point_lps_mm), np.ravel(self.normal)]).astype(float)
        if values.shape != (6,) or not np.isfinite(values).all() or not np.linalg.norm(values[3:]) > 0:
            raise ValueError(
                "A plane needs a point and a normal of three finite numbers each, the normal longer than zero; got "
                f"{np.ravel(self.point_lps_mm).tolist()} and {np.ravel(self.normal).tolist()}."
            )

    @property
    def unit_normal(self) -> np.ndarray:
        """The normal, of length 1, shape (3,)."""
        normal = np.asarray(self.normal, float)
        return normal / np.linalg.norm(normal)

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Return the distances of points, shape (..., 3), from the plane, mm, positive on the normal's side."""
        return (points - np.asarray(self.point_lps_mm, float)) @ self.unit_normal

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return which points, shape (..., 3), lie over the image's area, shape (...)."""
        if self.axes is None:
            return np.ones(points.shape[:-1], bool)
        offsets = np.abs((points - np.asarray(self.point_lps_mm, float)) @ np.asarray(self.axes, float).T)
        return (offsets <= np.asarray(self.half_size_mm)).all(-1)


@dataclass(frozen=True)
class Shown:
    """What a plane or a point shows.

    Attributes
    ----------
    levels : tuple of str
        The vertebra, or all of those that a plane along the spine cuts, from the bottom up; for a disc, the vertebrae
        above and below it, from the bottom up.
    is_disc : bool
        Whether it is the disc between the two `levels`.
    part : str
        ``"upper half"``, ``"lower half"``, ``"dens"``, or an empty text for the middle of a body and everything else.
    point_lps_mm : ndarray, shape (3,)
        The middle of what is shown, LPS, mm.
    nearest_disc : str
        The disc whose centre is nearest to the plane or point (``"L4-L5"``); empty if no disc is known.
    distance_mm : float
        Distance of that centre from the plane or point, mm; NaN without a disc.
    angle_deg : float
        Angle between the plane and that disc's plane, 0-90 degrees; NaN for a point or without a disc.
    words : str
        How sure the level is, one of `confidence.WORDS`: that of the least sure one of `levels`.
    """

    levels: tuple[str, ...]
    is_disc: bool
    part: str
    point_lps_mm: np.ndarray
    nearest_disc: str
    distance_mm: float
    angle_deg: float
    words: str

    @property
    def text(self) -> str:
        """``"L4-L5 disc"``, ``"L4, upper half"``, ``"L4"``, or ``"T12 to S1"`` for a plane along the spine."""
        low, high = self.levels[0], self.levels[-1]
        if self.is_disc:
            return f"{high}-{low} disc"
        if low != high:
            return f"{high} to {low}"
        return f"{low}, {self.part}" if self.part else low

    @property
    def cautious_text(self) -> str:
        """The text, with ``" (likely)"`` or ``" (check)"`` where the level is not sure."""
        return self.text if self.words == WORDS[0] else f"{self.text} ({self.words})"


@dataclass(frozen=True)
class _Block:
    """A body, a disc or the dens: its names from the bottom up (None: not known), its corners (4, 3), and its words."""

    levels: tuple[str | None, ...]
    corners: np.ndarray
    words: str
    is_dens: bool = False

    @property
    def is_disc(self) -> bool:
        return len(self.levels) == 2


class LevelMap:
    """The bodies and discs of a spine, ready to name planes and points.

    Parameters
    ----------
    spine : Spine
        Vertebrae from the bottom up. Those without a level take up their place but give no name.

    Examples
    --------
    >>> LevelMap(spine).at(Plane(point_lps_mm, normal)).text
    'L4-L5 disc'
    """

    def __init__(self, spine: Spine) -> None:
        self._blocks = _blocks_of(spine)
        corners = np.array([block.corners for block in self._blocks]).reshape(-1, 4, 3)
        self._corners = corners
        front, behind = (corners[:, 0] + corners[:, 3]) / 2, (corners[:, 1] + corners[:, 2]) / 2
        above, below = corners[:, :2].mean(1), corners[:, 2:].mean(1)
        self._up, self._height = _directions(above - below)
        self._back, self._depth = _directions(behind - front)
        self._left = _directions(np.cross(self._back, self._up))[0]
        self._half_width = HALF_WIDTH * self._depth
        self._centres = corners.mean(1)
        self._points = _sampled(corners, self._left * self._half_width[:, None])
        self._discs = np.array([block.is_disc and None not in block.levels for block in self._blocks], bool)

    def at(self, place: Plane | np.ndarray) -> Shown | None:
        """Return what a plane or a point (LPS, mm) shows, or None where nothing is known.

        Raises
        ------
        ValueError
            If the place is neither a `Plane` nor three finite numbers.
        """
        if isinstance(place, Plane):
            return self._at_plane(place) if self._blocks else None
        point = np.asarray(place, dtype=float)
        if point.shape != (3,) or not np.isfinite(point).all():
            raise ValueError(f"A point needs three finite numbers (LPS, mm); got {point.tolist()}.")
        return self._at_point(point) if self._blocks else None

    def _at_plane(self, plane: Plane) -> Shown | None:
        """Choose the block with the largest cut, or all bodies that a plane along the spine cuts."""
        weights = np.clip(1 - np.abs(plane.distances(self._points)) / _REACH_MM, 0, None)
        weights *= plane.contains(self._points)
        from_above = 2 * self._half_width * self._depth
        areas = weights.mean(1) * from_above * self._height / _REACH_MM
        areas[areas < LEAST_AREA * from_above] = 0
        if not areas.any():
            return None
        steepness = np.abs(self._up @ plane.unit_normal)
        if areas @ steepness < ALONG * areas.sum():
            chosen = np.array([i for i, block in enumerate(self._blocks) if areas[i] and not block.is_disc], int)
        else:
            chosen = np.array([areas.argmax()])
        chosen = chosen[[None not in self._blocks[i].levels for i in chosen]] if len(chosen) else chosen
        if not len(chosen):
            return None
        middle = np.average(self._points[chosen].reshape(-1, 3), axis=0, weights=weights[chosen].ravel())
        share = weights[chosen[0]].reshape(_UP, -1).sum(1) @ _fractions(_UP) / weights[chosen[0]].sum()
        single = len(chosen) == 1 and steepness[chosen[0]] >= ALONG
        return self._shown(chosen, middle, share if single else 0.5, plane)

    def _at_point(self, point: np.ndarray) -> Shown | None:
        """Choose the block between whose endplates a point lies, inside the body or disc or the canal behind it."""
        offsets = point - self._centres
        backwards = np.einsum("ni,ni->n", offsets, self._back) / self._depth
        sideways = np.abs(np.einsum("ni,ni->n", offsets, self._left))
        below_top = -self._beyond(point, 0, 1)
        above_bottom = self._beyond(point, 3, 2)
        inside = (np.abs(backwards - CANAL_DEPTH / 2) <= 0.5 + CANAL_DEPTH / 2) & (sideways <= self._half_width)
        margin = np.where(inside, np.minimum(below_top, above_bottom), -np.inf)
        best = int(margin.argmax())
        if margin[best] < 0 or None in self._blocks[best].levels:
            return None
        share = above_bottom[best] / max(above_bottom[best] + below_top[best], 1e-9)
        return self._shown(np.array([best]), point, share, point)

    def _beyond(self, point: np.ndarray, front: int, rear: int) -> np.ndarray:
        """Return how far a point lies above each block's endplate between two of its corners, mm, shape (n,)."""
        plates = self._corners[:, rear] - self._corners[:, front]
        normals = _directions(np.cross(self._left, plates))[0]
        return np.einsum("ni,ni->n", point - self._corners[:, front], normals)

    def _shown(self, chosen: np.ndarray, middle: np.ndarray, share: float, place: Plane | np.ndarray) -> Shown:
        blocks = [self._blocks[i] for i in chosen]
        is_disc = len(blocks) == 1 and blocks[0].is_disc
        part = "" if is_disc or MIDDLE[0] <= share <= MIDDLE[1] else ("upper" if share > 0.5 else "lower") + " half"
        if blocks[-1].is_dens:
            part = "dens"
        return Shown(
            levels=tuple(dict.fromkeys(str(name) for block in blocks for name in block.levels)),
            is_disc=is_disc,
            part=part,
            point_lps_mm=middle,
            words=max((block.words for block in blocks), key=WORDS.index),
            **self._nearest_disc(middle, place),
        )

    def _nearest_disc(self, middle: np.ndarray, place: Plane | np.ndarray) -> dict:
        """Return the entries of `Shown` on the disc nearest to the middle of what is shown."""
        if not self._discs.any():
            return {"nearest_disc": "", "distance_mm": np.nan, "angle_deg": np.nan}
        away = np.where(self._discs, np.linalg.norm(self._centres - middle, axis=1), np.inf)
        nearest = int(away.argmin())
        low, high = self._blocks[nearest].levels
        distance, angle = float(away[nearest]), np.nan
        if isinstance(place, Plane):
            distance = abs(float(place.distances(self._centres[nearest])))
            cosine = abs(float(self._up[nearest] @ place.unit_normal))
            angle = float(np.degrees(np.arccos(min(cosine, 1.0))))
        return {"nearest_disc": f"{high}-{low}", "distance_mm": distance, "angle_deg": angle}


def level_at(spine: Spine, place: Plane | np.ndarray) -> Shown | None:
    """Return what a plane or a point shows; see `LevelMap`, which is faster for many places.

    Parameters
    ----------
    spine : Spine
        Vertebrae from the bottom up, LPS, mm.
    place : Plane or ndarray, shape (3,)
        A plane, or a point in LPS, mm.

    Returns
    -------
    Shown or None
        None where nothing is known: beside or beyond the vertebrae, in a gap of the count, or at a vertebra without
        a level.

    Raises
    ------
    ValueError
        If the place is neither.
    """
    return LevelMap(spine).at(place)


def _blocks_of(spine: Spine) -> list[_Block]:
    """Return the bodies and discs from the bottom up."""
    blocks: list[_Block] = []
    below: Vertebra | None = None
    for vertebra in spine.vertebrae:
        words, corners = word_of(vertebra, spine), _without_hollows(vertebra)
        if below is not None and _has_disc(below, vertebra):
            gap = np.array([*corners[[3, 2]], *blocks[-1].corners[[1, 0]]])
            least = max(words, blocks[-1].words, key=WORDS.index)
            blocks.append(_Block((below.level, vertebra.level), gap, least))
        blocks.append(_Block((vertebra.level,), corners, words))
        below = vertebra
    if below is not None and below.level == "C2":
        blocks.append(_Block(("C2",), _dens(below), blocks[-1].words, is_dens=True))
    return [block for block in blocks if np.isfinite(block.corners).all()]


def _without_hollows(vertebra: Vertebra) -> np.ndarray:
    """Return the corners of a body, shape (4, 3), its endplates moved inwards by the mean depth of their hollows."""
    inwards = np.array([-HOLLOW[0], -HOLLOW[0], HOLLOW[1], HOLLOW[1]]) * vertebra.depth_mm
    return np.asarray(vertebra.corners_lps_mm, float) + inwards[:, None] * vertebra.up


def _dens(axis: Vertebra) -> np.ndarray:
    """Return the corners of the dens, shape (4, 3), upon the middle of the body of C2."""
    front, behind = np.asarray(axis.corners_lps_mm[:2], float)
    side, height = (behind - front) * DENS_DEPTH / 2, DENS_HEIGHT * axis.depth_mm * axis.up
    foot = (front + behind) / 2
    return np.array([foot - side + height, foot + side + height, foot + side, foot - side])


def _has_disc(below: Vertebra, vertebra: Vertebra) -> bool:
    """Return whether the space between two vertebrae is a single disc."""
    space = np.linalg.norm(vertebra.corners_lps_mm[2:].mean(0) - below.corners_lps_mm[:2].mean(0))
    too_thick = space > THICKEST_DISC * max(below.height_mm, vertebra.height_mm)
    return vertebra.level != "C1" and Note.MISSING_BELOW not in vertebra.flags and not too_thick


def _directions(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors, shape (n, 3), and lengths, shape (n,), of vectors, shape (n, 3)."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1), 1e-9)
    return vectors / lengths[..., None], lengths


def _fractions(count: int) -> np.ndarray:
    """Return the middles of `count` equal parts of 0-1, shape (count,)."""
    return (np.arange(count) + 0.5) / count


def _sampled(corners: np.ndarray, to_side: np.ndarray) -> np.ndarray:
    """Return points that fill blocks evenly, shape (n, points, 3); the height, bottom to top, varies slowest."""
    up, back = np.meshgrid(_fractions(_UP), _fractions(_BACK), indexing="ij")
    weights = np.stack([up * (1 - back), up * back, (1 - up) * back, (1 - up) * (1 - back)], -1)
    flat = np.einsum("ubc,ncx->nubx", weights, corners)
    side = 2 * _fractions(_SIDE) - 1
    points = flat[:, :, :, None] + side[:, None] * to_side[:, None, None, None]
    return points.reshape(len(corners), _UP * _BACK * _SIDE, 3)
