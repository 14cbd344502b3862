"""Show what has changed since an earlier result as a table node, until one of the two results changes."""

from __future__ import annotations

from typing import Any

from ..spine.change import Comparison
from . import nodes, table_node

EARLIER_REFERENCE = "SpinalTapEarlierVolume"
"""Node reference from the table to the volume of the earlier result; a result folder has none."""


def show(scene: Any, volume: Any, earlier: Any, found: Comparison) -> None:
    """Write a comparison into the table node of a volume, which is made if there is none.

    Parameters
    ----------
    volume : vtkMRMLVolumeNode
        The volume of the later result.
    earlier : vtkMRMLVolumeNode or None
        The volume of the earlier result, or None if that lies in a folder.
    """
    name = "{1} changes since {0}".format(*found.between)
    node = nodes.find(scene, volume, nodes.CHANGES)
    if node is None:
        node = nodes.make(scene, volume, nodes.CHANGES, name)
        nodes.place_beside(scene, volume, node)
    nodes.rename(node, name)
    node.SetNodeReferenceID(EARLIER_REFERENCE, earlier.GetID() if earlier is not None else None)
    node.SetDescription(" ".join((found.summary, *found.sentences)))
    fill(node, found)


def forget(scene: Any, volume: Any) -> None:
    """Remove the tables that compare the result of a volume, as the earlier or the later one."""
    for node in nodes.nodes_of_class(scene, "vtkMRMLTableNode"):
        references = nodes.VOLUME_REFERENCE, EARLIER_REFERENCE
        own = volume.GetID() in (node.GetNodeReferenceID(reference) for reference in references)
        if own and node.GetAttribute(nodes.ROLE) == nodes.CHANGES:
            nodes.remove(scene, node)


def fill(node: Any, found: Comparison) -> None:
    """Write the changes into a table node, the top vertebra first, replacing its content."""
    changes = found.from_the_top
    lost = {(loss.level, loss.place): loss.sentence for loss in found.losses}
    notes = [lost.get((c.level, c.name.split("_")[1]), "") if c.name.startswith("height") else "" for c in changes]
    table_node.write(
        node,
        [
            table_node.texts("Level", [c.level for c in changes]),
            table_node.texts("Measurement", [table_node.title(c.name) for c in changes]),
            table_node.numbers("Earlier", [c.earlier for c in changes]),
            table_node.numbers("Later", [c.later for c in changes]),
            table_node.numbers("Change", [c.change for c in changes]),
            table_node.numbers("Error", [c.limit for c in changes]),
            table_node.texts("Verdict", [c.verdict for c in changes]),
            table_node.texts("Note", notes),
        ],
    )
