"""Make what the browser shows: the thumbnail, the scan and its label map as NIfTI, the surfaces as one mesh."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkQuadricClustering

from ..bodies.triangle_mesh import mesh_arrays
from ..files.meshes import NamedSurface, read_surface
from ..files.result_files import file_name
from ..files.result_names import REPORT_NAME, SURFACES_FOLDER
from ..options import SURFACE_FORMATS
from ..report.report import side_view
from ..report.sections import spine_window
from ..scans.volume import SagittalVolume
from ..spine import levels
from ..spine.segments import CANAL_COLOUR, DISC_COLOUR, segment_of
from ..spine.vertebra import Spine

MOST_VOXELS = 6_000_000
"""Largest scan that is sent as it is; of larger ones, neighbouring planes are averaged: a page stays below 5 MB."""
_GREY_LEVELS = 100  # more than a reader sees in a slice; fewer bits compress better
_JPEG_QUALITY = 88
_MZ3_MAGIC, _MZ3_HAS = 0x5A4D, 1 | 2 | 4  # triangles, points, colours
_CELL_MM = 2.0  # when a surface is simplified for the screen
_TO_RAS = np.array([-1.0, -1.0, 1.0])


def side_jpeg(folder: Path, height: int | None = None) -> bytes:
    """Return the mid-sagittal view of a stored report as JPEG, not higher than `height` px.

    Raises
    ------
    ValueError
        If there is no report, or it cannot be read.
    """
    path = folder / REPORT_NAME
    try:
        with Image.open(path) as file:
            picture = Image.fromarray(side_view(np.asarray(file.convert("RGB"))))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name} of this result is missing or damaged; segment the scan again.") from error
    if height is not None and picture.height > height:
        picture.thumbnail((picture.width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def scan_nifti(volume: SagittalVolume, spine: Spine) -> bytes:
    """Return the scan as a compressed NIfTI file of bytes, black and white as in the report."""
    low, high = spine_window(volume, spine.vertebrae)
    array, matrix = thinned(volume.array, volume.matrix)
    steps = np.clip((array - low) / max(high - low, 1e-6), 0, 1) * (_GREY_LEVELS - 1)
    return nifti_bytes(np.rint(steps).astype(np.uint8), matrix)


def label_colours(values: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the colours of the numbers of `labels_nifti`, from number 1."""
    return [*(segment_of(value).colour for value in values), DISC_COLOUR, CANAL_COLOUR]


def labels_nifti(labels: np.ndarray, matrix: np.ndarray, values: Sequence[int]) -> bytes:
    """Return a label map, shape (slice, row, column), as NIfTI.

    Each of `values`, the vertebrae, becomes its place from 1, and its arch the same; the discs have the next number,
    and the canal the one after it.
    """
    table = np.zeros(int(labels.max(initial=0)) + 1, np.uint8)
    places = {value: place for place, value in enumerate(values, 1)}
    for value in range(1, len(table)):
        if value == levels.CANAL_VALUE:
            table[value] = len(values) + 2
        elif levels.is_disc(value):
            table[value] = len(values) + 1
        else:
            table[value] = places.get(levels.owner_value(value) if levels.is_arch(value) else value, 0)
    numbers = table[labels]
    while numbers.size > MOST_VOXELS:  # as the scan, but without mixing labels
        axis = _finest(matrix)
        numbers = np.moveaxis(np.moveaxis(numbers, axis, 0)[: numbers.shape[axis] // 2 * 2 : 2], 0, axis)
        matrix = _halved(matrix, axis)
    return nifti_bytes(numbers, matrix)


def thinned(array: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average pairs of planes along the finest axis until an array has at most `MOST_VOXELS`; return it, its matrix."""
    while array.size > MOST_VOXELS:
        axis = _finest(matrix)
        pairs = np.moveaxis(array, axis, 0)[: array.shape[axis] // 2 * 2].astype(np.float32)
        array = np.moveaxis((pairs[::2] + pairs[1::2]) / 2, 0, axis)
        matrix = _halved(matrix, axis)
    return array, matrix


def _finest(matrix: np.ndarray) -> int:
    return int(np.argmin(np.linalg.norm(matrix[:3, :3], axis=0)))


def _halved(matrix: np.ndarray, axis: int) -> np.ndarray:
    """Return the matrix of an array with half as many planes along an axis."""
    matrix = matrix.copy()
    matrix[:3, 3] += matrix[:3, axis] / 2
    matrix[:3, axis] *= 2
    return matrix


def nifti_bytes(array: np.ndarray, matrix: np.ndarray) -> bytes:
    """Return an array of bytes, shape (slice, row, column), with its matrix to LPS, as ``.nii.gz``."""
    affine = (matrix * np.array([-1, -1, 1, 1])[:, None])[:3, [2, 1, 0, 3]]  # NIfTI: RAS, the first index runs fastest
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)  # unsigned bytes
    struct.pack_into("<8f", header, 76, 1.0, *np.linalg.norm(affine[:, :3], axis=0), 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    struct.pack_into("<B", header, 123, 2)  # millimetres
    struct.pack_into("<2h", header, 252, 0, 1)  # the position is that of the sform
    struct.pack_into("<12f", header, 280, *affine.ravel())
    struct.pack_into("<4s", header, 344, b"n+1\0")
    return gzip.compress(bytes(header) + np.ascontiguousarray(array, np.uint8).tobytes(), compresslevel=3, mtime=0)


def stored_surfaces(folder: Path, spine: Spine) -> list[NamedSurface]:
    """Read the surfaces of a result's vertebrae, with their arches, from the top down; those without one are left out.

    Raises
    ------
    ValueError
        If a file is damaged.
    """
    out = []
    for vertebra in reversed(spine.vertebrae):
        name = file_name(vertebra)
        names = (f"{name}{ending}.{kind}" for ending in ("_whole", "") for kind in SURFACE_FORMATS)
        paths = (folder / SURFACES_FOLDER / file for file in names)
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            out.append(NamedSurface(name, read_surface(path), segment_of(vertebra.label_value).colour))
    return out


def surfaces_mz3(surfaces: Sequence[NamedSurface]) -> bytes:
    """Return surfaces, simplified for the screen, as one coloured mesh in RAS: an ``.mz3`` file."""
    points, triangles, colours, start = [], [], [], 0
    for surface in surfaces:
        at, corners = mesh_arrays(_simplified(surface.surface))
        points.append(at * _TO_RAS)
        triangles.append(corners + start)
        colours.append(np.tile(np.array([*surface.colour, 255], np.uint8), (len(at), 1)))
        start += len(at)
    if not points:
        raise ValueError("This result has no surfaces.")
    faces = np.concatenate(triangles).astype("<i4")
    head = struct.pack("<HHIII", _MZ3_MAGIC, _MZ3_HAS, len(faces), start, 0)
    body = faces.tobytes() + np.concatenate(points).astype("<f4").tobytes() + np.concatenate(colours).tobytes()
    return gzip.compress(head + body, compresslevel=3, mtime=0)


def _simplified(surface: vtkPolyData) -> vtkPolyData:
    low, high = np.array(surface.GetBounds()).reshape(3, 2).T
    cells = np.maximum(np.rint((high - low) / _CELL_MM).astype(int), 4)
    filter_ = vtkQuadricClustering()
    filter_.SetInputData(surface)
    filter_.AutoAdjustNumberOfDivisionsOff()
    filter_.SetNumberOfDivisions(*map(int, cells))
    filter_.UseInputPointsOn()
    filter_.Update()
    return filter_.GetOutput()
