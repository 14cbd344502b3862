"""Arches: each belongs to its vertebra and is joined to its body; what is missing or cut is noted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from block_spine import ARCH, BODY, PEDICLES, BlockSpine
from mesh_checks import open_edges

from SpinalTapLib.bodies.arches import owners
from SpinalTapLib.bodies.segmentation import Bodies, separate_bodies
from SpinalTapLib.bodies.surfaces import part_surface, whole_surface
from SpinalTapLib.bodies.triangle_mesh import mesh_arrays
from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.detection.linking import link
from SpinalTapLib.evidence import ARCHES_NARROW, ARCHES_UNKNOWN, gather
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine.notes import Note

BLOCKS = BlockSpine(count=3, s1=False, arches=True)
VALUES = (24, 23, 22)


def seen(blocks: BlockSpine = BLOCKS) -> Detections:
    return blocks.detections(blocks.volume())


def segmented(detections: Detections, structures: str = "vertebrae") -> Bodies:
    return separate_bodies(detections, link(detections), detections.working, structures)


def without(detections: Detections, where: tuple) -> Detections:
    """Return detections without the arches in a part of the volume, (slices, rows, columns)."""
    probabilities = detections.probabilities.copy()
    probabilities[:, ARCH][where] = 0
    return replace(detections, probabilities=probabilities)


def arch_notes(bodies: Bodies) -> list[set[str]]:
    notes = {Note.ARCH_MERGED, Note.NO_ARCH, Note.NO_SPINOUS, Note.ARCH_APART, Note.ARCH_CUT}
    return [notes & set(flags) for flags in bodies.flags]


def euler(surface) -> int:
    points, triangles = mesh_arrays(surface)
    return len(points) - len(triangles) // 2


@pytest.fixture(scope="module")
def whole() -> Bodies:
    return segmented(seen())


def test_every_arch_belongs_to_its_vertebra_although_another_is_nearer(whole):
    labels, owner = whole.label_map(VALUES), BLOCKS.owner()
    for i, value in enumerate(VALUES):
        arch = labels == 300 + value
        assert (owner[arch] == i).mean() > 0.98 and arch[owner == i].mean() > 0.9
    assert arch_notes(whole) == [set(), set(), set()]


def test_an_arch_changes_no_voxel_of_a_body(whole):
    plain = segmented(seen(), "bodies").label_map(VALUES)
    assert np.array_equal(np.where(whole.label_map(VALUES) < 300, whole.label_map(VALUES), 0), plain)


def test_a_vertebra_left_out_takes_its_arch_with_it(whole):
    assert np.unique(whole.label_map((24, 0, 22))).tolist() == [0, 22, 24, 322, 324]


def test_a_whole_vertebra_is_one_closed_surface_around_the_canal(whole):
    surface = whole_surface(whole, 1)
    assert open_edges(surface) == 0
    assert euler(surface) == 0, "a ring of body, pedicles and arch"
    arch = part_surface(whole, whole.position(ARCH, 1))
    assert open_edges(arch) == 0 and euler(arch) == 2
    volumes = whole.solids[1].volume_mm3, whole.shape(whole.position(ARCH, 1)).volume_mm3
    assert whole.whole(1).volume_mm3 == pytest.approx(sum(volumes), rel=0.03)


def test_single_wrong_votes_do_not_count():
    detections = seen()
    homes = detections.homes.copy()
    wrong = np.random.default_rng(0).random(homes.shape[:1] + homes.shape[2:]) < 0.2
    homes[:, 0][wrong] -= 36  # to the block above
    found = owners(replace(detections, homes=homes), link(detections))
    truth = BLOCKS.owner()
    assert (found[truth >= 0] == truth[truth >= 0]).mean() > 0.97


def test_arches_that_touch_are_divided_and_those_of_unknown_vertebrae_left_out():
    detections = seen()
    probabilities = detections.probabilities.copy()
    probabilities[1:-1, ARCH, :, 84:98] = 1  # one bar of bone from top to bottom
    rows = np.arange(probabilities.shape[2])
    homes = np.zeros_like(detections.homes)
    pitch = 36
    nearest = BLOCKS.top(2) + 13 + pitch * np.clip((rows - BLOCKS.top(2) - 2) // pitch, -1, 2)
    homes[:, 0] = (nearest - rows)[:, None]
    homes[:, 1] = 46.5 - np.arange(100)
    fused = replace(detections, probabilities=probabilities, homes=homes)
    bodies = segmented(fused)
    labels = bodies.label_map(VALUES)
    at = [int(labels[3, BLOCKS.top(i) + 20, 90]) for i in range(3)]
    assert at == [324, 323, 322]
    assert labels[3, 4, 90] == 0, "it points to a block above the highest one"


def test_two_arches_that_merge_are_noted():
    blocks = BlockSpine(count=5, s1=False, arches=True)
    detections = seen(blocks)
    low, high = blocks.top(2) + 34, blocks.top(1) + 8  # from the arch above to the arch below
    detections.probabilities[1:-1, ARCH, low:high, 84:98] = 1
    detections.homes[1:-1, 0, low:high] = (blocks.top(2) + 12.5 - np.arange(low, high))[:, None]
    detections.homes[1:-1, 1, low:high] = 46.5 - np.arange(100)
    merged = [j for j, notes in enumerate(arch_notes(segmented(detections))) if Note.ARCH_MERGED in notes]
    assert merged == [1, 2]


def test_without_arches_in_the_weights_there_are_bodies_and_a_sentence():
    detections = replace(seen(), homes=None)
    bodies = segmented(detections)
    assert np.unique(bodies.label_map(VALUES)).tolist() == [0, 22, 23, 24]
    assert arch_notes(bodies) == [set(), set(), set()]
    candidates = link(detections)
    for structures, sentences in (("bodies", ()), ("vertebrae", (ARCHES_UNKNOWN,)), ("all", (ARCHES_UNKNOWN,))):
        assert gather(detections.working, detections, candidates, structures).warnings == sentences


@pytest.mark.parametrize(
    ("gone", "note"),
    [
        (np.s_[:, BLOCKS.top(1) : BLOCKS.top(1) + 35], Note.NO_ARCH),
        (np.s_[2:5, BLOCKS.top(1) : BLOCKS.top(1) + 35], Note.NO_SPINOUS),
        (np.s_[:, BLOCKS.top(1) : BLOCKS.top(1) + 35, 64:83], Note.ARCH_APART),
    ],
)
def test_what_is_missing_of_an_arch_is_noted_at_its_vertebra_alone(gone, note):
    bodies = segmented(without(seen(), gone))
    assert arch_notes(bodies) == [set(), {note}, set()]


def test_an_arch_cut_by_the_edge_of_the_image_is_noted():
    detections = seen()
    narrow = replace(
        detections,
        working=replace(detections.working, array=detections.working.array[..., :92]),
        probabilities=detections.probabilities[..., :92],
        homes=detections.homes[..., :92],
    )
    assert arch_notes(segmented(narrow)) == [{Note.ARCH_CUT}] * 3


def test_a_single_slice_gives_bodies_and_what_it_shows_of_the_arches():
    detections = seen()
    middle = slice(3, 4)
    one = Detections(
        SagittalVolume(detections.working.array[middle], detections.working.matrix),
        tuple(replace(v, slice=0) for v in detections.vertebrae if v.slice == 3),
        detections.probabilities[middle],
        detections.homes[middle],
    )
    bodies = segmented(one)
    assert np.unique(bodies.label_map(VALUES)).tolist() == [0, 22, 23, 24, 322, 323, 324]
    assert arch_notes(bodies) == [set()] * 3, "one warning tells that the pedicles are not in view"


def test_arches_that_reach_the_first_or_last_slice_are_mentioned_once():
    detections = seen()
    inner = slice(1, -1)
    narrow = Detections(
        SagittalVolume(detections.working.array[inner], detections.working.matrix),
        tuple(replace(v, slice=v.slice - 1) for v in detections.vertebrae),
        detections.probabilities[inner],
        detections.homes[inner],
    )
    assert gather(narrow.working, narrow, link(narrow), "vertebrae").warnings == (ARCHES_NARROW,)


def test_parts_say_what_each_solid_is():
    bodies = segmented(seen(), "all")
    assert len(bodies.parts) == len(bodies.solids) == 3 + 3 + 1 + 3
    assert [bodies.position(BODY, j) for j in range(3)] == [0, 1, 2]
    assert segmented(seen(), "bodies").position(ARCH, 1) is None
    assert set(np.unique(bodies.label_map(VALUES))) == {0, 22, 23, 24, 222, 223, 60, 322, 323, 324}
    assert len(PEDICLES) == 2
