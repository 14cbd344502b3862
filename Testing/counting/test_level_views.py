"""What the level network sees of a candidate."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.counting.level_evidence import LevelLook, part_evidence
from SpinalTapLib.counting.level_views import USUAL_SIZE_MM, level_numbers, level_view, tilt_of
from SpinalTapLib.counting.names import N_CLASSES, NOTHING
from SpinalTapLib.counting.rungs import Rung
from SpinalTapLib.detection.networks import VIEW_CHANNELS, LevelNetwork
from SpinalTapLib.detection.part_maps import Detections
from SpinalTapLib.scans.volume import volume_from_array
from SpinalTapLib.spine.levels import COMMON
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure

BODY, S1, C2 = Structure.BODY, Structure.S1, Structure.C2
BODY_CORNERS = np.array([[-12.0, -15], [-12, 15], [12, 15], [12, -15]])


def _turned(degrees: float, centre=(100.0, 90.0)) -> Rung:
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return Rung(0.0, BODY_CORNERS @ turn.T + centre)


def _structures(rows: int = 200, columns: int = 180, seed: int = 0) -> np.ndarray:
    """Random probabilities of the structures in one plane."""
    odds = np.random.default_rng(seed).uniform(0.1, 1, (N_STRUCTURES, rows, columns)).astype(np.float32)
    return odds / odds.sum(0)


def test_the_candidate_lies_upright_in_the_middle_of_its_view():
    for degrees in (0, 25, -40):
        view = level_view(_structures(), _turned(degrees), 128, 96)
        assert view.shape == (VIEW_CHANNELS, 128, 96) and view.dtype == np.float32
        rows, columns = np.nonzero(view[0] > 0.5)
        assert np.ptp(columns) > np.ptp(rows) and abs(rows.mean() - 63.5) < 1 and abs(columns.mean() - 47.5) < 1


def test_the_structures_follow_the_candidate_and_the_background_is_left_out():
    structures = np.zeros((N_STRUCTURES, 200, 180), np.float16)
    structures[Structure.BACKGROUND] = 1
    structures[:, 88:112, 75:105] = 0  # the body of `_turned(0)`, and a canal behind it
    structures[BODY, 88:112, 75:105] = 1
    structures[:, :, 110:120] = 0
    structures[Structure.CANAL, :, 110:120] = 1
    view = level_view(structures, _turned(0), 128, 96)
    body, canal = view[2 + BODY - 1], view[2 + Structure.CANAL - 1]
    assert body[view[0] > 0.9].mean() > 0.95 and body[view[0] == 0].mean() < 0.02
    assert np.nonzero(canal > 0.5)[1].min() > np.nonzero(body > 0.5)[1].max(), "the back is on the right"
    assert view[2:].sum(0).max() <= 1 + 1e-3 and view[2:, :, :10].max() == 0


def test_beyond_the_image_there_is_nothing_and_it_is_told():
    view = level_view(_structures(), _turned(0, (190.0, 90.0)), 128, 96)
    assert view[1, :60].all() and not view[1, 90:].any() and not view[2:, 90:].any()


def test_a_candidate_wholly_outside_sees_nothing():
    assert not level_view(_structures(50, 50), _turned(0, (900.0, 900.0)), 64, 48)[1:].any()


def test_a_lean_forward_is_positive_and_a_picture_on_its_side_tells_none():
    assert tilt_of(_turned(0)) == pytest.approx(0)
    forward = Rung(0.0, BODY_CORNERS + [[0, -5], [0, -5], [0, 5], [0, 5]])  # the top further forward
    assert tilt_of(forward) > 0.1
    assert level_numbers(USUAL_SIZE_MM, 0.3)[2] == 1 and level_numbers(USUAL_SIZE_MM, 1.57)[2] == 0
    assert level_numbers(None, None).tolist() == [0] * 5
    assert level_numbers(USUAL_SIZE_MM, None)[:2].tolist() == [1, 0]


def test_what_was_seen_once_is_remembered_and_depends_on_nothing_else():
    volume = volume_from_array(np.random.default_rng(0).random((3, 200, 180)), np.diag([4.0, 1, 1, 1]))
    odds = np.stack([_structures(seed=k) for k in range(3)])
    look = LevelLook(LevelNetwork((4, 6, 8), 32, 24), {}, Detections(volume, (), odds))
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
