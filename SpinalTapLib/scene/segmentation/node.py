"""Update the segmentation node in place: one segment per label, with its name, colour, code and surface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtkmodules.util.numpy_support import numpy_to_vtk

from ...spine.segments import segment_of, segments_in
from ..frames import Frame, array_of, matrix_of
from ..volume_node import array_kji
from . import surfaces
from .fingerprints import Body, bodies, fingerprint
from .label_values import MASK, give_values, label_map
from .surfaces import SURFACE

BODY_TAG, PLACE_TAG = "SpinalTap.Body", "SpinalTap.Place"
"""Segment tags: fingerprint and position of the computed body, used to detect hand edits."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The content that a segmentation node should show.

    Attributes
    ----------
    labels : ndarray, shape (k, j, i)
        Label values on the volume node's voxels.
    bodies : dict of int to Body
        Each label's body.
    surfaces : mapping of int to vtkPolyData
        Closed surfaces, LPS world, mm.
    frame : Frame
        Frame of the voxels.
    """

    labels: np.ndarray
    bodies: dict[int, Body]
    surfaces: Mapping[int, Any]
    frame: Frame


def picture(labels: np.ndarray, meshes: Mapping[int, Any], frame: Frame) -> Picture:
    """Return the content for a segmentation node; `meshes` are its surfaces, in LPS world."""
    return Picture(labels, bodies(labels, frame.ijk_to_local), meshes, frame)


def set_up(node: Any, volume: Any) -> None:
    """Connect a segmentation node to its volume, whose grid DICOM SEG export and the Segment Editor need."""
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volume.GetID())
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(MASK)
    surfaces.set_up(segmentation)


def ours(node: Any) -> dict[str, Any]:
    """Return the segments that SpinalTap made: ID to vtkSegment. Segments added by the user are not among them."""
    segmentation = node.GetSegmentation()
    found = {segment_id: segmentation.GetSegment(segment_id) for segment_id in segmentation.GetSegmentIDs()}
    return {segment_id: segment for segment_id, segment in found.items() if tag(segment, BODY_TAG)}


def tag(segment: Any, name: str) -> str:
    """Return a segment's tag, or an empty string."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def edited(node: Any) -> dict[str, str]:
    """Return the IDs of segments edited by hand, with their present fingerprints."""
    made = ours(node)
    now = {segment_id: _fingerprint(segment) for segment_id, segment in made.items()}
    return {segment_id: found for segment_id, found in now.items() if found != tag(made[segment_id], BODY_TAG)}


def image_to_space(image: Any) -> np.ndarray:
    """Return (i, j, k, 1) of a vtkOrientedImageData to RAS, mm, of its node's own space, shape (4, 4)."""
    matrix = matrix_of(np.eye(4))
    image.GetImageToWorldMatrix(matrix)
    return array_of(matrix)


def _fingerprint(segment: Any) -> str:
    image = label_map(segment)
    if image is None:
        return "empty"
    return fingerprint(array_kji(image) == segment.GetLabelValue(), image_to_space(image))


def keep_copy(node: Any, copy: Any, segment_ids: Iterable[str]) -> None:
    """Copy edited segments into the segmentation node `copy`, where they no longer count as SpinalTap's."""
    target = copy.GetSegmentation()
    for segment_id in segment_ids:
        target.CopySegmentFromSegmentation(node.GetSegmentation(), segment_id)
        added = target.GetNthSegment(target.GetNumberOfSegments() - 1)
        added.SetName(f"{added.GetName()} (edited)")
        added.RemoveTag(BODY_TAG)
        added.RemoveTag(PLACE_TAG)


def matches(node: Any, wanted: Picture) -> dict[str, int]:
    """Return the segments that already hold a wanted body under any name: ID to the wanted label value."""
    by_body = {(body.fingerprint, body.corner): value for value, body in wanted.bodies.items()}
    found = {i: by_body.get((tag(s, BODY_TAG), tag(s, PLACE_TAG))) for i, s in ours(node).items()}
    return {segment_id: value for segment_id, value in found.items() if value is not None}


def update(node: Any, wanted: Picture, kept: Mapping[str, int]) -> None:
    """Update the node to show the picture.

    Parameters
    ----------
    kept : mapping of str to int
        Segments (by ID) whose shapes are kept, hand edits included, and their new label values; the
        other segments of SpinalTap are replaced. Segments added by the user are never touched.
    """
    segmentation = node.GetSegmentation()
    new = _segments({v: b for v, b in wanted.bodies.items() if v not in set(kept.values())}, wanted)
    gone = [segment_id for segment_id in ours(node) if segment_id not in kept]
    _swap(segmentation, gone, new)
    for segment_id, value in kept.items():
        _dress(segmentation.GetSegment(segment_id), value, wanted.bodies)
        _restore_surface(segmentation.GetSegment(segment_id), wanted.surfaces, value, wanted.frame.local_from_lps)
    give_values(segmentation, kept)
    _sort(node, wanted)


