"""Change the label values of segments, and of the label map that they share, so that saved files contain them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy

MASK = "Binary labelmap"


def label_map(segment: Any) -> Any:
    """Return a segment's label map (vtkOrientedImageData), or None if it has no voxels."""
    image = segment.GetRepresentation(MASK)
    if image is None or 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        return None
    return image


def give_values(segmentation: Any, kept: Mapping[str, int]) -> None:
    """Set the label values of segments (by ID); other segments in the same label map get free values."""
    maps: dict[str, tuple[Any, list[str]]] = {}
    for segment_id in segmentation.GetSegmentIDs():
        image = label_map(segmentation.GetSegment(segment_id))
        if image is not None:
            maps.setdefault(image.GetAddressAsString(""), (image, []))[1].append(segment_id)
    for image, segment_ids in maps.values():
        before = {i: segmentation.GetSegment(i).GetLabelValue() for i in segment_ids}
        if not set(segment_ids) & set(kept):
            continue
        after = _free_of_clashes({i: kept.get(i, value) for i, value in before.items()}, kept)
        voxels = vtk_to_numpy(image.GetPointData().GetScalars())
        table = np.zeros(max(int(voxels.max(initial=0)), *before.values()) + 1, int)  # clears what was removed
        for segment_id, value in before.items():
            table[value] = after[segment_id]
        if table.max() > np.iinfo(voxels.dtype).max:
            continue  # values too large for the type of the user's label map stay unchanged; the names give the levels
        # In place and without an event: the shapes do not change, so surfaces need no update.
        voxels[:] = table.astype(voxels.dtype)[voxels]
        for segment_id, value in after.items():
            segmentation.GetSegment(segment_id).SetLabelValue(value)


def _free_of_clashes(values: dict[str, int], kept: Mapping[str, int]) -> dict[str, int]:
    """Give free label values to the user's segments that share a label map with SpinalTap's."""
    taken = {value for segment_id, value in values.items() if segment_id in kept}
    for segment_id in (i for i in values if i not in kept):
        if values[segment_id] in taken:
            values[segment_id] = next(v for v in range(1, 65536) if v not in taken and v not in values.values())
        taken.add(values[segment_id])
    return values
