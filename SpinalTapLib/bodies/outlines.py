"""Divide the mask of bone among the vertebrae, slice by slice.

The mask does not distinguish one body from another; the quadrilaterals of the corners do. A pixel belongs to the
vertebra with the nearest quadrilateral, so fused, touching and slipped bodies are separated midway between their
facing endplates, even if the mask joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from ..spine.notes import Note
from ..spine.structures import BODY_CLASSES, Structure
from .pieces import CORNERS, FACES
from .tracks import Track, Window, soft_step, tracks_of

REACH_MM = 4.0
"""Largest extent of a body beyond the straight lines between its corners (osteophytes, convex anterior wall)."""
DENS_MM = 28.0
"""Largest extent of C2 above its corners, for the dens; applied where the mask has the class C2."""
SIDE_MM = 6.0
"""Lateral extent of an upright body beyond the last slice with corners, as corners are only annotated where a slice
shows half of the body's depth or more. For a tilted body, it is larger."""
SIDE_GROWTH_MM = 1.5
"""Largest growth of a body's contour from a slice to the next lateral one; bodies shrink towards their sides."""
LEAST_COVER = 0.5
"""Least fraction of a quadrilateral that the mask must fill; below it, the quadrilateral itself is used."""


class Member(Protocol):
    """A vertebra in one slice; `part_maps.SliceVertebra` is one."""

    @property
    def slice(self) -> int:
        """Index of the slice in the working volume."""

    @property
    def corners(self) -> np.ndarray:
        """Corners, shape (4, 2), (row, column), px, in the order of `vertebra.CORNERS`."""


class Linked(Protocol):
    """A vertebra in all its slices; `part_maps.Candidate` is one."""

    @property
    def members(self) -> Sequence[Member]:
        """The vertebra in each slice that shows it."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One structure's probability in a window of the working volume.

    Attributes
    ----------
    probability : ndarray, shape (slices, rows, columns), float32
        Above 0.5 inside; 0 outside the image. The outermost slices are empty.
    window : Window
        Position of `probability` in the working volume.
    flags : tuple of str
        Notes in plain English, such as ``"outline drawn from its corners"``.
    cut : tuple of bool
        Whether the image ends after the window's first slice, and before its last one.
    evidence : ndarray, shape of `probability`, or None
        The structure's part of the mask as the network gave it, before anything was repaired.
    """

    probability: np.ndarray
    window: Window
    flags: tuple[str, ...] = ()
    cut: tuple[bool, bool] = (False, False)
    evidence: np.ndarray | None = None


def body_outlines(
    probabilities: np.ndarray, candidates: Sequence[Linked], spacing_mm: np.ndarray
) -> tuple[Outline | None, ...]:
    """Divide the mask among the vertebrae.

    Parameters
    ----------
    probabilities : ndarray, shape (slices, n_structures, rows, columns)
        Mask classes in the order of `Structure`.
    candidates : sequence
        Linked vertebrae, from the bottom up.
    spacing_mm : ndarray, shape (3,)
        Distances of slices, rows and columns of the working volume, mm.

    Returns
    -------
    tuple of Outline or None
        One for each candidate; None if the mask shows nothing of it.
    """
    shape = (len(probabilities), *probabilities.shape[2:])
    found = tracks_of([c.members for c in candidates], shape, spacing_mm, reach_mm=REACH_MM + 3, side_mm=SIDE_MM)
    shares = {j: _Share.of(track, probabilities) for j, track in enumerate(found) if track is not None}
    for index, maps in enumerate(probabilities):
        _share_slice(maps, index, [share for share in shares.values() if share.track.window.shows(index)])
    return tuple(_tidy(shares[j], shape) if j in shares else None for j in range(len(found)))


@dataclass(frozen=True, eq=False)
class _Share:
    """A vertebra's part of the mask, in its track's window; filled slice by slice."""

    track: Track
    probability: np.ndarray
    is_c2: bool

    @classmethod
    def of(cls, track: Track, probabilities: np.ndarray) -> _Share:
        index = track.middle
        rows, columns = track.window.of_image(probabilities.shape[2:])
        body, s1, c2 = probabilities[index, BODY_CLASSES, rows, columns].astype(np.float32).sum((1, 2))
        is_c2 = bool(c2 > max(body, s1))
        track = track.taller(DENS_MM) if is_c2 else track
        return cls(track, np.zeros(track.window.shape, np.float32), is_c2)

    def at(self, index: int) -> np.ndarray:
        """Return the part in working slice `index`, shape (rows, columns); a view."""
        return self.probability[index - self.track.window.first]


