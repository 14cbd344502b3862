"""The way up the spine takes the bodies of the spine, and leaves the others."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.detection.backbone import MISSING_COST, FollowedBodies, backbone, gaps_on, missing_between, step_costs


def bodies_at(centroids: np.ndarray, height: float = 20.0, depth: float = 28.0, score: float = 0.8) -> FollowedBodies:
    """Return upright bodies at (across, row, column), mm."""
    n = len(centroids)
    up = np.tile([0.0, -1.0, 0.0], (n, 1))
    return FollowedBodies(np.asarray(centroids, float), up, np.full(n, height), np.full(n, depth), np.full(n, score))


def a_spine(n: int = 8) -> np.ndarray:
    """Return centroids from the bottom up, 27 mm apart, gently curved."""
    rows = 300 - 27.0 * np.arange(n)
    return np.column_stack((5 * np.sin(rows / 60), rows, 80 + 8 * np.cos(rows / 50)))


def with_more(bodies: FollowedBodies, **change: np.ndarray) -> FollowedBodies:
    return FollowedBodies(**{**bodies.__dict__, **change})


def test_a_spine_is_walked_from_the_bottom_up_in_any_order_of_input() -> None:
    spine = a_spine()
    shuffle = np.random.default_rng(0).permutation(len(spine))
    assert shuffle[backbone(bodies_at(spine[shuffle]))].tolist() == list(range(len(spine)))


@pytest.mark.parametrize(
    "island",
    [
        (0, 290, 20),  # bladder: in front, low
        (0, 150, 5),  # skin of the belly
        (45, 205, 80),  # beside the spine
        (0, 320, 140),  # behind
        (0, 292, 84),  # inside the lowest body
    ],
)
def test_an_island_is_left_out(island: tuple[float, float, float]) -> None:
    assert backbone(bodies_at(np.vstack((a_spine(), island)))).tolist() == list(range(8))


def test_a_pile_of_islands_does_not_beat_the_spine() -> None:
    pile = [(0, 300 - 27 * i, 15) for i in range(4)]
    assert backbone(bodies_at(np.vstack((pile, a_spine())))).tolist() == list(range(4, 12))


def test_a_missed_body_leaves_a_gap_that_is_counted() -> None:
    spine = bodies_at(np.delete(a_spine(), [3, 4], axis=0))
    way = backbone(spine)
    assert way.tolist() == list(range(6))
    assert [missing_between(spine)[i, j] for i, j in zip(way, way[1:])] == [0, 0, 2, 0, 0]


def test_a_step_much_longer_than_those_beside_it_skips_a_body() -> None:
    rows = np.array([200, 178, 156, 134, 90, 68, 46])  # 22 mm apart and high; one is missing at 112
    way = np.arange(len(rows))

    def placed(rows: np.ndarray) -> FollowedBodies:
        centroids = np.column_stack((0 * rows, rows, 50 + 0 * rows)).astype(float)
        return with_more(bodies_at(centroids), heights=np.full(len(rows), 22.0))

    assert missing_between(placed(rows))[3, 4] == 0, "44 mm alone could be one step"
    assert gaps_on(way, placed(rows)).tolist() == [False, False, False, True, False, False]
    assert not gaps_on(way, placed(rows + 10 * (way > 3))).any(), "a high disc is no gap"
    assert gaps_on(way[:1], placed(rows)).tolist() == []


def test_a_weak_body_is_taken_to_fill_a_gap_but_not_to_make_an_end() -> None:
    scores = np.full(8, 0.8)
    scores[[0, 4]] = -0.1
    assert backbone(with_more(bodies_at(a_spine()), scores=scores)).tolist() == list(range(1, 8))


def test_a_slipped_and_a_crushed_body_stay_in() -> None:
    spine = a_spine()
    spine[:3, 2] += 10  # all below slip back
    crushed = bodies_at(spine)
    heights = crushed.heights.copy()
    heights[5] = 8
    spine[5:, 1] += 6
    spine[6:, 1] += 6
    assert backbone(with_more(crushed, heights=heights)).tolist() == list(range(8))


def test_without_bodies_there_is_no_way_and_one_body_is_its_own() -> None:
    assert backbone(bodies_at(np.zeros((0, 3)))).tolist() == []
    assert backbone(bodies_at(np.zeros((1, 3)))).tolist() == [0]


def worth(bodies: FollowedBodies, costs: np.ndarray, way: tuple[int, ...]) -> float:
    return bodies.scores[list(way)].sum() - sum(costs[i, j] for i, j in zip(way, way[1:]))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_no_other_way_is_worth_more(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centroids = np.column_stack((rng.normal(0, 6, 9), rng.uniform(0, 200, 9), rng.normal(0, 12, 9)))
    up = rng.normal((0, -1, 0), 0.3, (9, 3))
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    bodies = FollowedBodies(centroids, up, rng.uniform(14, 26, 9), rng.uniform(20, 34, 9), rng.uniform(-0.1, 1, 9))
    costs = step_costs(bodies)
    upwards = np.argsort(-centroids[:, 1])
    best = max(worth(bodies, costs, way) for k in range(1, 10) for way in combinations(upwards, k))
    assert worth(bodies, costs, tuple(backbone(bodies))) == pytest.approx(best)


def test_steps_cost_what_makes_them_unlike_a_spine() -> None:
    up_one, up_two, down, turned, inside = 1, 2, 3, 4, 5
    centroids = np.array([(0, 100, 50), (0, 73, 50), (0, 46, 50), (0, 127, 50), (0, 100 - 9.2, 50 - 25.4), (0, 95, 50)])
    costs = step_costs(bodies_at(centroids))[0]
    assert costs[up_one] == 0
    assert costs[up_two] == pytest.approx(MISSING_COST)
    assert np.isinf(costs[down])
    assert np.isinf(costs[inside])
    assert costs[turned] == pytest.approx(2 * (70 - 30) / 30, abs=0.05)
