"""Turns: where the picture can be named in another position, it is said which, and otherwise nothing."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.counting.turns import TURNS, UPRIGHT, Turn, better_turn
from SpinalTapLib.detection.linking import Candidate
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine.structures import N_STRUCTURES

RIGHT = np.arange(7 * 5 * 6).reshape(7, 5, 6)
"""A picture that is known when it lies right."""


def _volume(array: np.ndarray) -> SagittalVolume:
    matrix = np.array([[-3.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    return SagittalVolume(array, matrix, "scan")


def _undone(turn: Turn) -> np.ndarray:
    """Return the picture that this turn puts right."""
    return next(t(RIGHT) for t in TURNS if np.array_equal(turn(t(RIGHT)), RIGHT))


def _is_right(volume: SagittalVolume) -> bool:
    return np.array_equal(volume.array, RIGHT[1:6])


def _row(count: int, lean: float = 0.0) -> tuple[Candidate, ...]:
    """So many bodies, from the bottom up, in a line that leans by so many degrees."""
    half = np.array([[0, -15, 11], [0, 15, 11], [0, 15, -11], [0, -15, -11]], float)
    way = 30.0 * np.array([0, np.sin(np.deg2rad(lean)), np.cos(np.deg2rad(lean))])
    return tuple(Candidate((), i * way, i * way + half, 0, np.zeros(N_STRUCTURES), 0.9, (), (0,)) for i in range(count))


def _ask(
    array: np.ndarray,
    count: int = 0,
    sure: float = 0.9,
    beside: int = 0,
    right: int = 6,
    lean: float = 0.0,
    own: tuple[float, ...] = (),
) -> Turn | None:
    def found(volume):
        sideways = volume.array.shape[1:] != array.shape[1:]
        return volume, (None,) * (right if _is_right(volume) else beside if sideways else count)

    def named(volume, candidates):
        return (sure,) * len(candidates) if _is_right(volume) else ()

    return better_turn(_volume(array), _row(count, lean), found, named, own)


@pytest.mark.parametrize("turn", TURNS)
def test_the_position_in_which_the_picture_can_be_named_is_found(turn):
    assert _ask(_undone(turn)) == turn


def test_a_picture_that_cannot_be_named_in_any_position_is_not_doubted():
    assert _ask(_undone(Turn(2)), count=5, sure=0.6) is None
    assert _ask(_undone(Turn(2)), count=5, right=2) is None


@pytest.mark.parametrize("turn", UPRIGHT)
def test_names_as_it_is_stand_unless_more_are_probably_right_in_another_position(turn):
    assert _ask(_undone(turn), count=5, own=(0.7,) * 5) == turn
    assert _ask(_undone(turn), count=6, own=(0.85,) * 6) is None
    assert _ask(_undone(turn), count=6, own=(0.6,) * 6, sure=0.75) is None, "not probable enough"


def test_a_picture_with_names_is_not_looked_at_sideways():
    shapes = []
    volume = _volume(RIGHT)
    better_turn(volume, _row(3), lambda v: (shapes.append(v.array.shape[1:]), ()), lambda *_: (), (0.6,) * 3)
    assert set(shapes) == {RIGHT.shape[1:]} and len(shapes) == len(UPRIGHT)


def test_many_more_vertebrae_sideways_are_enough():
    assert _ask(_undone(Turn(2)), count=1, sure=0.0, beside=5).is_sideways
    assert _ask(_undone(Turn(2)), count=4, sure=0.0, beside=6) is None


@pytest.mark.parametrize("lean", [-80, 65, 100])
def test_any_more_are_enough_where_those_as_it_is_lie_side_by_side(lean):
    assert _ask(_undone(Turn(2)), count=5, sure=0.0, beside=7, lean=lean).is_sideways
    assert _ask(_undone(Turn(2)), count=5, sure=0.0, beside=5, lean=lean) is None
    assert _ask(_undone(Turn(2)), count=2, sure=0.0, beside=3, lean=lean) is None, "two bodies are no line"


@pytest.mark.parametrize("lean", [-40, 0, 55])
def test_a_bent_spine_is_not_on_its_side(lean):
    assert _ask(_undone(Turn(2)), count=5, sure=0.0, beside=7, lean=lean) is None


@pytest.mark.parametrize(
    ("turn", "words"),
    [(Turn(1), "lying on its side"), (Turn(2), "upside down"), (Turn(0, True), "from front to back"),
     (Turn(2, True), "from top to bottom"), (Turn(3, True), "lying on its side")],
)  # fmt: skip
def test_it_is_said_in_one_sentence(turn, words):
    assert words in turn.sentence and turn.sentence.count(".") == 1


def test_a_single_slice_is_looked_at_too():
    widths = []
    volume = SagittalVolume(RIGHT[:1], np.diag([1.0, 1, 1, 1]))
    better_turn(volume, (), lambda v: (widths.append(v.spacing_mm[0]), ()), lambda *_: ())
    assert set(widths) == {4.0}
