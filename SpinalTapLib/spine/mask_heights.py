"""Measure the heights of bodies and the gaps between them on the label map, around the mid-slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .vertebra import Vertebra

FIFTH = 0.2
"""Fraction of a body's depth over which a height is averaged: several pixels wide even at 1.6 mm a pixel."""
AVERAGED_MM = 2.0
"""Distance from the mid-slice up to which slices are averaged: one slice in 4 mm stacks, five in 1 mm scans."""

_LEAST_SINE = 0.2  # of the angle between the depth and the height of a body; below it, the corners are degenerate


class BodyMasks:
    """Measurements of the bodies in a label map, in mm within the slices.

    Parameters
    ----------
    label_map : ndarray, shape (slice, row, column)
        Label values.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the label map to LPS mm.
    """

    def __init__(self, label_map: np.ndarray, matrix: np.ndarray) -> None:
        self._labels = label_map
        self._to_index = np.linalg.inv(matrix)
        self._spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        self._pixel_mm = self._spacing[1:]

    def height_mm(self, vertebra: Vertebra, part: float = 0.5) -> float | None:
        """Return the mean height of a body's mask over a fifth of its depth, mm, or None without a mask.

        Parameters
        ----------
        vertebra : Vertebra
            None is returned for C2, whose mask includes the dens.
        part : float
            Position of the middle of that fifth, from the anterior wall (0) to the posterior wall (1). The height is
            measured along the body's upward direction.
        """
        if vertebra.level == "C2":
            return None
        corners = self._in_plane_mm(vertebra.corners_lps_mm)
        back = (corners[1] - corners[0] + corners[2] - corners[3]) / 2
        up = corners[0] + corners[1] - corners[2] - corners[3]
        centre = corners.mean(0) + (part - 0.5) * back
        half = FIFTH / 2 * vertebra.depth_mm
        heights = [
            self._extent(labels == vertebra.label_value, centre, back, up, half)
            for labels in self._central_slices(vertebra)
        ]
        found = [height for height in heights if height > 0]
        return float(np.mean(found)) if found else None

    def gap_mm(self, upper: Vertebra, lower: Vertebra) -> float | None:
        """Return the mean gap between two bodies' masks over the middle fifth of their endplates, mm, or None.

        The gap is measured perpendicular to the bisector of the two facing endplates.
        """
        above, below = self._in_plane_mm(upper.corners_lps_mm), self._in_plane_mm(lower.corners_lps_mm)
        plate_above, plate_below = above[2] - above[3], below[1] - below[0]
        lengths = np.linalg.norm(plate_above), np.linalg.norm(plate_below)
        back = plate_above / max(lengths[0], 1e-9) + plate_below / max(lengths[1], 1e-9)
        up = np.array([-back[1], back[0]]) / max(float(np.linalg.norm(back)), 1e-9)  # rows run downwards
        middle = (above[2:].mean(0) + below[:2].mean(0)) / 2
        half = FIFTH / 2 * float(np.mean(lengths))
        ends = above.mean(0) - middle, below.mean(0) - middle
        gaps = []
        for labels in self._central_slices(upper):
            bodies = [labels == value for value in (upper.label_value, lower.label_value)]
            if all(body.any() for body in bodies):
                filled = self._extent(bodies[0] | bodies[1], middle, back, up, half, ends)
                gaps.append(float((ends[0] - ends[1]) @ up) - filled)
        return float(np.mean(gaps)) if gaps else None

    def _in_plane_mm(self, points_lps_mm: np.ndarray) -> np.ndarray:
        """Return (row, column) positions in the slice plane, mm, shape (..., 2), of LPS points, shape (..., 3)."""
        return self._index(points_lps_mm)[..., 1:] * self._pixel_mm

    def _index(self, points_lps_mm: np.ndarray) -> np.ndarray:
        """Return fractional (slice, row, column), shape (..., 3), of LPS points, shape (..., 3)."""
        return points_lps_mm @ self._to_index[:3, :3].T + self._to_index[:3, 3]

    def _central_slices(self, vertebra: Vertebra) -> Iterator[np.ndarray]:
        """Yield the label slices around a vertebra's mid-slice (see `AVERAGED_MM`), shape (row, column)."""
        middle = round(float(self._index(vertebra.corners_lps_mm)[:, 0].mean()))
        reach = int(AVERAGED_MM / self._spacing[0] + 1e-6)
        for k in range(max(middle - reach, 0), min(middle + reach, len(self._labels) - 1) + 1):
            yield self._labels[k]

    def _extent(
        self,
        mask: np.ndarray,
        centre: np.ndarray,
        back: np.ndarray,
        up: np.ndarray,
        half: float,
        ends: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> float:
        """Return the mean length of `mask` along `up`, mm, in a strip around `centre`, `half` wide to either side.

        The strip runs along `up`, and its width is measured along `back`, which need not be perpendicular to `up`.
        Pixels cut by the strip's edges count in part, so the mean is exact for masks along the grid. With `ends`,
        offsets from `centre`, the strip ends at those two points, perpendicular to `up`.
        """
        back, up = back / np.linalg.norm(back), up / np.linalg.norm(up)
        basis = np.column_stack([back, up])
        area = abs(float(np.linalg.det(basis)))  # of the unit parallelogram: 1 where the two are perpendicular
        if area < _LEAST_SINE:
            return 0.0
        to_strip = np.linalg.inv(basis)
        offsets = np.argwhere(mask) * self._pixel_mm - centre
        weight = self._share(half - np.abs(offsets @ to_strip[0]), to_strip[0])
        if ends is not None:
            along = offsets @ to_strip[1]
            top, bottom = (to_strip[1] @ end for end in ends)
            weight = weight * self._share(top - along, to_strip[1]) * self._share(along - bottom, to_strip[1])
        return float(weight.sum() * self._pixel_mm.prod() / (2 * half * area))

    def _share(self, inside_mm: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return the fraction of each pixel that lies inside an edge, from the distance of its centre to the edge.

        `inside_mm` is positive inside; `gradient`, shape (2,), is its gradient over (row, column) mm.
        """
        width = float(np.abs(gradient) @ self._pixel_mm)
        return np.clip(inside_mm / width + 0.5, 0, 1)
