"""Link the vertebrae of neighbouring slices into vertebrae in three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scans.volume import SagittalVolume
from ..spine import quadrilaterals as quads
from ..spine.notes import Note
from ..spine.vertebra import CORNERS
from .backbone import FollowedBodies, backbone, gaps_on
from .chains import Outlines, follow
from .part_maps import Candidate, Detections, SliceVertebra

MIN_EXTENT_MM, MIN_EXTENT_OF_DEPTH = 8.0, 0.45
"""Least lateral extent: 8 mm, or 45 % of the depth if that is smaller (cervical bodies of children)."""

THICK_SLICE_MM = 5.0
"""Slice distance from which a body may appear in a single slice only, so that no lateral extent is required."""

CENTRAL_PART = 0.5
"""Fraction of a body's slices, around its middle, from which the corners are taken; at least three slices."""

FULL_EXTENT_MM = 16.0
"""Lateral extent from which a body's score counts in full."""

STANDING_COST = 0.2
"""Least score, weighted by lateral extent over `FULL_EXTENT_MM`, of a body that is added to an end of the spine."""

EDGE_MM = 2.0
"""Distance of a corner from the border of the image below which the body may be cut off."""


@dataclass(frozen=True, eq=False)
class _Fit:
    """A body fitted to a chain of outlines, in its middle slice; positions are (row, column), mm."""

    members: tuple[SliceVertebra, ...]
    across: float
    centroid: np.ndarray
    corners: np.ndarray
    drift: np.ndarray
    central: tuple[SliceVertebra, ...]
    extent: float

    @property
    def score(self) -> float:
        """Mean score of the central outlines."""
        return float(np.mean([m.score for m in self.central]))

    @property
    def up(self) -> np.ndarray:
        """Unit axis of the body, (across, row, column): in the slice from the corners, across slices from the drift."""
        row, column = quads.up(self.corners)
        axis = np.array([-(row * self.drift[0] + column * self.drift[1]), row, column])
        return axis / np.linalg.norm(axis)


def link(detections: Detections) -> tuple[Candidate, ...]:
    """Return the vertebrae of a volume, from the bottom up along the spine.

    Parameters
    ----------
    detections : Detections

    Returns
    -------
    tuple of Candidate
        Without bodies of too small a lateral extent and those that do not fit the spine. Each centre lies half-way
        between the outermost slices that show the body; `centring.recentred` refines it.
    """
    working = detections.working
    slice_mm, *pixel_mm = (float(v) for v in working.spacing_mm)
    members = detections.vertebrae
    if not members:
        return ()
    outlines = Outlines(
        np.array([m.slice for m in members]),
        np.array([m.corners for m in members]) * pixel_mm,
        np.array([m.centroid for m in members]) * pixel_mm,
        slice_mm,
    )
    chains, drifts = follow(outlines)
    fits = [_fit(members, outlines, drifts, chain) for chain in chains]
    bodies = _bodies(fits)
    way = _without_narrow_ends(backbone(bodies), [_is_wide(f, working) for f in fits])
    gaps = [False, *gaps_on(way, bodies).tolist()]
    return tuple(_candidate(fits[i], detections, gap) for i, gap in zip(way, gaps))


def _is_wide(fit: _Fit, working: SagittalVolume) -> bool:
    """Return whether the lateral extent of a body is large enough for an end of the spine."""
    slice_mm = float(working.spacing_mm[0])
    if slice_mm >= THICK_SLICE_MM:
        return True
    least = min(MIN_EXTENT_MM, MIN_EXTENT_OF_DEPTH * float(quads.depth(fit.corners)))
    return fit.extent >= min(least, slice_mm * len(working.array) / 2)


def _without_narrow_ends(way: np.ndarray, wide: list[bool]) -> np.ndarray:
    """Return the path from its first to its last wide body.

    A narrow body between two wide ones is kept, as most of it was probably missed; at the ends it has no such support.
    """
    places = [i for i, k in enumerate(way) if wide[k]]
    return way[places[0] : places[-1] + 1] if places else way[:0]


