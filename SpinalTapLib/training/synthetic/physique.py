"""Habit: what surrounds a random person's spine, as lengths, shares and phases."""

from __future__ import annotations

import numpy as np


def random_habit(rng: np.random.Generator) -> dict[str, float]:
    """Draw what surrounds the spine; lengths in mm, the rest fractions or phases."""
    u = rng.uniform
    return {
        "back_fat": float(np.exp(rng.normal(np.log(16), 0.6))),  # subcutaneous, behind the spinous tips
        "belly": float(u(70, 190)),  # from the bodies' front to the skin of the belly
        "neck": float(u(45, 75)),
        "epidural": float(u(0.0, 1.0)),  # how much of the canal is fat
        "cord_place": float(u(-0.5, 0.7)),
        "cord_depth": float(u(6.0, 9.0)),
        "conus": float(rng.normal(0.3, 0.8)),  # end of the cord, levels above L1's middle
        "roots": float(u(0, 1)),
        "sac_end": float(u(-2.6, -0.6)),  # end of the dural sac, sacral segments
        "aorta_side": float(rng.normal(10, 6)),
        "aorta_gap": float(u(2, 10)),
        "aorta_radius": float(u(7, 13)),
        "cava_side": float(rng.normal(-14, 6)),
        "cava_radius": float(u(7, 13)),
        "bifurcation": float(rng.normal(1.7, 0.6)),  # levels above S1
        "spinous_side": float(rng.normal(0, 1.5)),
        "streaks": float(u(0.0, 0.75) * u(0.5, 1.0)),  # fat in the muscles
        "psoas": float(u(0.6, 1.3)),
        "prevertebral": float(u(0.5, 6)),
        "cortex": float(u(0.5, 1.3)),  # of the bodies' dark shell
        "endplate": float(u(0.0, 0.9)),
        "basivertebral": float(u(0, 1)),
        "scale_organs": float(u(0.6, 1.6)),
        "gas": float(u(0.0, 1.0)),
        "cleft": float(u(0, 1)),
        "front_fat": float(u(0, 1) ** 1.5 * 0.4),  # before the dural sac at S1, share of the canal's depth
        "sac_width": float(u(0, 1)),
    }
