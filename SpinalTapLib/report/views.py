"""Draw the two views of the report: grey values, outlines, level names, scale bar."""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

from ..spine.confidence import WORDS, word_of
from ..spine.segments import Segment, segment_of, segments_in
from ..spine.vertebra import Spine, Vertebra
from .canvas import Page
from .sections import Section, window
from .style import (
    BLACK,
    BRIGHT,
    MUTED,
    RULE,
    confidence_colour,
)

CAPTION_PX = 26
"""Height of the caption above each picture."""
CAPTION_SIZE = 13
"""Font size of the caption."""

_LINE_PX = 1.7
_THIN_PX, _THIN_SHADOW_PX = 1.1, 2.4  # structures beside the bodies
_SHADOW_PX = 3.6  # width of the dark line below the coloured one, for visibility on bright marrow
_DASH_PX = 5.0
_NAME_PX = 15  # font size
_NAME_GAP_PX = 12  # between a body and its name
_NAME_ROOM_PX = 62  # width of a name anterior to the bodies, including gap and dot
_LEAST_PITCH_PX = 16.0  # least distance of two names
_BAR_MM = (200, 100, 50, 20, 10)
_BAR_PART = 0.4  # largest length of the scale bar, as a fraction of the picture's width


def draw_view(
    page: Page, section: Section, top: int, left: int, spine: Spine, grey: tuple[float, float], caption: str
) -> None:
    """Draw a view with its caption, the outlines of all structures, and the letters of the patient's sides."""
    image = window(section.image, *grey)
    page.text(caption, top + 15, left, CAPTION_SIZE, MUTED)
    top += CAPTION_PX
    page.paste(image, top, left)
    corner = np.array([top, left])
    for segment in _beside_bodies(spine):
        for line in _outlines_of(section, spine, segment.value):
            page.line(line + corner, BLACK, _THIN_SHADOW_PX, alpha=0.3)
            page.line(line + corner, segment.colour, _THIN_PX, alpha=0.8)
    for vertebra in spine.vertebrae:
        for line in _outlines(section, spine, vertebra):
            _draw_outline(page, line + corner, vertebra, word_of(vertebra, spine))
    height, width = image.shape
    page.frame(top, left, height, width, RULE)
    first, second = ("A", "P") if section.flat == "column" else ("R", "L")
    page.text(first, top + height / 2, left + 8, 15, BRIGHT, halo=BLACK)
    page.text(second, top + height / 2, left + width - 8, 15, BRIGHT, align="right", halo=BLACK)


def _beside_bodies(spine: Spine) -> list[Segment]:
    """Return the arches, discs and the dural sac in the label map."""
    bodies = {vertebra.label_value for vertebra in spine.vertebrae}
    found = () if spine.label_map is None else segments_in(spine.label_map)
    return [segment for segment in found if segment.value not in bodies]


def _outlines_of(section: Section, spine: Spine, value: int) -> list[np.ndarray]:
    """Return the closed outlines, (n, 2) each, of a value of the label map, without tiny ones."""
    lines = [] if spine.label_map is None else section.outlines(spine.label_map, value)
    return [line for line in lines if len(line) > 0.2 * len(lines[0])]


def _outlines(section: Section, spine: Spine, vertebra: Vertebra) -> list[np.ndarray]:
    """Return the closed outlines of a body, (n, 2) each: from the label map, or from the corners without one."""
    if spine.label_map is not None:
        return _outlines_of(section, spine, vertebra.label_value)
    if section.flat == "slice":
        return []
    return [section.position_of(np.vstack([vertebra.corners_lps_mm, vertebra.corners_lps_mm[:1]]))]


def _draw_outline(page: Page, line: np.ndarray, vertebra: Vertebra, confidence: str) -> None:
    dash = _DASH_PX if confidence == WORDS[-1] else 0.0
    page.line(line, BLACK, _SHADOW_PX, alpha=0.35)
    page.line(line, segment_of(vertebra.label_value).colour, _LINE_PX, alpha=0.95, dash_px=dash)


def draw_names(page: Page, section: Section, top: int, left: int, spine: Spine) -> None:
    """Draw each level's name anterior to its body, with a dot for its confidence; names never overlap.

    If the picture has too little room anterior to the bodies, all names are drawn posterior to them.
    """
    vertebrae = spine.vertebrae
    if not vertebrae:
        return
    corner = np.array([top + CAPTION_PX, left])
    corners = [section.position_of(v.corners_lps_mm) + corner for v in vertebrae]
    wanted = np.array([c[:, 0].mean() for c in corners])
    rows = spread(wanted, _LEAST_PITCH_PX)
    side = -1 if min(c[:, 1].min() for c in corners) - _NAME_ROOM_PX > left else 1
    for vertebra, quad, row, at in zip(vertebrae, corners, rows, wanted):
        edge = float((side * quad[:, 1]).max() + _NAME_GAP_PX) * side
        if abs(row - at) > 3:  # the name was moved: connect it with its body
            start = np.array([(row, edge), (at, float(quad[[0, 3] if side < 0 else [1, 2], 1].mean()))])
            page.line(start, segment_of(vertebra.label_value).colour, 1, alpha=0.8)
        page.disc(row, edge + 4 * side, 4.5, BLACK, alpha=0.6)
        page.disc(row, edge + 4 * side, 3.3, confidence_colour(word_of(vertebra, spine)))
        page.text(
            vertebra.short_name,
            row + 0.36 * _NAME_PX,
            edge + 13 * side,
            _NAME_PX,
            BRIGHT,
            bold=True,
            align="right" if side < 0 else "left",
            halo=BLACK,
        )


def spread(wanted: np.ndarray, pitch: float) -> np.ndarray:
    """Return the positions closest to `wanted`, shape (n,), at least `pitch` apart (least squares)."""
    order = np.argsort(wanted, kind="stable")
    steps = pitch * np.arange(len(wanted))
    placed = np.empty(len(wanted))
    placed[order] = isotonic_regression(wanted[order] - steps).x + steps
    return placed


def draw_scale_bar(page: Page, section: Section, top: int, left: int) -> None:
    """Draw a scale bar with a round length in the lower left corner of a view."""
    height, width = section.image.shape
    length_mm = next((mm for mm in _BAR_MM if mm * section.pixels_per_mm <= _BAR_PART * width), _BAR_MM[-1])
    end, row = left + 16 + length_mm * section.pixels_per_mm, top + CAPTION_PX + height - 16.0
    bar = np.array([(row - 5, left + 16), (row, left + 16), (row, end), (row - 5, end)], float)
    page.line(bar, BLACK, 4, alpha=0.6)
    page.line(bar, BRIGHT, 1.6)
    page.text(f"{length_mm} mm", row - 8, left + 22, 13, BRIGHT, halo=BLACK)
