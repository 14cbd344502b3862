"""Published sizes of vertebrae and discs, one row per level, from S1 up to C2.

Sources
-------
Body heights, endplate depths and widths, canal depths and widths: Panjabi et al., Spine 16 (1991) 888
(cervical), Spine 16 (1991) 861 (thoracic), Spine 17 (1992) 299 (lumbar); means over cadavers. They are
about 8 % smaller than the bodies of the PAM50 template (50 living adults): see `LIVING_FACTOR`.
S1 and the sacrum: 78 female sacra, PMC5799488, and textbook values.
Disc heights: lumbar, mean of two MRI series (JLMC 40674; Anatomy Journal A-10-159-1); thoracic CT,
doi 10.1007/s00586-015-3925-y; cervical CT, PMC11225399, plus 1 mm for the endplates, which are dark in MRI.
Wedge angles (positive if the anterior side is higher): Mavrych 2014 and textbook norms (lumbar, thoracic). S1: anterior
height 28-31 mm and posterior height 22-25 mm over a mean depth of 26 mm, that is 13 degrees (textbook values).
Lower endplate of S1: upper over lower depth is above 1.37 unless S1 is squared (O'Driscoll, Irwin, Saifuddin, Skeletal
Radiol 1996;25:225-230); 0.62 is the middle of 0.5-0.73.
Endplate concavity: PMC3481085 (1.5 mm below a vertebra, 0.7 mm above).
Arches: pedicles after Zindrick et al., Spine 12 (1987) 160, and Panjabi 1991-1992 (cervical); transverse spans after
Panjabi 1991-1992; facets after Panjabi et al., Spine 18 (1993) 1298, and Masharawi et al., Spine 29 (2004) 1755; all
rounded, and not yet compared with the papers number by number. Spinous processes and laminae: textbook shapes,
with lengths compared with real lumbar MRI.
"""

from __future__ import annotations

import numpy as np

LIVING_FACTOR = 1.08
"""Ratio of sizes in living adults (MRI, PAM50) to Panjabi's cadavers."""

COLUMNS = (
    "name", "height", "depth_upper", "depth_lower", "width_upper", "width_lower",
    "disc_below", "wedge_deg", "canal_depth", "canal_width",
)  # fmt: skip

