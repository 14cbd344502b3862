"""The ladder's loop, driven by a perfect stand-in for the network and by ones that drift, skip and hallucinate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.draw import polygon2mask

from SpinalTapLib.counting.ladder import MAX_RUNGS, LadderLook, climb
from SpinalTapLib.counting.rungs import CROP_SIZES, Rung, look_at, propose, quadrilateral_mask
from SpinalTapLib.resources import resource_path
from SpinalTapLib.scans.volume import volume_from_array
from SpinalTapLib.training.config import TrainConfig, load_config
from SpinalTapLib.training.settings import settings_from_dict
from SpinalTapLib.training.train_ladder import LadderConfig

SHAPE = (15, 900, 400)


def _spine(n: int = 24) -> list[Rung]:
    """A curved row of vertebrae that shrink upwards, the lowest first."""
    rungs, centre, row_step = [], np.array([820.0, 200.0]), 37.0
    for i in range(n):
        factor = 0.975**i
        angle = 0.35 * np.cos(i / 4)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        half = np.array([[-13, -17], [-13, 17], [13, 17], [13, -17]]) * factor
        rungs.append(Rung(7 + 3 * np.sin(i / 5), centre + half @ turn.T))
        centre = centre - turn[:, 0] * row_step * factor
    return rungs


def _perfect(spine: list[Rung]):
    """A network that always knows the nearest vertebra's true neighbours."""

    def look(rung: Rung) -> tuple[Rung, Rung]:
        i = int(np.argmin([np.linalg.norm(r.centre - rung.centre) for r in spine]))
        nothing = replace(rung, presence=0.01)
        above = spine[i + 1] if i + 1 < len(spine) else nothing
        return above, spine[i - 1] if i else nothing

    return look


def test_a_perfect_network_climbs_every_rung_in_order_and_stops():
    spine = _spine()
    result = climb(_perfect(spine), spine[0], SHAPE)
    assert len(result.rungs) == 24
    assert all(np.allclose(a.corners, b.corners) for a, b in zip(result.rungs, spine, strict=True))
    assert result.reason == "no further vertebra is seen"


def test_climbing_down_is_climbing_up_backwards():
    spine = _spine()
    up = climb(_perfect(spine), spine[0], SHAPE).rungs
    down = climb(_perfect(spine), spine[-1], SHAPE, upwards=False).rungs
    assert [tuple(r.centre) for r in up] == [tuple(r.centre) for r in reversed(down)]


@pytest.mark.parametrize("steps", [0, 1, 6, 23])
def test_steps_limits_the_rungs_above_the_start(steps):
    spine = _spine()
    assert len(climb(_perfect(spine), spine[0], SHAPE, steps=steps).rungs) == steps + 1


def test_a_loose_start_is_forgotten_after_one_rung():
    spine = _spine()
    loose = Rung(spine[0].slice + 1, spine[0].centre + (spine[0].corners - spine[0].centre) * 1.4 + [9, -8])
    result = climb(_perfect(spine), loose, SHAPE)
    assert len(result.rungs) == 24
    assert np.allclose(result.rungs[5].corners, spine[5].corners)


def test_a_network_that_drifts_stays_on_course_when_detections_pull_it_back():
    spine, rng = _spine(), np.random.default_rng(0)

    def drifting(rung: Rung) -> tuple[Rung, Rung]:
        above, below = _perfect(spine)(rung)
        return replace(above, corners=above.corners + rng.normal(3, 3, 2)), below

    def snap(proposal: Rung) -> Rung | None:
        distances = [np.linalg.norm(r.centre - proposal.centre) for r in spine]
        i = int(np.argmin(distances))
        return replace(spine[i], found=i) if distances[i] < 0.6 * proposal.size else None

    result = climb(drifting, spine[0], SHAPE, snap=snap)
    assert [r.found for r in result.rungs[1:]] == list(range(1, 24))


def test_a_network_that_skips_is_stopped_at_the_gap():
    spine = _spine()

    def skipping(rung: Rung) -> tuple[Rung, Rung]:
        above, below = _perfect(spine)(rung)
        return _perfect(spine)(above)[0], below

    result = climb(skipping, spine[0], SHAPE)
    assert len(result.rungs) == 1 and "too far" in result.reason


def test_a_network_that_hallucinates_for_ever_ends_all_the_same():
    def always(rung: Rung) -> tuple[Rung, Rung]:
        up = replace(rung, corners=rung.corners - [1.2 * rung.size, 0], presence=0.99)
        return up, up

    start = _spine()[0]
    far_down = replace(start, corners=start.corners + [90000, 0])
    inside = climb(always, far_down, (15, 100000, 400))
    assert len(inside.rungs) == MAX_RUNGS + 1 and "no spine" in inside.reason
    bounded = climb(always, _spine()[0], SHAPE)
    assert bounded.reason == "the image ends there"


