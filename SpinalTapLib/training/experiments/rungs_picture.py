"""Draw the rungs of the ladder on a whole synthetic spine, and the network's view of some steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...counting.ladder import LadderLook, climb
from ...counting.rungs import CROP_SIZES, Rung, corners_lps, look_at, planes_around, rung_from_points
from ...counting.start import rung_in
from ...files.atomic import write_whole
from ...report.canvas import Colour, Page, png_bytes
from ...report.sections import Section, side_section, spine_window, window
from ...report.style import BACKGROUND, BLACK, BRIGHT, MUTED, RULE
from ...scans.resampling import working_volume
from ...scans.volume import SagittalVolume
from ...spine import levels
from ...spine.boxes import corners_of
from ...spine.segments import segment_of
from ...spine.vertebra import SeedBox, Vertebra
from ..synthetic.phantom import draw_phantom
from .poster import box_of

PIXEL_MM, SLICE_MM = 0.8, 4.0
"""Pixel edge and slice spacing of the synthetic scan."""

_SPINE_PX = 940
_TOP_PX, _MARGIN_PX, _GAP_PX = 96, 30, 18
_CROP_PX, _CROP_ROWS, _CROP_COLUMNS = 216, 4, 2
_CAPTION_PX = 22
_SEED_COLOUR: Colour = (255, 255, 255)


def write_rungs(path: str | Path, ladder: Any, seed: int) -> Path:
    """Write a PNG of a synthetic spine with the rungs that a ladder network climbs from the true S1 box.

    Parameters
    ----------
    path : path
    ladder : LadderNetwork
    seed : int
        Seed of the phantom.

    Raises
    ------
    ValueError
        If the file cannot be written.
    """
    phantom = draw_phantom(seed, region="whole", sequence="t2", slice_mm=SLICE_MM, pixel_mm=PIXEL_MM)
    write_whole(path, png_bytes(draw_rungs(phantom.image, box_of(phantom.truth()["S1"]), ladder)))
    return Path(path)


def draw_rungs(volume: SagittalVolume, box: SeedBox, ladder: Any) -> np.ndarray:
    """Return the picture, shape (rows, columns, 3), uint8, of a ladder that climbs from a box around S1."""
    working = working_volume(volume)
    look = LadderLook(ladder, working)
    start = rung_in(box, working, look) or rung_from_points(working, corners_of(box))
    rungs = climb(look, start, working.array.shape).rungs[: len(levels.COMMON)]
    bodies = [_vertebra(working, rung, name) for rung, name in zip(rungs, levels.COMMON)]
    side = side_section(volume, bodies, _SPINE_PX / (volume.array.shape[1] * float(volume.spacing_mm[1])))
    crops_left = _MARGIN_PX + side.image.shape[1] + 2 * _MARGIN_PX
    width = crops_left + _CROP_COLUMNS * (_CROP_PX + _GAP_PX) - _GAP_PX + _MARGIN_PX
    page = Page(_TOP_PX + side.image.shape[0] + _MARGIN_PX, width, BACKGROUND)
    count = f"{len(bodies) - 1} rungs from a box around S1 to {bodies[-1].level}"
    page.text("Climbing the ladder", 44, _MARGIN_PX, 25, BRIGHT, bold=True)
    page.text(f"{count}; trained on pairs of lumbar vertebrae only", 72, _MARGIN_PX, 15, MUTED)
    _draw_spine(page, side, volume, bodies, box)
    shown = np.unique(np.linspace(0, len(rungs) - 2, _CROP_ROWS * _CROP_COLUMNS).round().astype(int))
    for place, k in enumerate(shown if len(rungs) > 1 else ()):
        row, column = divmod(place, _CROP_COLUMNS)
        top = _TOP_PX + row * (_CROP_PX + _CAPTION_PX)
        _draw_step(page, top, crops_left + column * (_CROP_PX + _GAP_PX), working, rungs[k], rungs[k + 1], k)
    return page.rgb()


def _vertebra(working: SagittalVolume, rung: Rung, name: str) -> Vertebra:
    corners = corners_lps(working, rung)
    return Vertebra(name, levels.level(name).value, rung.presence, corners.mean(0), corners)


def _draw_spine(
    page: Page, side: Section, volume: SagittalVolume, bodies: Sequence[Vertebra], box: SeedBox
) -> None:  # fmt: skip
    """Draw the spine from the side, with the number and level of every rung."""
    corner = np.array([_TOP_PX, _MARGIN_PX], float)
    page.paste(window(side.image, *spine_window(volume, bodies)), _TOP_PX, _MARGIN_PX)
    centres = np.array([side.position_of(body.centroid_lps_mm) for body in bodies]) + corner
    page.line(centres, BLACK, 4, alpha=0.35)
    page.line(centres, BRIGHT, 1.4, alpha=0.8)
    for k, (body, centre) in enumerate(zip(bodies, centres)):
        quad = side.position_of(body.corners_lps_mm) + corner
        _draw_quadrilateral(page, quad, segment_of(body.label_value).colour)
        number_px = 13 if k else 14
        page.disc(centre[0], centre[1], 9.5, BLACK, alpha=0.62)
        page.text(str(k), centre[0] + 0.36 * number_px, centre[1], number_px, BRIGHT, bold=True, align="middle")
        left = float(quad[:, 1].min()) - 9
        page.text(str(body.level), centre[0] + 5, left, 14, BRIGHT, bold=True, align="right", halo=BLACK)
    _draw_dashed(page, side.position_of(corners_of(box)) + corner, _SEED_COLOUR)
    low = side.position_of(corners_of(box)).max(0) + corner
    page.text("the S1 box", low[0] + 18, low[1], 14, BRIGHT, align="right", halo=BLACK)


def _draw_step(
    page: Page, top: int, left: int, working: SagittalVolume, rung: Rung, following: Rung, number: int
) -> None:  # fmt: skip
    """Draw the network's view of one rung, in the frame of that vertebra, and the next rung that it finds."""
    crop = look_at(planes_around(working, rung.slice), rung, _CROP_PX)[1]
    page.paste(window(crop, *np.percentile(crop, (0.5, 99.5))), top, left)
    here, there = levels.COMMON[number], levels.COMMON[number + 1]
    corner = np.array([top, left], float)

    def place(points: np.ndarray) -> np.ndarray:
        return (rung.to_own(points) / CROP_SIZES + 0.5) * _CROP_PX - 0.5 + corner

    _draw_quadrilateral(page, place(rung.corners), levels.level(here).colour)
    _draw_dashed(page, place(following.corners), levels.level(there).colour)
    start, end = place(rung.centre), place(following.centre)
    page.line(np.array([start, end]), BLACK, 4, alpha=0.4)
    page.line(np.array([start, end]), BRIGHT, 1.6)
    page.disc(start[0], start[1], 3.5, BRIGHT)
    _draw_arrow_head(page, start, end)
    page.frame(top, left, _CROP_PX, _CROP_PX, RULE)
    page.text(f"{number + 1}:  {here} shows {there}", top + 17, left + 8, 14, BRIGHT, bold=True, halo=BLACK)


def _draw_quadrilateral(page: Page, corners: np.ndarray, shade: Colour) -> None:
    closed = np.vstack([corners, corners[:1]])
    page.line(closed, BLACK, 4, alpha=0.4)
    page.line(closed, shade, 2)


def _draw_dashed(page: Page, corners: np.ndarray, shade: Colour) -> None:
    closed = np.vstack([corners, corners[:1]])
    page.line(closed, BLACK, 4, alpha=0.35)
    page.line(closed, shade, 1.8, dash_px=5)


def _draw_arrow_head(page: Page, start: np.ndarray, end: np.ndarray) -> None:
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    aside = np.array([-along[1], along[0]])
    page.line(np.array([end - 8 * along + 5 * aside, end, end - 8 * along - 5 * aside]), BRIGHT, 1.8)
