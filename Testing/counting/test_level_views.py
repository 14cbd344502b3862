"""What the level network sees of a candidate."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.counting.level_evidence import LevelLook, part_evidence
from SpinalTapLib.counting.level_views import USUAL_SIZE_MM, level_numbers, level_view, tilt_of
from SpinalTapLib.counting.names import N_CLASSES, NOTHING
from SpinalTapLib.counting.rungs import Rung
from SpinalTapLib.detection.networks import LevelNetwork
from SpinalTapLib.scans.volume import volume_from_array
from SpinalTapLib.spine.levels import COMMON
from SpinalTapLib.spine.structures import Structure

BODY, S1, C2 = Structure.BODY, Structure.S1, Structure.C2
BODY_CORNERS = np.array([[-12.0, -15], [-12, 15], [12, 15], [12, -15]])


def _turned(degrees: float, centre=(100.0, 90.0)) -> Rung:
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return Rung(0.0, BODY_CORNERS @ turn.T + centre)


def test_the_candidate_lies_upright_in_the_middle_of_its_view():
    image = np.random.default_rng(0).uniform(0, 1, (200, 180)).astype(np.float32)
    for degrees in (0, 25, -40):
        view = level_view([image] * 3, _turned(degrees), 128, 96)
        rows, columns = np.nonzero(view[3] > 0.5)
        assert np.ptp(columns) > np.ptp(rows) and abs(rows.mean() - 63.5) < 1 and abs(columns.mean() - 47.5) < 1


def test_beyond_the_image_there_is_nothing_and_it_is_told():
    image = np.random.default_rng(0).uniform(1, 2, (200, 180)).astype(np.float32)
    view = level_view([image] * 3, _turned(0, (190.0, 90.0)), 128, 96)
    assert view[4, :60].all() and not view[4, 90:].any() and not view[:3, 90:].any()


@pytest.mark.parametrize("factor", [1e-6, 1e5])
def test_the_unit_of_the_brightness_does_not_matter(factor):
    image = np.random.default_rng(3).uniform(0, 1, (200, 180)).astype(np.float32)
    one, other = (level_view([image * f] * 3, _turned(10), 64, 48) for f in (1.0, factor))
    assert np.allclose(one, other, atol=1e-3)
    assert np.isfinite(level_view([np.zeros((200, 180), np.float32)] * 3, _turned(0), 64, 48)).all()


def test_a_candidate_wholly_outside_sees_nothing():
    assert not level_view([np.ones((50, 50), np.float32)] * 3, _turned(0, (900.0, 900.0)), 64, 48)[[0, 1, 2, 4]].any()


def test_a_lean_forward_is_positive_and_a_picture_on_its_side_tells_none():
    assert tilt_of(_turned(0)) == pytest.approx(0)
    forward = Rung(0.0, BODY_CORNERS + [[0, -5], [0, -5], [0, 5], [0, 5]])  # the top further forward
    assert tilt_of(forward) > 0.1
    assert level_numbers(USUAL_SIZE_MM, 0.3)[2] == 1 and level_numbers(USUAL_SIZE_MM, 1.57)[2] == 0
    assert level_numbers(None, None).tolist() == [0] * 5
    assert level_numbers(USUAL_SIZE_MM, None)[:2].tolist() == [1, 0]


def test_what_was_seen_once_is_remembered_and_depends_on_nothing_else():
    volume = volume_from_array(np.random.default_rng(0).random((3, 200, 180)), np.diag([4.0, 1, 1, 1]))
    look = LevelLook(LevelNetwork((4, 6, 8), 32, 24), {}, volume)
    rungs = [_turned(0), _turned(20, (60.0, 80.0))]
    both, again, alone = look(rungs), look(rungs), look(rungs[1:])
    assert both.shape == (2, N_CLASSES) and np.array_equal(both, again) and np.allclose(both[1], alone[0])


def test_the_parts_speak_for_s1_c2_or_neither():
    shares = np.zeros(7)
    shares[S1] = 0.9
    assert part_evidence(shares).argmax() == COMMON.index("S1")
    shares[[S1, C2]] = 0, 0.9
    assert part_evidence(shares).argmax() == COMMON.index("C2")
    shares[[BODY, C2]] = 0.9, 0
    assert part_evidence(shares)[[COMMON.index("S1"), COMMON.index("C2"), NOTHING]].max() < -1
    assert not part_evidence(np.zeros(0)).any()
