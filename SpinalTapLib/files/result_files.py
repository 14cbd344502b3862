"""Write and read the result folder; it is written as a whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..options import SURFACE_FORMATS
from ..report.report import report_png
from ..scans.orientation import SourceGrid, sagittal_grid
from ..scans.reader import read_image
from ..scans.volume import SagittalVolume
from ..spine.levels import arch_value
from ..spine.segments import segment_of
from ..spine.vertebra import Spine, Vertebra
from .atomic import staged_folder, write_whole
from .markups import write_markups
from .measurements_csv import measurements_csv
from .meshes import WHOLE, NamedSurface, write_surface
from .result_names import (
    CSV_NAME,
    DICOM_NAME,
    JSON_NAME,
    LABEL_MAP_NAME,
    MARKUPS_FOLDER,
    REPORT_NAME,
    SEGMENTATION_NAME,
    SR_NAME,
    SURFACES_FOLDER,
)
from .seg_nrrd import write_seg_nrrd
from .spine_json import read_spine_json, spine_from_json, spine_json

SURFACE_ENDINGS = ("", "_arch", WHOLE)
"""Endings of the names of surface files: body, arch, both as one surface."""

CONFIDENCE_TAG = "SpinalTap.Confidence"
"""Tag of the segments in the ``.seg.nrrd``."""

_NIFTI_HEADER_BYTES = 352


def write_result(
    spine: Spine,
    volume: SagittalVolume,
    folder: str | Path,
    *,
    surfaces: Mapping[int, Any] | None = None,
    wholes: Mapping[int, Any] | None = None,
    surface_format: str = "stl",
    rendering: np.ndarray | None = None,
    source: Mapping[str, Any] | None = None,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write the result folder.

    The files are written to a hidden folder and moved at the end. Files of an earlier result in `folder` are
    replaced or removed then; files that are not SpinalTap's are never touched.

    Parameters
    ----------
    spine : Spine
        Measured, with its label map on the volume's grid.
    volume : SagittalVolume
        The scan.
    folder : path
        Created if it does not exist.
    surfaces : mapping of int to vtkPolyData, optional
        Label value to closed surface, LPS, mm; those of bodies and arches are written.
    wholes : mapping of int to vtkPolyData, optional
        Label value of a vertebra to the closed surface of its body with its arch.
    surface_format : str
        One of `options.SURFACE_FORMATS`.
    rendering : ndarray, shape (rows, columns, 3), uint8, optional
        Picture of the surfaces for the report.
    source : mapping, optional
        What spine.json says about the input besides its name and geometry: its ``path``, its ``series``.
    extra : mapping of str to bytes, optional
        More files: relative name to content.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If the spine has no label map, two vertebrae have one name, the surface format is unknown, or the folder
        cannot be written, for example because the disk is full. The folder is then unchanged, as after any other
        exception.
    """
    if spine.label_map is None:
        raise ValueError("This spine has no label map, so there is no result to write.")
    if surface_format not in SURFACE_FORMATS:
        raise ValueError(f"There is no surface format {surface_format!r}; use one of {', '.join(SURFACE_FORMATS)}.")
    names = file_names(spine)
    folder = Path(folder)
    with staged_folder(folder, _files_of_earlier_result(folder)) as stage:
        _write_label_maps(stage, spine, volume)
        write_whole(stage / JSON_NAME, spine_json(spine, volume, source).encode())
        write_whole(stage / CSV_NAME, measurements_csv(spine).encode())
        write_whole(stage / REPORT_NAME, report_png(spine, volume, rendering))
        (stage / MARKUPS_FOLDER).mkdir()
        (stage / SURFACES_FOLDER).mkdir()
        for name, vertebra in zip(names, spine.vertebrae):
            write_markups(stage / _markups_name(name), vertebra)
            value, colour = vertebra.label_value, segment_of(vertebra.label_value).colour
            found = (surfaces or {}).get(value), (surfaces or {}).get(arch_value(value)), (wholes or {}).get(value)
            for ending, surface in zip(SURFACE_ENDINGS, found):
                if surface is not None:
                    path = stage / SURFACES_FOLDER / f"{name}{ending}.{surface_format}"
                    write_surface(path, [NamedSurface(name + ending, surface, colour)])
        for name, content in (extra or {}).items():
            write_whole(stage / name, content)
    return folder


