"""Draw the report: one picture with two views of the spine, the table, the angles and the surfaces."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .. import __version__
from ..scans.volume import SagittalVolume
from ..spine.angles import spine_curves
from ..spine.confidence import other_count
from ..spine.summary import count_words, source_sentence
from ..spine.vertebra import Spine
from .canvas import Page, png_bytes, shortened
from .sections import Section, front_section, side_section, spine_window
from .sidebar import SIDEBAR_PX, draw_curves, draw_table, draw_warnings, tallest_sidebar
from .style import AMBER, BACKGROUND, BRIGHT, GAP_PX, MARGIN_PX, MUTED, RULE
from .views import CAPTION_PX, CAPTION_SIZE, draw_names, draw_scale_bar, draw_view

DISCLAIMER = "Research software, not a medical device. Check every level against the images."

_HEADER_PX = 112
_FOOTER_PX = 46
_PX_PER_MM = 1.6  # for a whole spine: a C5 of 12 mm is 19 px high, one line of text
_VIEW_HEIGHT_PX = (900, 1440)
_LARGEST_PX_PER_MM = 8.0  # for a small crop, which larger pixels would not make clearer
_SIDE_WIDTH_PX = 820
_STRIP_PX = 100  # of page background, that no picture has


def report_png(spine: Spine, volume: SagittalVolume, rendering: np.ndarray | None = None) -> bytes:
    """Draw the report and return it as the bytes of a PNG file; see `draw_report`."""
    return png_bytes(draw_report(spine, volume, rendering))


def draw_report(spine: Spine, volume: SagittalVolume, rendering: np.ndarray | None = None) -> np.ndarray:
    """Draw the report. It contains no date and nothing else that depends on the machine.

    Parameters
    ----------
    spine : Spine
        With measurements (see `measurements.measure_spine`), and with its label map on the volume's grid; without a
        label map, the quadrilaterals of the corners are drawn as outlines.
    volume : SagittalVolume
        The scan.
    rendering : ndarray, shape (rows, columns, 3), uint8, optional
        A 3-D picture of the surfaces; drawn as high as the two views.

    Returns
    -------
    ndarray, shape (rows, columns, 3), uint8
        The picture, RGB.
    """
    side, front = _sections(spine, volume)
    front_left = MARGIN_PX + side.image.shape[1] + GAP_PX
    model_left = front_left + front.image.shape[1] + GAP_PX
    model = None if rendering is None else _scaled(rendering, side.image.shape[0])
    views_right = model_left - GAP_PX if model is None else model_left + model.shape[1]
    sidebar = views_right + MARGIN_PX + 10
    views_end = _HEADER_PX + CAPTION_PX + side.image.shape[0]
    room = max(views_end, _HEADER_PX + tallest_sidebar(spine)) + _FOOTER_PX
    page = Page(room, sidebar + SIDEBAR_PX + MARGIN_PX, BACKGROUND)
    _draw_header(page, spine, volume)
    grey = spine_window(volume, spine.vertebrae)
    draw_view(page, side, _HEADER_PX, MARGIN_PX, spine, grey, _side_caption(side))
    draw_names(page, side, _HEADER_PX, MARGIN_PX, spine)
    draw_scale_bar(page, side, _HEADER_PX, MARGIN_PX)
    draw_view(page, front, _HEADER_PX, front_left, spine, grey, "Coronal")
    if model is not None:
        page.text("Surfaces", _HEADER_PX + 15, model_left, CAPTION_SIZE, MUTED)
        page.paste(model, _HEADER_PX + CAPTION_PX, model_left)
        page.frame(_HEADER_PX + CAPTION_PX, model_left, model.shape[0], model.shape[1], RULE)
    end = draw_table(page, _HEADER_PX - 8, sidebar, spine)
    end = draw_curves(page, end, sidebar, spine_curves(spine))
    end = draw_warnings(page, end, sidebar, spine)
    bottom = max(views_end, end)
    page.text(DISCLAIMER, bottom + 30, MARGIN_PX, 13, MUTED)
    return page.rgb(bottom + _FOOTER_PX)


def side_view(report: np.ndarray) -> np.ndarray:
    """Return the side view, with outlines and names, of a report, shape (rows, columns, 3), uint8.

    It ends where the page's background begins, below it and beside it. A picture that is no report is returned whole.
    """
    top, left = _HEADER_PX + CAPTION_PX, MARGIN_PX
    page = report[top:, left:]
    if not page.size:
        return report
    strips = (page[:, :_STRIP_PX], 1), (page[:_STRIP_PX], 0)
    ends = [np.flatnonzero((strip == BACKGROUND).all((axis, 2))) for strip, axis in strips]
    if not all(end.size and end[0] > 1 for end in ends):
        return report
    return report[top : top + ends[0][0] - 1, left : left + ends[1][0] - 1]  # without the frame's last line


def _scaled(picture: np.ndarray, height: int) -> np.ndarray:
    """Return a picture, shape (rows, columns, 3), 0-255, scaled to a height at its own aspect ratio."""
    width = max(round(picture.shape[1] * height / picture.shape[0]), 1)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _sections(spine: Spine, volume: SagittalVolume) -> tuple[Section, Section]:
    """Return the side and the front view, at a common scale that fits the page."""
    rows_mm = volume.array.shape[1] * volume.spacing_mm[1]
    height = np.clip(_PX_PER_MM * rows_mm, *_VIEW_HEIGHT_PX)
    scale = min(height / rows_mm, _LARGEST_PX_PER_MM)
    side = side_section(volume, spine.vertebrae, scale)
    if side.image.shape[1] > _SIDE_WIDTH_PX:
        scale *= _SIDE_WIDTH_PX / side.image.shape[1]
        side = side_section(volume, spine.vertebrae, scale)
    return side, front_section(volume, spine.vertebrae, scale)


def _draw_header(page: Page, spine: Spine, volume: SagittalVolume) -> None:
    width = page.width - 2 * MARGIN_PX
    page.text(shortened(volume.name, width - 200, 25, bold=True), 46, MARGIN_PX, 25, BRIGHT, bold=True)
    page.text("SpinalTap", 46, page.width - MARGIN_PX, 18, MUTED, align="right")
    sure = spine.anchor != "none" and bool(spine.vertebrae) and other_count(spine) is None
    used = page.text(source_sentence(spine), 76, MARGIN_PX, 16, BRIGHT if sure else AMBER)
    page.text(count_words(spine), 76, MARGIN_PX + used + 18, 16, MUTED)
    page.text(_model_sentence(spine), 76, page.width - MARGIN_PX, 13, MUTED, align="right")
    page.fill(94, MARGIN_PX, 1, width, RULE)


def _model_sentence(spine: Spine) -> str:
    name, digest = spine.model.get("name", ""), spine.model.get("sha256", "")[:8]
    return "   ".join(part for part in (f"model {name} {digest}" if name else "", f"version {__version__}") if part)


def _side_caption(side: Section) -> str:
    words = "Midline, following the lateral curve" if side.curved else "Midline slice, as acquired"
    return shortened(words, side.image.shape[1], CAPTION_SIZE)
