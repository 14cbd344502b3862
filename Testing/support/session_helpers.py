"""What the tests of a session share: levels, boxes and drags."""

from __future__ import annotations

import numpy as np
import slicer
from scene_fixtures import nodes_of, segment_names

UP = ["L1", "L2", "L3", "L4", "L5", "S1"]
"""Levels of six blocks, from the top down."""

RAS = np.array([-1.0, -1, 1])
EVENTS = slicer.vtkMRMLMarkupsNode


def levels_of(session):
    return [row.level for row in session.rows]


def box_node(scene):
    (node,) = (node for node in nodes_of(scene, "vtkMRMLMarkupsROINode") if node.GetName() == "S1 box")
    return node


def new_box_node(scene):
    return next(node for node in nodes_of(scene, "vtkMRMLMarkupsROINode") if node.GetName() == "missed vertebra")


def drag(scene, target_lps, steps=4, end=True):
    """Move the box as a drag does: start, moves, end."""
    node = box_node(scene)
    start = np.array(node.GetCenter())
    node.InvokeEvent(EVENTS.PointStartInteractionEvent)
    for part in np.linspace(0, 1, steps + 1)[1:]:
        node.SetCenter(*(start + part * (np.asarray(target_lps) * RAS - start)))
    if end:
        node.InvokeEvent(EVENTS.PointEndInteractionEvent)


def segmentation_names(scene):
    return [segment_names(node) for node in nodes_of(scene, "vtkMRMLSegmentationNode")]
