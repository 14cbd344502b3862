"""Draw the sidebar of the report: table, angles and warnings."""

from __future__ import annotations

from collections.abc import Sequence

from ..spine.angles import CORONAL_FLAG_DEG, Curve
from ..spine.confidence import word_of
from ..spine.segments import segment_of
from ..spine.vertebra import Spine, Vertebra
from .canvas import Page, wrap
from .style import AMBER, BRIGHT, MUTED, RULE, confidence_colour

SIDEBAR_PX = 760

_ROW_PX = 25
_LINE_PX = 17
_SIZE = 14
_NUMBERS: tuple[tuple[str, str, int], ...] = (  # measurement, heading, right edge
    ("height_anterior_mm", "Ant.", 258),
    ("height_middle_mm", "Mid.", 308),
    ("height_posterior_mm", "Post.", 362),
    ("disc_height_middle_mm", "mm", 452),
)
_CONFIDENCE_LEFT, _NOTES_LEFT = 92, 480
_CURVE_COLUMNS = 2
_CURVES_PX = 130  # height of five angles
_NOTE_LINES, _WARNING_LINES = 3, 4


def tallest_sidebar(spine: Spine) -> int:
    """Return an upper limit of the height of the sidebar for a spine, px."""
    table = 80 + len(spine.vertebrae) * (_ROW_PX + (_NOTE_LINES - 1) * _LINE_PX)
    warnings = 20 + len(spine.warnings) * (_WARNING_LINES * (_LINE_PX + 1) + 4)
    return table + _CURVES_PX + warnings


def draw_table(page: Page, top: int, left: int, spine: Spine) -> int:
    """Draw the table, one row for each vertebra from the neck down, and return the row (px) below it."""
    lower, upper = top + 32, top + 14
    page.text("Level", lower, left + 20, 13, MUTED)
    page.text("Confidence", lower, left + _CONFIDENCE_LEFT, 13, MUTED)
    for _, heading, right in _NUMBERS:
        page.text(heading, lower, left + right, 13, MUTED, align="right")
    page.text("Body height, mm", upper, left + _NUMBERS[2][2], 13, MUTED, align="right")
    page.text("Disc below,", upper, left + _NUMBERS[3][2], 13, MUTED, align="right")
    page.text("Notes", lower, left + _NOTES_LEFT, 13, MUTED)
    top += 42
    for vertebra in reversed(spine.vertebrae):
        page.fill(top, left, 1, SIDEBAR_PX, RULE)
        top = _draw_row(page, top, left, vertebra, word_of(vertebra, spine))
    page.fill(top, left, 1, SIDEBAR_PX, RULE)
    return top + 26


def _draw_row(page: Page, top: int, left: int, vertebra: Vertebra, confidence: str) -> int:
    base = top + 18
    page.fill(top + 6, left, 14, 10, segment_of(vertebra.label_value).colour)
    page.text(vertebra.short_name, base, left + 20, 15, BRIGHT, bold=vertebra.level is not None)
    shade = confidence_colour(confidence)
    page.disc(base - 4.5, left + _CONFIDENCE_LEFT + 4, 4, shade)
    page.text(confidence, base, left + _CONFIDENCE_LEFT + 15, _SIZE, shade)
    page.text(f"{vertebra.confidence:.2f}", base, left + 212, 12, MUTED, align="right")
    for key, _, right in _NUMBERS:
        value = vertebra.measurements.get(key)
        words = "–" if value is None else f"{value:.1f}"
        page.text(words, base, left + right, _SIZE, MUTED if value is None else BRIGHT, align="right")
    lines = wrap("; ".join(vertebra.flags), SIDEBAR_PX - _NOTES_LEFT, 13, _NOTE_LINES)
    for i, line in enumerate(lines):
        page.text(line, base + i * _LINE_PX, left + _NOTES_LEFT, 13, AMBER)
    return top + _ROW_PX + _LINE_PX * max(len(lines) - 1, 0)


def draw_curves(page: Page, top: int, left: int, curves: Sequence[Curve]) -> int:
    """Draw the angles of the whole spine in two columns, and return the row (px) below them."""
    if not curves:
        return top
    width = SIDEBAR_PX // _CURVE_COLUMNS
    page.text("Angles, supine", top + 12, left, 13, MUTED)
    for i, curve in enumerate(curves):
        base = top + 38 + 24 * (i // _CURVE_COLUMNS)
        column = left + width * (i % _CURVE_COLUMNS)
        named = curve.name != "coronal_curve" or curve.angle_deg >= CORONAL_FLAG_DEG
        page.text(f"{curve.angle_deg:.0f}°", base, column + 44, 16, BRIGHT if named else MUTED, True, align="right")
        used = page.text(curve.title, base, column + 58, _SIZE, BRIGHT if named else MUTED)
        page.text(curve.levels if named else "within measurement error", base, column + 68 + used, 13, MUTED)
    return top + 48 + 24 * -(-len(curves) // _CURVE_COLUMNS)


def draw_warnings(page: Page, top: int, left: int, spine: Spine) -> int:
    """Draw the warnings, and return the row (px) below them."""
    for warning in spine.warnings:
        page.disc(top + 8, left + 4, 3, AMBER)
        for line in wrap(warning, SIDEBAR_PX - 20, 13, _WARNING_LINES):
            page.text(line, top + 13, left + 16, 13, AMBER)
            top += _LINE_PX + 1
        top += 4
    return top + (14 if spine.warnings else 0)
