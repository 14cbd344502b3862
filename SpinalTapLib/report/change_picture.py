"""Draw what has changed between two results: one row a vertebra, one column a measurement."""

from __future__ import annotations

import numpy as np

from ..spine.change import COMPARED, TITLES, Change, Comparison
from .canvas import Page, png_bytes, shortened, wrap
from .style import AMBER, BACKGROUND, BRIGHT, MARGIN_PX, MUTED, RULE

_WIDTH, _ROW, _HEAD, _LEVELS = 1240, 40, 128, 70  # px
_LEAST_SCALE = {"mm": 4.0, "°": 8.0}
"""Least change that reaches the edge of a column, so that small changes look small."""


def change_png(found: Comparison) -> bytes:
    """Return the picture as PNG."""
    return png_bytes(draw_changes(found))


def draw_changes(found: Comparison) -> np.ndarray:
    """Return the picture, shape (rows, columns, 3), uint8."""
    levels = found.levels[::-1]
    lines = [line for text in found.sentences for line in wrap(text, _WIDTH - 2 * MARGIN_PX, 15, 2)]
    page = Page(_HEAD + _ROW * len(levels) + 24 * len(lines) + 2 * MARGIN_PX, _WIDTH, BACKGROUND)
    title = "Change: {} to {}".format(*found.between)
    page.text(shortened(title, _WIDTH - 2 * MARGIN_PX, 24, True), 46, MARGIN_PX, 24, BRIGHT, bold=True)
    legend = "Later minus earlier. Grey band: within measurement error. Amber: beyond it. ?: corners estimated."
    page.text(legend, 76, MARGIN_PX, 14, MUTED)
    by_place = {(change.level, change.name): change for change in found.changes}
    width = (_WIDTH - 2 * MARGIN_PX - _LEVELS) / len(COMPARED)
    for i, name in enumerate(COMPARED):
        _draw_column(page, name, MARGIN_PX + _LEVELS + i * width, width, levels, by_place)
    for row, level in enumerate(levels):
        page.text(level, _HEAD + _ROW * (row + 0.65), MARGIN_PX, 17, BRIGHT, bold=True)
    for row, line in enumerate(lines):
        base = _HEAD + _ROW * len(levels) + 24 * (row + 1) + 6
        page.text(line, base, MARGIN_PX, 15, AMBER if row < len(found.losses) else MUTED)
    return page.rgb()


def _draw_column(
    page: Page, name: str, left: float, width: float, levels: tuple[str, ...], by_place: dict[tuple[str, str], Change]
) -> None:
    """Draw the bars of one measurement; its column begins at `left` and is `width` px wide."""
    own = [by_place[level, name] for level in levels if (level, name) in by_place]
    scale = max((max(_LEAST_SCALE[c.unit], 1.15 * max(abs(c.change), c.limit)) for c in own), default=1.0)
    middle, reach = left + width / 2, width / 2 - 10
    page.text(TITLES[name], _HEAD - 14, left + 6, 14, BRIGHT)
    for row, level in enumerate(levels):
        top = _HEAD + _ROW * row
        page.fill(top, round(left), 1, round(width), RULE)
        change = by_place.get((level, name))
        if change is None:
            continue
        band = reach * change.limit / scale
        page.fill(top + 8, round(middle - band), _ROW - 15, max(round(2 * band), 1), RULE)
        colour = AMBER if change.is_beyond_error else MUTED
        end = middle + reach * change.change / scale
        page.fill(top + 24, round(min(middle, end)), 5, max(round(abs(end - middle)), 1), colour)
        unsure = "" if change.is_sure else "?"
        words = f"{change.change:+.1f}{unsure} {change.unit}"
        page.text(words, top + 20, left + 8, 13, colour if change.is_beyond_error else BRIGHT)
    page.line(np.array([[_HEAD + 1, middle], [_HEAD + _ROW * len(levels) - 1, middle]]), MUTED, 1.0, 0.6)
