"""The study of the names' odds: what counts as right, and its table."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from SpinalTapLib.counting.names import N_CLASSES, NOTHING, name_column
from SpinalTapLib.detection.networks import LevelNetwork
from SpinalTapLib.training.experiments import level_odds
from SpinalTapLib.training.experiments.calibration_picture import write_odds
from SpinalTapLib.training.experiments.level_odds import OddsStudy, Said, study_odds


def test_a_name_is_right_by_as_much_as_its_target_says():
    evidence = np.full((3, N_CLASSES), -9.0)
    evidence[[0, 1, 2], [0, 1, 2]] = 0
    names = name_column(evidence, 1.22 * np.abs(np.subtract.outer(range(3), range(3))))
    targets = np.zeros((3, N_CLASSES))
    targets[0, 0], targets[1, [1, 2]], targets[2, 5] = 1, (0.65, 0.35), 1
    assert [round(s.right, 2) for s in level_odds._judged(names, targets)] == [1, 0.65, 0]


def test_what_lies_in_no_body_is_no_vertebra():
    body = np.array([[0, 0], [0, 10], [10, 10], [10, 0]], float)
    targets = np.eye(N_CLASSES)[[4]]
    assert level_odds._target(np.array([5.0, 5]), [body], targets).argmax() == 4
    assert level_odds._target(np.array([15.0, 5]), [body], targets).argmax() == NOTHING


def test_the_table_groups_names_by_what_was_stated(tmp_path):
    said = [Said("L5", 0.95, 1.0)] * 9 + [Said("L4", 0.95, 0.0), Said("L3", 0.55, 0.5)]
    study = OddsStudy(tuple(said), bodies=20, scans=3)
    rows = {name: (n, right) for name, n, _, right in study.table()}
    assert rows["0.9-0.97"] == (10, pytest.approx(0.9)) and rows["0.5-0.6"] == (1, 0.5)
    assert "0.55 of them named" in study.markdown()
    json.dumps(study.as_json(), allow_nan=False)
    pytest.importorskip("matplotlib")
    assert write_odds(study, tmp_path / "odds.png").stat().st_size > 1000


def test_a_study_runs_from_the_scan_to_the_odds():
    class Blind:
        def detect(self, volume):
            assert volume.array.ndim == 3 and volume.spacing_mm[1] == pytest.approx(1.0)
            return SimpleNamespace(working=volume, vertebrae=(), probabilities=None)

    study = study_odds(Blind(), (LevelNetwork((4, 6, 8), 32, 24), {}), scans=1, seed=3)
    assert study.scans == 1 and not study.said
