"""The study of confidence: it finds the curve that was drawn, and counts right what is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from block_spine import BlockSpine
from cli_support import leave_out_pictures

from SpinalTapLib.cli.main import main
from SpinalTapLib.spine.confidence import Calibration, calibration_of
from SpinalTapLib.training.experiments.calibration import Judged, fit, study_calibration


def _drawn(curve: Calibration, count: int, seed: int = 0) -> list[Judged]:
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, count)
    return [Judged(s, s, bool(rng.random() < curve(s)), False) for s in scores]


@pytest.mark.parametrize(("offset", "slope"), [(-3.0, 8.0), (-1.0, 3.0), (-6.0, 9.0)])
def test_the_curve_that_the_answers_were_drawn_from_is_found_again(offset, slope):
    true = Calibration(offset, slope)
    found = fit(_drawn(true, 4000))
    assert all(found(s) == pytest.approx(true(s), abs=0.05) for s in np.linspace(0, 1, 11))


def test_after_the_fit_nine_in_ten_of_those_given_090_are_right():
    judged = _drawn(Calibration(-2.0, 5.0), 6000)
    curve = fit(judged)
    near = [j.right for j in judged if 0.88 < curve(j.score) < 0.92]
    assert np.mean(near) == pytest.approx(0.9, abs=0.04)


def test_a_handful_of_right_answers_does_not_make_every_score_a_certainty():
    curve = fit([Judged(0.7, 0.7, True, False)] * 5)
    assert curve(0.0) < 0.5 and 0.6 < curve(0.7) < 0.97


def test_vertebrae_that_the_methods_disagree_on_do_not_count_for_the_curve():
    right = _drawn(Calibration(-2.0, 5.0), 500)
    doubted = [Judged(0.9, 0.5, False, True)] * 500
    assert fit([*right, *doubted]) == fit(right)
    with pytest.raises(ValueError, match="no vertebra to calibrate"):
        fit(doubted)


@pytest.fixture
def folders(tmp_path, block_spine, monkeypatch) -> tuple[Path, Path]:
    """Two results of scans with three blocks; in the second, everything is called one level too high."""
    leave_out_pictures(monkeypatch)
    blocks = {"count": 3}
    block_spine(**blocks)
    volume = BlockSpine(**blocks).volume()
    (tmp_path / "true").mkdir()
    scan = tmp_path / "scan.nii.gz"
    sitk.WriteImage(volume.to_source(volume.array), str(scan))
    for name in ("one", "two"):
        out = tmp_path / "found" / name
        assert main(["segment", str(scan), "--output", str(out), "--quiet"]) == 0
        (tmp_path / "true" / f"{name}.nii.gz").write_bytes((out / "vertebrae.nii.gz").read_bytes())
    assert main(["reseed", str(out), "--shift", "1", "--quiet"]) == 0
    return tmp_path / "found", tmp_path / "true"


def test_a_vertebra_with_the_wrong_level_is_wrong(folders):
    study = study_calibration(*folders)
    assert [j.right for j in study.judged] == [True] * 3 + [False] * 3
    assert all(j.score == pytest.approx(0.95, abs=0.01) for j in study.judged)
    assert study.as_json()["vertebrae"] == 6 and study.as_json()["right"] == 3


def test_the_command_prints_the_table_and_fills_in_the_card_and_draws_the_picture(
    folders, tmp_path, tiny_weights, capsys
):
    card, picture = tmp_path / "tiny.json", tmp_path / "curve.png"
    card.write_bytes(tiny_weights.with_suffix(".json").read_bytes())
    before = json.loads(card.read_text())
    capsys.readouterr()
    arguments = ["experiment", "calibration", *map(str, folders), "--card", str(card), "--picture", str(picture)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "| confidence given |" in out and "| methods agree" in out
    content = json.loads(card.read_text())
    written = content.pop("calibration")
    assert content == before and calibration_of({"calibration": written}) is not None
    assert written["slope"] > 0 and json.loads(out[out.index("\n{") :]) == {"calibration": written}
    assert picture.stat().st_size > 5000
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calibration"] == written


def test_the_card_of_other_weights_is_left_alone(folders, tmp_path, capsys):
    card = tmp_path / "other.json"
    for text, names in (('{"sha256": "0"}', "other weights"), ("no card", "cannot be read"), ("[]", "cannot be read")):
        card.write_text(text)
        assert main(["experiment", "calibration", *map(str, folders), "--card", str(card)]) == 2
        assert names in capsys.readouterr().err and card.read_text() == text


def test_results_of_different_weights_are_not_mixed(folders, capsys):
    path = folders[0] / "one" / "spine.json"
    content = json.loads(path.read_text())
    content["model"]["sha256"] = "another"
    path.write_text(json.dumps(content))
    assert main(["experiment", "calibration", *map(str, folders)]) == 2
    assert "different weights" in capsys.readouterr().err
