"""Fill table nodes; that with the list of vertebrae goes from the top of the image down."""

from __future__ import annotations

from typing import Any

import vtk

from ..spine.vertebra import Spine


def fill(node: Any, spine: Spine) -> None:
    """Write the list of vertebrae into a table node, replacing its content."""
    vertebrae = spine.vertebrae[::-1]
    names = sorted({name for vertebra in vertebrae for name in vertebra.measurements})
    columns = [
        texts("Level", [v.name for v in vertebrae]),
        numbers("Confidence", [v.confidence for v in vertebrae]),
        numbers(
            "Outline", [float("nan") if v.outline_confidence is None else v.outline_confidence for v in vertebrae]
        ),
        numbers("Height (mm)", [v.height_mm for v in vertebrae]),
        numbers("Depth (mm)", [v.depth_mm for v in vertebrae]),
        *(numbers(title(name), [v.measurements.get(name, float("nan")) for v in vertebrae]) for name in names),
        texts("Note", ["; ".join(v.flags) for v in vertebrae]),
    ]
    write(node, columns)


def write(node: Any, columns: list[Any]) -> None:
    """Replace the content of a table node by columns with titles, not to be edited."""
    table = vtk.vtkTable()
    for column in columns:
        table.AddColumn(column)
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)


def title(name: str) -> str:
    """Return a measurement's name as a column title: ``"height_anterior_mm"`` becomes ``"Height anterior (mm)"``."""
    units = {"mm": "mm", "deg": "degrees", "percent": "%", "mm2": "mm2", "mm3": "mm3", "ml": "ml"}
    words = name.split("_")
    unit = units.get(words[-1])
    text = " ".join(words[:-1] if unit else words)
    text = text[:1].upper() + text[1:]
    return f"{text} ({unit})" if unit else text


def texts(name: str, values: list[str]) -> Any:
    """Return a column of texts."""
    column = vtk.vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def numbers(name: str, values: list[float]) -> Any:
    """Return a column of numbers, rounded to three decimals."""
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(round(float(value), 3))
    return column
