"""The exchange folder, through which scans go to the worker process and results come back.

``volume.npy`` and ``volume.json`` hold the scan. ``evidence.npz``, ``index.npy`` (the structure of each voxel) and
``surfaces.npz`` (one mesh per structure) are written once per run. Each answer, ``<name>.json``, only maps structures
to label values, so that a recount transfers a few kilobytes. Every file that the worker writes is written completely
or not at all, because the process may be killed at any time.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ARRAY_DAMAGE, DAMAGE
from ..files.atomic import write_whole
from ..files.spine_codec import answer_of, spine_of
from .mesh_archive import read_meshes, write_meshes

if TYPE_CHECKING:
    from ..evidence import Evidence
    from ..scans.volume import SagittalVolume
    from ..spine.vertebra import Spine

EVIDENCE, SURFACES = "evidence.npz", "surfaces.npz"
_VOLUME, _ABOUT, _INDEX = "volume.npy", "volume.json", "index.npy"


@dataclass(frozen=True)
class Result:
    """A spine as shown in the scene.

    Attributes
    ----------
    spine : Spine
        Vertebrae and label map; the label map lies on the `SagittalVolume`'s grid.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the label map to LPS world, mm, as it was when the run began.
    surfaces : mapping of int to object
        Label value to closed surface (vtkPolyData), LPS world, mm.
    folder : Path or None
        The exchange folder that a recount starts from.
    values : tuple of int
        Label value of each structure in that folder, 0 for those without a name.
    """

    spine: Spine
    matrix: np.ndarray
    surfaces: Mapping[int, Any] = field(default_factory=dict)
    folder: Path | None = None
    values: tuple[int, ...] = ()


def write_volume(folder: Path, volume: SagittalVolume) -> None:
    """Write the scan; raise OSError if the disk is full."""
    np.save(folder / _VOLUME, volume.array)
    about = {"matrix": volume.matrix.tolist(), "name": volume.name, "warnings": list(volume.warnings)}
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def read_volume(folder: Path) -> SagittalVolume:
    """Return the scan that `write_volume` wrote (without its own file's grid)."""
    from ..scans.volume import SagittalVolume

    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    array = np.load(folder / _VOLUME, allow_pickle=False)
    return SagittalVolume(array, np.array(about["matrix"]), about["name"], None, tuple(about["warnings"]))


def carry_over(before: Path, folder: Path, shapes: bool) -> None:
    """Copy the scan, and with `shapes` the shapes, of one folder to another, as hard links where possible."""
    for name in (_VOLUME, _ABOUT, *((_INDEX, SURFACES) if shapes and has_shapes(before) else ())):
        try:
            os.link(before / name, folder / name)
        except FileExistsError:  # a process that was killed has begun in this folder
            continue
        except OSError:  # a file system without links
            shutil.copyfile(before / name, folder / name)


def has_shapes(folder: Path) -> bool:
    """Return True if the folder holds the complete files of `write_shapes`."""
    try:
        np.load(folder / _INDEX, mmap_mode="r", allow_pickle=False)  # reads the header and checks the file's size
    except ARRAY_DAMAGE:
        return False
    return (folder / SURFACES).is_file()


def write_shapes(folder: Path, evidence: Evidence, progress: Callable[[int, int], None]) -> None:
    """Write what no recount changes, unless it exists already: the index map and one surface per structure.

    Parameters
    ----------
    progress : callable
        Called before each surface with its number, from 1, and the number of surfaces.
    """
    from ..bodies.surfaces import part_surface

    if not (folder / SURFACES).is_file():  # the folder of a loaded scene has it already
        meshes: dict[int, Any] = {}
        # A single slice has no surfaces.
        count = len(evidence.bodies.solids) if len(evidence.volume.array) > 1 else 0
        for i in range(count):
            progress(i + 1, count)
            surface = part_surface(evidence.bodies, i)
            if surface is not None:
                meshes[i] = surface
        write_meshes(folder / SURFACES, meshes)
    index = io.BytesIO()
    np.save(index, evidence.bodies.index)
    write_whole(folder / _INDEX, index.getvalue())


def write_answer(folder: Path, name: str, spine: Spine) -> None:
    """Write a spine with evidence as ``<name>.json``."""
    evidence: Any = spine.evidence
    answer = answer_of(spine)
    answer["values"] = [int(value) for value in evidence.bodies.values(evidence.values(spine.vertebrae))]
    answer["matrix"] = evidence.volume.matrix.tolist()
    write_whole(folder / f"{name}.json", json.dumps(answer).encode())


@dataclass(frozen=True, eq=False)
class Shapes:
    """The index map and surfaces written by `write_shapes`.

    Attributes
    ----------
    folder : Path
        The exchange folder.
    index : ndarray, shape (slice, row, column)
        0, or 1 + the structure that the voxel belongs to.
    surfaces : dict of int to vtkPolyData
        Structure to closed surface, LPS, mm.
    """

    folder: Path
    index: np.ndarray
    surfaces: dict[int, Any]


def read_shapes(folder: Path) -> Shapes:
    """Read the files of `write_shapes`; raise ValueError if they are missing or damaged."""
    try:
        index = np.load(folder / _INDEX, allow_pickle=False)
        return Shapes(folder, index, read_meshes(folder / SURFACES))
    except ARRAY_DAMAGE as error:
        raise ValueError(f"The shapes of this result could not be read ({error}); segment the scan again.") from error


def read_answer(shapes: Shapes, name: str) -> Result:
    """Return the result that an exchange folder holds under that name; raise ValueError if it is damaged."""
    try:
        answer = json.loads((shapes.folder / f"{name}.json").read_text(encoding="utf-8"))
        values = np.array([0, *answer["values"]], np.uint16)
        surfaces = named(shapes.surfaces, answer["values"])
        matrix = np.array(answer["matrix"], float).reshape(4, 4)
        label_map = values[shapes.index]
    except (OSError, *DAMAGE) as error:
        raise ValueError(f"The answer could not be read ({error}); segment the scan again.") from error
    return Result(spine_of(answer, label_map), matrix, surfaces, shapes.folder, tuple(answer["values"]))


def named(meshes: Mapping[int, Any], values: Sequence[int]) -> dict[int, Any]:
    """Return the meshes by label value, without those of unnamed structures."""
    return {int(values[i]): mesh for i, mesh in meshes.items() if i < len(values) and values[i]}


def memory_of(result: Result) -> dict[str, Any]:
    """Return the part of a result that a saved scene stores, as a dict for JSON."""
    return {**answer_of(result.spine), "matrix": np.asarray(result.matrix).tolist(), "values": list(result.values)}


def result_of(memory: Mapping[str, Any], label_map: np.ndarray, folder: Path) -> Result:
    """Return the result that `memory_of` wrote, with the label map of the scene's segments.

    Its surfaces are those in `folder`, if there are any.
    """
    try:
        matrix = np.array(memory["matrix"], float).reshape(4, 4)
        values = tuple(map(int, memory.get("values", ())))
        meshes = read_meshes(folder / SURFACES) if (folder / SURFACES).is_file() else {}
    except DAMAGE as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error
    return Result(spine_of(memory, label_map), matrix, named(meshes, values), folder, values)
