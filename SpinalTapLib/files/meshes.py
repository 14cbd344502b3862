"""Write surfaces as STL, OBJ and PLY files, in LPS millimetres."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bodies.triangle_mesh import mesh_arrays
from ..machine import in_threads
from ..options import SURFACE_FORMATS
from ..spine.levels import arch_name
from .atomic import staged_folder, write_whole

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

PLAIN = (220, 220, 200)
"""Colour of a surface without one of its own: red, green, blue, 0-255."""

WHOLE = "_whole"
"""Ending of the name of a surface of a body with its arch."""

_HEADER = "SpinalTap; SPACE=LPS; UNIT=mm"
"""``SPACE=LPS`` is what Slicer looks for in the header of a mesh; STL itself knows neither axes nor units."""
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_PLY_POINT = np.dtype([("at", "<f4", 3), ("colour", "u1", 3)])
_PLY_TRIANGLE = np.dtype([("count", "u1"), ("points", "<i4", 3)])
_WINDOWS_NAMES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


@dataclass(frozen=True, eq=False)
class NamedSurface:
    """A surface with its name and colour.

    Attributes
    ----------
    name : str
        Such as ``"L5"``.
    surface : vtkPolyData
        Triangles, LPS, mm.
    colour : tuple of int
        Red, green, blue, 0-255; kept by PLY.
    """

    name: str
    surface: vtkPolyData
    colour: tuple[int, int, int] = PLAIN


def write_surface(path: str | Path, surface: vtkPolyData | Sequence[NamedSurface]) -> int:
    """Write one surface, or several as one file; the suffix gives the format: .stl (binary), .obj or .ply (binary).

    Parameters
    ----------
    path : path
        The file; replaced if it is there.
    surface : vtkPolyData or sequence of NamedSurface
        Triangles, LPS, mm.

    Returns
    -------
    int
        Number of triangles written, as counted in the file.

    Raises
    ------
    ValueError
        If the suffix is none of these, a surface is empty, or the file cannot be written; no partial file remains.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in SURFACE_FORMATS:
        raise ValueError(f"Surfaces can be written as {', '.join(SURFACE_FORMATS)}; {path.name} ends otherwise.")
    parts = list(surface) if isinstance(surface, Sequence) else [NamedSurface(path.stem, surface)]
    if not parts:
        raise ValueError(f"There is no surface to write to {path}.")
    meshes = [mesh_arrays(part.surface) for part in parts]
    write_whole(path, FORMATS[kind].content(parts, meshes))
    wanted, found = sum(len(triangles) for _, triangles in meshes), count_triangles(path)
    if found != wanted:
        path.unlink(missing_ok=True)
        raise ValueError(f"Writing {path} failed: {found} of {wanted} triangles arrived. Is the disk full?")
    return wanted


def read_surface(path: str | Path) -> vtkPolyData:
    """Read a surface that `write_surface` wrote, as triangles, LPS, mm.

    Raises
    ------
    ValueError
        If the file is missing, empty or damaged.
    """
    from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOPLY import vtkPLYReader

    path = Path(path)
    readers: dict[str, Any] = {".stl": vtkSTLReader, ".obj": vtkOBJReader, ".ply": vtkPLYReader}
    if path.suffix.lower() not in readers:
        raise ValueError(f"Surfaces can be read as {', '.join(SURFACE_FORMATS)}; {path.name} ends otherwise.")
    if not path.is_file() or count_triangles(path) == 0:
        raise ValueError(f"{path} is missing or has no surface; segment the scan again.")
    reader = readers[path.suffix.lower()]()
    reader.SetFileName(str(path))
    reader.Update()
    return triangulated(reader.GetOutput())


