"""Weights come back as they were saved, and altered ones are refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch

from SpinalTapLib import installation
from SpinalTapLib.detection.networks import PartNetwork
from SpinalTapLib.detection.weights import load_network, save_network

WIDTHS = (2, 3)


@pytest.fixture
def a_network() -> PartNetwork:
    torch.manual_seed(0)
    return PartNetwork(WIDTHS)


@pytest.fixture
def saved(tmp_path: Path, a_network: PartNetwork) -> Path:
    save_network(tmp_path / "Models" / "tiny.pt", a_network, {"steps": 7, "notes": "größer"})
    return tmp_path / "Models" / "tiny.pt"


def test_a_saved_network_gives_the_same_maps(saved: Path, a_network: PartNetwork) -> None:
    loaded, card = load_network(saved)
    image = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(image), a_network.eval()(image), atol=2e-3, rtol=2e-2)
    assert not loaded.training
    assert next(loaded.parameters()).dtype == torch.float32
    assert (card["name"], card["steps"], card["notes"]) == ("tiny", 7, "größer")


def test_weights_taught_at_another_size_of_pixel_are_refused(tmp_path: Path, saved: Path) -> None:
    assert load_network(saved, pixel_mm=1.0)[1]["steps"] == 7
    save_network(tmp_path / "coarse.pt", PartNetwork(WIDTHS), {"pixel_mm": 1.5})
    with pytest.raises(ValueError, match=r"coarse\.pt were trained at 1\.5 mm a pixel, but are used at 1 mm") as caught:
        load_network(tmp_path / "coarse.pt", pixel_mm=1.0)
    assert "\n" not in str(caught.value)
    assert load_network(tmp_path / "coarse.pt", pixel_mm=1.5)[1]["pixel_mm"] == 1.5
    assert load_network(tmp_path / "coarse.pt")[1]["pixel_mm"] == 1.5


def test_the_file_is_a_plain_state_dict_in_half_precision(saved: Path) -> None:
    state = torch.load(saved, weights_only=True)
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float16}
    assert json.loads(saved.with_suffix(".json").read_text("utf-8"))["sha256"] == hashlib.sha256(
        saved.read_bytes()
    ).hexdigest()


def test_saving_leaves_two_files_and_overwrites(saved: Path) -> None:
    save_network(saved, PartNetwork((2, 2)))
    assert sorted(p.name for p in saved.parent.iterdir()) == ["tiny.json", "tiny.pt"]
    assert load_network(saved)[0].widths == (2, 2)


def test_a_bare_word_is_a_name_in_resources(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "resource_path", lambda *parts: saved.parent.parent.joinpath(*parts))
    assert load_network("tiny")[1]["name"] == "tiny"


@pytest.mark.parametrize("missing", [".pt", ".json"])
def test_a_missing_file_is_named(saved: Path, missing: str) -> None:
    saved.with_suffix(missing).unlink()
    with pytest.raises(ValueError, match=rf"tiny\{missing}"):
        load_network(saved)


def test_one_changed_byte_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="altered"):
        load_network(saved)


def test_a_pickle_that_would_run_code_is_not_run(saved: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"

    class Bomb:
        def __reduce__(self) -> tuple:
            return Path.touch, (trap,)

    saved.write_bytes(pickle.dumps(Bomb(), protocol=2))
    card = json.loads(saved.with_suffix(".json").read_text("utf-8"))
    card["sha256"] = hashlib.sha256(saved.read_bytes()).hexdigest()
    saved.with_suffix(".json").write_text(json.dumps(card), "utf-8")
    with pytest.raises(ValueError, match="do not fit"):
        load_network(saved)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"class": "Oracle"}}, "unknown network"),
        ({"network": {"class": "PartNetwork", "depth": 3}}, "cannot be built"),
        ({"network": {"class": "PartNetwork", "widths": [4, 4]}}, "do not fit"),
        ({"network": None}, "does not name"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(saved: Path, change: dict, message: str) -> None:
    card = json.loads(saved.with_suffix(".json").read_text("utf-8"))
    saved.with_suffix(".json").write_text(json.dumps({**card, **change}), "utf-8")
    with pytest.raises(ValueError, match=message):
        load_network(saved)


def test_a_card_that_is_not_json_is_refused(saved: Path) -> None:
    saved.with_suffix(".json").write_bytes(b"\xff{")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_network(saved)


def test_a_diverged_network_is_not_saved(tmp_path: Path, a_network: PartNetwork) -> None:
    with torch.no_grad():
        a_network.head.bias[3] = float("nan")
    with pytest.raises(ValueError, match="diverged"):
        save_network(tmp_path / "bad.pt", a_network)
    assert list(tmp_path.iterdir()) == []


def test_when_the_card_cannot_be_written_nothing_is_left(
    tmp_path: Path, a_network: PartNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def full_disk(path: Path, content: bytes) -> int:
        if ".json" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_network(tmp_path / "tiny.pt", a_network)
    assert list(tmp_path.iterdir()) == []
