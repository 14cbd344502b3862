"""Drawn slices: classes, instances and corners agree with the spine they were drawn from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from SpinalTapLib.spine.structures import Structure
from SpinalTapLib.training.synthetic.drawing import EXPERT_RIM, draw_slice
from SpinalTapLib.training.synthetic.random_spine import random_spine
from SpinalTapLib.training.synthetic.tissues import Tissue


@pytest.fixture(scope="module")
def spine():
    return random_spine(np.random.default_rng(1), healthy=True)


def _draw(spine, x, low=110, **options):
    l3 = spine.vertebrae[3].centre
    return draw_slice(
        spine, x, z_range_mm=(l3[2] - low, l3[2] + 90), y_range_mm=(l3[1] - 80, l3[1] + 90), pixel_mm=1.0, **options
    )


def _body(canvas, index):
    """Where a canvas shows the body of a vertebra, without its arch."""
    kinds = (Structure.BODY, Structure.S1, Structure.C2)
    return (canvas.instance == index + 1) & np.isin(canvas.structure, kinds)


def test_each_body_is_where_its_corners_say(spine):
    canvas = _draw(spine, float(spine.vertebrae[3].centre[0]), low=150)
    for index in (1, 2, 3, 4):
        rows, columns = np.nonzero(_body(canvas, index))
        corners = canvas.corners_px[index]
        assert np.allclose([rows.mean(), columns.mean()], corners[4], atol=1.5)
        assert rows.min() >= corners[:4, 0].min() - 2 and rows.max() <= corners[:4, 0].max() + 2


def test_outlines_run_through_the_middle_of_the_dark_cortical_line(spine):
    x, size = float(spine.vertebrae[3].centre[0]), 0.25
    low = spine.vertebrae[2].centre[2] - 30
    canvas = draw_slice(spine, x, y_range_mm=(-60.0, 60.0), z_range_mm=(low, low + 90.0), pixel_mm=size)
    bone = canvas.structure == Structure.BODY
    line = (canvas.tissue[0] == Tissue.CORTEX) & (canvas.instance > 0)
    line[:, int(canvas.corners_px[3, 4, 1] + 10 / size) :] = False  # the arches behind, and where they join
    kept = (line & bone).sum() / line.sum()
    assert kept == pytest.approx(1 - EXPERT_RIM, abs=0.12)
    assert (canvas.instance[bone] > 0).all()


def test_fat_before_the_sac_takes_its_room(spine):
    people = (dataclasses.replace(spine, habit={**spine.habit, "front_fat": share}) for share in (0.0, 0.4))
    lean, stout = (_draw(person, float(spine.vertebrae[0].centre[0]), low=150).tissue[0] for person in people)
    assert 0 < (stout == Tissue.CSF).sum() < (lean == Tissue.CSF).sum()
    assert (stout[lean == Tissue.CSF] == Tissue.EPIDURAL_FAT).sum() > 50


def test_c2_and_its_dens_are_one_piece(spine):
    c2 = spine.vertebrae[-1].centre
    reach = {"z_range_mm": (c2[2] - 40, c2[2] + 40), "y_range_mm": (c2[1] - 40, c2[1] + 40)}
    canvas = draw_slice(spine, float(c2[0]), pixel_mm=0.6, **reach)
    pieces, _ = ndimage.label(canvas.structure == Structure.C2)
    assert np.bincount(pieces.ravel())[1:].max() > 0.98 * (pieces > 0).sum()


def test_classes_tell_s1_the_sacrum_discs_and_the_canal_apart(spine):
    canvas = _draw(spine, float(spine.vertebrae[0].centre[0]), low=150)
    seen = set(np.unique(canvas.structure))
    assert {Structure.BODY, Structure.S1, Structure.DISC, Structure.CANAL, Structure.SACRUM} <= seen
    assert (canvas.instance[canvas.structure == Structure.S1] == 1).all()
    assert (canvas.structure[canvas.instance > 1] != Structure.S1).all()


def test_a_well_formed_disc_below_s1_looks_like_one_and_belongs_to_the_sacrum():
    spines = map(random_spine, map(np.random.default_rng, range(300)))
    spine = next(s for s in spines if s.discs[0].reach == 1 and s.discs[0].height > 6)
    s1, s2 = spine.vertebrae[0], spine.sacrum[0]
    place = (s1.centre - s1.axes[:, 2] * s1.height / 2 + s2.centre + s2.axes[:, 2] * s2.height / 2) / 2
    reach = {"z_range_mm": (place[2] - 2, place[2] + 2), "y_range_mm": (place[1] - 2, place[1] + 2)}
    canvas = draw_slice(spine, float(place[0]), pixel_mm=0.5, **reach)
    assert np.isin(canvas.tissue, (Tissue.NUCLEUS, Tissue.NUCLEUS_DRY, Tissue.NUCLEUS_GAS, Tissue.ANNULUS_INNER)).all()
    assert (canvas.structure == Structure.SACRUM).all()


def test_a_plane_past_the_sides_shows_no_body_at_all(spine):
    edge = max(abs(b.centre[0]) + b.half_width for b in spine.vertebrae)
    canvas = _draw(spine, edge + 14.0)
    assert not np.isin(canvas.structure, (Structure.BODY, Structure.S1, Structure.C2)).any()
    assert np.isnan(canvas.corners_px).all()


def test_a_thick_slice_has_three_planes_and_the_truth_of_its_middle(spine):
    x = float(spine.vertebrae[3].centre[0])
    thick = _draw(spine, x, planes=3, thickness_mm=5.0)
    thin = _draw(spine, x)
    assert thick.tissue.shape[0] == 3
    assert np.array_equal(thick.tissue[1], thin.tissue[0])
    assert np.array_equal(thick.structure, thin.structure)
    assert thick.structures.shape == thick.tissue.shape and not np.array_equal(*thick.structures[[0, 2]])


def test_the_canal_lies_behind_the_bodies_and_holds_fluid(spine):
    canvas = _draw(spine, float(spine.vertebrae[3].centre[0]))
    row = int(canvas.corners_px[3, 4, 0])
    canal = np.nonzero(canvas.structure[row] == Structure.CANAL)[0]
    body = np.nonzero(_body(canvas, 3)[row])[0]
    assert canal.min() > body.max() - 2
    assert Tissue.CSF in canvas.tissue[0][row, canal]
