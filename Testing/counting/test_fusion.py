"""Fusion: detections in the order of the ladder, with misses, false ones and a ladder that stops early."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from SpinalTapLib.counting.fusion import fuse
from SpinalTapLib.counting.rungs import Rung
from SpinalTapLib.spine.notes import Note

SHAPE = (15, 900, 400)


@pytest.fixture
def spine() -> list[Rung]:
    half = np.array([[-13, -17], [-13, 17], [13, 17], [13, -17]])
    return [Rung(7.0, np.array([850.0 - 36 * i, 200.0 + 5 * np.sin(i)]) + half) for i in range(20)]


def _look(truth: list[Rung]):
    def look(rung: Rung) -> tuple[Rung, Rung]:
        i = int(np.argmin([np.linalg.norm(r.centre - rung.centre) for r in truth]))
        nothing = replace(rung, presence=0.02)
        near = [replace(r, presence=0.95) for r in truth]
        return (near[i + 1] if i + 1 < len(truth) else nothing), (near[i - 1] if i else nothing)

    return look


def _order(places) -> list[int | None]:
    return [p.candidate for p in places]


def test_detections_that_the_ladder_meets_keep_their_order_and_are_confirmed(spine):
    places, start = fuse(_look(spine), spine, 0, SHAPE, 4.0)
    assert _order(places) == list(range(20)) and start == 0
    assert all(not p.flags for p in places)


def test_the_count_may_start_in_the_middle(spine):
    places, start = fuse(_look(spine), spine, 9, SHAPE, 4.0)
    assert _order(places) == list(range(20)) and start == 9


def test_a_vertebra_that_the_detector_missed_takes_its_place_in_the_count(spine):
    found = spine[:8] + spine[9:]
    places, _ = fuse(_look(spine), found, 0, SHAPE, 4.0)
    assert _order(places) == [*range(8), None, *range(8, 19)]
    assert Note.LADDER_ONLY in places[8].flags
    assert np.allclose(places[8].rung.centre, spine[8].centre)


def test_a_false_detection_between_two_vertebrae_is_left_out(spine):
    false = replace(spine[5], corners=spine[5].corners + [-18, 30])
    found = [*spine[:6], false, *spine[6:]]
    places, _ = fuse(_look(spine), found, 0, SHAPE, 4.0)
    assert _order(places) == [i for i in range(21) if i != 6]


def test_detections_above_the_end_of_the_climb_stay_and_say_that_nobody_counted_them(spine):
    places, _ = fuse(_look(spine[:12]), spine, 0, SHAPE, 4.0)
    assert _order(places) == list(range(20))
    assert not places[5].flags and places[15].flags


def test_steps_ends_the_count_above_the_start(spine):
    places, _ = fuse(_look(spine), spine, 0, SHAPE, 4.0, steps=6)
    assert _order(places) == list(range(7))
