"""Bodies keep their identity from slice to slice."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_slices import Stack, scoliotic, straight
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.detection import chains
from SpinalTapLib.detection.chains import Outlines, follow, misfit
from SpinalTapLib.spine import quadrilaterals as quads


def outlines_of(stack: Stack, **kwargs: float) -> tuple[Outlines, np.ndarray]:
    """Return the outlines and the body that each is of."""
    detections, owner = stack.detections(**kwargs)  # type: ignore[arg-type]
    seen = detections.vertebrae
    outlines = Outlines(
        np.array([v.slice for v in seen]),
        np.array([v.corners for v in seen]) * stack.pixel_mm,
        np.array([v.centroid for v in seen]) * stack.pixel_mm,
        stack.slice_mm,
    )
    return outlines, np.array([owner[id(v)] for v in seen])


def assert_one_chain_a_body(stack: Stack, **kwargs: float) -> np.ndarray:
    outlines, owner = outlines_of(stack, **kwargs)
    found, drifts = follow(outlines)
    assert len(found) == len(stack.centres)
    for chain in found:
        assert len(set(owner[chain])) == 1
    return drifts


def test_an_upright_spine_gives_one_chain_a_body_without_drift() -> None:
    np.testing.assert_allclose(assert_one_chain_a_body(straight()), 0, atol=1e-9)


@pytest.mark.parametrize("cobb", [25, 50, 80])
def test_a_scoliotic_spine_gives_one_chain_a_body(cobb: float) -> None:
    assert_one_chain_a_body(scoliotic(cobb), noise_mm=0.5)


def test_a_straight_lateral_line_would_hop_to_the_neighbour() -> None:
    stack = scoliotic(50, height=19)

    def row(body: int, index: int) -> float:
        return float(stack.corners_px(body, index).mean(0)[0])

    hops = 0
    for body in range(len(stack.centres)):
        seen = [i for i in range(stack.n_slices) if stack.sees(body, i)]
        for start, end in (seen[:1] + seen[-1:], seen[-1:] + seen[:1]):
            beside = [k for k in (body - 1, body + 1) if 0 <= k < 9 and stack.sees(k, end)]
            others = [abs(row(k, end) - row(body, start)) for k in beside]
            hops += min(others, default=np.inf) < abs(row(body, end) - row(body, start))
    assert hops >= 2
    assert_one_chain_a_body(stack)


def test_the_drift_that_is_found_is_the_tilt() -> None:
    stack = scoliotic(40)
    outlines, owner = outlines_of(stack, noise_mm=0.3)
    _, drifts = follow(outlines)
    for body in (2, 4, 6):
        assert drifts[owner == body, 0].mean() == pytest.approx(
            np.tan(np.deg2rad(stack.rolls_degrees[body])), abs=0.06
        )
    assert np.abs(drifts[:, 1]).max() < 0.06


@pytest.mark.parametrize("missed", [{7}, {6, 7}, {3, 7, 8, 12}])
def test_a_body_that_is_missed_in_between_stays_one(missed: set[int]) -> None:
    assert_one_chain_a_body(straight(skip={(2, index) for index in missed}))


def test_over_a_wide_gap_only_what_fits_well_is_joined() -> None:
    gap = {(2, index) for index in range(5, 9)}
    assert_one_chain_a_body(straight(skip=gap))
    outlines, owner = outlines_of(straight(skip=gap))
    moved = (owner == 2) & (outlines.slices >= 9)
    outlines.corners[moved] += [8.0, 0.0]
    outlines.centroids[moved] += [8.0, 0.0]
    assert len(follow(outlines)[0]) == 7


@given(seed=st.integers(0, 10_000), rate=st.floats(0, 0.3), cobb=st.floats(0, 60))
@settings(max_examples=8, deadline=None)
def test_no_chain_has_two_outlines_in_a_slice_nor_two_bodies(seed: int, rate: float, cobb: float) -> None:
    stack = scoliotic(cobb, n=6)
    rng = np.random.default_rng(seed)
    stack.skip = {(b, s) for b in range(6) for s in range(stack.n_slices) if rng.random() < rate}
    outlines, owner = outlines_of(stack, noise_mm=0.7, seed=seed)
    found, _ = follow(outlines)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(owner)))
    for chain in found:
        assert (np.diff(outlines.slices[chain]) > 0).all()
        assert len(set(owner[chain])) == 1


def test_the_order_in_which_outlines_come_does_not_matter() -> None:
    outlines, _ = outlines_of(scoliotic(40), noise_mm=1.0)
    shuffle = np.random.default_rng(0).permutation(len(outlines.slices))
    other = Outlines(
        outlines.slices[shuffle], outlines.corners[shuffle], outlines.centroids[shuffle], outlines.slice_mm
    )
    before = {frozenset(c.tolist()) for c in follow(outlines)[0]}
    assert {frozenset(shuffle[c].tolist()) for c in follow(other)[0]} == before


def naive_misfit(outlines: Outlines, i: int, j: int, drifts: np.ndarray) -> float:
    height, depth = [], []
    for k in (i, j):
        depth.append(float(quads.depth(outlines.corners[k])))
        height.append(max(float(quads.height(outlines.corners[k])), chains.CRUSHED_HEIGHT * depth[-1]))
    step = (outlines.slices[j] - outlines.slices[i]) * outlines.slice_mm
    offset = outlines.centroids[j] - outlines.centroids[i] - step * (drifts[i] + drifts[j]) / 2
    axis = quads.up(outlines.corners[i]) + quads.up(outlines.corners[j])
    axis = axis / np.linalg.norm(axis)
    along = offset @ axis / np.mean(height)
    sideways = offset @ [axis[1], -axis[0]] / np.mean(depth)
    size = abs(np.log(height[1] * depth[1]) - np.log(height[0] * depth[0])) / 2
    return float(np.hypot(along, chains.SIDEWAYS_WEIGHT * sideways) + chains.SIZE_WEIGHT * size)


def test_misfit_agrees_with_the_naive_rule() -> None:
    outlines, _ = outlines_of(scoliotic(30), noise_mm=2.0)
    drifts = np.random.default_rng(0).normal(0, 0.3, outlines.centroids.shape)
    one, two = np.arange(0, 12), np.arange(20, 50)
    expected = [[naive_misfit(outlines, i, j, drifts) for j in two] for i in one]
    np.testing.assert_allclose(misfit(outlines, one, two, drifts), expected)


def test_neighbours_in_one_slice_never_fit() -> None:
    outlines, _ = outlines_of(straight(n_slices=9))
    middle = np.flatnonzero(outlines.slices == 8)
    fits = misfit(outlines, middle, middle, np.zeros_like(outlines.centroids))
    assert (fits[~np.eye(len(middle), dtype=bool)] > 2 * chains.MISFIT_LIMIT).all()
