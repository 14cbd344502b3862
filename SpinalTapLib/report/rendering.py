"""Render surfaces to a picture, without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import vtkmodules.vtkRenderingFreeType  # noqa: F401
import vtkmodules.vtkRenderingOpenGL2 as opengl
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkBillboardTextActor3D,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkWindowToImageFilter,
)

from .render_window import remembering, window_kind

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

Parts = Sequence[tuple["vtkPolyData", Sequence[int], str]]

BACKGROUND = (255, 255, 255)
"""Default background colour."""
MARGIN = 1.06
"""Extent of the picture as a multiple of the spine's."""
_LETTERS_MM = 9.0
"""Height of the level names: less than that of the smallest body, so that names do not overlap."""
_GAP_MM = 4.0
"""Distance between a body and its name."""
_NAME_MM = 26.0
"""Width reserved for a name beside the spine."""
_INK, _PALE_INK = (0.25, 0.25, 0.25), (0.85, 0.85, 0.85)
"""Colours of the names, 0-1, on a light and on a dark background."""
_FINER = 2
"""Supersampling factor, for smooth edges on any graphics driver."""


def render_surfaces(
    surfaces: Parts,
    size: tuple[int, int] = (480, 960),
    *,
    azimuth_deg: float = 35.0,
    background: Sequence[int] = BACKGROUND,
) -> np.ndarray | None:
    """Render surfaces in an oblique view, with the head up.

    Parameters
    ----------
    surfaces : sequence of (vtkPolyData, colour, name)
        Surfaces in LPS, mm; colour as red, green, blue, 0-255; an empty name is not drawn.
    size : (width, height)
        Size of the picture, px.
    azimuth_deg : float
        Direction of the viewer, degrees: 0 anterior, 90 at the patient's left, 180 posterior.
    background : sequence of int
        Red, green, blue, 0-255.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3), or None
        None if there is nothing to draw, or this machine cannot render (it has no screen, EGL or OSMesa).
    """
    kind = window_kind() if surfaces else None
    if kind is None:
        return None
    azimuth = np.radians(azimuth_deg)
    towards = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
    renderer = _drawn(surfaces, size, towards, background)
    with remembering(kind):
        return _picture(renderer, size, kind)


def can_render() -> bool:
    """Return whether VTK can render on this machine."""
    return window_kind() is not None


def _drawn(surfaces: Parts, size: tuple[int, int], towards: np.ndarray, background: Sequence[int]) -> vtkRenderer:
    """Return a renderer of the surfaces, seen from the direction `towards`, a unit vector, LPS."""
    right = np.cross((0.0, 0.0, 1.0), towards)
    right = right / max(float(np.linalg.norm(right)), 1e-9)
    up = np.cross(towards, right)
    renderer = vtkRenderer()
    renderer.SetBackground(*(c / 255 for c in background))
    clouds = [vtk_to_numpy(surface.GetPoints().GetData()) for surface, _, _ in surfaces]
    for surface, colour, _ in surfaces:
        renderer.AddActor(_actor(surface, colour))
    across, along = (np.concatenate([cloud @ axis for cloud in clouds]) for axis in (right, up))
    named = any(name for _, _, name in surfaces)
    reach = across.max() + (_GAP_MM + _NAME_MM if named else 0)
    middle = right * (across.min() + reach) / 2 + up * (along.min() + along.max()) / 2
    half = MARGIN / 2 * max(np.ptp(along), (reach - across.min()) * size[1] / size[0])
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetParallelScale(half)
    camera.SetFocalPoint(*middle)
    camera.SetPosition(*(middle + 2000 * towards))
    camera.SetViewUp(*up)
    ink = _INK if sum(background) > 1.5 * 255 else _PALE_INK
    pixels = max(6, round(_LETTERS_MM / (2 * half) * size[1])) * _FINER
    for (_, _, name), cloud in zip(surfaces, clouds):
        if name:
            side = right * ((cloud @ right).max() + _GAP_MM) + up * np.median(cloud @ up)
            renderer.AddActor(_text(name, side + towards * 500, pixels, ink))
    renderer.ResetCameraClippingRange()
    return renderer


def _actor(surface: vtkPolyData, colour: Sequence[int]) -> vtkActor:
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(surface)
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    looks = actor.GetProperty()
    looks.SetColor(*(c / 255 for c in colour))
    looks.SetAmbient(0.12)
    looks.SetDiffuse(0.85)
    looks.SetSpecular(0.12)
    looks.SetSpecularPower(20)
    return actor


def _text(words: str, position: np.ndarray, pixels: int, ink: tuple[float, float, float]) -> vtkBillboardTextActor3D:
    actor = vtkBillboardTextActor3D()
    actor.SetInput(words)
    actor.SetPosition(*position)
    style = actor.GetTextProperty()
    style.SetFontFamilyToArial()
    style.SetFontSize(pixels)
    style.SetColor(*ink)
    style.SetJustificationToLeft()
    style.SetVerticalJustificationToCentered()
    return actor


def _picture(renderer: vtkRenderer, size: tuple[int, int], kind: str) -> np.ndarray:
    """Return the picture of a renderer, drawn to a kind of window, shape (height, width, 3), uint8."""
    window = getattr(opengl, kind, vtkRenderWindow)()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(size[0] * _FINER, size[1] * _FINER)
    window.AddRenderer(renderer)
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.ShouldRerenderOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1]
    window.Finalize()
    small = pixels.reshape(size[1], _FINER, size[0], _FINER, 3).mean((1, 3))
    return np.round(small).astype(np.uint8)