def _segments(wanted: Mapping[int, Body], whole: Picture) -> list[Any]:
    """Return new segments that share one label map, cropped to its content."""
    if not wanted:
        return []
    low = np.min([[part.start for part in body.box] for body in wanted.values()], axis=0)
    high = np.max([[part.stop for part in body.box] for body in wanted.values()], axis=0)
    crop = whole.labels[tuple(slice(a, b) for a, b in zip(low, high))]
    values = np.where(np.isin(crop, list(wanted)), crop, 0).astype(np.uint8 if max(wanted) < 256 else np.uint16)
    image = _image(values, low, whole.frame)
    segments = []
    for value, body in wanted.items():
        segment = slicer.vtkSegment()
        segment.SetTag(BODY_TAG, body.fingerprint)
        segment.SetTag(PLACE_TAG, body.corner)
        segment.SetLabelValue(value)
        segment.AddRepresentation(MASK, image)
        surfaces.give(segment, whole.surfaces, value, whole.frame.local_from_lps)
        _dress(segment, value, whole.bodies)
        segments.append(segment)
    return segments


def _image(values: np.ndarray, low: np.ndarray, frame: Frame) -> Any:
    """Return a label map as a vtkOrientedImageData whose extent begins at `low` (k, j, i) of the volume."""
    image = slicer.vtkOrientedImageData()
    extent = [number for start, size in zip(low[::-1], values.shape[::-1]) for number in (start, start + size - 1)]
    image.SetExtent([int(number) for number in extent])
    scalars = numpy_to_vtk(np.ascontiguousarray(values).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    image.SetGeometryFromImageToWorldMatrix(matrix_of(frame.ijk_to_local))
    return image


def _dress(segment: Any, value: int, present: Iterable[int]) -> None:
    """Give a segment the name, colour and code of a label value; `present` are all values of the result."""
    about = segment_of(value, list(present))
    segment.SetName(about.name)
    segment.SetColor(*(part / 255 for part in about.colour))
    segment.SetTag(segment.GetTerminologyEntryTagName(), about.terminology_entry)


def _swap(segmentation: Any, gone: Iterable[str], new: Iterable[Any]) -> None:
    """Replace segments; on failure, restore the original state."""
    removed, added = [], []
    try:
        for segment_id in gone:
            segment = segmentation.GetSegment(segment_id)
            shapes = {name: segment.GetRepresentation(name) for name in (MASK, SURFACE)}
            removed.append((segment_id, segment, shapes))
            segmentation.SeparateSegmentLabelmap(segment_id)  # out of the map that it shares with other segments
            segmentation.RemoveSegment(segment_id)
        for segment in new:
            segment_id = segmentation.GenerateUniqueSegmentID("vertebra")
            added.append(segment_id)
            segmentation.AddSegment(segment, segment_id)
    except BaseException:
        for segment_id in added:
            segmentation.RemoveSegment(segment_id)
        for segment_id, segment, shapes in removed:
            for name, shape in shapes.items():
                if shape is not None:
                    segment.AddRepresentation(name, shape)
            segmentation.AddSegment(segment, segment_id)
        raise


def _sort(node: Any, wanted: Picture) -> None:
    """Order the segments as `segments.segments_in` does, from the bottom up; the user's segments come last."""
    segmentation = node.GetSegmentation()
    rank = {part.value: i for i, part in enumerate(segments_in(np.array(list(wanted.bodies))))}
    mine = ours(node)

    def key(segment_id: str) -> int:
        return rank.get(mine[segment_id].GetLabelValue(), len(rank)) if segment_id in mine else len(rank) + 1

    order = sorted(segmentation.GetSegmentIDs(), key=key)
    if list(segmentation.GetSegmentIDs()) != order:
        segmentation.ReorderSegments(order)


def restore_surfaces(node: Any, wanted: Mapping[int, Any], local_from_lps: np.ndarray) -> None:
    """Restore the smooth surfaces of a loaded scene, which Slicer does not save; edited segments keep theirs.

    `wanted` is as in `Picture.surfaces`, `local_from_lps` as for `surfaces.give`.
    """
    for segment in ours(node).values():
        _restore_surface(segment, wanted, segment.GetLabelValue(), local_from_lps)


def _restore_surface(segment: Any, wanted: Mapping[int, Any], value: int, local_from_lps: np.ndarray) -> None:
    if value in wanted and not surfaces.is_own(segment) and _fingerprint(segment) == tag(segment, BODY_TAG):
        surfaces.give(segment, wanted, value, local_from_lps)


def closed_surfaces(node: Any) -> dict[str, Any]:
    """Return SpinalTap's segments as closed surfaces, RAS, mm, in the node's own space: name to vtkPolyData."""
    return surfaces.closed_surfaces(node, ours(node))