def write_surfaces(
    folder: str | Path, surfaces: Sequence[NamedSurface], kind: str = "stl", merged: str | None = None
) -> list[Path]:
    """Write surfaces into a folder, one file each or one for all; either all files are written or none.

    Parameters
    ----------
    folder : path
        Created if it does not exist. Other files in it stay.
    surfaces : sequence of NamedSurface
        What to write; a file is named after its surface.
    kind : str
        One of `SURFACE_FORMATS`.
    merged : str, optional
        Name, without suffix, of one file for all of them.

    Returns
    -------
    list of Path
        The files, in the order of `surfaces`.

    Raises
    ------
    ValueError
        If there is nothing to write, or writing fails; the folder is then unchanged.
    """
    if kind not in SURFACE_FORMATS:
        raise ValueError(f"Surfaces can be written as {', '.join(SURFACE_FORMATS)}; got {kind!r}.")
    if not surfaces:
        raise ValueError("There is no surface to write.")
    names = file_names([merged] if merged is not None else [s.name for s in surfaces], kind)
    with staged_folder(folder) as stage:
        if merged is not None:
            write_surface(stage / names[0], surfaces)
        else:
            for name, surface in zip(names, surfaces):
                write_surface(stage / name, [surface])
    return [Path(folder) / name for name in names]


def export_surfaces(
    surfaces: Mapping[str, Any],
    colours: Mapping[str, tuple[int, int, int]],
    folder: Path,
    scan: str,
    file_format: str,
    merged: bool,
    joined: bool = False,
) -> tuple[Path, ...]:
    """Write closed surfaces, LPS, mm, and return the files; all of them are written, or none.

    Parameters
    ----------
    surfaces : mapping of str to vtkPolyData
        Name to surface, LPS, mm; polygons of any kind, as an edited segment may have.
    colours : mapping of str to tuple of int
        Name to red, green, blue, 0-255.
    folder : Path
        Created if it does not exist.
    scan : str
        The scan's name, used as the prefix of the file names.
    file_format : str
        One of `options.SURFACE_FORMATS`.
    merged : bool
        One file for all instead of one each.
    joined : bool
        One closed surface for each body with its arch, ``"L5_whole"``, instead of two.

    Raises
    ------
    ValueError
        If there is nothing to write, or writing fails; no file is left behind.
    """
    surfaces = {name: triangulated(surface) for name, surface in surfaces.items()}
    if joined:
        surfaces, colours = _joined(surfaces, colours)
    parts = [
        NamedSurface(name if merged else f"{scan}_{name}", surface, colours.get(name, PLAIN))
        for name, surface in surfaces.items()
    ]
    return tuple(write_surfaces(folder, parts, file_format.lower(), f"{scan}_spine" if merged else None))


def _joined(
    surfaces: Mapping[str, vtkPolyData], colours: Mapping[str, tuple[int, int, int]]
) -> tuple[dict[str, vtkPolyData], dict[str, tuple[int, int, int]]]:
    """Return surfaces and colours by name, with each body and its arch as one surface."""
    from ..bodies.surfaces import joined_surface

    pairs = {name: arch_name(name) for name in surfaces if arch_name(name) in surfaces}
    wholes = dict(zip(pairs, in_threads(lambda name: joined_surface([surfaces[name], surfaces[pairs[name]]]), pairs)))
    arches = set(pairs.values())
    names = {name: f"{name}{WHOLE}" if name in pairs else name for name in surfaces if name not in arches}
    return (
        {new: wholes.get(name, surfaces[name]) for name, new in names.items()},
        {new: colours[name] for name, new in names.items() if name in colours},
    )


def triangulated(surface: vtkPolyData) -> vtkPolyData:
    """Return a surface as triangles only."""
    from vtkmodules.vtkFiltersCore import vtkTriangleFilter

    cutter = vtkTriangleFilter()
    cutter.SetInputData(surface)
    cutter.PassVertsOff()
    cutter.PassLinesOff()
    cutter.Update()
    return cutter.GetOutput()


def file_names(names: Sequence[str], ending: str) -> list[str]:
    """Return a file name for each name: valid on every system, and unique even on case-insensitive file systems."""
    out: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem = base = safe_name(name)
        number = 2
        while stem.lower() in taken:
            stem, number = f"{base}_{number}", number + 1
        taken.add(stem.lower())
        out.append(f"{stem}.{ending}")
    return out