def _share_slice(maps: np.ndarray, index: int, here: Sequence[_Share]) -> None:
    """Write each vertebra's part of one slice's mask, shape (n_structures, rows, columns), into its share."""
    size = maps.shape[1:]
    nearest = np.full(size, np.inf, np.float32)
    second = np.full(size, np.inf, np.float32)
    owner = np.full(size, -1, np.int32)
    for j, share in enumerate(here):
        view = share.track.window.of_image(size)
        distance = share.track.distance(index)[share.track.window.of_itself(size)]
        closer = distance < nearest[view]
        second[view] = np.where(closer, nearest[view], np.minimum(second[view], distance))
        owner[view] = np.where(closer, j, owner[view])
        nearest[view] = np.where(closer, distance, nearest[view])
    for j, share in enumerate(here):
        view, own = share.track.window.of_image(size), share.track.window.of_itself(size)
        distance = share.track.distance(index)[own]
        bone = maps[BODY_CLASSES, view[0], view[1]].astype(np.float32)
        margin = np.where(owner[view] == j, second[view] - distance, nearest[view] - distance) / 2
        reach = np.full(distance.shape, REACH_MM / share.track.pixel_mm, np.float32)
        if share.is_c2:
            reach[bone[Structure.C2 - BODY_CLASSES.start] > 0.5] = DENS_MM / share.track.pixel_mm
        limit = np.minimum(soft_step(margin), soft_step(reach - distance))
        share.at(index)[own] = np.minimum(bone.sum(0), limit)


def _tidy(raw: _Share, shape: tuple[int, ...]) -> Outline | None:
    """Return a vertebra's share as one connected piece without holes or leaks, or None.

    `shape` is that of the working volume.
    """
    evidence, share, track = raw.probability, raw.probability.copy(), raw.track
    flags = _fill_from_corners(share, track, track.window.of_itself(shape[1:]))
    _stop_leaks(share, track)
    for probability in share:
        inside = probability > 0.5
        probability[ndimage.binary_fill_holes(inside) & ~inside] = 1.0
    piece = _main_piece(share > 0.5, track)
    if piece is None:
        return None
    # Keep the edge pixels around the piece: their probabilities locate the border to parts of a pixel.
    near = ndimage.binary_dilation(ndimage.binary_dilation(piece, CORNERS), FACES)
    share = np.where(near & ((share <= 0.5) | piece), share, 0).astype(np.float32)
    cut = track.window.first < 0, track.window.first + len(share) > shape[0]
    return Outline(share, track.window, flags, cut, evidence)


def _fill_from_corners(share: np.ndarray, track: Track, image: tuple[slice, slice]) -> tuple[str, ...]:
    """Fill the quadrilateral, inside the image, where the mask misses most of it; return the note on it, if any."""
    cover = {}
    for index in track.seen:
        inside = track.distance(index)[image] < 0
        cover[index] = float((share[index - track.window.first][image][inside] > 0.5).mean()) if inside.any() else 1.0
    good = [index for index, part in cover.items() if part >= LEAST_COVER]
    weak = [i for i, part in cover.items() if part < LEAST_COVER and (not good or min(good) < i < max(good))]
    for index in weak:
        part = share[index - track.window.first][image]
        np.maximum(part, soft_step(-track.distance(index)[image]), out=part)
    return (Note.FROM_CORNERS,) if weak else ()


def _stop_leaks(share: np.ndarray, track: Track) -> None:
    """Limit the share in each slice beyond those with corners to that of the next slice further medial."""
    growth = SIDE_GROWTH_MM / track.pixel_mm
    for edge, step in ((track.seen[0], -1), (track.seen[-1], 1)):
        allowed = share[edge - track.window.first]
        for k in range(edge + step - track.window.first, edge + step * (track.side + 1) - track.window.first, step):
            if not 0 <= k < len(share):
                break
            inner = ndimage.shift(allowed, step * track.shear, order=0) > 0.5
            if inner.any():
                outside = ndimage.distance_transform_edt(~inner).astype(np.float32)
                np.minimum(share[k], soft_step(growth - outside), out=share[k])
            else:
                share[k] = 0
            allowed = np.minimum(share[k], inner)
    share[[0, -1]] = 0


def _main_piece(inside: np.ndarray, track: Track) -> np.ndarray | None:
    """Return the connected component that covers most of the quadrilaterals, or None."""
    pieces, count = ndimage.label(inside, CORNERS)
    if count == 0:
        return None
    votes = np.zeros(count + 1, int)
    for index in track.seen:
        votes += np.bincount(pieces[index - track.window.first][track.distance(index) < 0], minlength=count + 1)
    votes[0] = 0
    return pieces == votes.argmax() if votes.any() else None
