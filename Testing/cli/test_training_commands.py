"""phantom and train on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_support import lines

from SpinalTapLib.cli.main import main


def test_phantom_draws_a_scan_that_can_be_read_again(tmp_path, capsys):
    from SpinalTapLib import load_volume
    from SpinalTapLib.scans.reader import read_image

    arguments = ["--region", "cervical", "--slice-mm", "8", "--pixel-mm", "1.6", "--seed", "3"]
    assert main(["phantom", "--output", str(tmp_path / "p"), *arguments]) == 0
    image, labels, truth = (Path(line) for line in lines(capsys.readouterr().out))
    assert load_volume(image).source.size == read_image(labels).image.GetSize()
    with pytest.raises(ValueError, match="is a label map"):
        load_volume(labels)
    assert "C5" in json.loads(truth.read_text())


def test_train_makes_weights_that_can_be_loaded(tmp_path, capsys):
    from SpinalTapLib.detection.weights import load_network

    assert main(["train", "--config", "tiny", "--steps", "2", "--output", str(tmp_path)]) == 0
    _, card = load_network(lines(capsys.readouterr().out)[-1])
    assert card["steps"] == 2


def test_weights_taught_at_another_size_of_pixel_end_with_2(scan, tmp_path, capsys):
    from SpinalTapLib.detection.networks import PartNetwork
    from SpinalTapLib.detection.weights import save_network

    save_network(tmp_path / "coarse.pt", PartNetwork((2, 4)), {"pixel_mm": 2.0})
    coarse = ["--model", str(tmp_path / "coarse.pt")]
    assert main(["segment", str(scan), "--output", str(tmp_path / "o"), *coarse]) == 2
    assert "trained at 2.0 mm a pixel" in capsys.readouterr().err
    assert main(["evaluate", "--spider", str(tmp_path), *coarse]) == 2
    assert "trained at 2.0 mm a pixel" in capsys.readouterr().err


def test_train_goes_on_with_the_settings_of_its_checkpoint(tmp_path, capsys):
    from SpinalTapLib.detection.weights import load_network
    from SpinalTapLib.training.config import CONFIG_FOLDER

    recipe = json.loads((CONFIG_FOLDER / "tiny.json").read_text())
    mine = {**recipe, "name": "mine", "widths": [4, 8], "learning_rate": 0.002}
    mine |= {"pool_canvases": 1, "planes_per_spine": 1}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    output = ["--output", str(tmp_path / "run")]
    assert main(["train", "--config", str(tmp_path / "mine.json"), "--steps", "2", *output]) == 0
    assert main(["train", *output, "--resume", str(tmp_path / "run"), "--steps", "3"]) == 0
    _, card = load_network(lines(capsys.readouterr().out)[-1])
    assert (card["steps"], card["tiles"], card["name"], card["config"]["learning_rate"]) == (3, 12, "mine", 0.002)
    assert main(["train", *output, "--resume", str(tmp_path / "run"), "--config", "tiny"]) == 2
    err = capsys.readouterr().err
    assert "learning_rate (0.002, not 0.005)" in err and "Traceback" not in err
