"""Training: configs are checked, a run lowers the loss, resumes, and leaves whole files."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_canvas import boxes, boxes_beside, boxes_canvas, quick
from full_disk import limit_disk

import SpinalTapLib.training.train as train_module
from SpinalTapLib.detection.networks import PartNetwork
from SpinalTapLib.detection.weights import load_network, save_network
from SpinalTapLib.progress import Cancelled
from SpinalTapLib.spine.structures import N_STRUCTURES
from SpinalTapLib.training.averaging import Average, learning_rate, progress_of, recalibrate
from SpinalTapLib.training.checkpoint import CHECKPOINT_NAME, read_checkpoint, stored_config
from SpinalTapLib.training.config import config_from_dict, load_config
from SpinalTapLib.training.run_log import read_log, write_curves
from SpinalTapLib.training.tiles.canvases import CanvasFolder
from SpinalTapLib.training.tiles.dataset import CanvasPool, TileStream
from SpinalTapLib.training.train import LOG_NAME, grown, train


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(quick(), folder, source=boxes)
    return folder


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 5}, "Unknown setting 'stepz'"),
        ({"placement": {"zoom": 1}}, "Unknown setting 'zoom' in 'placement'"),
        ({"steps": 0}, "'steps' must be 1 or more"),
        ({"steps": 5.5}, "'steps' must be a whole number"),
        ({"steps": True}, "'steps' must be a whole number"),
        ({"learning_rate": -1}, "'learning_rate' must be above zero"),
        ({"learning_rate": float("nan")}, "'learning_rate' must be a finite number"),
        ({"precision": "half"}, "'precision' must be auto, fp32 or bf16"),
        ({"widths": [16]}, "'widths' must be two or more"),
        ({"widths": "16"}, "'widths' must be a list"),
        ({"placement": {"elastic_px": 8.5}}, "'elastic_px' must be 8 or less"),
        ({"placement": {"tile_px": 100}}, "'tile_px' must be a multiple"),
        ({"placement": {"near_sacrum": 0.9, "near_dens": 0.9}}, "must be 0 to 1"),
        ({"placement": 3}, "must be a table of settings"),
        ({"appearance": {"noise": 1.5}}, "'noise' must be between 0 and 1"),
        ({"appearance": dict.fromkeys(("t1", "t2", "stir", "pd", "dixon_water", "t2star", "random"), 0)}, "above zero"),
        ({"loss": {"mask": -1}}, "'mask' must be zero or more"),
        ({"deadline_minutes": 0}, "'deadline_minutes' must be above zero"),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(values, message):
    with pytest.raises(ValueError, match=message) as caught:
        config_from_dict(values)
    assert "\n" not in str(caught.value)


def test_shipped_configs_load_and_survive_a_round_trip():
    for name in ("parts", "tiny"):
        config = load_config(name)
        assert config.name == name
        assert config_from_dict(config.as_dict()) == config


def test_toml_configs_load_and_broken_files_are_refused(tmp_path):
    toml = tmp_path / "mine.toml"
    toml.write_text("steps = 5\n[appearance]\nnoise = 0.5\n")
    assert load_config(toml).steps == 5 and load_config(toml).appearance.noise == 0.5
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_config(tmp_path / "broken.json")
    with pytest.raises(ValueError, match="known by name: ladder, levels, parts, self_training, small, tiny"):
        load_config("nothing")


def test_the_learning_rate_warms_up_and_falls_to_its_end():
    config = quick(steps=1000, warmup_steps=10, learning_rate=1e-2, final_learning_rate=1e-4)
    rates = [learning_rate(step, progress_of(step, 0.0, config), config) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-3, rel=0.05)
    assert max(rates) == pytest.approx(1e-2, rel=0.01)
    assert all(a >= b for a, b in zip(rates[10:], rates[11:]))
    assert rates[-1] == pytest.approx(1e-4, rel=0.05)


def test_a_deadline_ends_the_run_by_the_clock():
    config = quick(steps=1000, deadline_minutes=10.0)
    assert progress_of(10, 5.0, config) == pytest.approx(0.5)
    assert progress_of(10, 11.0, config) == 1.0
    assert progress_of(900, 5.0, config) == pytest.approx(0.9)


def test_training_on_synthetic_spines_lowers_the_loss(tmp_path):
    config = replace(load_config("tiny"), steps=30, pool_canvases=1, tiles_per_canvas=1000.0)
    train(config, tmp_path)
    total = read_log(tmp_path / LOG_NAME)["total"]
    assert np.mean(total[-2:]) < 0.9 * total[0]


def test_a_run_leaves_weights_card_log_and_checkpoint(finished):
    network, card = load_network(finished / "tiny.pt")
    assert network.widths == (4, 8)
    assert card["steps"] == 12 and card["tiles"] == 48 and card["seed"] == 7
    assert card["pixel_mm"] == 2.0 and card["task"].endswith("at 2 mm a pixel")
    assert config_from_dict(card["config"]) == quick()
    assert read_log(finished / LOG_NAME)["step"] == [2, 4, 6, 8, 10, 12]
    assert config_from_dict(json.loads((finished / "config.json").read_text())) == quick()


def test_the_same_seed_trains_the_same_network(finished, tmp_path):
    train(quick(), tmp_path, source=boxes)
    first, second = (load_network(folder / "tiny.pt")[0].state_dict() for folder in (finished, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    asked = iter([False] * 5 + [True] * 10)
    with pytest.raises(Cancelled):
        train(quick(), tmp_path, source=boxes, cancelled=lambda: next(asked))
    assert read_checkpoint(tmp_path / CHECKPOINT_NAME, quick()).step == 6
    assert not (tmp_path / "tiny.pt").exists()
    values = torch.load(tmp_path / CHECKPOINT_NAME, weights_only=True)
    torch.save({**values, "minutes": 1000.0}, tmp_path / CHECKPOINT_NAME)  # as if the first part had taken that long
    train(quick(), tmp_path, resume=tmp_path, source=boxes)
    log = read_log(tmp_path / LOG_NAME)
    assert log["step"] == [2, 4, 6, 8, 10, 12]
    assert max(log["minutes"][:3]) < 1000 <= min(log["minutes"][3:])


def test_a_resume_from_other_weights_or_no_checkpoint_is_refused(finished, tmp_path):
    with pytest.raises(ValueError, match="widths"):
        train(quick(widths=(4, 8, 16)), tmp_path / "a", resume=finished, source=boxes)
    with pytest.raises(ValueError, match="not a checkpoint"):
        train(quick(), tmp_path / "a", resume=finished / "tiny.pt", source=boxes)
    with pytest.raises(ValueError, match="Cannot resume"):
        train(quick(), tmp_path / "a", resume=tmp_path / "nowhere.pt", source=boxes)
    half = tmp_path / "half.pt"
    half.write_bytes((finished / CHECKPOINT_NAME).read_bytes()[:2000])
    with pytest.raises(ValueError, match="not a checkpoint"):
        train(quick(), tmp_path / "a", resume=half, source=boxes)
    assert not (tmp_path / "a").exists()


def test_a_resume_with_other_settings_is_refused_and_names_them(finished, tmp_path):
    other = quick(learning_rate=0.001, steps=20)
    other = replace(other, loss=replace(other.loss, mask=0.1))
    with pytest.raises(ValueError) as caught:
        train(other, tmp_path / "a", resume=finished, source=boxes)
    assert str(caught.value) == (
        f"The checkpoint {finished} was made with different settings: learning_rate (0.005, not 0.001), "
        "loss.mask (0.7, not 0.1); resume with the same config."
    )
    assert not (tmp_path / "a").exists()


def test_how_long_and_where_a_run_goes_on_may_change_and_the_card_counts_all_its_tiles(finished, tmp_path):
    config = quick(steps=14, log_every=1, pool_canvases=1, deadline_minutes=60.0)
    _, card = load_network(train(config, tmp_path, resume=finished, source=boxes))
    assert config_from_dict(card["config"]) == config
    assert card["steps"] == 14 and card["tiles"] == 14 * 4


def _older(finished: Path, path: Path, **settings) -> Path:
    """Write a checkpoint as another version would have: with settings of its own, and tiles not counted."""
    values = torch.load(finished / CHECKPOINT_NAME, weights_only=True)
    del values["tiles"]
    values["config"] = {**values["config"], **settings}
    torch.save(values, path)
    return path


def test_a_checkpoint_with_unknown_and_missing_settings_still_loads(finished, tmp_path):
    path = _older(finished, tmp_path / "older.pt", depth=3, placement={"tile_px": 64, "pixel_mm": 2.0, "zoom": 1})
    assert read_checkpoint(path, quick()).tiles_seen == 48
    assert stored_config(path) == quick()
    with pytest.raises(ValueError, match=r"different settings: placement\.tile_px \(64, not 96\)"):
        read_checkpoint(path, replace(quick(), placement=replace(quick().placement, tile_px=96)))


def test_tiles_are_counted_not_reckoned(finished, tmp_path):
    values = torch.load(finished / CHECKPOINT_NAME, weights_only=True)
    values["tiles"] = 1000
    torch.save(values, tmp_path / "more.pt")
    weights = train(quick(steps=13), tmp_path, resume=tmp_path / "more.pt", source=boxes)
    assert load_network(weights)[1]["tiles"] == 1004


def test_fine_tuning_starts_from_weights_that_fit(finished, tmp_path):
    weights = str(finished / "tiny.pt")
    train(quick(initial_weights=weights, steps=1, warmup_steps=1000), tmp_path, source=boxes)
    old, new = (load_network(folder / "tiny.pt")[0].head.weight for folder in (finished, tmp_path))
    assert torch.allclose(old, new, atol=1e-3)
    with pytest.raises(ValueError, match="initial weights"):
        train(quick(initial_weights=weights, widths=(8, 8)), tmp_path, source=boxes)


def test_a_full_disk_leaves_the_last_good_checkpoint(finished, tmp_path, monkeypatch, caplog):
    good = (finished / CHECKPOINT_NAME).read_bytes()
    (tmp_path / CHECKPOINT_NAME).write_bytes(good)
    limit_disk(monkeypatch, lambda path: CHECKPOINT_NAME in path.name)
    train(quick(steps=2), tmp_path, source=boxes)
    assert "the disk is full" in caplog.text
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == good
    assert [p.name for p in tmp_path.iterdir() if CHECKPOINT_NAME in p.name] == [CHECKPOINT_NAME]


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match="output folder"):
        train(quick(), tmp_path / "taken", source=boxes)


def test_a_diverging_run_says_so(tmp_path, monkeypatch):
    def broken(*arguments):
        return {"total": torch.tensor(math.nan)}

    monkeypatch.setattr(train_module, "_step", broken)
    with pytest.raises(ValueError, match="diverged"):
        train(quick(), tmp_path, source=boxes)


def test_progress_rises_to_one(tmp_path):
    told = []
    train(quick(steps=4), tmp_path, source=boxes, progress=lambda *report: told.append(report))
    assert [fraction for _, fraction, _ in told] == [0.5, 1.0]
    assert "loss" in told[0][2]


def test_a_pool_cuts_about_as_many_tiles_from_a_canvas_as_asked():
    drawn = 0

    def source() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    pool, rng = CanvasPool(source(), size=10, tiles_per_canvas=5.0), np.random.default_rng(0)  # type: ignore[arg-type]
    picked = [pool.pick(rng) for _ in range(1000)]
    assert drawn == pytest.approx(200, abs=8)
    assert len(set(picked[-30:])) > 8


def test_streams_of_a_resumed_run_are_new_and_streams_of_one_run_repeatable():
    config = replace(quick(), batch=1)
    first, again, later = (next(iter(TileStream(config, stream, source=boxes))).image for stream in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_labels_sent_to_the_device_become_the_same_kind_of_tiles():
    config = replace(quick(), tiles_on="device")
    tiles = next(train_module.make_loader(config, torch.device("cpu"), source=boxes))
    assert tiles.image.shape == (4, 1, 64, 64)
    assert tiles.targets.structure.shape == (4, 8, 64, 64)


def test_canvases_survive_the_disk_and_half_ones_are_refused(tmp_path):
    folder = CanvasFolder(tmp_path)
    canvas = boxes_canvas(planes=3)
    path = folder.write(canvas, "one")
    back = folder.read(path)
    assert np.array_equal(back.tissue, canvas.tissue) and back.pixel_mm == canvas.pixel_mm
    assert np.array_equal(back.corners_px, canvas.corners_px, equal_nan=True)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="not a complete canvas"):
        folder.read(path)


def test_the_average_follows_and_its_statistics_fit_it():
    torch.manual_seed(0)
    network = PartNetwork((4, 8))
    average = Average(network, 0.9)
    with torch.no_grad():
        network.head.bias.fill_(1.0)
    for step in range(200):
        average.follow(network, step)
    assert torch.allclose(average.network.head.bias, torch.ones(20), atol=1e-3)
    tiles = iter(TileStream(quick(), source=boxes))
    recalibrate(average.network, tiles, 3, None)
    images = next(iter(TileStream(quick(), source=boxes))).image
    first = average.network.down[0]
    with torch.no_grad():
        normed = first[1](first[0](images))
    assert float(normed.mean().abs()) < 0.3 and 0.6 < float(normed.std()) < 1.4
    assert not average.network.training


def test_curves_are_drawn_from_the_log_of_a_resumed_run(tmp_path):
    log = tmp_path / "log.jsonl"
    steps = [10, 20, 30, 20, 30, 40]
    names = ("total", "heatmap", "vector", "entropy", "dice", "learning_rate", "seconds_a_step")
    lines = [{"step": step, **dict.fromkeys(names, 1 / (i + 1))} for i, step in enumerate(steps)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_log(log)["step"] == [10, 20, 30, 40]
    assert read_log(log)["total"] == [1.0, 1 / 4, 1 / 5, 1 / 6]
    pytest.importorskip("matplotlib")
    picture = write_curves(log, tmp_path / "curves.png")
    assert picture is not None and picture.read_bytes().startswith(b"\x89PNG")
    log.write_text("not json\n")
    with pytest.raises(ValueError, match="not a training log"):
        read_log(log)


def test_a_warm_start_answers_as_before_and_can_learn_more():
    torch.manual_seed(0)
    known = PartNetwork((4, 8)).eval()
    grown_network = grown(known, 3).eval()
    image = torch.randn(2, 5, 32, 32)  # whatever the neighbours show
    with torch.no_grad():
        before, after = known(image[:, :1]), grown_network(image)
    torch.testing.assert_close(after[:, :20], before)
    assert after[:, 20].max() < -1 and (grown_network.slices, grown_network.structures) == (3, N_STRUCTURES)
    assert all(p.requires_grad for p in grown_network.parameters())


def test_a_warm_start_from_one_slice_trains_on_three_and_its_card_says_what_came_before(tmp_path):
    first = tmp_path / "old.pt"
    save_network(first, PartNetwork((4, 8)), {"steps": 5, "history": [{"what": "from nothing"}]})
    config = quick(slices=3, initial_weights=str(first), planes_per_spine=3)
    weights = train(config, tmp_path / "new", source=boxes_beside)
    network, card = load_network(str(weights))
    assert card["network"]["slices"] == 3 and card["network"]["structures"] == N_STRUCTURES
    assert network.down[0][0].weight[:, 1:].abs().max() > 0  # it has begun to look at its neighbours
    assert [entry["what"] for entry in card["history"]] == ["from nothing", "the weights that this run began with"]
    with pytest.raises(ValueError, match="3 slices"):
        train(replace(config, slices=1, initial_weights=str(weights)), tmp_path / "back", source=boxes)


def test_a_run_on_other_slices_is_not_resumed(tmp_path):
    train(quick(steps=2), tmp_path, source=boxes)
    with pytest.raises(ValueError, match="slices"):
        train(quick(steps=4, slices=3), tmp_path / "more", resume=tmp_path, source=boxes_beside)
