"""The markups: one locked list of five labelled points a vertebra, in one folder."""

from __future__ import annotations

from typing import Any

import vtk

from ..geometry import Spine, Vertebra
from ..markups import POINT_NAMES, points_lps_mm, vertebra_name
from ..terms import colour
from . import nodes
from .frames import Frame

_GLYPH_MM = 3.0  # small beside a body of 15-30 mm, large enough to be seen
_TEXT_SCALE = 2.5  # per cent of the view; Slicer's 3.0 covers a cervical vertebra


def update(scene: Any, volume: Any, spine: Spine, frame: Frame, parent: str | None) -> None:
    """Make one list a vertebra: existing lists are used again in order, missing ones made, spare ones removed."""
    lists = nodes.find_all(scene, volume, nodes.POINTS)
    folder = nodes.folder_of(scene, lists[0]) if lists else None
    for spare in lists[len(spine.vertebrae) :]:
        nodes.remove(scene, spare)
    lists = lists[: len(spine.vertebrae)]
    for i, vertebra in enumerate(spine.vertebrae):
        name = f"{volume.GetName()} {vertebra_name(vertebra)}"
        if i == len(lists):
            lists.append(_new_list(scene, volume, name))
        nodes.rename(lists[i], name)
        lists[i].SetAndObserveTransformNodeID(parent)
        _fill(lists[i], vertebra, frame)
    nodes.place_in_folder(scene, volume, lists, f"{volume.GetName()} vertebra points")
    nodes.remove_empty_folder(scene, folder)


def _new_list(scene: Any, volume: Any, name: str) -> Any:
    node = nodes.make(scene, volume, nodes.POINTS, name)
    display = node.GetDisplayNode()
    display.SetPointLabelsVisibility(False)  # a hundred texts would hide the scan; they are there to be switched on
    display.SetPropertiesLabelVisibility(False)
    display.SetUseGlyphScale(False)
    display.SetGlyphSize(_GLYPH_MM)
    display.SetTextScale(_TEXT_SCALE)
    return node


def _fill(node: Any, vertebra: Vertebra, frame: Frame) -> None:
    """Give a list the points, labels and colour of a vertebra; writes only what differs."""
    name = vertebra_name(vertebra)
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
    shade = [part / 255 for part in colour(vertebra.label_value)]
    display = node.GetDisplayNode()
    if display is not None:
        display.SetColor(*shade)
        display.SetSelectedColor(*shade)
