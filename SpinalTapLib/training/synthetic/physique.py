"""Random physique: sizes, fractions and phases of the tissues around a spine."""

from __future__ import annotations

import numpy as np


def random_habit(rng: np.random.Generator) -> dict[str, float]:
    """Draw the parameters of the tissues around the spine; lengths in mm, others are fractions or phases."""
    u = rng.uniform
    return {
        "back_fat": float(np.exp(rng.normal(np.log(16), 0.6))),  # subcutaneous, behind the spinous processes
        "belly": float(u(70, 190)),  # from the front of the bodies to the skin of the abdomen
        "neck": float(u(45, 75)),
        "epidural": float(u(0.0, 1.0)),  # amount of fat in the canal
        "cord_place": float(u(-0.5, 0.7)),
        "cord_depth": float(u(6.0, 9.0)),
        "conus": float(rng.normal(0.3, 0.8)),  # end of the cord, levels above the centre of L1
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
        "cortex": float(u(0.5, 1.3)),  # thickness of the dark cortical line of the bodies
        "endplate": float(u(0.0, 0.9)),
        "basivertebral": float(u(0, 1)),
        "scale_organs": float(u(0.6, 1.6)),
        "gas": float(u(0.0, 1.0)),
        "cleft": float(u(0, 1)),
        "front_fat": float(u(0, 1) ** 1.5 * 0.4),  # anterior to the dural sac at S1, fraction of the depth of the canal
        "sac_width": float(u(0, 1)),
    }
