"""A picture to draw on with anti-aliased lines, crisp text and images, without a screen or a GPU.

Pillow draws; VTK writes, because the font inside Pillow lacks dashes, accents and bold letters.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

# The second import brings the text renderer that the first one hands out.
import vtkmodules.vtkRenderingFreeType  # noqa: F401
from PIL import Image, ImageDraw, ImageFilter
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkTextProperty, vtkTextRenderer

Colour = tuple[int, int, int]

_FINER = 8  # lines are drawn this much larger and averaged
_DPI = 72  # so that a font size is in pixels
_DESCENT = 0.21  # part of the font size that VTK keeps below the base line
_REPLACEMENT = "?"
_HALO_PX = 4  # reach of the shadow around words
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
        self._image = Image.new("RGB", (width, height), colour)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self._image.height

    @property
    def width(self) -> int:
        """Number of columns."""
        return self._image.width

    def paste(self, image: np.ndarray, top: int, left: int) -> None:
        """Copy an image, shape (rows, columns) or (rows, columns, 3), 0-255, onto the page; what sticks out is cut."""
        self._image.paste(Image.fromarray(np.clip(image + 0.5, 0, 255).astype(np.uint8)), (left, top))

    def fill(self, top: int, left: int, height: int, width: int, colour: Colour) -> None:
        """Fill a rectangle."""
        self._image.paste(colour, (left, top, left + width, top + height))

    def frame(self, top: int, left: int, height: int, width: int, colour: Colour) -> None:
        """Draw a line, one pixel wide, around an area."""
        ImageDraw.Draw(self._image).rectangle((left - 1, top - 1, left + width, top + height), outline=colour)

    def disc(self, row: float, column: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """Draw a filled circle."""
        self.line(np.array([[row, column]]), colour, 2 * radius, alpha)

    def line(
        self, points: np.ndarray, colour: Colour, width: float = 1.5, alpha: float = 1.0, dash_px: float = 0.0
    ) -> None:
        """Draw a line through points, shape (n, 2), with round ends; with `dash_px` in dashes of that length."""
        points = np.asarray(points, dtype=float)
        pieces = dashes(points, dash_px) if dash_px > 0 else [points]
        reach = width / 2 + 1
        low = np.maximum(np.floor(points.min(0) - reach), 0).astype(int)
        high = np.minimum(np.ceil(points.max(0) + reach) + 1, (self.height, self.width)).astype(int)
        if (high <= low).any():
            return
        cover = Image.new("L", (int(high[1] - low[1]) * _FINER, int(high[0] - low[0]) * _FINER))
        pen = ImageDraw.Draw(cover)
        radius = width * _FINER / 2
        for piece in pieces:
            fine = np.round((piece - low + 0.5) * _FINER - 0.5)[:, ::-1]  # Pillow cuts fractions off
            if len(fine) > 1:
                pen.line([*fine.ravel()], 255, round(2 * radius), joint="curve")
            for x, y in fine[[0, -1]]:
                pen.ellipse((x - radius + 0.5, y - radius + 0.5, x + radius - 0.5, y + radius - 0.5), 255)
        self._blend(cover.reduce(_FINER), int(low[0]), int(low[1]), colour, alpha)

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
        rows, columns = mask.shape
        if not columns:
            return 0.0
        top = round(base) - rows + round(_DESCENT * size) + 1
        start = round(left - {"left": 0.0, "middle": columns / 2, "right": float(columns)}[align])
        cover = Image.fromarray(np.pad(mask, _HALO_PX))
        if halo is not None:
            shadow = cover.filter(ImageFilter.MaxFilter(3)).filter(ImageFilter.GaussianBlur(1.5))
            self._blend(shadow, top - _HALO_PX, start - _HALO_PX, halo, 0.9)
        self._blend(cover, top - _HALO_PX, start - _HALO_PX, colour)
        return float(columns)

    def _blend(self, cover: Image.Image, top: int, left: int, colour: Colour, alpha: float = 1.0) -> None:
        """Lay a colour over the page as densely as a grey picture says."""
        if alpha < 1:
            cover = cover.point([round(alpha * value) for value in range(256)])
        self._image.paste(colour, (left, top), cover)

    def rgb(self, height: int | None = None) -> np.ndarray:
        """Return the picture, or its upper `height` rows, shape (rows, columns, 3), uint8."""
        return np.array(self._image)[:height]


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
    """Return one line of text as coverage, shape (rows, columns), uint8.

    The base line is at the same height from the bottom for all words of a size.
    """
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
        return np.zeros((1, 0), np.uint8)
    style = vtkTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(size)
    style.SetBold(bold)
    style.SetColor(1, 1, 1)
    image, used = vtkImageData(), [0, 0]
    drawn = vtkTextRenderer.GetInstance().RenderString(style, words, image, used, _DPI, vtkTextRenderer.FreeType)
    if not drawn or image.GetPointData().GetScalars() is None:
        return np.zeros((size, 0), np.uint8)
    columns, rows, _ = image.GetDimensions()
    alpha = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[..., -1]
    return alpha[: used[1], : used[0]][::-1].copy()


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
    """Return a picture, shape (rows, columns, 3), uint8, as a PNG file without date or comment."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()
