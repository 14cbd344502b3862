"""Hidden text nodes that make a recount possible after a saved scene is loaded.

One holds the answer (a few kilobytes, rewritten at each recount); two hold the evidence and the surfaces (some
megabytes, unchanged by recounts).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files.spine_codec import spine_of
from ..spine.vertebra import Spine
from ..worker import exchange
from ..worker.exchange import Result
from . import nodes
from .frames import RAS_FROM_LPS
from .segmentation import node as segments
from .volume_node import array_kji, turn_between

FRAME = "SpinalTap.Frame"
"""Attribute of the segmentation node: the frame of the volume (see `Frame.to_text`)."""

FILES = {nodes.EVIDENCE: exchange.EVIDENCE, nodes.MESHES: exchange.SURFACES}
"""File of the exchange folder held by the text node of each role."""

_FOLDER = "SpinalTap.Folder"  # the exchange folder of a stored file, which is written once per run


def set_up(node: Any) -> None:
    """Hide a new text node, and have it saved to its own file."""
    node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)
    node.SetHideFromEditors(True)


def fill(node: Any, result: Result) -> None:
    """Write a result's answer into a text node."""
    node.SetText(json.dumps(exchange.memory_of(result)))


def holds_files(node: Any, result: Result) -> bool:
    """Return True if a text node holds a file of the run that a result comes from."""
    return node is not None and node.GetAttribute(_FOLDER) == str(result.folder)


def fill_file(node: Any, result: Result, name: str) -> None:
    """Write a file of a result's exchange folder, some megabytes, into a text node."""
    path = result.folder / name if result.folder is not None else None
    content = path.read_bytes() if path is not None and path.is_file() else b""
    node.SetText(base64.b64encode(content).decode("ascii"))
    node.SetAttribute(_FOLDER, str(result.folder))


def result_from(answer: Any, files: Mapping[str, Any], labels: np.ndarray, folder: Path) -> Result:
    """Return the result in a text node; write the files in the other text nodes to `folder`.

    Parameters
    ----------
    answer : vtkMRMLTextNode
        Written by `fill`.
    files : mapping of str to vtkMRMLTextNode or None
        Name to the node written by `fill_file`. Without evidence, a recount is not possible.
    labels : ndarray, shape (slice, row, column)
        The label map of the segments.

    Raises
    ------
    ValueError
        If a text is damaged.
    """
    try:
        for name, node in files.items():
            content = base64.b64decode(node.GetText() or "", validate=True) if node is not None else b""
            if content:
                (folder / name).write_bytes(content)
                node.SetAttribute(_FOLDER, str(folder))
        result = exchange.result_of(json.loads(answer.GetText()), labels, folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error
    return result if (folder / exchange.EVIDENCE).is_file() else replace(result, folder=None)


def spine_in(answer: Any) -> Spine:
    """Return the spine in a text node, without its label map; raise ValueError if the text is damaged."""
    try:
        stored = json.loads(answer.GetText() or "")
    except ValueError as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error
    return spine_of(stored)


def matrix_in(answer: Any) -> np.ndarray:
    """Return the (slice, row, column) to LPS matrix, shape (4, 4), of the result in a text node."""
    try:
        return np.array(json.loads(answer.GetText())["matrix"], float).reshape(4, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error


def label_map_of(node: Any, shape: tuple[int, ...], matrix_lps: np.ndarray, to_world: np.ndarray) -> np.ndarray:
    """Return SpinalTap's segments as a label map, uint16, (slice, row, column), hand edits included.

    Parameters
    ----------
    shape : tuple of int
        (slices, rows, columns).
    matrix_lps : ndarray, shape (4, 4)
        (slice, row, column, 1) to LPS of the label map.
    to_world : ndarray, shape (4, 4)
        The segmentation's own space to the world of `matrix_lps`, RAS.
    """
    whole = np.zeros(shape, np.uint16)
    for segment in segments.ours(node).values():
        image = segments.label_map(segment)
        if image is not None:
            to_index = np.linalg.inv(matrix_lps) @ RAS_FROM_LPS @ to_world @ segments.image_to_space(image)
            _paste(whole, image, to_index, segment.GetLabelValue())
    return whole


def _paste(whole: np.ndarray, image: Any, to_index: np.ndarray, value: int) -> None:
    """Set the voxels of `whole` that an image sets; ignore images on other grids and voxels outside.

    `to_index`, shape (4, 4), leads from the image's (i, j, k, 1) to the indices of `whole`.
    """
    try:
        axes, flips = turn_between(to_index)
    except ValueError:
        return
    ends = np.array(image.GetExtent()).reshape(3, 2).T
    low = np.round((np.c_[ends, [1, 1]] @ to_index[:3].T).min(0)).astype(int)
    mask = array_kji(image).transpose(2 - axes) == value
    mask = mask[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    start, stop = np.maximum(low, 0), np.minimum(low + mask.shape, whole.shape)
    if (stop > start).all():
        there = whole[tuple(slice(a, b) for a, b in zip(start, stop))]
        there[mask[tuple(slice(a, b) for a, b in zip(start - low, stop - low))]] = value
