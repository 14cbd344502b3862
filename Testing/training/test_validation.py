"""Validation: real slices are looked at ten times in a run, reported, and change nothing."""

import json

import pytest
import torch
from drawn_canvas import boxes, quick
from spider_slices import write_folder

from SpinalTapLib.detection.networks import PartNetwork
from SpinalTapLib.detection.weights import load_network
from SpinalTapLib.training.run_log import VALIDATION_NAME, write_curves
from SpinalTapLib.training.train import LOG_NAME, train
from SpinalTapLib.training.validation import Validation


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("spider"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory, slices):
    folder = tmp_path_factory.mktemp("measured")
    train(quick(), folder, source=boxes, spider=slices)
    return folder


def test_a_run_is_measured_at_every_tenth_and_at_its_end(measured):
    lines = [json.loads(line) for line in (measured / VALIDATION_NAME).read_text().splitlines()]
    assert len(lines) == 10 and lines[-1]["step"] == 12
    assert [line["step"] for line in lines] == sorted({line["step"] for line in lines})
    for line in lines:
        assert line["found_once"] + line["twice"] + line["missed"] == pytest.approx(1, abs=1e-3)
        assert line["false_a_slice"] >= 0 and 0 <= line["overlap"] <= 1


def test_the_card_tells_what_was_measured_at_the_end(measured):
    _, card = load_network(str(measured / "tiny.pt"))
    last = json.loads((measured / VALIDATION_NAME).read_text().splitlines()[-1])
    last.pop("step")
    assert card["scores"] == {"SPIDER development slices (real)": last}


def test_measuring_changes_nothing(measured, tmp_path):
    train(quick(), tmp_path, source=boxes)
    with_it, without = (load_network(str(folder / "tiny.pt"))[0].state_dict() for folder in (measured, tmp_path))
    assert all(torch.equal(with_it[name], without[name]) for name in with_it)


def test_the_curves_show_it(measured, tmp_path):
    pytest.importorskip("matplotlib")
    with_it = write_curves(measured / LOG_NAME, tmp_path / "with.png")
    (tmp_path / LOG_NAME).write_bytes((measured / LOG_NAME).read_bytes())
    without = write_curves(tmp_path / LOG_NAME, tmp_path / "without.png")
    assert with_it.stat().st_size > without.stat().st_size


def test_tenths_are_counted_from_where_a_run_goes_on(slices, tmp_path, monkeypatch):
    seen = []
    validation = Validation(slices, tmp_path / "log")
    monkeypatch.setattr(validation, "measure", lambda step, network: seen.append(step))
    for step, progress in enumerate((0.42, 0.48, 0.51, 0.55, 0.71, 0.999, 1.0)):
        validation.after(step, progress, PartNetwork((4, 8)))
    assert seen == [2, 4, 5]


def test_slices_that_are_not_there_end_a_run_before_it_starts(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        train(quick(), tmp_path / "run", source=boxes, spider=tmp_path / "nowhere")
    assert not (tmp_path / "run").exists()
