"""Corners of both kinds at every corner: the mask leaves the right one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from drawn_parts import column_of_boxes, draw

from SpinalTapLib.grouping import group
from SpinalTapLib.kinds import tell_kinds_apart


def _confused(maps):
    """The same maps, with every upper corner claimed as a lower one too, and the other way round."""
    heatmaps = maps.heatmaps.copy()
    for a, b in ((0, 3), (1, 2)):
        heatmaps[a] = heatmaps[b] = np.maximum(maps.heatmaps[a], maps.heatmaps[b])
    return replace(maps, heatmaps=heatmaps)


def test_a_confused_network_still_gives_the_true_bodies():
    spine = column_of_boxes()
    found = sorted(group(_confused(draw(spine))), key=lambda v: v.centroid[0])
    assert len(found) == len(spine)
    for vertebra, body in zip(found, spine, strict=True):
        assert np.abs(vertebra.corners - body).max() < 0.75


def test_only_the_right_kind_is_left_at_each_corner():
    spine = column_of_boxes()
    left = tell_kinds_apart(_confused(draw(spine))).heatmaps
    for body in spine:
        for kind, (row, column) in enumerate(np.rint(body).astype(int)):
            other = 3 - kind  # the other kind on the same side
            assert left[kind, row, column] > 0.5 and left[other, row, column] < 0.1


def test_centroids_are_left_alone():
    maps = draw(column_of_boxes())
    assert np.array_equal(tell_kinds_apart(maps).heatmaps[4], maps.heatmaps[4])
