"""Appearance: contrasts follow physics, artefacts do what they say, and the same seed gives the same tile."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_canvas import boxes_canvas

from SpinalTapLib.training.config import AppearanceConfig, TrainConfig, config_from_dict
from SpinalTapLib.training.images.acquisition import acquire
from SpinalTapLib.training.images.artefacts import add_rarities, bloom_metal, shift_fat, void_flow
from SpinalTapLib.training.images.contrast import draw_contrast
from SpinalTapLib.training.images.random_numbers import Chance
from SpinalTapLib.training.images.sequences import KINDS
from SpinalTapLib.training.images.shading import draw_shading
from SpinalTapLib.training.images.texture import apply_bodies, apply_texture
from SpinalTapLib.training.synthetic.tissues import Tissue
from SpinalTapLib.training.tiles.label_batch import pack
from SpinalTapLib.training.tiles.placement import draw_crop
from SpinalTapLib.training.tiles.tiles import joined, make_tiles

NOTHING = {name: 0.0 for name in vars(AppearanceConfig()) if name not in (*KINDS, "partial_volume")}
SIDE = 96


def config_with(**changes: float) -> TrainConfig:
    return config_from_dict({"placement": {"tile_px": SIDE}, "appearance": {**NOTHING, **changes}})


def batch_of(n: int = 4, seed: int = 0, planes: int = 1):
    rng, config = np.random.default_rng(seed), config_with()
    canvas = boxes_canvas(rows=560, columns=400, planes=planes)
    return pack([draw_crop(canvas, rng, config.placement) for _ in range(n)], seed)


def median_means(kind: str, n: int = 400) -> torch.Tensor:
    weights = [float(name == kind) for name in KINDS]
    return draw_contrast(weights, Chance(1), n).mean.median(0).values


def test_t1_weighted_images_are_what_a_radiologist_knows():
    t1 = median_means("t1")
    assert t1[Tissue.FAT] > t1[Tissue.MARROW] > t1[Tissue.NUCLEUS] > t1[Tissue.CSF] > t1[Tissue.CORTEX]
    assert t1[Tissue.MODIC_2] > t1[Tissue.MARROW] > t1[Tissue.MODIC_1]


def test_t2_weighted_images_are_what_a_radiologist_knows():
    t2 = median_means("t2")
    assert t2[Tissue.CSF] > t2[Tissue.NUCLEUS] > t2[Tissue.NUCLEUS_DRY] > t2[Tissue.ANNULUS_OUTER]
    assert t2[Tissue.CSF] > t2[Tissue.FAT] > t2[Tissue.MARROW] > t2[Tissue.MUSCLE]


def test_stir_and_dixon_water_images_have_no_bright_fat():
    for kind in ("stir", "dixon_water"):
        mean = median_means(kind)
        assert mean[Tissue.FAT] < 0.5 * mean[Tissue.FLUID]
        assert mean[Tissue.FAT] < mean[Tissue.MODIC_1]
    assert median_means("stir")[Tissue.CSF] > 2 * median_means("stir")[Tissue.MARROW]


@pytest.mark.parametrize("kind", KINDS)
def test_in_every_contrast_air_is_black_and_cortex_mostly_darker_than_marrow(kind):
    mean = draw_contrast([float(name == kind) for name in KINDS], Chance(2), 300).mean
    assert torch.isfinite(mean).all() and float(mean.min()) >= 0
    assert float(mean[:, Tissue.METAL].max()) == 0
    darker = (mean[:, Tissue.CORTEX] < 0.6 * mean[:, Tissue.MARROW]).float().mean()
    assert 0.82 < float(darker) < 0.97


def test_random_contrasts_put_tissues_in_any_order():
    mean = draw_contrast([float(name == "random") for name in KINDS], Chance(3), 400).mean
    share = (mean[:, Tissue.CSF] > mean[:, Tissue.MARROW]).float().mean()
    assert 0.35 < float(share) < 0.65


def test_the_same_seed_makes_the_same_tiles_and_another_seed_others():
    config = config_from_dict({"placement": {"tile_px": SIDE}})
    first, again = make_tiles(batch_of(), config), make_tiles(batch_of(), config)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.targets.heatmaps, again.targets.heatmaps)
    other = make_tiles(replace(batch_of(), seed=99), config)
    assert not torch.equal(first.image, other.image)


def test_tiles_with_every_artefact_are_normalised_numbers():
    every = {name: 1.0 for name in NOTHING}
    for seed in range(3):
        image = make_tiles(batch_of(3, seed), config_with(**every)).image
        assert image.shape == (3, 1, SIDE, SIDE)
        assert torch.isfinite(image).all()
        assert image.mean((1, 2, 3)).abs().max() < 1e-3


def test_without_artefacts_a_tissue_has_one_brightness():
    tiles = make_tiles(batch_of(6), config_with())
    for image, shares in zip(tiles.image[:, 0], tiles.targets.structure):
        canal = image[shares[5] == 1]
        if len(canal) > 20:
            assert float(canal.std()) < 0.02 * float(image.max() - image.min()) + 1e-4


def test_planes_of_a_thick_slice_are_averaged_unless_switched_off():
    canvas = boxes_canvas(rows=560, columns=400, planes=3)
    for outer in (0, 2):
        canvas.tissue[outer][canvas.tissue[outer] == Tissue.MARROW] = Tissue.NUCLEUS
    rng, config = np.random.default_rng(0), config_with()
    crops = [draw_crop(canvas, rng, config.placement) for _ in range(3)]

    def body_against_disc(partial: float) -> np.ndarray:
        tiles = make_tiles(pack(crops, 5), config_with(partial_volume=partial))
        shares = tiles.targets.structure
        body, disc, canal = shares[:, 1:4].sum(1) == 1, shares[:, 4] == 1, shares[:, 5] == 1
        means = np.array([[float(image[mask[i]].mean()) for mask in (body, disc, canal)]
                          for i, image in enumerate(tiles.image[:, 0])])
        return (means[:, 0] - means[:, 1]) / (means[:, 2] - means[:, 1])

    assert np.allclose(body_against_disc(1.0), body_against_disc(0.0) / 3, rtol=0.05, atol=0.01)


def test_tiles_made_in_parts_are_joined_in_order():
    parts = [make_tiles(batch_of(2, seed), config_with()) for seed in (1, 2)]
    both = joined(parts)
    assert torch.equal(both.image[2:], parts[1].image)
    assert torch.equal(both.targets.structure[:2], parts[0].targets.structure)


def test_bodies_differ_and_their_surroundings_do_not():
    instance = torch.zeros(1, 40, 40, dtype=torch.uint8)
    instance[:, :20], instance[:, 20:, :20] = 1, 2
    shaded = apply_bodies(torch.ones(1, 20, 20), instance, Chance(4))[0]
    assert shaded[0, 0] != shaded[15, 0] != 1
    assert (shaded[10:, 10:] == 1).all()


def test_texture_follows_its_strength_and_leaves_the_mean():
    tissue = torch.full((4, 64, 64), int(Tissue.MARROW), dtype=torch.int32)
    image = torch.ones(4, 64, 64)
    assert torch.equal(apply_texture(image, tissue, Chance(5), 0.0), image)
    textured = apply_texture(image, tissue, Chance(5), 1.0)
    assert float(textured.std()) > 0.01
    assert float(textured.mean()) == pytest.approx(1, abs=0.08)


def points_at(column: float, n: int) -> torch.Tensor:
    return torch.tensor((SIDE / 2, column)).expand(n, 1, 5, 2)


def test_coils_are_bright_behind_and_bands_dark_in_front():
    n = 40
    only = {"coil": 1.0, "bias": 0.0, "saturation_band": 0.0, "seam": 0.0}
    gain = draw_shading(points_at(60.0, n), SIDE, config_from_dict(only, AppearanceConfig), Chance(6))
    assert (gain[:, :, -1].mean(1) > gain[:, :, 0].mean(1)).float().mean() > 0.9
    only.update(coil=0.0, saturation_band=1.0)
    gain = draw_shading(points_at(90.0, n), SIDE, config_from_dict(only, AppearanceConfig), Chance(7))
    assert (gain[:, 48, 90] > gain[:, 48, 0]).float().mean() > 0.85
    assert float(gain.max()) <= 1.0


def test_without_shading_the_gain_is_one():
    gain = draw_shading(points_at(50.0, 3), SIDE, config_with().appearance, Chance(8))
    assert torch.equal(gain, torch.ones(3, SIDE, SIDE))


def test_an_ideal_scanner_records_the_object():
    image = torch.rand(3, 32, 32)
    recorded = acquire(image, torch.ones(3), config_with().appearance, Chance(9))
    assert torch.allclose(recorded, image, atol=1e-3)


def test_noise_is_rician():
    appearance = config_with(noise=1.0).appearance
    recorded = acquire(torch.zeros(64, 32, 32), torch.ones(64), appearance, Chance(10))
    # In air the magnitude is Rayleigh distributed: mean / sd = sqrt(pi / (4 - pi)).
    ratio = recorded.mean((1, 2)) / recorded.std((1, 2))
    assert float(ratio.mean()) == pytest.approx((np.pi / (4 - np.pi)) ** 0.5, rel=0.03)


def test_blur_smooths_and_sharpening_enhances_edges():
    image = torch.zeros(8, 32, 32)
    image[:, :, 16:] = 1.0
    step = lambda picture: (picture[:, 16, 16] - picture[:, 16, 15]).mean()  # noqa: E731
    soft = acquire(image, torch.ones(8), config_with(blur=1.0).appearance, Chance(11))
    sharp = acquire(image + 1, torch.ones(8), config_with(sharpening=1.0).appearance, Chance(11))
    assert float(step(soft)) < 0.9 < 1.05 < float(step(sharp))


@pytest.mark.parametrize("artefact", ["ghosting", "motion", "gibbs"])
def test_artefacts_of_k_space_change_the_image_but_keep_its_level(artefact):
    image = torch.zeros(6, 48, 48)
    image[:, 12:36, 16:30] = 1.0
    recorded = acquire(image, torch.ones(6), config_with(**{artefact: 1.0}).appearance, Chance(12))
    assert float((recorded - image).abs().amax((1, 2)).min()) > 0.005
    assert torch.allclose(recorded.mean((1, 2)), image.mean((1, 2)), rtol=0.35)


def test_a_ghost_is_a_pair_of_copies_along_the_phase_axis():
    side, reach = 224, 20
    line = torch.arange(side) - side / 2
    blob = torch.exp(-(line[:, None].square() + line.square()) / 128).expand(16, -1, -1)
    ghosts = acquire(blob, torch.ones(16), config_with(ghosting=1.0).appearance, Chance(16)) - blob
    for ghost in ghosts.square():
        across, down = ghost.sum(0), ghost.sum(1)
        profile = max(across, down, key=lambda p: float(p[: side // 2].max()))
        place = int(profile[: side // 2].argmax())
        near = torch.minimum((line + side / 2 - place).abs(), (line + side / 2 - (side - place)).abs()) <= reach
        assert float(profile[near].sum()) > 0.97 * float(profile.sum())


def test_chemical_shift_moves_fat_by_up_to_two_pixels():
    fat = torch.zeros(10, 32, 32)
    fat[:, 16, 16] = 1.0
    moved = shift_fat(torch.ones(12, 32, 32) + 0, fat, torch.arange(10), Chance(13)) - 1 + torch.cat((fat, fat[:2] * 0))
    line = torch.arange(32.0)
    for k in range(10):
        row, column = (moved[k] * line[:, None]).sum() - 16, (moved[k] * line).sum() - 16
        assert 0.45 < max(abs(float(row)), abs(float(column))) < 2.05
        assert min(abs(float(row)), abs(float(column))) < 1e-3
    assert torch.allclose(moved[10:], torch.zeros(2, 32, 32), atol=1e-6)


def test_flow_voids_are_in_fluid_only_and_metal_leaves_a_hole():
    tissue = torch.full((3, 48, 48), int(Tissue.MUSCLE), dtype=torch.int32)
    tissue[:, :, :20] = int(Tissue.CSF)
    flowing = void_flow(torch.ones(3, 48, 48), tissue, config_with(flow_void=1.0).appearance, Chance(14))
    assert (flowing[:, :, 20:] == 1).all()
    assert float(flowing[:, :, :20].mean()) < 0.97
    tissue[0, 20:28, 30:38] = int(Tissue.METAL)
    bloomed = bloom_metal(torch.ones(3, 48, 48), tissue, Chance(15))
    assert float(bloomed[0, 24, 34]) < 0.2
    assert torch.equal(bloomed[1:], torch.ones(2, 48, 48))
    assert torch.equal(bloom_metal(torch.ones(3, 48, 48), tissue, Chance(15).shared(3))[1:], torch.ones(2, 48, 48))


def test_rare_artefacts_leave_the_other_tiles_alone():
    image = torch.rand(5, 32, 32)
    assert torch.equal(add_rarities(image, config_with().appearance, Chance(16)), image)
    assert not torch.equal(add_rarities(image, config_with(zipper=1.0).appearance, Chance(16)), image)


def test_padding_is_black_and_holds_no_targets():
    tiles = make_tiles(batch_of(8), config_with(border=1.0, noise=1.0))
    found = 0
    for image, targets in zip(tiles.image[:, 0], tiles.targets.structure):
        for side in (slice(0, 1), slice(-1, None)):
            if float(image[side].std()) == 0:  # a padded edge: everything else is noisy
                found += 1
                assert (targets[0, side] == 1).all()
                assert float(image[side].max()) == pytest.approx(float(image.min()), abs=1e-5)
    assert found > 0
