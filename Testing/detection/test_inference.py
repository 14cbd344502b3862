"""Whole images through a network, tile by tile: nothing is lost at the seams, in half precision, or in the folding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiles_by_hand import blend, normalise_tile
from torch import nn

from SpinalTapLib.detection import inference
from SpinalTapLib.detection.inference import PartInference, fused
from SpinalTapLib.detection.networks import OUTPUT_CHANNELS, VECTOR_UNIT_PX, PartNetwork
from SpinalTapLib.detection.part_maps import PartMaps
from SpinalTapLib.detection.tiling import DISTANCE_UNIT_MM, OVERLAP_PX, TILE_PX, normalise_tiles, tile_grid
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure


class Pointwise(nn.Module):
    """A network that looks at one pixel at a time, so that shifting the image shifts the maps and no more."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("gain", torch.randn(1, OUTPUT_CHANNELS, 1, 1, generator=generator))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.gain * image)


class Cancelling(nn.Module):
    """A network that half precision ruins: it subtracts large numbers that are nearly equal."""

    def __init__(self) -> None:
        super().__init__()
        self.lift, self.drop = nn.Conv2d(1, OUTPUT_CHANNELS, 1), nn.Conv2d(1, OUTPUT_CHANNELS, 1)
        for layer, gain in ((self.lift, 1000.1), (self.drop, 1000.0)):
            nn.init.constant_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.lift(image) - self.drop(image)


@pytest.fixture(autouse=True)
def single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "has_fast_bfloat16", lambda: False)


def an_image(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).gamma(2, 50, (1, 1, rows // 8 + 1, columns // 8 + 1))
    smooth = nn.functional.interpolate(torch.from_numpy(coarse), size=(rows, columns), mode="bicubic")
    return smooth[0, 0].numpy().astype(np.float32)


def trained_like(
    widths: tuple[int, ...] = (4, 6, 8), slices: int = 1, structures: int = N_STRUCTURES
) -> PartNetwork:
    """Return a network whose normalisations are not the identity, with outputs of about one."""
    torch.manual_seed(0)
    network = PartNetwork(widths, slices, structures)
    nn.init.normal_(network.head.weight, std=0.3)
    with torch.no_grad():
        for _ in range(5):
            network.train()(torch.randn(4, 2 * slices - 1, 32, 32) * 2 + 1)
    return network.eval()


def stacked(maps: PartMaps) -> np.ndarray:
    """Return all maps as (20, rows, columns)."""
    return np.concatenate((maps.heatmaps, maps.vectors.reshape(8, *maps.vectors.shape[2:]), maps.probabilities))


def in_units(output: torch.Tensor) -> np.ndarray:
    """Return raw output, (20, rows, columns), as the part maps hold it: vectors in px, classes as probabilities."""
    raw = output.detach().numpy().copy()
    e = np.exp(raw[13:])
    return np.concatenate((raw[:5], raw[5:13] * VECTOR_UNIT_PX, e / e.sum(0)))


def test_tiled_is_untiled_for_a_network_that_moves_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "normalise_tiles", lambda tiles: tiles / 100)
    image = an_image(TILE_PX + 150, TILE_PX + 20)
    untiled = in_units(Pointwise()(torch.from_numpy(image)[None, None] / 100)[0])
    np.testing.assert_allclose(stacked(PartInference(Pointwise())(image)), untiled, atol=1e-4)


def test_tiles_are_normalised_run_and_stitched_one_after_another() -> None:
    image = an_image(TILE_PX + 60, 90)
    network = trained_like()
    windows = tile_grid(image.shape)
    assert len(windows) == 2
    maps = [in_units(network(torch.from_numpy(normalise_tile(image[w]))[None, None])[0]) for w in windows]
    expected = blend(maps, windows, image.shape, OVERLAP_PX)
    np.testing.assert_allclose(stacked(PartInference(network)(image)), expected, atol=1e-3)


def test_shapes_and_probabilities_are_those_of_the_contract() -> None:
    maps = PartInference(trained_like())(an_image(50, 37))
    assert (maps.heatmaps.shape, maps.vectors.shape) == ((5, 50, 37), (4, 2, 50, 37))
    np.testing.assert_allclose(maps.probabilities.sum(0), 1, atol=1e-5)


def test_folding_the_normalisations_changes_nothing_and_spares_the_original() -> None:
    network = trained_like()
    image = torch.randn(1, 1, 32, 48)
    before = network(image)
    torch.testing.assert_close(fused(network)(image), before, atol=1e-5, rtol=1e-4)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 10
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused(network).modules())
    torch.testing.assert_close(network(image), before)


def test_an_empty_image_is_background_and_costs_no_pass() -> None:
    class Forbidden(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            raise AssertionError("an empty tile was looked at")

    maps = PartInference(Forbidden())(np.full((TILE_PX + 100, 60), 7.0, np.float32))
    assert (maps.probabilities[0] == 1).all()
    assert not maps.heatmaps.any()


def test_half_precision_is_used_where_it_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    image, network = an_image(80, 70), trained_like(structures=7)
    exact = PartInference(network)(image)
    monkeypatch.setattr(inference, "has_fast_bfloat16", lambda: True)
    fast = PartInference(network)
    maps = fast(image)
    assert np.abs(maps.heatmaps - exact.heatmaps).max() < inference.HALF_HEATMAP_TOLERANCE
    assert not np.array_equal(maps.heatmaps, exact.heatmaps)


def test_half_precision_is_left_alone_where_it_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    image = an_image(40, 40)
    exact = PartInference(Cancelling())(image)
    monkeypatch.setattr(inference, "has_fast_bfloat16", lambda: True)
    careful = PartInference(Cancelling())
    maps = careful(image)
    np.testing.assert_array_equal(maps.heatmaps, exact.heatmaps)


def test_structures_that_an_older_network_does_not_know_have_no_probability() -> None:
    old = trained_like(structures=7)
    maps = PartInference(old)(an_image(50, 37))
    assert maps.probabilities.shape == (N_STRUCTURES, 50, 37)
    assert not maps.probabilities[Structure.ARCH].any()
    np.testing.assert_allclose(maps.probabilities.sum(0), 1, atol=1e-5)


class Recorder(nn.Module):
    """A network of three slices that remembers what it was shown."""

    slices = 3

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(image)
        return torch.zeros(len(image), OUTPUT_CHANNELS, *image.shape[-2:])


def test_neighbours_come_with_their_distance_and_missing_ones_are_empty() -> None:
    network, image, left = Recorder(), an_image(40, 30), an_image(40, 30, seed=1)
    PartInference(network)(image, (None, left), 6.0)
    channels = network.seen[0][0].numpy()
    wanted = normalise_tiles(torch.from_numpy(np.stack([image, left]).astype(np.float32))).numpy()
    np.testing.assert_allclose(channels[[0, 2]], wanted, atol=1e-5)
    assert not channels[1].any() and not channels[3].any()
    assert (channels[4] == 6.0 / DISTANCE_UNIT_MM).all()


def test_a_network_of_three_slices_takes_one_slice_as_well() -> None:
    network = trained_like(slices=3)
    maps = PartInference(network)(an_image(40, 30))
    assert maps.probabilities.shape == (N_STRUCTURES, 40, 30)
    assert np.isfinite(maps.heatmaps).all()
