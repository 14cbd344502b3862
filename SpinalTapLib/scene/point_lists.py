"""Fill the point lists: one locked list of five labelled points per vertebra."""

from __future__ import annotations

from typing import Any

import vtk

from ..files.markups import POINT_NAMES, points_lps_mm
from ..spine.segments import segment_of
from ..spine.vertebra import Vertebra
from .frames import Frame

_GLYPH_MM = 3.0  # small compared to a body of 15-30 mm, large enough to see
_TEXT_SCALE = 2.5  # per cent of the view; Slicer's 3.0 covers a cervical vertebra


def set_up(node: Any) -> None:
    """Show a new list as small points without labels."""
    display = node.GetDisplayNode()
    display.SetPointLabelsVisibility(False)  # a hundred labels would hide the scan; users can switch them on
    display.SetPropertiesLabelVisibility(False)
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(_GLYPH_MM)
    display.SetTextScale(_TEXT_SCALE)


def fill(node: Any, vertebra: Vertebra, frame: Frame) -> None:
    """Set the points, labels and colour of a list to those of a vertebra; write only what differs."""
    name = vertebra.name
    was_modifying = node.StartModify()
    try:
        node.SetFixedNumberOfControlPoints(False)
        while node.GetNumberOfControlPoints() > len(POINT_NAMES):
            node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)
        for i, point in enumerate(frame.to_local(points_lps_mm(vertebra))):
            position = vtk.vtkVector3d(*point)
            if i == node.GetNumberOfControlPoints():
                node.AddControlPoint(position, f"{name} {POINT_NAMES[i]}")
            node.SetNthControlPointPosition(i, position)
            node.SetNthControlPointLabel(i, f"{name} {POINT_NAMES[i]}")
            node.SetNthControlPointLocked(i, True)
        node.SetFixedNumberOfControlPoints(True)
        node.SetLocked(True)
    finally:
        node.EndModify(was_modifying)
    shade = [part / 255 for part in segment_of(vertebra.label_value).colour]
    display = node.GetDisplayNode()
    if display is not None:
        display.SetColor(*shade)
        display.SetSelectedColor(*shade)
