"""Neighbouring slices: drawn as a stack, cut together, made of one scan, now and then missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from drawn_canvas import boxes_canvas, quick

from SpinalTapLib.detection.tiling import DISTANCE_UNIT_MM
from SpinalTapLib.training.synthetic.random_spine import random_spine
from SpinalTapLib.training.synthetic.tissues import Tissue
from SpinalTapLib.training.tiles import canvases
from SpinalTapLib.training.tiles.canvases import CanvasFolder, random_stack
from SpinalTapLib.training.tiles.label_batch import pack
from SpinalTapLib.training.tiles.placement import cut, draw_crop, tile_matrix
from SpinalTapLib.training.tiles.tiles import make_tiles


def _with_neighbours(**placement):
    config = quick(slices=3)
    return replace(config, placement=replace(config.placement, alone=0.0, one_sided=0.0, **placement))


def _flanked(right=None, left=None, apart: float = 4.0):
    canvas = boxes_canvas(planes=1)
    return replace(canvas, neighbours=(right or canvas, left or canvas), distance_mm=apart)


def _crop(canvas, config, seed: int = 0):
    rng = np.random.default_rng(seed)
    return cut(canvas, tile_matrix(canvas.corners_px[2, 4], canvas.pixel_mm, rng, config.placement), 64)


def test_a_stack_is_the_slices_at_equal_distances_each_with_those_beside_it():
    spine = random_spine(np.random.default_rng(0), healthy=True)
    stack = random_stack(spine, np.random.default_rng(3), 4)
    assert 2 <= len(stack) <= 4 and len({canvas.distance_mm for canvas in stack}) == 1
    assert 2.5 <= stack[0].distance_mm <= 9
    inner = [canvas for canvas in stack if None not in canvas.neighbours]
    right, left = inner[0].neighbours
    assert right.tissue.shape[1:] == inner[0].tissue.shape[1:] == left.tissue.shape[1:]
    assert np.array_equal(left.tissue, inner[1].tissue)
    assert np.array_equal(inner[1].neighbours[0].tissue, inner[0].tissue)


def test_neighbours_lie_right_and_left_at_the_distance_that_the_canvas_tells(monkeypatch):
    plain = boxes_canvas()

    def noting(_spine, place_mm, _thickness, _pixel):
        return replace(plain, origin_mm=place_mm)

    monkeypatch.setattr(canvases, "canvas_at", noting)
    spine = random_spine(np.random.default_rng(0), healthy=True)
    for seed in range(20):
        for canvas in random_stack(spine, np.random.default_rng(seed), 4):
            right, left = canvas.neighbours
            for side, sign in ((right, -1), (left, 1)):
                if side is not None:
                    assert np.allclose(side.origin_mm - canvas.origin_mm, [sign * canvas.distance_mm, 0, 0])


def test_slices_of_a_tile_have_one_contrast_and_noise_of_their_own():
    config = _with_neighbours()
    batch = pack([_crop(_flanked(), config)], 1, 3)
    image = make_tiles(batch, config).image[0]
    assert image.shape == (5, 64, 64)
    assert torch.corrcoef(image[:3].flatten(1))[0, 1:].min() > 0.5  # the same labels, one contrast
    assert (image[0] - image[1]).abs().mean() > 0.01
    assert torch.allclose(image[3:], torch.tensor(4.0 / DISTANCE_UNIT_MM))


def test_neighbours_are_deformed_with_their_slice():
    canvas = boxes_canvas(planes=1)
    shifted = replace(canvas, tissue=np.where(canvas.tissue == Tissue.MARROW, np.uint8(Tissue.AIR), canvas.tissue))
    config = _with_neighbours(elastic_px=6.0)
    tiles = make_tiles(pack([_crop(_flanked(right=shifted), config, 5)], 2, 3), config)
    body = tiles.targets.structure[0, 1:4].sum(0) == 1
    own, right, left = tiles.image[0, :3]
    edge = (own - left).abs()[body].mean()
    assert (own - right)[body].abs().mean() > edge  # what the bodies were replaced by lies where the bodies are


def test_missing_neighbours_are_empty_and_have_no_distance():
    config = _with_neighbours()
    canvas = replace(_flanked(), neighbours=(None, boxes_canvas(planes=1)))
    image = make_tiles(pack([_crop(canvas, config)], 1, 3), config).image[0]
    assert not image[1].any() and not image[3].any()
    assert image[2].any() and image[4].any()


def test_neighbours_are_taken_away_as_often_as_asked_and_sides_exchanged():
    config = replace(_with_neighbours().placement, alone=0.3, one_sided=0.0)
    rng, canvas = np.random.default_rng(0), _flanked(right=boxes_canvas(bodies=3))
    crops = [draw_crop(canvas, rng, config) for _ in range(300)]
    alone = np.mean([crop.neighbours == (None, None) for crop in crops])
    assert 0.2 < alone < 0.4
    assert all((n is None) == (d == 0) for crop in crops for n, d in zip(crop.neighbours, crop.distances_mm))
    first = np.mean([len(crop.neighbours[0].corners) == 3 for crop in crops if crop.neighbours[0] is not None])
    assert 0.4 < first < 0.6


def test_a_kept_canvas_comes_back_with_its_neighbours(tmp_path):
    canvas = replace(_flanked(right=boxes_canvas(planes=3)), neighbours=(boxes_canvas(planes=3), None))
    again = CanvasFolder(tmp_path).read(CanvasFolder(tmp_path).write(canvas, "one"))
    assert again.distance_mm == 4.0 and again.neighbours[1] is None
    assert np.array_equal(again.neighbours[0].tissue, canvas.neighbours[0].tissue)
    assert np.array_equal(again.structures, canvas.structures)
