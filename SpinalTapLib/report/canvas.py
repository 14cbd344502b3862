"""Draw anti-aliased lines, text and images on a picture, without a screen or a GPU.

Lines and images are drawn with Pillow, text with VTK, because Pillow's own font lacks dashes, accents and bold letters.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

# The import of vtkRenderingFreeType registers the renderer that vtkTextRenderer.GetInstance() returns.
import vtkmodules.vtkRenderingFreeType  # noqa: F401
from PIL import Image, ImageDraw, ImageFilter
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkTextProperty, vtkTextRenderer

Colour = tuple[int, int, int]

_FINER = 8  # supersampling factor of lines
_DPI = 72  # makes font sizes pixels
_DESCENT = 0.21  # fraction of the font size that VTK leaves below the baseline
_REPLACEMENT = "?"
_HALO_PX = 4  # width of the shadow around text
_COMPRESSION = 3  # a third faster than 4, and on reports the files are smaller too


class Page:
    """An RGB picture to draw on. Positions are (row, column), px; 0 is the centre of the first pixel.

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
        """Copy an image, shape (rows, columns) or (rows, columns, 3), 0-255, onto the page, clipped at its edges."""
        self._image.paste(Image.fromarray(np.clip(image + 0.5, 0, 255).astype(np.uint8)), (left, top))

    def fill(self, top: int, left: int, height: int, width: int, colour: Colour) -> None:
        """Fill a rectangle; arguments in px."""
        self._image.paste(colour, (left, top, left + width, top + height))

    def frame(self, top: int, left: int, height: int, width: int, colour: Colour) -> None:
        """Draw a line, one pixel wide, around a rectangle; arguments in px."""
        ImageDraw.Draw(self._image).rectangle((left - 1, top - 1, left + width, top + height), outline=colour)

    def disc(self, row: float, column: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """Draw a filled circle; arguments in px, `alpha` is its opacity, 0-1."""
        self.line(np.array([[row, column]]), colour, 2 * radius, alpha)

    def line(
        self, points: np.ndarray, colour: Colour, width: float = 1.5, alpha: float = 1.0, dash_px: float = 0.0
    ) -> None:
        """Draw a line with round ends.

        Parameters
        ----------
        points : ndarray, shape (n, 2)
            (row, column), px.
        colour : tuple of int
            0-255.
        width : float
            Line width, px.
        alpha : float
            Opacity, 0-1.
        dash_px : float
            Length of the dashes, px; 0 for a solid line.
        """
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
            fine = np.round((piece - low + 0.5) * _FINER - 0.5)[:, ::-1]  # Pillow truncates fractions
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
        """Draw one line of text, and return its width, px.

        Parameters
        ----------
        words : str
            One line; characters that the font lacks become question marks.
        base, left : float
            Row of the baseline, and column of the text's left end, right end or middle, depending on `align`.
        size : int
            Font size, px.
        colour : tuple of int
            0-255.
        bold : bool
            Whether to use bold letters.
        align : str
            ``"left"``, ``"right"`` or ``"middle"``.
        halo : tuple of int, optional
            Colour of a soft shadow, for text on an image.
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
        """Blend a colour onto the page, with the grey values of `cover` times `alpha` as its opacity."""
        if alpha < 1:
            cover = cover.point([round(alpha * value) for value in range(256)])
        self._image.paste(colour, (left, top), cover)

    def rgb(self, height: int | None = None) -> np.ndarray:
        """Return the picture, or its first `height` rows, shape (rows, columns, 3), uint8."""
        return np.array(self._image)[:height]


def dashes(points: np.ndarray, length_px: float) -> list[np.ndarray]:
    """Return the dashes of a line, shape (n, 2), of about `length_px`, separated by gaps of the same length."""
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
    """Return one line of text as a coverage mask, shape (rows, columns), uint8.

    The baseline has the same distance from the bottom for all texts of a size.
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
    """Break text into at most `lines` lines no wider than `width` px, and end it in an ellipsis if it is too long."""
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
    """Return text no wider than `width` px, cut with an ellipsis if necessary."""
    if text_width(words, size, bold) <= width:
        return words
    while words and text_width(words + "…", size, bold) > width:
        words = words[:-1]
    return words.rstrip() + "…"


def png_bytes(rgb: np.ndarray) -> bytes:
    """Return a picture, shape (rows, columns, 3), uint8, as the bytes of a PNG file without date or comment."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()
