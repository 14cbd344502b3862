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

SURE_STEP = 0.15
"""Difference of the bone's probability, above to below, from which on the kind is certain."""


def tell_kinds_apart(maps: PartMaps) -> PartMaps:
    """Return maps whose upper-corner heatmaps are kept where bone lies below, and the lower ones where it lies above.

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
    heatmaps = maps.heatmaps.copy()
    heatmaps[:4] *= share
    return replace(maps, heatmaps=heatmaps)
