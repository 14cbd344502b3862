"""Tell whose scan a volume is, and whether two lie in one frame of reference: a position means the same in both."""

from __future__ import annotations

from typing import Any

import slicer

from . import nodes

_INSTANCES = "DICOM.instanceUIDs"  # attribute of volumes loaded from DICOM
_FRAME_OF_REFERENCE = "0020,0052"
_UID = "DICOM"  # name of the UIDs of hierarchy items; that of a patient is the patient ID


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
    studies = [_above(scene, node, "Study") for node in (one, other)]
    return studies[0] != 0 and studies[0] == studies[1]


def patient_of(scene: Any, node: Any) -> str:
    """Return the ID of the patient that a volume from DICOM belongs to, or an empty text if it is not known."""
    item = _above(scene, node, "Patient")
    return str(nodes.hierarchy(scene).GetItemUID(item, _UID)) if item else ""


def _frame_uid(node: Any) -> str:
    """Return the DICOM frame of reference of a volume, or an empty text."""
    instances = (node.GetAttribute(_INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not instances or database is None:
        return ""
    return str(database.instanceValue(instances[0], _FRAME_OF_REFERENCE) or "")


def _above(scene: Any, node: Any, level: str) -> int:
    """Return the item of the study or the patient that a volume belongs to, or 0."""
    tree = nodes.hierarchy(scene)
    item = tree.GetItemByDataNode(node) if tree is not None else 0
    return int(tree.GetItemAncestorAtLevel(item, level)) if item else 0
