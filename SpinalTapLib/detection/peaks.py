"""Find the peaks of a heatmap with sub-pixel precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CORNER_THRESHOLD = 0.20
"""Threshold of corner peaks. It is low, because grouping needs three corners and rejects false ones."""

CENTROID_THRESHOLD = 0.35
"""Threshold of centroid peaks: every vertebra starts from one."""

MIN_DISTANCE_PX = 5.0
"""Least distance of peaks of one kind, px of 1 mm: half the height of the smallest body (C5 of a child)."""

MAX_PEAKS = 200
"""Most peaks that are used, the highest: a slice shows 26 vertebrae at most, and the cost of spacing and grouping is
quadratic (an image of noise must not take minutes)."""

_FLOOR = 1e-3
"""Lower limit of heatmap values before their logarithm is taken."""

_STEPS = tuple((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1))


@dataclass(frozen=True)
class Peaks:
    """Local maxima of one heatmap, the highest first.

    Attributes
    ----------
    positions : ndarray, shape (n, 2)
        (row, column), px, sub-pixel; pixel centres are whole numbers.
    scores : ndarray, shape (n,)
        Heatmap value at the maximum, clipped to 0-1.
    """

    positions: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


def find_peaks(heatmap: np.ndarray, threshold: float, min_distance_px: float = MIN_DISTANCE_PX) -> Peaks:
    """Return the local maxima of a heatmap.

    Parameters
    ----------
    heatmap : ndarray, shape (rows, columns)
        Gaussian-like peaks near 1 on a background near 0.
    threshold : float
        Least height of a peak.
    min_distance_px : float
        Of two peaks closer than this, px, the lower is left out. Only the `MAX_PEAKS` highest are used.

    Returns
    -------
    Peaks
        Sorted by falling score. Positions follow from a quadratic through the logarithms of the 3 x 3 neighbours,
        which is exact for a Gaussian, and never leave the pixel.

    Raises
    ------
    ValueError
        If the heatmap does not have two axes.
    """
    if heatmap.ndim != 2:
        raise ValueError(f"A heatmap must have two axes (rows, columns); got shape {heatmap.shape}.")
    pixels, patches = _local_maxima(heatmap, threshold)
    scores = patches[:, 4]
    order = np.argsort(-scores, kind="stable")[:MAX_PEAKS]
    pixels, patches, scores = pixels[order], patches[order], scores[order]
    positions = pixels + _offsets(patches)
    kept = kept_apart(np.linalg.norm(positions[:, None] - positions[None], axis=-1) < min_distance_px)
    return Peaks(positions[kept], np.clip(scores[kept], 0.0, 1.0))


def _local_maxima(heatmap: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (n, 2) that no neighbour exceeds, and their 3 x 3 patches (n, 9), row by row.

    Only pixels above the threshold are looked at: a few hundred, where filtering the whole map would cost more
    than the rest of the grouping. Of a plateau, the first pixel in reading order counts.
    """
    padded = np.pad(heatmap.astype(float), 1, mode="edge")
    rows, columns = np.nonzero(heatmap >= threshold)
    patches = np.stack([padded[rows + 1 + r, columns + 1 + c] for r, c in _STEPS], axis=-1).reshape(-1, 9)
    centre = patches[:, 4:5]
    # The edge repeats its own value outwards, so an equal neighbour there is no rival.
    inside = np.stack(
        [
            (rows + r >= 0) & (rows + r < heatmap.shape[0]) & (columns + c >= 0) & (columns + c < heatmap.shape[1])
            for r, c in _STEPS[:4]
        ],
        axis=-1,
    )
    top = ((patches[:, :4] < centre) | ~inside).all(1) & (patches[:, 5:] <= centre).all(1)
    return np.stack((rows, columns), axis=-1)[top].astype(float).reshape(-1, 2), patches[top]


def _offsets(patches: np.ndarray) -> np.ndarray:
    """Return the sub-pixel offset of each peak, (n, 2), within +-0.5 px: the maximum of the least-squares quadratic.

    Parameters
    ----------
    patches : ndarray
        The 3 x 3 heatmap values around each peak, row by row, nine for each.
    """
    p = np.log(np.maximum(patches, _FLOOR)).reshape(-1, 3, 3)
    slope_row, slope_column = (p[:, 2] - p[:, 0]).mean(-1) / 2, (p[:, :, 2] - p[:, :, 0]).mean(-1) / 2
    bend_row = (p[:, 0] - 2 * p[:, 1] + p[:, 2]).mean(-1)
    bend_column = (p[:, :, 0] - 2 * p[:, :, 1] + p[:, :, 2]).mean(-1)
    bend_both = (p[:, 2, 2] - p[:, 2, 0] - p[:, 0, 2] + p[:, 0, 0]) / 4
    determinant = bend_row * bend_column - bend_both**2
    hill = (determinant > 1e-9) & (bend_row < 0)
    safe = np.where(hill, determinant, 1.0)
    row = (bend_both * slope_column - bend_column * slope_row) / safe
    column = (bend_both * slope_row - bend_row * slope_column) / safe
    return np.where(hill[:, None], np.clip(np.stack((row, column), axis=-1), -0.5, 0.5), 0.0)


def kept_apart(too_close: np.ndarray) -> np.ndarray:
    """Return the indices of the items to keep: greedily, those not excluded by a better one that is kept.

    Parameters
    ----------
    too_close : ndarray of bool, shape (n, n)
        The items, from best to worst; at [i, j], whether item j, if kept, excludes item i. Only j < i is used.
    """
    kept: list[int] = []
    for i, excluded_by in enumerate(too_close):
        if not excluded_by[kept].any():
            kept.append(i)
    return np.array(kept, dtype=int)
