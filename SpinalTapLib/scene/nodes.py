"""Find, create, name, place and remove the nodes of a result, by role and volume."""

from __future__ import annotations

from typing import Any

import slicer

ROLE = "SpinalTap.Role"
"""Node attribute with the role of a node, because users may rename nodes."""

VOLUME_REFERENCE = "SpinalTapVolume"
"""Node reference from each result node to its volume; unlike an ID in an attribute it survives a scene import."""

_GIVEN_NAME = "SpinalTap.Name"

SEGMENTATION, POINTS, TABLE, CHANGES = "segmentation", "points", "table", "changes"
BOX, NEW_BOX = "box", "new box"
MEMORY, EVIDENCE, MESHES = "memory", "evidence", "meshes"


def nodes_of_class(scene: Any, class_name: str) -> list[Any]:
    """Return the nodes of a class, in scene order."""
    found = scene.GetNodesByClass(class_name)
    found.UnRegister(None)  # the collection holds its own reference
    return [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]


def find_all(scene: Any, volume: Any, role: str) -> list[Any]:
    """Return the result nodes of a volume with that role, in scene order."""
    return [
        node
        for node in nodes_of_class(scene, _CLASSES[role])
        if node.GetAttribute(ROLE) == role and node.GetNodeReferenceID(VOLUME_REFERENCE) == volume.GetID()
    ]


def find(scene: Any, volume: Any, role: str) -> Any:
    """Return the first result node of a volume with that role, or None."""
    return next(iter(find_all(scene, volume, role)), None)


def belongings(scene: Any, volume: Any) -> list[Any]:
    """Return the nodes that are removed with their volume: the boxes and the hidden texts."""
    return [node for role in (BOX, NEW_BOX, MEMORY, EVIDENCE, MESHES) for node in find_all(scene, volume, role)]


def make(scene: Any, volume: Any, role: str, name: str) -> Any:
    """Return a new result node, in the scene, with its display node."""
    node = scene.CreateNodeByClass(_CLASSES[role])
    node.UnRegister(None)
    node.SetName(name)
    node.SetAttribute(ROLE, role)
    node.SetAttribute(_GIVEN_NAME, name)
    node.SetNodeReferenceID(VOLUME_REFERENCE, volume.GetID())
    scene.AddNode(node)
    if hasattr(node, "CreateDefaultDisplayNodes"):
        node.CreateDefaultDisplayNodes()
    return node


def rename(node: Any, name: str) -> None:
    """Name a node after its volume, unless the user has renamed it."""
    if node.GetName() == node.GetAttribute(_GIVEN_NAME):
        node.SetName(name)
        node.SetAttribute(_GIVEN_NAME, name)


def remove(scene: Any, node: Any) -> None:
    """Remove a node with its display and storage nodes, which Slicer would leave behind."""
    helpers = helpers_of(node)
    tree = hierarchy(scene)
    item = tree.GetItemByDataNode(node)
    if item:
        tree.RemoveItem(item, False, False)  # the application would do this; outside it, a dangling item would remain
    for other in (node, *helpers):
        if scene.IsNodePresent(other):
            scene.RemoveNode(other)


def helpers_of(node: Any) -> list[Any]:
    """Return the display and storage nodes of a node."""
    found = []
    if node.IsA("vtkMRMLDisplayableNode"):
        found += [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        found += [node.GetNthStorageNode(i) for i in range(node.GetNumberOfStorageNodes())]
    return [helper for helper in found if helper is not None]


def hierarchy(scene: Any) -> Any:
    """Return the scene's subject hierarchy."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def place_beside(scene: Any, volume: Any, node: Any) -> None:
    """Put a node into the volume's study."""
    tree = hierarchy(scene)
    tree.SetItemParent(_item(tree, node), _study_of(tree, volume))


def place_in_folder(scene: Any, volume: Any, nodes: list[Any], name: str) -> None:
    """Put nodes into one folder next to the volume: the folder of one of them, else a new one."""
    tree = hierarchy(scene)
    items = [_item(tree, node) for node in nodes]
    folder = next((tree.GetItemParent(item) for item in items if _is_folder(tree, tree.GetItemParent(item))), None)
    if folder is None and items:
        folder = tree.CreateFolderItem(_study_of(tree, volume), name)
        tree.SetItemAttribute(folder, ROLE, POINTS)
        tree.SetItemExpanded(folder, False)
    for item in items:
        tree.SetItemParent(item, folder)


def remove_empty_folder(scene: Any, folder: int | None) -> None:
    """Remove an empty folder of points."""
    tree = hierarchy(scene)
    if folder and _is_folder(tree, folder) and not tree.GetNumberOfItemChildren(folder):
        tree.RemoveItem(folder)


def folder_of(scene: Any, node: Any) -> int | None:
    """Return the item of the folder of points that contains a node, or None."""
    tree = hierarchy(scene)
    folder = tree.GetItemParent(_item(tree, node))
    return folder if _is_folder(tree, folder) else None


def _is_folder(tree: Any, item: int) -> bool:
    return item not in (0, tree.GetSceneItemID()) and tree.GetItemAttribute(item, ROLE) == POINTS


def _item(tree: Any, node: Any) -> int:
    item = tree.GetItemByDataNode(node)
    return item if item else tree.CreateItem(tree.GetSceneItemID(), node)


def _study_of(tree: Any, volume: Any) -> int:
    parent = tree.GetItemParent(_item(tree, volume))
    return parent if parent else tree.GetSceneItemID()


_CLASSES = {
    SEGMENTATION: "vtkMRMLSegmentationNode",
    POINTS: "vtkMRMLMarkupsFiducialNode",
    TABLE: "vtkMRMLTableNode",
    CHANGES: "vtkMRMLTableNode",
    BOX: "vtkMRMLMarkupsROINode",
    NEW_BOX: "vtkMRMLMarkupsROINode",
    MEMORY: "vtkMRMLTextNode",
    EVIDENCE: "vtkMRMLTextNode",
    MESHES: "vtkMRMLTextNode",
}
