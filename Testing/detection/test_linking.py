"""Outlines in slices become bodies in millimetres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_parts import box, draw
from drawn_slices import Stack, outline, scoliotic, straight
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.detection.detector import Detections
from SpinalTapLib.detection.grouping import group
from SpinalTapLib.detection.linking import Candidate, link
from SpinalTapLib.spine import quadrilaterals as quads
from SpinalTapLib.spine.notes import Note


def link_all(stack: Stack, **kwargs: object) -> tuple[Candidate, ...]:
    """Link what is seen of a stack; check that every body is found once, in order, out of its own outlines."""
    detections, owner = stack.detections(**kwargs)  # type: ignore[arg-type]
    candidates = link(detections)
    bodies = [{owner.get(id(m)) for m in c.members} for c in candidates]
    assert bodies == [{i} for i in range(len(stack.centres))]
    return candidates


def test_a_straight_spine_lies_where_it_was_drawn() -> None:
    stack = straight(pixel_mm=0.8)
    for i, candidate in enumerate(link_all(stack)):
        np.testing.assert_allclose(candidate.centroid_lps_mm, stack.centre_lps(i), atol=2.1)  # half a slice across
        volume = stack.volume()
        index = volume.to_index(candidate.corners_lps_mm)
        np.testing.assert_allclose(index[:, 0], candidate.mid_slice, atol=1e-6)
        np.testing.assert_allclose(index[:, 1:], stack.corners_px(i, candidate.mid_slice), atol=1e-6)
        assert candidate.flags == ()
        assert candidate.slices == tuple(s for s in range(stack.n_slices) if stack.sees(i, s))
        assert candidate.score == pytest.approx(0.9)


@pytest.mark.parametrize("cobb", [25, 50])
def test_a_scoliotic_spine_keeps_its_bodies_and_their_places(cobb: float) -> None:
    stack = scoliotic(cobb)
    errors = [
        np.linalg.norm(c.centroid_lps_mm - stack.centre_lps(i)) for i, c in enumerate(link_all(stack, noise_mm=0.5))
    ]
    assert max(errors) < 2.0
    assert np.mean(errors) < 1.2


def test_corners_are_those_of_the_tilted_body_not_of_the_average_over_its_width() -> None:
    stack = scoliotic(50)
    detections, _ = stack.detections()
    for i, candidate in enumerate(link(detections)):
        index = stack.volume().to_index(candidate.corners_lps_mm)
        np.testing.assert_allclose(index[:, 1:], stack.corners_px(i, candidate.mid_slice), atol=0.8)


def test_bad_slices_do_not_move_the_corners() -> None:
    stack = straight()
    detections, _ = stack.detections()
    spoilt = tuple(
        replace(v, corners=v.corners + np.array([[-4, -3], [0, 0], [0, 0], [0, 0]])) if v.slice in (6, 9) else v
        for v in detections.vertebrae
    )
    candidates = link(Detections(detections.working, spoilt, detections.probabilities))
    for before, after in zip(link(detections), candidates):
        np.testing.assert_allclose(after.corners_lps_mm, before.corners_lps_mm, atol=0.3)


def test_rebuilt_corners_count_only_where_none_was_seen() -> None:
    stack = straight(n=3)
    detections, _ = stack.detections()
    moved = np.array([[5, 5], [0, 0], [0, 0], [0, 0]])

    def with_rebuilt(slices: range) -> tuple[Candidate, ...]:
        spoilt = tuple(
            replace(v, corners=v.corners + moved, rebuilt=("superior_anterior",))
            if v.slice in slices
            else v
            for v in detections.vertebrae
        )
        return link(Detections(detections.working, spoilt, detections.probabilities))

    clean = link(detections)
    for before, after in zip(clean, with_rebuilt(range(0, 7))):
        np.testing.assert_allclose(after.corners_lps_mm, before.corners_lps_mm, atol=1e-6)
        assert Note.CORNER_ESTIMATED not in after.flags
    for before, after in zip(clean, with_rebuilt(range(0, 99))):
        np.testing.assert_allclose(after.corners_lps_mm[1:], before.corners_lps_mm[1:], atol=1e-6)
        assert np.linalg.norm(after.corners_lps_mm[0] - before.corners_lps_mm[0]) > 6
        assert Note.CORNER_ESTIMATED in after.flags


@given(seed=st.integers(0, 10_000), cobb=st.floats(0, 50), slice_mm=st.sampled_from([2.5, 4.0, 5.5]))
@settings(max_examples=6, deadline=None)
def test_every_body_is_found_once_though_one_outline_in_ten_is_missed(seed: int, cobb: float, slice_mm: float) -> None:
    stack = scoliotic(cobb, n=6, slice_mm=slice_mm, n_slices=round(64 / slice_mm))
    rng = np.random.default_rng(seed)
    stack.skip = {(b, s) for b in range(6) for s in range(stack.n_slices) if rng.random() < 0.1}
    link_all(stack, noise_mm=0.6, seed=seed)


def test_islands_in_the_pelvis_and_on_the_skin_are_left_out() -> None:
    bladder = tuple(outline(s, box(280, 20, 20, 26)) for s in range(5, 11))
    skin = tuple(outline(s, box(150, 6, 20, 9)) for s in range(3, 12))
    behind = tuple(outline(s, box(190, 140, 22, 22)) for s in range(6, 9))
    link_all(straight(), extra=bladder + skin + behind)


def test_a_stray_outline_in_one_thin_slice_is_left_out_even_in_line_with_the_spine() -> None:
    link_all(straight(), extra=(outline(7, box(286, 80, 18, 24)),))
    assert len(link(straight().detections(extra=tuple(outline(s, box(286, 80, 18, 24)) for s in (6, 7, 8)))[0])) == 7


def test_in_thick_or_few_slices_one_outline_is_enough_and_flagged() -> None:
    thick = straight(slice_mm=6.0, width=7.0, n_slices=10)
    few = straight(n_slices=1)
    few.centres[:, 0] = 0.0
    for stack in (thick, few):
        assert {c.flags for c in link_all(stack)} == {(Note.ONE_SLICE,)}


def test_a_body_that_was_missed_leaves_a_note_on_the_one_above() -> None:
    stack = straight()
    stack.skip = {(2, s) for s in range(stack.n_slices)}
    candidates = link(stack.detections()[0])
    assert [c.flags for c in candidates] == [(), (), (Note.MISSING_BELOW,), (), ()]


def test_a_body_at_the_border_of_the_image_is_flagged() -> None:
    stack = straight(size_mm=(269.5, 160.0))
    assert [c.flags for c in link_all(stack)][:2] == [(Note.CUT,), ()]


def test_nothing_seen_is_nothing_found() -> None:
    assert link(straight(n=0).detections()[0]) == ()
    assert link(straight(n=0).detections(extra=(outline(3, box(100, 50)),))[0]) == ()


def test_evidence_is_the_mean_of_the_central_slices() -> None:
    detections, _ = straight(n=2).detections()
    s1 = np.array([0, 0.2, 0.8, 0, 0, 0, 0, 0])
    central = {6, 7, 8, 9}
    seen = tuple(replace(v, evidence=s1) if v.slice in central else v for v in detections.vertebrae)
    candidate = link(Detections(detections.working, seen, detections.probabilities))[0]
    np.testing.assert_allclose(candidate.evidence, s1, atol=0.21)


def test_from_part_maps_to_bodies() -> None:
    stack = scoliotic(30, n=4, n_slices=8, slice_mm=8.0, size_mm=(290.0, 130.0))
    seen = []
    for index in range(stack.n_slices):
        outlines = [stack.corners_px(b, index) for b in range(4) if stack.sees(b, index)]
        maps = draw(np.array(outlines).reshape(-1, 4, 2), (290, 130), noise=0.03, seed=index)
        seen.extend(group(maps, index))
    candidates = link(Detections(stack.volume(), tuple(seen), np.zeros((8, 7, 1, 1), np.float16)))
    assert len(candidates) == 4
    for i, candidate in enumerate(candidates):
        assert np.linalg.norm(candidate.centroid_lps_mm - stack.centre_lps(i)) < 4  # half a slice
        assert quads.height(stack.volume().to_index(candidate.corners_lps_mm)[:, 1:]) == pytest.approx(18, abs=1)
