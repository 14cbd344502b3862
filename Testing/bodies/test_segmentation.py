"""From detections to label maps in the input's own geometry, and naming them anew."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_bodies import Box, detect, share, spine
from drawn_slices import outline
from scipy import ndimage

from SpinalTapLib.bodies.segmentation import separate_bodies
from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.detection.linking import link
from SpinalTapLib.evidence import gather
from SpinalTapLib.scans.resampling import working_volume
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.notes import Note
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

L5, L4, L3 = 24, 23, 22


@pytest.fixture(scope="module")
def three():
    return detect(spine(3))


@pytest.fixture(scope="module")
def with_discs():
    detections, candidates, volume = detect(spine(3))
    for z in (17.0, 51.0):
        disc = share(Box(centre=(0, 0, z), width=42, depth=34, height=9, radius=2), volume)
        detections.probabilities[:, Structure.DISC] = np.maximum(detections.probabilities[:, Structure.DISC], disc)
    tube = share(Box(centre=(0, 24, 34), width=20, depth=11, height=110, radius=5), volume)
    detections.probabilities[:, Structure.CANAL] = tube
    detections.probabilities[:, Structure.DISC, -6:] = 0.9  # a false disc below the spine
    return detections, candidates, volume


def test_every_body_gets_its_value_as_one_face_connected_piece_without_holes(three):
    labels = separate_bodies(*three).label_map((L5, L4, L3))
    assert labels.shape == three[2].array.shape and labels.dtype == np.uint16
    assert np.unique(labels).tolist() == [0, L3, L4, L5]
    for value in (L3, L4, L5):
        assert ndimage.label(labels == value)[1] == 1
        assert (ndimage.binary_fill_holes(labels == value) == (labels == value)).all()


def test_bodies_overlap_the_truth():
    bodies = spine(3, radius=8)
    detections, candidates, volume = detect(bodies)
    labels = separate_bodies(detections, candidates, volume).label_map((L5, L4, L3))
    for value, box in zip((L5, L4, L3), bodies):
        true = share(box, volume) > 0.5
        assert 2 * (true & (labels == value)).sum() / (true.sum() + (labels == value).sum()) > 0.95


def test_naming_anew_is_a_look_up(three):
    bodies = separate_bodies(*three)
    one, other = bodies.label_map((L5, L4, L3)), bodies.label_map((L4, L3, 21))
    for before, after in ((0, 0), (L5, L4), (L4, L3), (L3, 21)):
        assert ((one == before) == (other == after)).all()


def test_zero_leaves_a_body_out(three):
    bodies = separate_bodies(*three)
    assert np.unique(bodies.label_map((0, L4, L3))).tolist() == [0, L3, L4]


@pytest.mark.parametrize("values", [(), (L5,), (L5, L4, L3, 21)])
def test_too_few_or_too_many_values_are_refused(three, values):
    with pytest.raises(ValueError, match=r"3 bodies need 3 label values"):
        separate_bodies(*three).label_map(values)


def test_unknown_structures_are_refused(three):
    with pytest.raises(ValueError, match=r"'ribs'.*bodies, vertebrae, all"):
        separate_bodies(*three, structures="ribs")


def test_discs_lie_between_their_neighbours_and_the_canal_behind(with_discs):
    detections, candidates, volume = with_discs
    labels = separate_bodies(detections, candidates, volume, "all").label_map((L5, L4, L3))
    assert np.unique(labels).tolist() == [0, L3, L4, L5, levels.CANAL_VALUE, 222, 223]
    heights = {v: volume.to_lps(np.argwhere(labels == v)).mean(0) for v in np.unique(labels)[1:]}
    assert heights[223][2] == pytest.approx(17, abs=1) and heights[222][2] == pytest.approx(51, abs=1)
    assert heights[levels.CANAL_VALUE][1] == pytest.approx(24, abs=1)
    for value, box in ((223, Box(width=42, depth=34, height=9, radius=2)),):
        assert (labels == value).sum() * 4.0 == pytest.approx(box.volume, rel=0.12)


def test_a_disc_goes_with_either_of_its_vertebrae(with_discs):
    detections, candidates, volume = with_discs
    labels = separate_bodies(detections, candidates, volume, "all").label_map((L5, 0, L3))
    assert np.unique(labels).tolist() == [0, L3, L5, levels.CANAL_VALUE]


def test_the_disc_above_the_highest_body_is_named_by_the_usual_count(with_discs):
    detections, candidates, volume = with_discs
    detections = replace(detections, probabilities=detections.probabilities.copy())
    disc = share(Box(centre=(0, 0, 85), width=42, depth=34, height=9, radius=2), volume)
    detections.probabilities[:, Structure.DISC] = np.maximum(detections.probabilities[:, Structure.DISC], disc)
    bodies = separate_bodies(detections, candidates, volume, "all")
    labels = bodies.label_map((L5, L4, L3))
    assert volume.to_lps(np.argwhere(labels == levels.disc_value(21))).mean(0)[2] == pytest.approx(85, abs=1)
    assert levels.disc_value(104) in bodies.label_map((101, 102, 103))
    assert levels.disc_value(1) not in bodies.label_map((4, 3, 2)), "there is no disc above C2"
    alone = separate_bodies(detections, candidates[2:], volume, "all")
    assert alone.solids[1] is None, "one vertebra does not tell how far away the next one is"


def test_no_disc_where_a_vertebra_is_missing_between(with_discs):
    detections, candidates, volume = with_discs
    bodies = separate_bodies(detections, [candidates[0], candidates[2]], volume, "all")
    assert bodies.solids[2] is None


def test_a_canal_that_an_artefact_cuts_in_two_is_bridged(with_discs):
    detections, candidates, volume = with_discs
    detections = replace(detections, probabilities=detections.probabilities.copy())
    whole = separate_bodies(detections, candidates, volume, "all").label_map((L5, L4, L3)) == levels.CANAL_VALUE
    rows = slice(*(int(volume.to_index(np.array([0, 0, z]))[1]) for z in (42, 34)))
    detections.probabilities[:, Structure.CANAL, rows] = 0
    detections.probabilities[0, Structure.CANAL, -4:, :4] = 1  # a speck far away
    bodies = separate_bodies(detections, candidates, volume, "all")
    cut = bodies.label_map((L5, L4, L3)) == levels.CANAL_VALUE
    assert ndimage.label(cut)[1] == 1 and not cut[0, -4:, :4].any()
    assert 2 * (cut & whole).sum() / (cut.sum() + whole.sum()) > 0.97
    up = np.array([0.0, 0.0, 1.0])
    assert bodies.canal.area_mm2(np.array([0, 0, 38.0]), up) is None, "the area in the artefact is not known"
    assert bodies.canal.area_mm2(np.array([0, 0, 10.0]), up) is not None


def test_a_body_seen_faintly_in_one_slice_between_two_others_is_kept_without_an_outline():
    spacing = np.diag([2.0, 1.0, 1.0, 1.0])
    volume = SagittalVolume(np.zeros((14, 160, 80), np.float32), spacing)
    probabilities = np.zeros((14, N_STRUCTURES, 160, 80), np.float16)
    seen = []
    for k in range(3, 11):
        for top, strength in ((92, 1.0), (20, 1.0), (56, 0.58)):
            if strength == 1.0 or k == 7:
                seen.append(outline(k, np.array([[top, 20], [top, 52], [top + 26, 52], [top + 26, 20]], float)))
                probabilities[k, Structure.BODY, top : top + 26, 20:52] = strength
    probabilities[:, Structure.BACKGROUND] = 1 - probabilities[:, 1:].sum(1)
    detections = Detections(volume, tuple(seen), probabilities)
    candidates = link(detections)
    assert len(candidates) == 3
    bodies = gather(volume, detections, candidates).bodies
    assert bodies.solids[1] is None and Note.NOT_OUTLINED in bodies.flags[1]
    assert np.unique(bodies.label_map((L5, L4, L3))).tolist() == [0, L3, L5]


def test_a_fine_volume_gets_the_same_bodies_as_the_working_one():
    detections, candidates, working = detect([Box()], 2.0)
    fine = SagittalVolume(
        np.zeros((working.array.shape[0] * 2, working.array.shape[1] * 2, working.array.shape[2] * 2), np.float32),
        working.matrix @ np.array([[0.5, 0, 0, -0.25], [0, 0.5, 0, -0.25], [0, 0, 0.5, -0.25], [0, 0, 0, 1]]),
    )
    again = working_volume(fine)
    np.testing.assert_allclose(again.matrix, working.matrix, atol=1e-9)
    labels = separate_bodies(detections, candidates, fine).label_map((L5,))
    assert (labels > 0).sum() * 0.25 == pytest.approx(Box().volume, rel=0.02)


def test_turning_the_stack_in_space_changes_nothing(three):
    detections, candidates, volume = three
    turn = np.deg2rad(25)
    matrix = np.eye(4)
    matrix[:3, :3] = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    matrix[:3, 3] = 30, -400, 77
    moved = replace(volume, matrix=matrix @ volume.matrix)
    bodies = separate_bodies(replace(detections, working=moved), candidates, moved)
    plain = separate_bodies(*three)
    assert (bodies.index != plain.index).mean() < 1e-4
    for one, other in zip(bodies.solids, plain.solids):
        np.testing.assert_allclose(one.matrix, matrix @ other.matrix, atol=1e-9)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.6, 0.9])
def test_label_map_and_solid_have_the_same_volume(start):
    detections, candidates, volume = detect([Box(radius=8)], start=start)
    bodies = separate_bodies(detections, candidates, volume)
    for position, solid in enumerate(bodies.solids):
        voxels = (bodies.index == position + 1).sum() * float(np.prod(volume.spacing_mm))
        assert voxels == pytest.approx(solid.volume_mm3, rel=0.02)


def test_nothing_seen_is_flagged_and_valid():
    detections, candidates, volume = detect([Box()])
    empty = SimpleNamespace(members=())
    bodies = separate_bodies(detections, [candidates[0], empty], volume)
    assert bodies.solids[1] is None and bodies.flags[1] == (Note.NOT_OUTLINED,)
    assert np.unique(bodies.label_map((L5, L4))).tolist() == [0, L5]
    assert separate_bodies(detections, [], volume).label_map(()).max() == 0


def test_a_body_cut_by_the_edge_is_flagged_and_closed():
    detections, candidates, volume = detect([Box()])
    assert separate_bodies(detections, candidates, volume).flags == ((),)
    shift = np.eye(4)
    shift[1, 3] = 25
    below = replace(volume, array=volume.array[:, 25:], matrix=volume.matrix @ shift)
    cut = replace(detections, working=below, probabilities=detections.probabilities[:, :, 25:])
    moved = [SimpleNamespace(slice=m.slice, corners=m.corners - [25, 0]) for m in candidates[0].members]
    bodies = separate_bodies(cut, [SimpleNamespace(members=moved)], below)
    assert bodies.flags == ((Note.CUT,),)
    assert bodies.index.any()


@pytest.mark.parametrize(("share", "flags"), [(0.5, ((Note.SIDES_CUT,),)), (0.8, ((),))])
def test_a_body_that_is_cut_at_its_side_is_flagged_where_more_than_a_third_is_missing_and_told_otherwise(share, flags):
    detections, candidates, volume = detect([Box()])
    slices = sorted(m.slice for m in candidates[0].members)
    end = slices[0] + round(share * len(slices))
    part = replace(volume, array=volume.array[:end])
    cut = replace(detections, working=part, probabilities=detections.probabilities[:end])
    members = [m for m in candidates[0].members if m.slice < end]
    bodies = separate_bodies(cut, [SimpleNamespace(members=members)], part)
    assert bodies.flags == flags
    assert bodies.warnings == ("All vertebrae reach the outermost slices: their widths and volumes are too small.",)
    assert not separate_bodies(detections, candidates, volume).warnings


def test_the_confidence_of_an_outline_falls_with_its_repairs_and_not_with_its_name(three):
    detections, candidates, volume = three
    detections = replace(detections, probabilities=detections.probabilities.copy())
    plain = separate_bodies(detections, candidates, volume)
    assert min(plain.outline_confidence) > 0.9 and not any("uncertain" in " ".join(f) for f in plain.flags)
    member = candidates[1].members[len(candidates[1].members) // 2]
    rows = slice(int(member.corners[:, 0].min()) - 2, int(member.corners[:, 0].max()) + 2)
    detections.probabilities[member.slice - 1 : member.slice + 2, Structure.BODY, rows] *= 0.4
    torn = separate_bodies(detections, candidates, volume)
    assert torn.outline_confidence[1] < 0.9 < min(torn.outline_confidence[::2])
    assert "outline uncertain: compare it with the image" in torn.flags[1]
