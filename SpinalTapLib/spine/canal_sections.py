"""Cross-sections of the spinal canal, and the area at the level of a vertebra or a disc."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AVERAGED_MM = 3.0
"""Distance, along the spine, up to which cross-sections are averaged."""


@dataclass(frozen=True, eq=False)
class CanalSections:
    """Cross-sections of the canal (the dural sac, where the mask shows it), from the top down.

    Attributes
    ----------
    middles_lps_mm : ndarray, shape (n, 3)
        The middle of each section, LPS, mm.
    areas_mm2 : ndarray, shape (n,)
        Area perpendicular to the canal; NaN where it is not known, because the image ends inside the canal or an
        artefact hides it.
    """

    middles_lps_mm: np.ndarray
    areas_mm2: np.ndarray

    def area_mm2(self, point_lps_mm: np.ndarray, up: np.ndarray) -> float | None:
        """Return the mean area at the height of a point, or None if less than half of it is known.

        Parameters
        ----------
        point_lps_mm : ndarray, shape (3,)
            LPS, mm.
        up : ndarray, shape (3,)
            Unit vector upwards along the spine; the sections within `AVERAGED_MM` of the plane perpendicular to it are
            averaged.
        """
        here = np.abs((self.middles_lps_mm - point_lps_mm) @ up) <= AVERAGED_MM
        areas = self.areas_mm2[here]
        known = np.isfinite(areas)
        return float(areas[known].mean()) if len(areas) and known.mean() >= 0.5 else None