def read_result(folder: str | Path) -> Spine:
    """Read a result folder.

    Parameters
    ----------
    folder : path
        Written by `write_result`.

    Returns
    -------
    Spine
        With its label map in the sagittal frame, shape (slice, row, column), uint16, and no evidence.

    Raises
    ------
    ValueError
        If it is no result folder, or a file in it is missing or damaged.
    """
    folder = Path(folder)
    content = read_spine_json(folder / JSON_NAME)
    label_map, grid = _read_label_map(folder / LABEL_MAP_NAME)
    return spine_from_json(content, grid, label_map)


def file_name(vertebra: Vertebra) -> str:
    """Return the base name of a vertebra's files: ``"L3"``, or ``"vertebra_101"`` where the count has no anchor."""
    return vertebra.level or f"vertebra_{vertebra.label_value}"


def file_names(spine: Spine) -> tuple[str, ...]:
    """Return the vertebrae's file names, from the bottom up.

    Raises
    ------
    ValueError
        If two vertebrae have the same name.
    """
    names = tuple(file_name(vertebra) for vertebra in spine.vertebrae)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"Two vertebrae are called {twice}; their files would overwrite each other.")
    return names


def _markups_name(name: str) -> str:
    return str(PurePosixPath(MARKUPS_FOLDER, f"{name}.mrk.json"))


def _files_of_earlier_result(folder: Path) -> tuple[str, ...]:
    """Return the files of an earlier result, according to its spine.json, that no new file replaces."""
    try:
        content = read_spine_json(folder / JSON_NAME)
        names = [entry["level"] or f"vertebra_{int(entry['label_value'])}" for entry in content["vertebrae"]]
    except (ValueError, KeyError, TypeError):
        return ()
    safe = [name for name in names if isinstance(name, str) and name.replace("_", "").isalnum()]
    surfaces = (
        PurePosixPath(SURFACES_FOLDER, f"{name}{ending}.{suffix}")
        for name in safe for ending in SURFACE_ENDINGS for suffix in SURFACE_FORMATS
    )  # fmt: skip
    return (*map(_markups_name, safe), *map(str, surfaces), DICOM_NAME, SR_NAME)


def _write_label_maps(stage: Path, spine: Spine, volume: SagittalVolume) -> None:
    labels = np.asarray(spine.label_map)
    image = volume.to_source(labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16))
    path = stage / LABEL_MAP_NAME
    with _itk_errors(path):
        sitk.WriteImage(image, str(path), useCompression=True)
        _check_nifti(path, labels.size * image.GetSizeOfPixelComponent())
    tags = {v.label_value: {CONFIDENCE_TAG: f"{v.confidence:.4f}"} for v in spine.vertebrae}
    write_seg_nrrd(stage / SEGMENTATION_NAME, image, tags=tags)


@contextlib.contextmanager
def _itk_errors(path: Path) -> Iterator[None]:
    """Turn ITK's page-long write errors into one sentence."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(f"Could not write {path.name}: the disk may be full or the folder not writable.") from error


def _check_nifti(path: Path, voxel_bytes: int) -> None:
    """Read a compressed file back to its end, because ITK does not notice every failed write."""
    found = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                found += len(block)
    except EOFError:
        found = 0
    if found < _NIFTI_HEADER_BYTES + voxel_bytes:
        raise ValueError(f"Could not write {path.name} completely; the disk may be full.")


def _read_label_map(path: Path) -> tuple[np.ndarray, SourceGrid]:
    image = read_image(path).image
    grid = sagittal_grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), str(path))
    return np.ascontiguousarray(grid.to_sagittal(sitk.GetArrayFromImage(image)), dtype=np.uint16), grid