def test_a_network_that_runs_in_circles_is_stopped():
    spine = _spine()

    def circling(rung: Rung) -> tuple[Rung, Rung]:
        i = int(np.argmin([np.linalg.norm(r.centre - rung.centre) for r in spine]))
        return (spine[i + 1] if i < 3 else spine[i - 1]), spine[0]

    result = climb(circling, spine[0], SHAPE)
    assert len(result.rungs) == 4 and "had counted" in result.reason


def test_a_network_that_returns_nonsense_ends_the_climb():
    result = climb(lambda r: (replace(r, corners=np.full((4, 2), np.nan)),) * 2, _spine()[0], SHAPE)
    assert len(result.rungs) == 1 and "measured" in result.reason


def test_what_the_network_sees_does_not_depend_on_place_angle_and_scale():
    rng = np.random.default_rng(1)
    waves = rng.normal(size=(6, 2)) * 0.08

    def paint(points: np.ndarray) -> np.ndarray:
        return np.cos(points @ waves.T).sum(-1)

    grid = np.stack(np.meshgrid(np.arange(300.0), np.arange(300.0), indexing="ij"), -1)
    rung = Rung(0.0, np.array([[137.0, 133], [137, 167], [163, 167], [163, 133]]))
    angle, scale, shift = 0.4, 1.2, np.array([12.0, -9.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    moved = replace(rung, corners=(rung.corners - 150) @ turn.T + 150 + shift)
    back = (grid - 150 - shift) @ np.linalg.inv(turn).T + 150
    one, other = paint(grid), paint(back)
    seen, seen_moved = look_at([one] * 3, rung, 64), look_at([other] * 3, moved, 64)
    assert np.abs(seen - seen_moved).max() < 0.25
    assert np.corrcoef(seen[1].ravel(), seen_moved[1].ravel())[0, 1] > 0.995


def test_the_mask_has_the_area_of_the_quadrilateral():
    rung = Rung(0.0, np.array([[137.0, 133], [140, 167], [163, 165], [165, 133]]))
    side = 96
    r, c = rung.corners.T
    area = 0.5 * abs(np.dot(r, np.roll(c, 1)) - np.dot(c, np.roll(r, 1)))
    pixel = CROP_SIZES * rung.size / side
    assert quadrilateral_mask(rung, side).sum() * pixel**2 == pytest.approx(area, rel=0.03)


def test_a_proposal_in_the_vertebras_own_frame_lands_in_the_image():
    rung = Rung(5.0, np.array([[137.0, 133], [137, 167], [163, 167], [163, 133]]))
    values = np.zeros((2, 10))
    values[0, :8] = (rung.to_own(rung.corners - [37, 0])).ravel()
    values[0, 8], values[0, 9] = 4.0 / rung.size, 3.0
    above, below = propose(rung, values, slice_mm=4.0, pixel_mm=1.0)
    assert np.allclose(above.corners, rung.corners - [37, 0])
    assert above.slice == pytest.approx(6.0)
    assert above.presence > 0.95 and below.presence == pytest.approx(0.5)


def test_the_network_looks_once_at_each_place_however_often_it_is_asked():
    from SpinalTapLib.detection.networks import LadderNetwork
    from SpinalTapLib.scans.volume import SagittalVolume

    torch.manual_seed(0)
    network, calls = LadderNetwork(widths=(2, 2), side_px=16), []
    network.register_forward_hook(lambda *_: calls.append(1))
    volume = SagittalVolume(np.random.default_rng(0).normal(size=(3, 90, 80)).astype(np.float32), np.eye(4))
    corners = np.array([[20.0, 20], [20, 50], [45, 50], [45, 20]])
    look = LadderLook(network, volume)
    first = look(Rung(1.0, corners))
    again = look(Rung(1.0, corners.copy(), presence=0.7, found=4))
    assert len(calls) == 1 and np.array_equal(first[0].corners, again[0].corners)
    look(Rung(1.0, corners + 0.5))
    assert len(calls) == 2


class CropReader(torch.nn.Module):
    """A stand-in that knows nothing but the crop: it finds the bright blocks above and below the one in the mask."""

    side_px = 96

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        image, mask = crop[0, 1].numpy(), crop[0, 3].numpy()
        blocks, count = ndimage.label(image > (image.min() + image.max()) / 2)
        border = {*blocks[0], *blocks[-1], *blocks[:, 0], *blocks[:, -1]}
        middle = np.bincount(blocks[mask > 0.5]).argmax() if blocks[mask > 0.5].any() else 0
        whole = [k for k in range(1, count + 1) if k not in border and k != middle and (blocks == k).sum() > 60]
        out = np.zeros((2, 10), np.float32)
        out[:, 9] = -9
        for side, sign in enumerate((-1, 1)):
            places = {k: self._own(np.argwhere(blocks == k)) for k in whole}
            places = {k: p for k, p in places.items() if sign * p.mean(0)[0] > 0.5}
            if places:
                nearest = min(places.values(), key=lambda p: np.linalg.norm(p.mean(0)))
                out[side, :8], out[side, 9] = _box_of(nearest, self._own(np.argwhere(mask > 0.5))).ravel(), 9
        return torch.from_numpy(out)[None]

    def _own(self, pixels: np.ndarray) -> np.ndarray:
        return ((pixels + 0.5) / self.side_px - 0.5) * CROP_SIZES


def _box_of(block: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return the corners of a block: a rectangle of the own one's shape with the block's area and long axis."""
    spread = np.cov((block - block.mean(0)).T)
    angle = 0.5 * np.arctan2(2 * spread[0, 1], spread[1, 1] - spread[0, 0])
    half = np.array([13.0, 17.0]) / np.sqrt(26 * 34) * np.sqrt(len(block) / len(own))
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * half
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return block.mean(0) + corners @ turn.T


def _painted(rungs: list[Rung], shape: tuple[int, int]):
    """Return a volume of bright blocks, the same in every slice."""
    image = np.zeros(shape, np.float32)
    for rung in rungs:
        image += 100 * ndimage.gaussian_filter(polygon2mask(shape, rung.corners).astype(np.float32), 0.5)
    matrix = np.array([[4.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    return volume_from_array(np.repeat(image[None], 5, axis=0), matrix)


@settings(max_examples=12)
@given(
    angle=st.floats(-0.6, 0.6),
    scale=st.floats(0.75, 1.4),
    shift=st.tuples(st.floats(-25, 25), st.floats(-25, 25)),
)
def test_a_rotated_shifted_or_rescaled_scan_is_climbed_by_the_same_rungs(angle, scale, shift):
    rungs = [replace(r, slice=2.0, corners=r.corners * 0.9 - [400, 0]) for r in _spine(8)]
    middle = np.mean([r.centre for r in rungs], axis=0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = [replace(r, corners=(r.corners - middle) @ turn.T + [290 + shift[0], 260 + shift[1]]) for r in rungs]
    plain = climb(LadderLook(CropReader(), _painted(rungs, (480, 520))), rungs[0], (5, 480, 520))
    volume = _painted(moved, (580, 520))
    other = climb(LadderLook(CropReader(), volume), moved[0], volume.array.shape)
    assert len(plain.rungs) == len(other.rungs) == 8, (plain.reason, other.reason)
    for true, seen, again in zip(moved, plain.rungs, other.rungs, strict=True):
        carried = (seen.centre - middle) @ turn.T + [290 + shift[0], 260 + shift[1]]
        assert np.linalg.norm(again.centre - carried) < 0.1 * true.size
        assert np.linalg.norm(again.centre - true.centre) < 0.15 * true.size


KINDS = {"parts": TrainConfig, "ladder": LadderConfig}


def test_the_ladders_recipe_has_the_shipped_settings():
    config = load_config("ladder", KINDS)
    card = json.loads(resource_path("Models", "ladder.json").read_text())
    assert config == settings_from_dict(card["config"], LadderConfig, "the card")
    assert (config.side_px, config.scenes, config.examples_per_scene) == (64, 100, 400)
    assert isinstance(load_config("tiny", KINDS), TrainConfig)
    with pytest.raises(ValueError, match="is for the network 'ladder'; wanted: parts"):
        load_config("ladder")


def test_the_ladders_card_counts_both_stages():
    card = json.loads(resource_path("Models", "ladder.json").read_text())
    assert card["steps"] == sum(stage["steps"] for stage in card["history"])
    assert card["minutes"] == sum(stage["minutes"] for stage in card["history"])
    assert card["examples"] == card["steps"] * card["config"]["batch"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"placement": {}}, "Unknown setting 'placement'"),
        ({"network": "rope"}, "is for the network 'rope'; wanted: parts or ladder"),
        ({"side_px": 65}, "'side_px' must be a multiple of 32"),
        ({"side_px": 64.5}, "'side_px' must be a whole number"),
        ({"scenes": 0}, "'scenes' must be 1 or more"),
        ({"examples_per_scene": -1}, "'examples_per_scene' must be 1 or more"),
        ({"seed": -1}, "'seed' must be zero or more"),
        ({"ema_decay": 1.5}, "'ema_decay' must be 0 or more and below 1"),
        ({"widths": []}, "'widths' must be one or more"),
        ({"learning_rate": 0}, "'learning_rate' must be above zero"),
        ({"deadline_minutes": 0}, "'deadline_minutes' must be above zero"),
    ],
)
def test_impossible_settings_of_the_ladder_are_refused_in_one_sentence(values, message, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps({"network": "ladder", **values}))
    with pytest.raises(ValueError, match=message) as caught:
        load_config(tmp_path / "mine.json", KINDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("factor", [1e-9, 1e6])
def test_what_the_ladder_sees_does_not_depend_on_the_unit_of_the_brightness(factor):
    image = np.random.default_rng(3).uniform(0, 1, (90, 90))
    rung = Rung(0.0, np.array([[35, 30], [35, 60], [55, 60], [55, 30]], float))
    assert np.allclose(look_at([image] * 3, rung, 64), look_at([image * factor] * 3, rung, 64), atol=1e-5)
    assert np.isfinite(look_at([np.zeros((90, 90))] * 3, rung, 64)).all()