def _fit(members: tuple[SliceVertebra, ...], outlines: Outlines, drifts: np.ndarray, chain: np.ndarray) -> _Fit:
    """Return one body: the median of its central outlines, each moved to the middle slice along the drift.

    The centre is the mean of two estimates with independent errors: the centroid's peak and the mean of the corners.
    """
    across = outlines.across[chain]
    middle = (across[0] + across[-1]) / 2
    count = max(3, round(CENTRAL_PART * len(chain)))
    central = chain[np.sort(np.argsort(np.abs(across - middle), kind="stable")[:count])]
    drift = np.median(drifts[chain], axis=0)
    shift = (middle - outlines.across[central])[:, None] * drift
    corners = outlines.corners[central] + shift[:, None]
    return _Fit(
        members=tuple(members[i] for i in chain),
        across=float(middle),
        centroid=np.median((outlines.centroids[central] + outlines.corners[central].mean(1)) / 2 + shift, axis=0),
        corners=_median_of_seen(corners, _seen([members[i] for i in central])),
        drift=drift,
        central=tuple(members[i] for i in central),
        extent=float(across[-1] - across[0]) + outlines.slice_mm,
    )


def _seen(members: list[SliceVertebra]) -> np.ndarray:
    """Return which corners were detected rather than rebuilt, bool, (n, 4)."""
    return np.array([[name not in m.rebuilt for name in CORNERS] for m in members])


def _median_of_seen(corners: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the median of each corner, (4, 2), over the slices that show it, or over all slices if none does."""
    use = seen | ~seen.any(0)
    return np.nanmedian(np.where(use[..., None], corners, np.nan), axis=0)


def _bodies(fits: list[_Fit]) -> FollowedBodies:
    """Return the fitted bodies as the input of `backbone`, with reduced scores for narrow ones."""
    corners = np.array([f.corners for f in fits]).reshape(-1, 4, 2)
    return FollowedBodies(
        centroids=np.array([[f.across, *f.centroid] for f in fits]).reshape(-1, 3),
        up=np.array([f.up for f in fits]).reshape(-1, 3),
        heights=quads.height(corners),
        depths=quads.depth(corners),
        scores=np.array([f.score * min(1.0, f.extent / FULL_EXTENT_MM) - STANDING_COST for f in fits]),
    )


def _candidate(fit: _Fit, detections: Detections, gap: bool) -> Candidate:
    """Return a fitted body as a candidate in LPS, mm, with its flags."""
    working = detections.working
    spacing = working.spacing_mm
    mid_slice = int(np.clip(np.rint(fit.across / spacing[0]), 0, len(working.array) - 1))
    corners = fit.corners + (mid_slice * spacing[0] - fit.across) * fit.drift
    index = np.column_stack((np.full(4, mid_slice), corners / spacing[1:]))
    centroid = np.array([fit.across, *fit.centroid]) / spacing
    return Candidate(
        members=fit.members,
        centroid_lps_mm=working.to_lps(centroid),
        corners_lps_mm=working.to_lps(index),
        mid_slice=mid_slice,
        evidence=np.mean([m.evidence for m in fit.central], axis=0),
        score=fit.score,
        flags=_flags(fit, np.array(working.array.shape[1:]) * spacing[1:], gap),
        slices=tuple(m.slice for m in fit.members),
    )


def _flags(fit: _Fit, size_mm: np.ndarray, gap: bool) -> tuple[str, ...]:
    """Return the notes on one body; `size_mm`, shape (2,), is the height and width of the slices, mm."""
    cut = (fit.corners < EDGE_MM).any() or (fit.corners > size_mm - EDGE_MM).any()
    rebuilt = (~_seen(list(fit.central))).mean(0).max() > 0.5
    notes = {
        Note.ONE_SLICE: len(fit.members) == 1,
        Note.CUT: cut,
        Note.CORNER_ESTIMATED: rebuilt,
        Note.MISSING_BELOW: gap,
    }
    return tuple(note for note, present in notes.items() if present)
