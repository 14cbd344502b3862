"""Where labels go: warp and targets agree with each other and with a naive drawing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from drawn_canvas import boxes_canvas

from SpinalTapLib.detection.networks import HOME_UNIT_PX, VECTOR_UNIT_PX
from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.training.config import TrainConfig, config_from_dict
from SpinalTapLib.training.images.random_numbers import Chance
from SpinalTapLib.training.synthetic.drawing import Canvas
from SpinalTapLib.training.tiles.label_batch import pack
from SpinalTapLib.training.tiles.placement import cut, draw_crop, tile_matrix
from SpinalTapLib.training.tiles.targets import VECTOR_REACH, body_sigma, draw_homes, draw_targets
from SpinalTapLib.training.tiles.tiles import make_tiles
from SpinalTapLib.training.tiles.warp import draw_warp, halved

SIDE = 96


def plain(**changes: float) -> TrainConfig:
    return config_from_dict({"placement": {"tile_px": SIDE, **changes}, "appearance": {"border": 0.0}})


def upright_points(height: float = 24.0, centre: tuple[float, float] = (40.3, 50.6)) -> torch.Tensor:
    """One vertebra in one tile, (1, 1, 5, 2)."""
    r, c = centre
    h, d = height / 2, 16.0
    rows = ((r - h, c - d), (r - h, c + d), (r + h, c + d), (r + h, c - d), (r, c))
    return torch.tensor(rows)[None, None]


def targets_of(points: torch.Tensor, inside: torch.Tensor | None = None):
    inside = torch.ones(len(points), SIDE, SIDE, dtype=torch.bool) if inside is None else inside
    return draw_targets(points, torch.zeros(len(points), 2 * SIDE, 2 * SIDE, dtype=torch.uint8), inside)


def test_heatmaps_are_gaussians_of_height_one():
    points = upright_points()
    heatmaps = targets_of(points).heatmaps[0].numpy()
    sigma = float(body_sigma(points))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for channel in range(5):
        r, c = points[0, 0, channel].numpy()
        naive = np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * sigma**2))
        assert np.abs(heatmaps[channel] - naive).max() < 5e-3


@pytest.mark.parametrize(("height", "sigma"), [(8.0, 1.3), (20.0, 1.8), (40.0, 2.4)])
def test_peaks_are_as_wide_as_the_body_asks_within_limits(height, sigma):
    assert float(body_sigma(upright_points(height))) == pytest.approx(sigma)


def test_neighbouring_peaks_do_not_add_up():
    points = torch.cat((upright_points(), upright_points(centre=(41.3, 50.6))), 1)
    assert float(targets_of(points).heatmaps.max()) <= 1.0


def test_vectors_point_from_the_pixel_to_the_centroid():
    points = upright_points()
    targets = targets_of(points)
    for corner in range(4):
        rows, columns = targets.vector_weight[0, corner].nonzero(as_tuple=True)
        assert len(rows) > 10
        arrow = targets.vectors[0, corner][:, rows, columns].T * VECTOR_UNIT_PX
        assert torch.allclose(arrow + torch.stack((rows, columns), 1), points[0, 0, 4].expand(len(rows), 2), atol=1e-4)


def test_vectors_are_supervised_near_their_corner_only():
    points = upright_points()
    weight = targets_of(points).vector_weight[0]
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for corner in range(4):
        r, c = points[0, 0, corner]
        near = ((rows - r) ** 2 + (columns - c) ** 2).sqrt() <= VECTOR_REACH * float(body_sigma(points))
        assert torch.equal(weight[corner] > 0, near)


def test_points_beyond_the_tile_unseen_or_in_padding_are_dropped():
    far = upright_points(centre=(40.0, 300.0))
    assert float(targets_of(far).heatmaps.max()) == 0
    assert float(targets_of(torch.full((1, 1, 5, 2), float("nan"))).heatmaps.max()) == 0
    inside = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    inside[:, :40] = False  # the upper corners are padded away
    targets = targets_of(upright_points(), inside)
    found = targets.heatmaps[0].amax((1, 2)) > 0.8
    assert found.tolist() == [False, False, True, True, True]
    assert float(targets.vector_weight[0, :2].max()) == 0


def test_structure_shares_are_the_mean_of_the_subpixels():
    rng = np.random.default_rng(3)
    fine = rng.integers(0, 8, (2, 2 * SIDE, 2 * SIDE)).astype(np.uint8)
    inside = torch.ones(2, SIDE, SIDE, dtype=torch.bool)
    inside[1, :, 50:] = False
    shares = draw_targets(torch.full((2, 1, 5, 2), float("nan")), torch.from_numpy(fine), inside).structure.numpy()
    naive = np.stack([(fine == v).reshape(2, SIDE, 2, SIDE, 2).mean((2, 4)) for v in range(8)], 1)
    assert np.allclose(shares[0], naive[0])
    assert np.allclose(shares[1, :, :, :50], naive[1, :, :, :50])
    assert (shares[1, 0, :, 50:] == 1).all()
    assert np.allclose(shares.sum(1), 1)


def test_halved_is_the_mean_of_blocks():
    x = torch.rand(3, 8, 12)
    assert torch.allclose(halved(x), torch.nn.functional.avg_pool2d(x[:, None], 2)[:, 0])


def test_a_straight_tile_shows_the_canvas_as_it_is():
    canvas = boxes_canvas()
    config = plain(scale_sd=0.0, wide_scale=0.0, rotation_sd_deg=0.0, wide_rotation=0.0, shear_sd=0.0, elastic_px=0.0)
    centre = canvas.corners_px[2, 4]
    matrix = tile_matrix(centre, canvas.pixel_mm, np.random.default_rng(0), config.placement)
    batch = pack([cut(canvas, matrix, SIDE)], 0)
    warp = draw_warp(batch, Chance(0), SIDE, 0.0)
    assert np.allclose(warp.points[0, 2, 4], (SIDE - 1) / 2, atol=1e-3)
    expected = (canvas.corners_px[2] - centre) * canvas.pixel_mm + (SIDE - 1) / 2
    assert np.allclose(warp.points[0, 2], expected, atol=1e-3)


def marked_canvas() -> Canvas:
    """A canvas whose `instance` is the body's number on 5 x 5 pixels around its centroid only."""
    canvas = boxes_canvas(rows=560, columns=400)
    instance = np.zeros_like(canvas.instance)
    points = np.round(canvas.corners_px).astype(int)
    for body, (row, column) in enumerate(points[:, 4]):
        instance[row - 2 : row + 3, column - 2 : column + 3] = body + 1
    return replace(canvas, instance=instance, corners_px=points.astype(np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_labels_and_points_stay_together_under_every_deformation(seed):
    canvas, rng = marked_canvas(), np.random.default_rng(seed)
    config = plain(wide_scale=0.5, wide_rotation=0.5, near_sacrum=0.2, along_spine=0.6, jitter_mm=5.0)
    batch = pack([draw_crop(canvas, rng, config.placement) for _ in range(4)], seed)
    warp = draw_warp(batch, Chance(seed), SIDE, 8.0)
    index = warp.index + batch.base[:, None, None]
    instance = batch.instance[index.flatten()].view(index.shape)
    compared = 0
    for tile in range(4):
        for body in range(6):
            point = warp.points[tile, body, 4]
            if ((point > 4) & (point < SIDE - 5)).all():
                rows, columns = (instance[tile] == body + 1).nonzero(as_tuple=True)
                middle = torch.stack((rows.float().mean(), columns.float().mean())) / 2 - 0.25
                assert torch.linalg.norm(middle - point) < 0.3
                compared += 1
    assert compared > 4


def test_mask_and_heatmaps_of_a_finished_tile_agree():
    canvas, rng = boxes_canvas(rows=560, columns=400), np.random.default_rng(5)
    config = plain(near_sacrum=1.0, near_dens=0.0, along_spine=0.0, jitter_mm=2.0, elastic_px=1.0)
    targets = make_tiles(pack([draw_crop(canvas, rng, config.placement) for _ in range(3)], 1), config).targets
    for shares, heatmaps in zip(targets.structure, targets.heatmaps):
        bodies = shares[[Structure.BODY, Structure.S1, Structure.C2]].sum(0)
        rows, columns = (heatmaps[4] > 0.9).nonzero(as_tuple=True)
        assert len(rows) > 0
        assert (bodies[rows, columns] == 1).all()


def test_nothing_is_ever_mirrored():
    rng = np.random.default_rng(1)
    config = plain(wide_rotation=0.5, wide_scale=0.5)
    for _ in range(50):
        linear = tile_matrix(np.zeros(2), 0.5, rng, config.placement)[:, :2]
        assert np.linalg.det(linear) > 0
        assert linear[0, 0] > 0 and linear[1, 1] > 0


def test_beyond_the_canvas_there_is_air_and_nothing_to_find():
    canvas = boxes_canvas()
    matrix = np.array([[2, 0, -400], [0, 2, -400]], np.float32)  # a tile wholly off the canvas
    crop = cut(canvas, matrix, SIDE)
    assert crop.tissue.max() == 0 and crop.structure.max() == Structure.BACKGROUND


def test_tiles_gather_where_the_anchors_are():
    canvas, rng = boxes_canvas(bodies=9, rows=1000), np.random.default_rng(2)
    config = plain(near_sacrum=1.0, near_dens=0.0, along_spine=0.0, jitter_mm=0.0)
    for _ in range(10):
        crop = draw_crop(canvas, rng, config.placement)
        middle = crop.matrix[:, :2] @ np.full(2, (SIDE - 1) / 2) + crop.matrix[:, 2]
        nearest = np.linalg.norm(crop.corners[:, 4] - middle, axis=1).argmin()
        assert nearest <= 2


def test_shares_are_the_mean_over_the_planes_of_a_thick_slice():
    rng = np.random.default_rng(4)
    fine = torch.from_numpy(rng.integers(0, 8, (4, 2 * SIDE, 2 * SIDE)).astype(np.uint8))
    inside = torch.ones(2, SIDE, SIDE, dtype=torch.bool)
    points = torch.full((2, 1, 5, 2), float("nan"))
    owner = torch.tensor([0, 0, 0, 1])
    shares = draw_targets(points, fine, inside, owner).structure
    single = draw_targets(points.repeat(2, 1, 1, 1), fine, inside.repeat(2, 1, 1)).structure
    assert torch.allclose(shares[0], single[:3].mean(0)) and torch.equal(shares[1], single[3])


def test_arches_point_to_the_middle_of_their_own_body():
    structure = torch.full((1, 8, 8), int(Structure.ARCH), dtype=torch.uint8)
    structure[0, 0] = Structure.BODY
    instance = torch.ones(1, 8, 8, dtype=torch.uint8)
    instance[0, 4:] = 2
    instance[0, 7] = 0
    inside = torch.ones(1, 8, 8, dtype=torch.bool)
    inside[0, :, 7] = False
    centres = torch.tensor([[[-10.0, 20.0], [40.0, 20.0]]])
    homes = draw_homes(structure, instance, centres, inside)
    assert homes[0, :, 2, 3].tolist() == [(-10 - 2) / HOME_UNIT_PX, (20 - 3) / HOME_UNIT_PX]
    assert homes[0, :, 5, 3].tolist() == [(40 - 5) / HOME_UNIT_PX, (20 - 3) / HOME_UNIT_PX]
    known = homes.isfinite().all(1)[0]
    assert not known[0].any() and not known[7].any() and not known[:, 7].any() and known[1:7, :7].all()


def test_the_way_home_is_bent_with_the_tile():
    canvas = boxes_canvas()
    labels = np.where(canvas.structures == Structure.BODY, np.uint8(Structure.ARCH), canvas.structures)
    canvas = replace(canvas, structures=labels)
    config = plain(elastic_px=5.0)
    matrix = tile_matrix(canvas.corners_px[2, 4], canvas.pixel_mm, np.random.default_rng(1), config.placement)
    targets = make_tiles(pack([cut(canvas, matrix, SIDE)], 3), config).targets
    row, column = np.argwhere(targets.homes[0].isfinite().all(0).numpy()).T
    ends = targets.homes[0].numpy()[:, row, column] * HOME_UNIT_PX + (row, column)
    places = np.unique(ends.round(1), axis=1)
    assert 1 <= places.shape[1] <= 6  # all pixels of one box lead to one place