ROWS = (  # posterior height, depths, widths, disc below, wedge of the body, canal depth and width; mm, degrees
    ("S1", 23.5, 32.5, 20.2, 48.0, 34.0, 3.0, 13.0, 16.0, 28.0),
    ("L5", 22.9, 34.7, 33.2, 47.3, 49.4, 11.8, 9.0, 19.7, 27.1),
    ("L4", 24.1, 35.5, 33.9, 46.6, 49.5, 12.2, 2.0, 18.6, 25.4),
    ("L3", 23.8, 35.2, 34.8, 44.1, 48.0, 11.2, 1.0, 17.5, 24.3),
    ("L2", 24.3, 34.6, 34.9, 42.6, 45.5, 10.0, 0.0, 18.2, 23.8),
    ("L1", 23.8, 34.1, 35.3, 41.2, 43.3, 9.0, -2.0, 19.0, 23.7),
    ("T12", 22.7, 32.8, 33.4, 39.0, 42.1, 7.4, -3.5, 18.1, 22.2),
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

ARCH_COLUMNS = (
    "name", "pedicle_width", "pedicle_height", "transverse_span", "spinous_reach", "spinous_drop", "spinous_height",
    "lamina_height", "joint_spacing", "facet_deg",
)  # fmt: skip

ARCH_ROWS = (
    # Pedicle width and height; span of the transverse processes; distance of the tip of the spinous process behind the
    # posterior wall and below the centre of the body, and its height; lamina height; distance between the facet joints
    # with the vertebra above, and their rotation from facing straight backwards; mm, degrees.
    ("S1", 14.0, 16.0, 100.0, 24.0, 10.0, 14.0, 14.0, 44.0, 38.0),
    ("L5", 17.5, 14.5, 90.0, 31.0, 13.0, 15.0, 16.0, 37.0, 46.0),
    ("L4", 12.9, 14.6, 80.0, 37.0, 16.0, 20.0, 20.0, 32.5, 54.0),
    ("L3", 10.3, 14.6, 85.0, 39.0, 17.5, 23.0, 22.0, 29.5, 60.0),
    ("L2", 8.9, 15.0, 77.0, 38.0, 18.0, 23.0, 23.0, 27.0, 63.0),
    ("L1", 8.7, 15.4, 71.0, 36.0, 18.0, 21.0, 23.0, 26.0, 62.0),
    ("T12", 7.6, 15.8, 48.0, 33.0, 18.0, 17.0, 22.0, 25.0, 20.0),
    ("T11", 7.8, 16.0, 52.0, 33.0, 20.0, 14.0, 21.0, 25.0, 10.0),
    ("T10", 6.6, 15.0, 58.0, 34.0, 25.0, 11.0, 20.0, 25.0, 4.0),
    ("T9", 6.1, 13.8, 59.0, 34.0, 29.0, 9.5, 19.0, 25.0, 0.0),
    ("T8", 5.9, 12.8, 60.0, 33.0, 32.0, 9.0, 18.5, 25.0, -4.0),
    ("T7", 5.3, 12.1, 60.0, 33.0, 33.0, 9.0, 18.0, 25.0, -6.0),
    ("T6", 5.2, 12.0, 61.0, 33.0, 32.0, 9.0, 17.5, 25.0, -8.0),
    ("T5", 4.8, 11.9, 61.0, 34.0, 29.0, 9.0, 17.0, 25.0, -8.0),
    ("T4", 4.9, 12.0, 61.0, 35.0, 26.0, 9.0, 16.5, 25.5, -8.0),
    ("T3", 5.6, 12.0, 63.0, 36.0, 22.0, 9.0, 16.0, 26.0, -8.0),
    ("T2", 7.0, 11.8, 69.0, 38.0, 17.0, 9.5, 16.0, 28.0, -8.0),
    ("T1", 7.9, 9.9, 75.0, 40.0, 13.0, 9.5, 15.0, 33.0, -6.0),
    ("C7", 6.6, 7.5, 66.0, 46.0, 11.0, 9.0, 13.5, 38.0, -4.0),
    ("C6", 6.0, 7.3, 56.0, 34.0, 9.5, 7.5, 11.0, 39.0, -2.0),
    ("C5", 5.6, 7.0, 52.0, 27.5, 8.5, 6.5, 10.0, 39.0, 0.0),
    ("C4", 5.4, 7.4, 50.0, 26.5, 8.0, 6.5, 10.0, 38.5, 0.0),
    ("C3", 5.6, 7.4, 50.0, 26.5, 8.0, 6.5, 10.5, 38.0, 0.0),
    ("C2", 7.5, 8.5, 50.0, 35.0, 9.0, 11.0, 12.0, 38.0, 0.0),
)

ARCH_TABLE: dict[str, dict[str, float]] = {
    row[0]: dict(zip(ARCH_COLUMNS[1:], row[1:])) for row in ARCH_ROWS  # type: ignore[dict-item]
}
"""The same for the posterior elements."""

# Levels without a row use that of their neighbour.
TABLE["L6"] = dict(TABLE["L5"])
TABLE["T13"] = dict(TABLE["T12"])
ARCH_TABLE["L6"] = dict(ARCH_TABLE["L5"])
ARCH_TABLE["T13"] = dict(ARCH_TABLE["T12"])

SACRAL_SCALE = np.array([0.82, 0.66, 0.54, 0.44, 0.30, 0.22])
"""Size of S2, S3, S4, S5 and two coccygeal segments relative to S1."""

LORDOSIS_SHARE = {"L5": 0.48, "L4": 0.36, "L3": 0.08, "L2": 0.05, "L1": 0.03}
"""Fraction of the lumbar lordosis (disc and body) in the segment below each vertebra. The two lowest have about 85 % of
it when lying (627 volunteers, PMC6680033); their shares, and those of the others, follow textbook proportions."""

LOWEST_THORACIC_DEG = {"T12": 3.0, "T11": 2.5}
"""Lordotic angle of the discs below the two lowest thoracic vertebrae, degrees. They cancel the wedges of the bodies,
because the thoracolumbar junction is nearly straight (Bernhardt and Bridwell, Spine 14 (1989) 717)."""

RIM_SHARE = {"L": 0.78, "T": 0.9}
"""Ratio of the disc height at the rim to that at the centre, between the concave endplates, by region."""


def family(name: str) -> str:
    """Return the region of a level: ``"S"``, ``"L"``, ``"T"`` or ``"C"``."""
    return name[0]
