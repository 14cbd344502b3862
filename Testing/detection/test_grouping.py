"""Parts drawn from known quadrilaterals come back as those quadrilaterals, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_parts import add_peak, box, column_of_boxes, draw
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.detection import grouping
from SpinalTapLib.detection.grouping import CornerParts, complete, group, is_plausible, join, mask_evidence
from SpinalTapLib.detection.part_maps import PartMaps, SliceVertebra
from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.spine.vertebra import CORNERS

BACKGROUND, BODY, S1, _, DISC, _, SACRUM, *_ = Structure


def sorted_corners(found: tuple[SliceVertebra, ...]) -> np.ndarray:
    """Return the corners, (n, 4, 2), from the top down."""
    return np.array(sorted((v.corners.tolist() for v in found), key=lambda c: c[0][0])).reshape(-1, 4, 2)


def assert_found(maps: PartMaps, expected: np.ndarray, tolerance_px: float = 0.15) -> tuple[SliceVertebra, ...]:
    """Check that exactly the expected bodies, from the top down, are found; return them from the top down."""
    found = group(maps)
    assert len(found) == len(expected)
    np.testing.assert_allclose(sorted_corners(found), expected, atol=tolerance_px)
    return tuple(sorted(found, key=lambda v: v.centroid[0]))


def test_a_clean_column_is_found_to_a_tenth_of_a_pixel() -> None:
    spine = column_of_boxes() + 0.3
    for vertebra, body in zip(assert_found(draw(spine), spine), spine):
        np.testing.assert_allclose(vertebra.centroid, body.mean(0), atol=0.1)
        assert vertebra.score > 0.9
        assert vertebra.rebuilt == ()
        assert vertebra.evidence[BODY] > 0.9


def test_the_slice_number_is_kept() -> None:
    assert {v.slice for v in group(draw(column_of_boxes()), 7)} == {7}


@given(down=st.floats(-8, 8), back=st.floats(-20, 20))
@settings(max_examples=8, deadline=None)
def test_a_moved_spine_is_found_moved(down: float, back: float) -> None:
    spine = column_of_boxes() + np.array([down, back])
    assert_found(draw(spine), spine)


@given(scale=st.floats(0.45, 1.15))
@settings(max_examples=8, deadline=None)
def test_small_and_large_spines_are_found_alike(scale: float) -> None:
    spine = column_of_boxes(4) * scale
    assert_found(draw(spine), spine)


@given(tilt=st.floats(-75, 75))
@settings(max_examples=8, deadline=None)
def test_a_tilted_body_is_found(tilt: float) -> None:
    body = box(100, 60, tilt_degrees=tilt)[None]
    assert_found(draw(body), body)


def test_noise_moves_corners_by_less_than_a_pixel() -> None:
    spine = column_of_boxes()
    for seed in range(3):
        assert_found(draw(spine, noise=0.04, seed=seed), spine, 1.0)


def test_two_touching_bodies_stay_two() -> None:
    spine = np.stack([box(60, 60), box(86, 60), box(112, 60)])
    assert_found(draw(spine), spine, 0.5)


def test_a_slipped_body_keeps_its_own_corners() -> None:
    spine = column_of_boxes(4)
    spine[2] += [0, -12]  # a slip of a third of the body's depth
    assert_found(draw(spine), spine)


def test_a_crushed_body_between_tall_ones_is_found() -> None:
    spine = np.stack([box(40, 60), box(66, 60, height=7), box(92, 60)])
    assert_found(draw(spine), spine, 0.3)


@pytest.mark.parametrize("corner", range(4))
def test_a_missing_corner_is_rebuilt_from_the_other_three_and_named(corner: int) -> None:
    spine = column_of_boxes(3)
    found = assert_found(draw(spine, hide=[(1, corner)]), spine)
    assert [v.rebuilt for v in found] == [(), (CORNERS[corner],), ()]
    assert found[1].score < found[0].score


def test_a_corner_that_makes_an_impossible_shape_gives_way_to_the_other_three() -> None:
    spine = column_of_boxes(3)
    maps = draw(spine, hide=[(1, 0)])
    stray = spine[1].mean(0) + np.array([3, 8])  # inside the body: the outline would have a dent
    add_peak(maps, 0, tuple(stray))
    rows, columns = np.mgrid[-3:4, -3:4] + np.rint(stray).astype(int)[:, None, None]
    target = spine[1].mean(0) + np.array([1.5, 0])
    maps.vectors[0, 0, rows, columns], maps.vectors[0, 1, rows, columns] = target[0] - rows, target[1] - columns
    assert assert_found(maps, spine)[1].rebuilt == ("superior_anterior",)


def test_two_missing_corners_are_rebuilt_only_where_the_mask_is_sure() -> None:
    spine = column_of_boxes(3)
    maps = draw(spine, hide=[(1, 0), (1, 3)])
    found = assert_found(maps, spine)
    assert set(found[1].rebuilt) == {"superior_anterior", "inferior_anterior"}
    weak = maps.probabilities.copy()
    weak[BODY] *= 0.6
    assert_found(replace(maps, probabilities=weak), spine[[0, 2]])


def test_with_opposite_or_three_corners_missing_there_is_no_vertebra() -> None:
    spine = column_of_boxes(3)
    assert_found(draw(spine, hide=[(1, 0), (1, 2)]), spine[[0, 2]])
    assert_found(draw(spine, hide=[(1, 0), (1, 1), (1, 3)]), spine[[0, 2]])


def test_four_corners_that_agree_stand_in_for_a_missing_centroid() -> None:
    spine = column_of_boxes(3)
    found = assert_found(draw(spine, hide=[(1, 4)]), spine)
    assert found[1].score < found[0].score
    np.testing.assert_allclose(found[1].centroid, spine[1].mean(0), atol=0.5)


def test_several_centroids_in_one_body_give_one_vertebra() -> None:
    spine = column_of_boxes(3)
    maps = draw(spine)
    for offset in ((7, 0), (-6, 6), (0, -11)):
        add_peak(maps, 4, tuple(spine[1].mean(0) + offset), 0.8)
    assert_found(maps, spine)


def test_stray_corners_and_centroids_change_nothing() -> None:
    spine = column_of_boxes(4)
    maps = draw(spine)
    rng = np.random.default_rng(3)
    for part in (0, 1, 2, 3, 4):
        for _ in range(3):  # in front of the spine
            add_peak(maps, part, tuple(rng.uniform((5, 3), (215, 30))), 0.9)
    assert_found(maps, spine)


def test_a_quadrilateral_on_background_is_dropped() -> None:
    spine = column_of_boxes(3)
    maps = draw(spine)
    ghost = draw(box(100, 16, 20, 24)[None])
    both = PartMaps(np.maximum(maps.heatmaps, ghost.heatmaps), maps.vectors.copy(), maps.probabilities)
    both.vectors[..., :33] = ghost.vectors[..., :33]
    assert_found(both, spine)


@pytest.mark.parametrize(("structure", "n"), [(S1, 3), (DISC, 2), (SACRUM, 2), (BACKGROUND, 2)])
def test_only_bodies_s1_and_c2_count_as_evidence(structure: int, n: int) -> None:
    assert len(group(draw(column_of_boxes(3), classes=(BODY, BODY, structure)))) == n


def test_an_empty_slice_holds_nothing() -> None:
    assert group(draw(np.zeros((0, 4, 2)))) == ()
    assert group(draw(column_of_boxes(2), hide=[(i, k) for i in range(2) for k in range(4)])) == ()


@pytest.mark.parametrize(
    "corners",
    [
        box(50, 50)[[1, 0, 3, 2]],  # mirrored
        box(50, 50)[[2, 3, 0, 1]],  # upside down
        box(50, 50)[[0, 1, 3, 2]],  # crossed
        box(50, 50, 5, 6),  # tiny
        box(50, 50, 60, 60),  # huge
        box(50, 50, 5, 45),  # flat
        box(50, 50, 50, 12),  # thin
        np.array([[40.0, 30], [40, 70], [60, 54], [60, 46]]),  # a funnel
    ],
)
def test_impossible_shapes_are_told_apart(corners: np.ndarray) -> None:
    assert is_plausible(np.stack([corners, box(50, 50)])).tolist() == [False, True]


def naive_join(centroids: np.ndarray, parts: CornerParts) -> list[list[int]]:
    """The rule of `join`, one corner after another."""
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for j, (kind, position, target, score) in enumerate(
        zip(parts.kinds, parts.positions, parts.targets, parts.scores)
    ):
        limit = max(grouping.JOIN_LIMIT * float(np.hypot(*(target - position))), 1.0)
        miss = [float(np.hypot(*(c - target))) / limit for c in centroids]
        i = miss.index(min(miss))
        cost = miss[i] - score
        if miss[i] <= 1 and cost < best.get((i, kind), (np.inf, -1))[0]:
            best[i, kind] = (cost, j)
    return [[best.get((i, k), (0, -1))[1] for k in range(4)] for i in range(len(centroids))]


def random_parts(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, CornerParts]:
    positions = rng.uniform(0, 60, (m, 2))
    parts = CornerParts(rng.integers(0, 4, m), positions, positions + rng.normal(0, 15, (m, 2)), rng.random(m))
    return rng.uniform(0, 60, (n, 2)), parts


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), m=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_joining_agrees_with_the_naive_rule(seed: int, n: int, m: int) -> None:
    centroids, parts = random_parts(np.random.default_rng(seed), n, m)
    assert join(centroids, parts).tolist() == naive_join(centroids, parts)


@given(seed=st.integers(0, 10_000), turns=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_joining_does_not_depend_on_order_place_or_scale(seed: int, turns: int) -> None:
    rng = np.random.default_rng(seed)
    centroids, parts = random_parts(rng, 4, 20)
    shuffle = rng.permutation(20)
    scale, shift = 2.0**turns, rng.uniform(-50, 50, 2)
    other = CornerParts(
        parts.kinds[shuffle],
        parts.positions[shuffle] * scale + shift,
        parts.targets[shuffle] * scale + shift,
        parts.scores[shuffle],
    )
    before, after = join(centroids, parts), join(centroids * scale + shift, other)
    np.testing.assert_array_equal(np.where(after >= 0, shuffle[after], -1), before)


def test_the_fourth_corner_completes_the_parallelogram() -> None:
    body = np.array([[10.0, 10.0], [12.0, 40.0], [40.0, 42.0], [38.0, 12.0]])
    parts = CornerParts(np.arange(4), body, np.tile(body.mean(0), (4, 1)), np.ones(4))
    for k in range(4):
        members = np.arange(4)[None].copy()
        members[0, k] = -1
        corners, scores = complete(body.mean(0)[None], parts, members)
        np.testing.assert_allclose(corners[0], body)
        assert scores[0].tolist() == [float(j != k) for j in range(4)]


def test_mask_evidence_is_the_mean_inside_and_tolerates_corners_outside_the_image() -> None:
    probabilities = np.zeros((7, 40, 40), np.float32)
    probabilities[BODY, :, :20], probabilities[DISC, :, 20:] = 1, 1
    corners = np.stack([box(20, 8, 10, 10), box(20, 19.5, 10, 10), box(0, 0)])
    inside, half, outside = mask_evidence(probabilities, corners)
    assert inside[BODY] == 1
    assert half[[BODY, DISC]] == pytest.approx([0.5, 0.5], abs=0.1)
    assert outside.sum() == pytest.approx(1)
