"""Whose pixel is it: bodies part between their endplates, leaks and islands go, holes and gaps are filled."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from drawn_bodies import Box, detect, share, spine
from scipy import ndimage

from SpinalTapLib.bodies import outlines
from SpinalTapLib.bodies.outlines import body_outlines
from SpinalTapLib.spine.structures import Structure

_, BODY, S1, C2, *_ = Structure


def outlines_of(detections, candidates):
    return body_outlines(detections.probabilities, candidates, detections.working.spacing_mm)


def on_grid(outline, shape):
    """Return which voxels of the working volume an outline holds."""
    out = np.zeros(shape, bool)
    for k, part in enumerate(outline.probability):
        index = outline.window.first + k
        if 0 <= index < shape[0]:
            size = shape[1:]
            out[index][outline.window.of_image(size)] = part[outline.window.of_itself(size)] > 0.5
    return out


def masks(detections, candidates):
    shape = detections.working.array.shape
    return [None if o is None else on_grid(o, shape) for o in outlines_of(detections, candidates)]


def test_a_body_alone_is_the_mask_itself():
    detections, candidates, _ = detect([Box()])
    (mask,) = masks(detections, candidates)
    assert (mask == (detections.probabilities[:, BODY] > 0.5)).all()


def test_fused_bodies_part_midway_between_their_facing_endplates():
    bodies = spine(3)
    detections, candidates, volume = detect(bodies)
    whole = Box(centre=(0, 0, 34), height=94, radius=4)  # one block from the lowest to the highest body
    block = np.zeros_like(detections.probabilities)
    block[:, BODY] = share(whole, volume)
    found = masks(SimpleNamespace(probabilities=block, working=volume), candidates)
    together = np.sum(found, axis=0)
    assert together.max() == 1, "no pixel belongs to two bodies"
    assert together.sum() > 0.97 * (block[:, BODY] > 0.5).sum(), "no pixel between the bodies is lost"
    for lower, upper, border in ((found[0], found[1], 17.0), (found[1], found[2], 51.0)):
        middle = volume.array.shape[0] // 2
        row = volume.to_index(np.array([0.0, 0.0, border]))[1]
        assert abs(np.nonzero(upper[middle].any(1))[0].max() + 0.5 - row) <= 1.5
        assert abs(np.nonzero(lower[middle].any(1))[0].min() - 0.5 - row) <= 1.5


def test_slipped_bodies_that_touch_keep_what_is_theirs():
    bodies = [Box(centre=(0, 0, 0)), Box(centre=(0, -12, 26))]
    detections, candidates, volume = detect(bodies)
    found = masks(detections, candidates)
    for box, one in zip(bodies, found):
        other = share(box, volume) > 0.5
        assert 2 * (one & other).sum() / (one.sum() + other.sum()) > 0.97


def test_a_pedicle_is_cut_off_a_few_millimetres_behind_the_body():
    box = Box()
    detections, candidates, volume = detect([box])
    pedicle = Box(centre=(12, 30, 4), width=10, depth=36, height=12, radius=2)
    detections.probabilities[:, BODY] = np.maximum(detections.probabilities[:, BODY], share(pedicle, volume))
    (mask,) = masks(detections, candidates)
    back = volume.to_lps(np.argwhere(mask))[:, 1].max()
    assert box.depth / 2 <= back <= box.depth / 2 + outlines.REACH_MM + 1.5


def test_past_the_sides_a_body_does_not_grow_into_what_lies_beside_it():
    box = Box(width=30)
    detections, candidates, volume = detect([box])
    for k in range(len(volume.array)):
        x = volume.to_lps(np.array([k, 0, 0]))[0]
        if x > 13:  # a rib's head or the psoas, larger than the body, taken for bone by the network
            detections.probabilities[k, BODY] = 0
            detections.probabilities[k, BODY, 8:-8, 8:-8] = 0.9
    (mask,) = masks(detections, candidates)
    areas = mask.sum((1, 2))
    assert areas.max() < 1.3 * (box.depth * box.height)
    last = volume.to_lps(np.array([np.flatnonzero(areas)[-1], 0, 0]))[0]
    assert last < 15 + outlines.SIDE_MM + 4


def test_islands_are_dropped_and_holes_from_metal_filled():
    detections, candidates, volume = detect([Box()])
    plain = masks(detections, candidates)[0]
    middle = volume.array.shape[0] // 2
    rows, columns = (int(v) for v in volume.to_index(np.zeros(3))[1:])
    detections.probabilities[middle - 1 : middle + 2, :, rows - 4 : rows + 4, columns - 4 : columns + 4] = 0
    detections.probabilities[middle, BODY, rows - 2 : rows + 2, columns + 19 : columns + 20] = 1  # within reach, apart
    (mask,) = masks(detections, candidates)
    assert (mask == plain).all()


def test_a_slice_that_the_mask_misses_is_drawn_from_its_corners_and_flagged():
    detections, candidates, volume = detect([Box()])
    middle = volume.array.shape[0] // 2
    plain = masks(detections, candidates)[0]
    detections.probabilities[middle, BODY] = 0.1
    (outline,) = outlines_of(detections, candidates)
    mask = on_grid(outline, volume.array.shape)
    assert outline.flags == ("outline drawn from its corners",)
    assert 2 * (mask & plain)[middle].sum() / (mask[middle].sum() + plain[middle].sum()) > 0.93
    assert ndimage.label(mask)[1] == 1


def test_an_empty_mask_gives_the_quadrilaterals_and_says_so():
    detections, candidates, _ = detect([Box()])
    detections.probabilities[:, BODY] = 0
    (outline,) = outlines_of(detections, candidates)
    assert outline.flags and (outline.probability > 0.5).any()


def test_a_vertebra_in_one_slice_is_still_a_body():
    detections, candidates, _ = detect([Box()])
    alone = SimpleNamespace(members=candidates[0].members[4:5])
    index = alone.members[0].slice
    detections.probabilities[:index, BODY] = detections.probabilities[index + 1 :, BODY] = 0
    (mask,) = masks(detections, [alone])
    assert np.flatnonzero(mask.any((1, 2))).tolist() == [index]


def test_the_dens_belongs_to_c2_and_to_no_other():
    body = Box(width=16, depth=15, height=18, radius=2, structure=C2)
    dens = Box(centre=(0, -2, 18), width=11, depth=11, height=22, radius=3, structure=C2)
    lower = Box(centre=(0, 0, -20), width=18, depth=16, height=13, radius=2)
    detections, candidates, volume = detect([lower, body, dens])
    found = masks(detections, candidates[:2])
    top = volume.to_lps(np.argwhere(found[1]))[:, 2].max()
    assert top > 27
    assert volume.to_lps(np.argwhere(found[0]))[:, 2].max() < -12
    detections.probabilities[:, BODY] += detections.probabilities[:, C2]  # the same shape, not taken for C2
    detections.probabilities[:, C2] = 0
    assert volume.to_lps(np.argwhere(masks(detections, candidates[:2])[1]))[:, 2].max() < 9 + outlines.REACH_MM + 2


def test_s1_ends_where_the_mask_says_that_the_rest_of_the_sacrum_begins():
    s1 = Box(structure=S1)
    detections, candidates, volume = detect([s1])
    (mask,) = masks(detections, candidates)
    assert abs(volume.to_lps(np.argwhere(mask))[:, 2].min() + 13) < 1.5


def test_a_body_at_the_edge_of_the_image_stays_inside_it():
    detections, candidates, volume = detect([Box()])
    cut = SimpleNamespace(
        probabilities=detections.probabilities[:, :, 25:],
        working=SimpleNamespace(array=volume.array[:, 25:], spacing_mm=volume.spacing_mm),
    )
    moved = [SimpleNamespace(slice=m.slice, corners=m.corners - [25, 0]) for m in candidates[0].members]
    (mask,) = masks(cut, [SimpleNamespace(members=moved)])
    assert (mask == (cut.probabilities[:, BODY] > 0.5)).all()


def test_corners_beyond_the_edge_of_the_image_draw_nothing_there():
    detections, candidates, volume = detect([Box()])
    cut = SimpleNamespace(
        probabilities=detections.probabilities[:, :, 25:].copy(),
        working=SimpleNamespace(array=volume.array[:, 25:], spacing_mm=volume.spacing_mm),
    )
    moved = [SimpleNamespace(slice=m.slice, corners=m.corners - [25, 0]) for m in candidates[0].members]
    (whole,) = outlines_of(cut, [SimpleNamespace(members=moved)])
    assert whole.flags == ()
    cut.probabilities[len(cut.probabilities) // 2, BODY] = 0.1
    (filled,) = outlines_of(cut, [SimpleNamespace(members=moved)])
    assert filled.flags == ("outline drawn from its corners",)
    first_row = -int(filled.window.corner[0])
    assert first_row > 0, "the window goes on above the image"
    assert (filled.probability[:, :first_row] == 0).all()
    assert (filled.probability[:, first_row] > 0.5).any()


def test_no_members_no_outline():
    detections, _, _ = detect([Box()])
    assert outlines_of(detections, [SimpleNamespace(members=())]) == (None,)
