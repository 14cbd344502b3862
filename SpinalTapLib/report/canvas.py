"""Page: a picture with anti-aliased lines, crisp text and images on it, without a screen or a GPU."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

# The second import brings the text renderer that the first one hands out.
import vtkmodules.vtkRenderingFreeType  # noqa: F401
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkTextProperty, vtkTextRenderer

Colour = tuple[int, int, int]

_DPI = 72  # so that a font size is in pixels
_DESCENT = 0.21  # part of the font size that VTK keeps below the base line
_REPLACEMENT = "?"
_COMPRESSION = 4  # twice as fast as zlib's usual 6, and 3 % larger


class Page:
    """An RGB picture to draw on. Positions are (row, column), px, 0 in the middle of the first pixel.

    Parameters
    ----------
    height, width : int
        Size, px.
    colour : tuple of int
        Background, 0-255.
    """

    def __init__(self, height: int, width: int, colour: Colour) -> None:
        self.pixels = np.empty((height, width, 3), np.float32)
        self.pixels[:] = colour

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.pixels.shape[1]

    def paste(self, image: np.ndarray, top: int, left: int) -> None:
        """Copy an image, shape (rows, columns) or (rows, columns, 3), 0-255, onto the page; what sticks out is cut."""
        if image.ndim == 2:
            image = image[..., None]
        rows, columns = slice(max(top, 0), top + image.shape[0]), slice(max(left, 0), left + image.shape[1])
        target = self.pixels[rows, columns]
        target[:] = image[max(-top, 0) :, max(-left, 0) :][: target.shape[0], : target.shape[1]]

    def fill(self, top: int, left: int, height: int, width: int, colour: Colour, alpha: float = 1.0) -> None:
        """Fill a rectangle."""
        area = self.pixels[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
        area += alpha * (np.array(colour, np.float32) - area)

    def disc(self, row: float, column: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """Draw a filled circle."""
        self.line(np.array([[row, column]] * 2, float), colour, 2 * radius, alpha)

    def ring(self, row: float, column: float, radius: float, colour: Colour, width: float = 1.5) -> None:
        """Draw a circle."""
        angles = np.linspace(0, 2 * np.pi, 33)
        self.line(np.column_stack([row + radius * np.sin(angles), column + radius * np.cos(angles)]), colour, width)

    def line(
        self, points: np.ndarray, colour: Colour, width: float = 1.5, alpha: float = 1.0, dash_px: float = 0.0
    ) -> None:
        """Draw a line through points, shape (n, 2), with round ends; with `dash_px` in dashes of that length."""
        points = np.asarray(points, dtype=float)
        if dash_px > 0:
            for piece in dashes(points, dash_px):
                self.line(piece, colour, width, alpha)
            return
        reach = width / 2 + 1
        top, left = np.maximum(np.floor(points.min(0) - reach).astype(int), 0)
        bottom, right = np.minimum(np.ceil(points.max(0) + reach).astype(int) + 1, self.pixels.shape[:2])
        if bottom <= top or right <= left:
            return
        cover = np.zeros((bottom - top, right - left), np.float32)
        for start, end in zip(points[:-1], points[1:]):
            _cover_segment(cover, start - (top, left), end - (top, left), width)
        self._blend(cover * alpha, top, left, colour)

    def text(
        self,
        words: str,
        base: float,
        left: float,
        size: int,
        colour: Colour,
        bold: bool = False,
        align: str = "left",
        halo: Colour | None = None,
    ) -> float:
        """Write words whose base line is at row `base`, and return their width, px.

        Parameters
        ----------
        words : str
            One line; characters that the font lacks become question marks.
        base, left : float
            Base line, and the column where the words begin (or end, or have their middle, as `align` says).
        size : int
            Font size, px.
        colour : tuple of int
            0-255.
        bold : bool
            Heavier letters.
        align : str
            ``"left"``, ``"right"`` or ``"middle"``.
        halo : tuple of int, optional
            Colour of a soft shadow, for words on an image.
        """
        mask = text_mask(words, size, bold)
        start = left - {"left": 0.0, "middle": mask.shape[1] / 2, "right": float(mask.shape[1])}[align]
        top, column = round(base) - mask.shape[0] + round(_DESCENT * size) + 1, round(start)
        if halo is not None:
            self._blend(_spread(mask), top - _HALO, column - _HALO, halo)
        self._blend(mask, top, column, colour)
        return float(mask.shape[1])

    def _blend(self, cover: np.ndarray, top: int, left: int, colour: Colour) -> None:
        """Lay a colour over the page as densely as `cover`, shape (rows, columns), 0-1, says."""
        cut = cover[max(-top, 0) : max(self.height - top, 0), max(-left, 0) : max(self.width - left, 0)]
        top, left = max(top, 0), max(left, 0)
        area = self.pixels[top : top + cut.shape[0], left : left + cut.shape[1]]
        area += cut[..., None] * (np.array(colour, np.float32) - area)

    def rgb(self, height: int | None = None) -> np.ndarray:
        """Return the picture, or its upper `height` rows, shape (rows, columns, 3), uint8."""
        return np.clip(self.pixels[:height] + 0.5, 0, 255).astype(np.uint8)


_HALO = 3


def _spread(mask: np.ndarray) -> np.ndarray:
    """Return a soft, dense shadow of a mask, `_HALO` pixels larger on every side."""
    padded = np.pad(mask, _HALO)
    total = sum(
        np.roll(padded, (dy, dx), (0, 1)) * np.exp(-(dy * dy + dx * dx) / 3)
        for dy in range(-_HALO, _HALO + 1)
        for dx in range(-_HALO, _HALO + 1)
    )
    return np.clip(total * 0.6, 0, 0.85)


def _cover_segment(cover: np.ndarray, start: np.ndarray, end: np.ndarray, width: float) -> None:
    """Raise `cover`, shape (rows, columns), to a segment's share of every pixel."""
    reach = width / 2 + 1
    low = np.maximum(np.floor(np.minimum(start, end) - reach).astype(int), 0)
    high = np.minimum(np.ceil(np.maximum(start, end) + reach).astype(int) + 1, cover.shape)
    if (high <= low).any():
        return
    rows, columns = np.ogrid[low[0] : high[0], low[1] : high[1]]
    along = end - start
    length2 = max(float(along @ along), 1e-12)
    t = np.clip(((rows - start[0]) * along[0] + (columns - start[1]) * along[1]) / length2, 0, 1)
    distance = np.hypot(rows - start[0] - t * along[0], columns - start[1] - t * along[1])
    part = cover[low[0] : high[0], low[1] : high[1]]
    np.maximum(part, np.clip(width / 2 + 0.5 - distance, 0, min(width, 1)), out=part, casting="unsafe")


