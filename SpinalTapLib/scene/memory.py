"""The memory node: what a saved scene needs so that a recount works after it is loaded again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import exchange
from ..ports import Result
from . import segments
from .frames import Frame, array_of, matrix_of
from .volumes import array_kji, voxel_map

FRAME = "SpinalTap.Frame"
"""Attribute of the segmentation node: where the volume lay (see `Frame.to_text`)."""

_FOLDER = "SpinalTap.Folder"  # which exchange folder the stored evidence is from: it is written once a run only


def fill(node: Any, result: Result) -> None:
    """Write a result's answer and evidence into a text node, which is saved as a file of its own."""
    memory: dict[str, Any] = {"answer": exchange.memory_of(result)}
    evidence = _evidence_of(node, result)
    if evidence:
        memory["evidence"] = evidence
    node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)
    node.SetHideFromEditors(True)
    node.SetAttribute(_FOLDER, str(result.folder or ""))
    node.SetText(json.dumps(memory))


def _evidence_of(node: Any, result: Result) -> str:
    if result.folder is not None and node.GetAttribute(_FOLDER) == str(result.folder) and node.GetText():
        return str(json.loads(node.GetText()).get("evidence", ""))
    path = result.folder / exchange.EVIDENCE if result.folder is not None else None
    return base64.b64encode(path.read_bytes()).decode("ascii") if path is not None and path.is_file() else ""


def result_from(text: str, labels: np.ndarray, folder: Path) -> Result:
    """Return the result in a text node; its evidence goes into `folder`.

    Raises
    ------
    ValueError
        If the text is damaged.
    """
    try:
        memory = json.loads(text)
        evidence = base64.b64decode(memory.get("evidence", ""), validate=True)
        result = exchange.result_of(memory["answer"], labels, folder)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error
    if not evidence:
        return Result(result.spine, result.matrix, {}, None)
    (folder / exchange.EVIDENCE).write_bytes(evidence)
    return result


def matrix_in(text: str) -> np.ndarray:
    """Return the (slice, row, column) to LPS matrix, shape (4, 4), of the result in a text node."""
    try:
        return np.array(json.loads(text)["answer"]["matrix"], float).reshape(4, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The stored result is damaged ({error}); segment the volume again.") from error


def label_map_of(node: Any, shape_kji: tuple[int, ...], matrix_lps: np.ndarray, frame: Frame) -> np.ndarray:
    """Return SpinalTap's segments as a label map, uint16, (slice, row, column), hand edits included.

    Parameters
    ----------
    shape_kji : tuple of int
        Shape of the volume node's voxels.
    matrix_lps : ndarray, shape (4, 4)
        (slice, row, column, 1) to LPS of the label map.
    frame : Frame
        Where the volume lay.
    """
    whole = np.zeros(shape_kji, np.uint16)
    for segment in segments.ours(node).values():
        image = segment.GetRepresentation(segments.MASK)
        if image is None or image.GetPointData().GetScalars() is None:
            continue
        low = _offset(image, frame)
        if low is not None:
            _paste(whole, array_kji(image) == segment.GetLabelValue(), low, segment.GetLabelValue())
    axes, flips = voxel_map(matrix_lps, frame)
    turned = whole[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return np.ascontiguousarray(turned.transpose(np.argsort(axes)))


def _offset(image: Any, frame: Frame) -> np.ndarray | None:
    """Return the (k, j, i) of the volume at which a segment's label map begins; None if it has other voxels."""
    matrix = matrix_of(np.eye(4))
    image.GetImageToWorldMatrix(matrix)
    to_voxels = np.linalg.inv(frame.ijk_to_local) @ array_of(matrix)
    if np.abs(to_voxels[:3, :3] - np.eye(3)).max() > 1e-2:
        return None
    extent = image.GetExtent()
    first = to_voxels @ [extent[0], extent[2], extent[4], 1.0]
    return np.round(first[2::-1]).astype(int)


def _paste(whole: np.ndarray, mask: np.ndarray, low: np.ndarray, value: int) -> None:
    """Write a value into `whole` where a mask, which begins at `low`, is set; what lies outside is dropped."""
    high = np.minimum(low + mask.shape, whole.shape)
    start = np.maximum(low, 0)
    if (high <= start).any():
        return
    there = whole[tuple(slice(a, b) for a, b in zip(start, high))]
    here = mask[tuple(slice(a, b) for a, b in zip(start - low, high - low))]
    there[here] = value
