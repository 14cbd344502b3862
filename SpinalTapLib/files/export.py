"""Export: the surfaces of a scene as files, named after the scan and the level."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .meshes import NamedSurface, write_surfaces

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData


def export_surfaces(
    surfaces: Mapping[str, Any],
    colours: Mapping[str, tuple[int, int, int]],
    folder: Path,
    scan: str,
    file_format: str,
    merged: bool,
) -> tuple[Path, ...]:
    """Write closed surfaces, LPS, mm, and return the files; all of them are written, or none.

    Parameters
    ----------
    surfaces : mapping of str to vtkPolyData
        Name to surface, LPS, mm; polygons of any kind, as an edited segment may have.
    colours : mapping of str to tuple of int
        Name to red, green, blue, 0-255.
    folder : Path
        Made if it is not there.
    scan : str
        The scan's name, with which the file names begin.
    file_format : str
        One of `meshes.FORMATS`.
    merged : bool
        One file for all instead of one each.

    Raises
    ------
    ValueError
        If there is nothing to write, or it can't be written; nothing is left behind then.
    """
    parts = [
        NamedSurface(name if merged else f"{scan}_{name}", triangulated(surface), colours.get(name, (220, 220, 200)))
        for name, surface in surfaces.items()
    ]
    return tuple(write_surfaces(folder, parts, file_format.lower(), f"{scan}_spine" if merged else None))


def triangulated(surface: vtkPolyData) -> vtkPolyData:
    """Return a surface as triangles only."""
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter

    cutter = vtkTriangleFilter()
    cutter.SetInputData(surface)
    cutter.PassVertsOff()
    cutter.PassLinesOff()
    cutter.Update()
    return cutter.GetOutput()