def dashes(points: np.ndarray, length_px: float) -> list[np.ndarray]:
    """Cut a line, shape (n, 2), into dashes of about that length, with gaps as long between them."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    position = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(round(position[-1] / (2 * length_px)), 1)
    pitch = position[-1] / count
    pieces = []
    for i in range(count):
        where = np.linspace(i * pitch, (i + 0.5) * pitch, 6)
        pieces.append(np.column_stack([np.interp(where, position, points[:, axis]) for axis in (0, 1)]))
    return pieces


@lru_cache(maxsize=512)
def text_mask(words: str, size: int, bold: bool = False) -> np.ndarray:
    """Return one line of text as coverage, shape (rows, columns), 0-1; the base line is at the same height from
    the bottom for all words of a size."""
    known = "".join(c if c.isspace() or _has_glyph(c) else _REPLACEMENT for c in words)
    return _render(known, size, bold)


def text_width(words: str, size: int, bold: bool = False) -> int:
    """Return the width of one line of text, px."""
    return int(text_mask(words, size, bold).shape[1])


@lru_cache(maxsize=1024)
def _has_glyph(character: str) -> bool:
    return character.isprintable() and bool(_render(character, 24, False).any())


def _render(words: str, size: int, bold: bool) -> np.ndarray:
    if not words:
        return np.zeros((1, 0), np.float32)
    style = vtkTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(size)
    style.SetBold(bold)
    style.SetColor(1, 1, 1)
    image, used = vtkImageData(), [0, 0]
    drawn = vtkTextRenderer.GetInstance().RenderString(style, words, image, used, _DPI, vtkTextRenderer.FreeType)
    if not drawn or image.GetPointData().GetScalars() is None:
        return np.zeros((size, 0), np.float32)
    columns, rows, _ = image.GetDimensions()
    alpha = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., -1]
    return alpha[: used[1], : used[0]][::-1].astype(np.float32) / 255


def wrap(words: str, width: int, size: int, lines: int) -> list[str]:
    """Break words into at most `lines` lines no wider than `width` px; what does not fit ends in an ellipsis."""
    broken: list[str] = []
    for word in words.split():
        longer = f"{broken[-1]} {word}" if broken else word
        if broken and text_width(longer, size) <= width:
            broken[-1] = longer
        else:
            broken.append(word)
    kept = broken[:lines]
    if len(broken) > lines:
        kept[-1] += " …"
    return [shortened(line, width, size) for line in kept]


def shortened(words: str, width: int, size: int, bold: bool = False) -> str:
    """Return words no wider than `width` px, cut with an ellipsis if need be."""
    if text_width(words, size, bold) <= width:
        return words
    while words and text_width(words + "…", size, bold) > width:
        words = words[:-1]
    return words.rstrip() + "…"


def png_bytes(rgb: np.ndarray) -> bytes:
    """Return a picture, shape (rows, columns, 3), uint8, as a PNG file (ISO/IEC 15948): no date, no comment."""
    rows, columns, _ = rgb.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)
    lines[:, 1:] = rgb.reshape(rows, -1)
    # Filter 2 (difference from the row above): half the size of none on smooth pictures.
    lines[1:, 1:] -= rgb.reshape(rows, -1)[:-1]
    lines[1:, 0] = 2
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    chunks: Sequence[tuple[bytes, bytes]] = (
        (b"IHDR", header),
        (b"IDAT", zlib.compress(lines.tobytes(), _COMPRESSION)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
