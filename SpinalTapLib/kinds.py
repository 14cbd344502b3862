"""Upper and lower corners: the mask head tells which side of a corner is bone.

Upper and lower corners look alike, and a network that is not yet sure puts both kinds at both. Bone lies below an
upper corner and above a lower one, so the mask settles it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from .networks import BODY, C2, S1
from .parts import PartMaps

SMOOTHING_PX = 1.5
"""Standard deviation that the mask is smoothed with: a corner must see the inside of its body, beside it."""

STEP_PX = 3
"""The mask is compared this far above and below: more than its own blur, less than the thinnest disc and plate."""

ALIKE = 0.6
"""Cosine between two heatmaps from which on they are taken for one; maps of distinct corners stay below 0.3."""

SURE_STEP = 0.15
"""Difference of the bone's probability, above to below, from which on the kind is certain."""


def tell_kinds_apart(maps: PartMaps) -> PartMaps:
    """Return maps whose upper-corner heatmaps are kept where bone lies below, and the lower ones where it lies above.

    Maps of a network that tells the kinds apart by itself are returned as they are: its peaks are the better ones.

    Parameters
    ----------
    maps : PartMaps
        Of one slice, rows from superior to inferior.
    """
    bone = ndimage.gaussian_filter(maps.probabilities[[BODY, S1, C2]].sum(0), SMOOTHING_PX)
    padded = np.pad(bone, ((STEP_PX, STEP_PX), (0, 0)), mode="edge")
    step = padded[2 * STEP_PX :] - padded[: -2 * STEP_PX]
    upper = np.clip(0.5 + step / (2 * SURE_STEP), 0, 1)  # one half where the mask does not say: fused bodies
    share = np.stack([upper, upper, 1 - upper, 1 - upper])
    confused = _confusion(maps.heatmaps)
    heatmaps = maps.heatmaps.copy()
    heatmaps[:4] *= np.where(confused[:, None, None], share, 1)
    return replace(maps, heatmaps=heatmaps)


def _confusion(heatmaps: np.ndarray) -> np.ndarray:
    """Return which of the corner maps, shape (4,), are nearly the same as that of the other kind on their side."""
    confused = np.zeros(4, bool)
    for upper, lower in ((0, 3), (1, 2)):
        a, b = np.clip(heatmaps[upper], 0, None).ravel(), np.clip(heatmaps[lower], 0, None).ravel()
        alike = float(a @ b) / max(float(np.sqrt((a @ a) * (b @ b))), 1e-9)
        confused[[upper, lower]] = alike > ALIKE
    return confused