def safe_name(name: str) -> str:
    """Return a name without characters that a file system might reject, such as ``"L5_S1"`` for ``"L5/S1"``."""
    stem = re.sub(r"[^\w.+-]+", "_", name, flags=re.ASCII).strip("._")[:80]
    return f"_{stem}" if not stem or _WINDOWS_NAMES.fullmatch(stem) else stem


def count_triangles(path: str | Path) -> int:
    """Return the number of complete triangles in a file written by `write_surface`."""
    path = Path(path)
    return FORMATS[path.suffix.lower().lstrip(".")].triangles(path.read_bytes())


def _stl(parts: Sequence[NamedSurface], meshes: Sequence[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Return a binary STL file."""
    corners = np.concatenate([points[triangles] for points, triangles in meshes])
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    out = np.zeros(len(corners), _STL_TRIANGLE)
    out["corners"] = corners
    out["normal"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    title = f"{_HEADER}; {parts[0].name if len(parts) == 1 else f'{len(parts)} parts'}"
    header = title.encode("ascii", "replace")[:80].ljust(80)
    return header + np.uint32(len(out)).astype("<u4").tobytes() + out.tobytes()


def _triangles_of_stl(data: bytes) -> int:
    said = int(np.frombuffer(data, "<u4", 1, 80)[0]) if len(data) >= 84 else 0
    return min(said, (len(data) - 84) // _STL_TRIANGLE.itemsize)


def _obj(parts: Sequence[NamedSurface], meshes: Sequence[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Return a Wavefront OBJ file with one object per part."""
    out = io.StringIO()
    out.write(f"# {_HEADER}\n")
    start = 1
    for part, (points, triangles) in zip(parts, meshes):
        out.write(f"o {safe_name(part.name)}\n")
        out.write("".join([f"v {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in points.tolist()]))
        out.write("".join([f"f {a} {b} {c}\n" for a, b, c in (triangles + start).tolist()]))
        start += len(points)
    return out.getvalue().encode("ascii", "replace")


def _triangles_of_obj(data: bytes) -> int:
    return data.count(b"\nf ")


def _ply(parts: Sequence[NamedSurface], meshes: Sequence[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Return a binary PLY file with one colour per point."""
    starts = np.cumsum([0, *(len(points) for points, _ in meshes)])
    vertices = np.zeros(starts[-1], _PLY_POINT)
    faces = np.zeros(sum(len(triangles) for _, triangles in meshes), _PLY_TRIANGLE)
    faces["count"] = 3
    faces["points"] = np.concatenate([triangles + start for (_, triangles), start in zip(meshes, starts)])
    for part, (points, _), start in zip(parts, meshes, starts):
        vertices["at"][start : start + len(points)] = points
        vertices["colour"][start : start + len(points)] = part.colour
    lines = ["ply", "format binary_little_endian 1.0", f"comment {_HEADER}", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    return "\n".join(lines).encode("ascii") + vertices.tobytes() + faces.tobytes()


def _triangles_of_ply(data: bytes) -> int:
    head, _, body = data.partition(b"end_header\n")
    points, faces = (int(re.findall(rb"element %s (\d+)" % what, head)[0]) for what in (b"vertex", b"face"))
    return min(faces, max(0, len(body) - points * _PLY_POINT.itemsize) // _PLY_TRIANGLE.itemsize)


class MeshFormat(NamedTuple):
    """A file format: a function that writes the content, and one that counts its complete triangles."""

    content: Callable[[Sequence[NamedSurface], Sequence[tuple[np.ndarray, np.ndarray]]], bytes]
    triangles: Callable[[bytes], int]


FORMATS = {
    "stl": MeshFormat(_stl, _triangles_of_stl),
    "obj": MeshFormat(_obj, _triangles_of_obj),
    "ply": MeshFormat(_ply, _triangles_of_ply),
}
"""The formats by suffix; the keys are those of `options.SURFACE_FORMATS`."""
