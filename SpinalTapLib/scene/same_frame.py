"""Tell whether two volumes lie in the same frame of reference, so that one position means the same in both."""

from __future__ import annotations

from typing import Any

import slicer

from . import nodes

_INSTANCES = "DICOM.instanceUIDs"  # attribute of volumes loaded from DICOM
_FRAME_OF_REFERENCE = "0020,0052"


def share_frame(scene: Any, one: Any, other: Any) -> bool:
    """Return whether two volume nodes are known to lie in the same frame of reference.

    Scans of one DICOM frame of reference do. Where that is not known, scans of one study in the subject hierarchy are
    taken to do so.
    """
    if one is other:
        return True
    frames = [_frame_uid(node) for node in (one, other)]
    if all(frames):
        return frames[0] == frames[1]
    studies = [_study(scene, node) for node in (one, other)]
    return studies[0] is not None and studies[0] == studies[1]


def _frame_uid(node: Any) -> str:
    """Return the DICOM frame of reference of a volume, or an empty text."""
    instances = (node.GetAttribute(_INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not instances or database is None:
        return ""
    return str(database.instanceValue(instances[0], _FRAME_OF_REFERENCE) or "")


def _study(scene: Any, node: Any) -> int | None:
    """Return the item of the study that a volume belongs to, or None."""
    tree = nodes.hierarchy(scene)
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    while item and item != tree.GetSceneItemID():
        if tree.GetItemLevel(item) == "Study":
            return int(item)
        item = tree.GetItemParent(item)
    return None
