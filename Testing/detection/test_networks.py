"""The part network keeps its promises on shapes, sizes and precision."""

from __future__ import annotations

import pytest
import torch

from SpinalTapLib.detection import networks
from SpinalTapLib.detection.networks import OUTPUT_CHANNELS, PartNetwork, split_output
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure
from SpinalTapLib.spine.vertebra import CORNERS


@pytest.fixture(scope="module")
def tiny() -> PartNetwork:
    torch.manual_seed(0)
    return PartNetwork((2, 3, 4), structures=N_STRUCTURES).eval()


@pytest.mark.parametrize("shape", [(1, 1), (16, 32), (17, 5), (33, 64)])
def test_any_image_size_comes_back_as_it_went_in(tiny: PartNetwork, shape: tuple[int, int]) -> None:
    assert tiny(torch.randn(2, 1, *shape)).shape == (2, OUTPUT_CHANNELS, *shape)


def test_padding_does_not_touch_an_image_that_needs_none(tiny: PartNetwork) -> None:
    image = torch.randn(1, 1, 32, 24)
    grown = torch.cat((image, image[..., -1:]), dim=-1)
    padded = torch.cat((image, *[image[..., -1:]] * 4), dim=-1)
    torch.testing.assert_close(tiny(grown), tiny(padded)[..., :25])


def test_the_maps_are_cut_in_the_order_of_the_contract() -> None:
    output = torch.arange(OUTPUT_CHANNELS).float().view(1, -1, 1, 1).expand(3, -1, 4, 5)
    heatmaps, vectors, logits, homes = split_output(output)
    assert heatmaps.shape == (3, len(CORNERS) + 1, 4, 5)
    assert vectors.shape == (3, len(CORNERS), 2, 4, 5)
    assert heatmaps[0, networks.CENTROID, 0, 0] == 4
    assert vectors[0, :, :, 0, 0].tolist() == [[5, 6], [7, 8], [9, 10], [11, 12]]
    assert logits[0, :, 0, 0].tolist() == list(range(13, OUTPUT_CHANNELS)) and homes is None
    more = torch.cat((output, output[:, :2] + 50), 1)
    assert split_output(more)[3][0, :, 0, 0].tolist() == [50, 51]


def test_the_mask_classes_keep_the_order_of_the_trained_weights() -> None:
    assert [s.name for s in Structure][:7] == ["BACKGROUND", "BODY", "S1", "C2", "DISC", "CANAL", "SACRUM"]
    assert [int(s) for s in Structure] == list(range(len(Structure)))


def test_the_default_network_stays_under_ten_megabytes_in_half_precision() -> None:
    network = PartNetwork()
    assert sum(p.numel() for p in network.parameters()) * 2 < 10e6
    assert network.multiple_px == 16
    assert PartNetwork(**{k: v for k, v in network.arguments.items() if k != "class"}).widths == network.widths


def test_an_untrained_network_neither_explodes_nor_dies() -> None:
    torch.manual_seed(1)
    deep = PartNetwork((8, 8, 8, 8, 8)).train()
    spread = deep.up[0](torch.randn(2, 16, 32, 32)).std()
    assert 0.1 < spread < 10
    assert deep(torch.randn(2, 1, 64, 64)).abs().max() < 1


def test_memory_format_does_not_change_the_answer(tiny: PartNetwork) -> None:
    image = torch.randn(2, 1, 40, 24)
    torch.testing.assert_close(tiny(image.to(memory_format=torch.channels_last)), tiny(image))


def test_the_last_step_runs_in_full_precision_under_autocast(tiny: PartNetwork) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert tiny(torch.randn(1, 1, 16, 16)).dtype == torch.float32


@pytest.mark.parametrize("widths", [(), (16,), (16, 0)])
def test_a_network_without_levels_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="level widths"):
        PartNetwork(widths)


def test_maps_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="21"):
        split_output(torch.zeros(1, 19, 8, 8))


def test_a_card_without_the_new_entries_means_one_slice_and_seven_structures() -> None:
    old = PartNetwork((2, 3))
    assert old.arguments == {"class": "PartNetwork", "widths": [2, 3]}
    assert old(torch.zeros(1, 1, 8, 8)).shape == (1, 20, 8, 8)
    assert split_output(old(torch.zeros(1, 1, 8, 8)))[2].shape == (1, 7, 8, 8)


def test_a_network_of_three_slices_says_so_and_takes_them_with_their_distances() -> None:
    new = PartNetwork((2, 3), slices=3, structures=N_STRUCTURES, homes=True)
    again = PartNetwork(**{k: v for k, v in new.arguments.items() if k != "class"})  # type: ignore[arg-type]
    assert (again.slices, again.structures, again.homes) == (3, N_STRUCTURES, True)
    assert again(torch.zeros(1, 5, 8, 8)).shape == (1, OUTPUT_CHANNELS + 2, 8, 8)


@pytest.mark.parametrize(("slices", "structures"), [(2, 8), (0, 8), (3, 1), (3, N_STRUCTURES + 1)])
def test_impossible_numbers_of_slices_and_structures_are_refused(slices: int, structures: int) -> None:
    with pytest.raises(ValueError, match=f"got {slices} slices and {structures} structures"):
        PartNetwork((2, 3), slices, structures)
