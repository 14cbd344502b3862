"""Published sizes of vertebrae and discs, one row a level, from S1 up to C2.

Sources
-------
Body heights, endplate depths and widths, canal depths and widths: Panjabi et al., Spine 16 (1991) 888
(cervical), Spine 16 (1991) 861 (thoracic), Spine 17 (1992) 299 (lumbar); means over cadavers. They are
about 8 % smaller than the bodies of the PAM50 template (50 living adults), hence `LIVING_FACTOR`.
S1 and the sacrum: 78 female sacra, PMC5799488, and textbook values.
Disc heights: lumbar, the middle of two MRI series (JLMC 40674; Anatomy Journal A-10-159-1); thoracic CT,
doi 10.1007/s00586-015-3925-y; cervical CT, PMC11225399, plus 1 mm for the endplates that are dark in MRI.
Wedge angles (anterior side higher is positive): Mavrych 2014 (lumbar) and supine norms; those of S1 and L4-T12 fit 103
SPIDER slices, as detected (S1 19 degrees, its lower plate 0.61 of the upper one).
Endplate concavity: PMC3481085 (1.5 mm below a vertebra, 0.7 mm above).
"""

from __future__ import annotations

import numpy as np

LIVING_FACTOR = 1.08
"""Living adults in MRI (PAM50) over Panjabi's cadavers."""

COLUMNS = (
    "name", "height", "depth_upper", "depth_lower", "width_upper", "width_lower",
    "disc_below", "wedge_deg", "canal_depth", "canal_width",
)  # fmt: skip

ROWS = (  # posterior height, depths, widths, disc below it, body wedge, canal depth and width; mm, degrees
    ("S1", 21.5, 32.5, 19.8, 48.0, 34.0, 3.0, 18.0, 16.0, 28.0),
    ("L5", 22.9, 34.7, 33.2, 47.3, 49.4, 11.8, 8.5, 19.7, 27.1),
    ("L4", 24.1, 35.5, 33.9, 46.6, 49.5, 12.2, 0.5, 18.6, 25.4),
    ("L3", 23.8, 35.2, 34.8, 44.1, 48.0, 11.2, -1.0, 17.5, 24.3),
    ("L2", 24.3, 34.6, 34.9, 42.6, 45.5, 10.0, -3.0, 18.2, 23.8),
    ("L1", 23.8, 34.1, 35.3, 41.2, 43.3, 9.0, -4.0, 19.0, 23.7),
    ("T12", 22.7, 32.8, 33.4, 39.0, 42.1, 7.4, -4.5, 18.1, 22.2),
    ("T11", 21.3, 31.9, 31.8, 34.9, 39.1, 6.2, -3.0, 15.9, 19.4),
    ("T10", 20.2, 30.5, 31.6, 31.9, 35.4, 5.6, -2.5, 15.5, 18.2),
    ("T9", 19.3, 29.3, 31.0, 30.6, 33.0, 5.0, -2.5, 15.5, 17.9),
    ("T8", 18.7, 27.9, 29.4, 29.5, 30.5, 4.6, -3.5, 15.8, 17.7),
    ("T7", 18.2, 27.4, 28.5, 27.8, 29.1, 4.4, -4.0, 15.9, 17.3),
    ("T6", 17.4, 26.0, 26.9, 26.2, 28.2, 4.0, -3.5, 16.5, 17.3),
    ("T5", 16.2, 24.3, 25.8, 24.9, 27.0, 3.6, -3.0, 16.2, 17.0),
    ("T4", 16.2, 23.3, 24.5, 24.5, 26.0, 3.6, -3.0, 16.2, 17.0),
    ("T3", 15.7, 22.7, 23.3, 24.6, 25.9, 3.8, -3.0, 16.0, 18.0),
    ("T2", 15.6, 19.6, 21.6, 24.9, 27.4, 4.2, -2.5, 15.5, 19.5),
    ("T1", 14.1, 18.5, 19.7, 24.5, 27.8, 5.0, -2.0, 16.4, 21.5),
    ("C7", 12.8, 18.1, 16.8, 21.8, 23.4, 5.2, -1.0, 15.2, 24.5),
    ("C6", 10.9, 16.4, 18.5, 18.5, 22.0, 5.2, -0.5, 18.1, 25.8),
    ("C5", 11.4, 15.2, 17.9, 17.5, 19.4, 5.0, -0.5, 17.4, 25.0),
    ("C4", 11.4, 15.3, 15.9, 17.2, 17.0, 5.0, -0.5, 17.7, 24.5),
    ("C3", 11.6, 15.0, 15.6, 15.8, 17.2, 5.0, -0.5, 16.2, 23.0),
    ("C2", 19.0, 11.5, 15.6, 15.0, 17.5, 5.0, 0.0, 21.0, 24.5),
)

TABLE: dict[str, dict[str, float]] = {
    row[0]: dict(zip(COLUMNS[1:], row[1:])) for row in ROWS  # type: ignore[dict-item]
}
"""Level name -> column -> value, mm and degrees."""

# Levels without a row of their own take that of their neighbour.
TABLE["L6"] = dict(TABLE["L5"])
TABLE["T13"] = dict(TABLE["T12"])

SACRAL_SCALE = np.array([0.82, 0.66, 0.54, 0.44, 0.30, 0.22])
"""Size of S2, S3, S4, S5 and two coccygeal segments relative to S1."""

LORDOSIS_SHARE = {"L5": 0.53, "L4": 0.23, "L3": 0.15, "L2": 0.07, "L1": 0.02}
"""Share of the lumbar lordosis in the segment whose upper vertebra is the key: two thirds of it lie in the two lowest
segments (textbooks); the shares fit the angles between the endplates of 103 SPIDER slices, as detected."""

LOWEST_THORACIC_DEG = {"T12": 3.0, "T11": 2.5}
"""Lordotic angle of the discs below the two lowest thoracic vertebrae, degrees, as on the same slices."""

RIM_SHARE = {"L": 0.78, "T": 0.9}
"""Height of a disc at the rim of the bodies over that in its middle, between the endplates' hollows, by region."""


def family(name: str) -> str:
    """Return the region of a level: ``"S"``, ``"L"``, ``"T"`` or ``"C"``."""
    return name[0]
