"""The report: names that never overlap, words for what is known, the same picture every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from spines_by_hand import column, painted, spine_of, vertebra

from SpinalTapLib.report.canvas import Page
from SpinalTapLib.report.report import draw_report, report_png, side_view
from SpinalTapLib.report.sidebar import draw_table
from SpinalTapLib.report.style import MARGIN_PX, confidence_colour
from SpinalTapLib.report.views import spread
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.confidence import word
from SpinalTapLib.spine.measurements import measure_spine
from SpinalTapLib.spine.segments import segment_of
from SpinalTapLib.spine.summary import source_sentence
from SpinalTapLib.spine.vertebra import SeedBox

NAMES = ("S1", "L5", "L4", "L3")


@pytest.fixture(scope="module")
def measured():
    vertebrae = column(NAMES)
    volume, labels = painted(vertebrae, (4.0, 1.5, 1.5))
    return measure_spine(spine_of(vertebrae, labels), volume.matrix), volume


@pytest.fixture(scope="module")
def picture(measured):
    return draw_report(*measured)


def ink(picture, spine):
    """How many pixels of the views have the colours of the levels."""
    views = picture[:, : picture.shape[1] - 790].astype(int)
    return {v.level: (np.abs(views - levels.level(v.level).colour).sum(-1) < 40).sum() for v in spine.vertebrae}


@settings(max_examples=60, deadline=None)
@given(wanted=st.lists(st.floats(0, 500), min_size=1, max_size=24), pitch=st.floats(5, 25))
def test_names_keep_their_distance_their_order_and_their_middle(wanted, pitch):
    rows = spread(np.array(wanted), pitch)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(rows[order]) >= pitch - 1e-6).all()
    assert rows.mean() == pytest.approx(np.mean(wanted), abs=1e-6)
    if len(wanted) == 1 or np.diff(np.sort(wanted)).min() >= pitch:
        assert rows == pytest.approx(np.array(wanted))


def test_two_names_that_would_overlap_move_apart_by_the_same_amount():
    assert spread(np.array([100.0, 104.0, 200.0]), 16) == pytest.approx([94, 110, 200])


@pytest.mark.parametrize("confidence", [1.0, 0.9, 0.89, 0.6, 0.3, 0.0])
def test_each_word_for_confidence_has_its_colour(confidence):
    typical = {"sure": 0.95, "likely": 0.7, "check": 0.1}[word(confidence)]
    assert confidence_colour(word(confidence)) == confidence_colour(word(typical))


def test_the_header_says_what_the_levels_are_counted_from(measured):
    spine, _ = measured
    box = SeedBox(np.zeros(3), np.ones(3), level="L4")
    assert "S1" in source_sentence(spine)
    assert "C2" in source_sentence(replace(spine, anchor="C2"))
    assert source_sentence(replace(spine, anchor="pinned", seed=box)).endswith("the box drawn around L4")
    assert "not known" in source_sentence(replace(spine, anchor="none"))
    assert source_sentence(replace(spine, vertebrae=())) == "No vertebra was found"


def test_a_vertebra_without_a_level_goes_by_its_number():
    assert vertebra(None, column(("L5",))[0].corners_lps_mm, label_value=104).short_name == "4"


def test_the_same_spine_gives_the_same_picture_and_the_file_holds_it(measured, picture, tmp_path):
    (tmp_path / "report.png").write_bytes(report_png(*measured))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "report.png"))), picture)


def test_the_outline_of_each_level_is_drawn_in_its_colour(measured, picture):
    assert all(count > 150 for count in ink(picture, measured[0]).values())


def test_a_body_of_low_confidence_has_a_broken_outline(measured, picture):
    spine, volume = measured
    doubtful = replace(spine, vertebrae=tuple(replace(v, confidence=0.3) for v in spine.vertebrae))
    broken, whole = ink(draw_report(doubtful, volume), spine), ink(picture, spine)
    assert all(broken[level] < 0.8 * whole[level] for level in whole)


def test_the_3d_picture_is_shown_whole_in_its_own_proportions(measured):
    spine, volume = measured
    rendering = np.zeros((200, 400, 3), np.uint8)
    rendering[:] = (0, 255, 255)
    drawn = draw_report(spine, volume, rendering).astype(int)
    found = np.argwhere(np.abs(drawn - (0, 255, 255)).sum(-1) < 6)
    height, width = np.ptp(found, axis=0) + 1
    assert width / height == pytest.approx(2, rel=0.02)
    assert width > 500


def test_structures_beside_the_bodies_are_outlined_when_they_are_in_the_label_map(measured, picture):
    spine, volume = measured
    labels = spine.label_map.copy()
    rows, columns = (np.argwhere(labels).mean(0)[1:] + (0, -30)).astype(int)
    labels[:, rows : rows + 20, columns : columns + 12] = levels.CANAL_VALUE
    drawn = draw_report(replace(spine, label_map=labels), volume).astype(int)
    changed = drawn[np.abs(drawn - picture).sum(-1) > 200]
    assert len(changed) > 60
    colour = np.array(segment_of(levels.CANAL_VALUE).colour)
    assert np.allclose(np.median(changed, axis=0) / colour, 1, atol=0.3)


def test_without_label_map_vertebrae_levels_or_with_one_vertebra_there_is_still_a_report(measured):
    spine, volume = measured
    unnamed = tuple(replace(v, level=None, label_value=101 + i) for i, v in enumerate(spine.vertebrae))
    for other in (
        replace(spine, label_map=None),
        replace(spine, vertebrae=(), label_map=np.zeros_like(spine.label_map)),
        replace(spine, vertebrae=spine.vertebrae[:1]),
        replace(spine, vertebrae=unnamed, anchor="none", warnings=("A long warning. " * 40,)),
    ):
        drawn = draw_report(other, volume)
        assert drawn.dtype == np.uint8 and drawn.shape[2] == 3


def test_long_notes_make_a_row_taller_instead_of_running_out_of_the_page(measured):
    spine, _ = measured
    long = replace(spine, vertebrae=tuple(replace(v, flags=("a long note about it; " * 8,)) for v in spine.vertebrae))
    page = Page(900, 800, (0, 0, 0))
    assert draw_table(page, 0, 10, long) > draw_table(Page(900, 800, (0, 0, 0)), 0, 10, spine)
    assert page.rgb()[:, 785:].max() == 0


def test_the_side_view_can_be_cut_out_of_a_report(measured, picture):
    _, volume = measured
    view = side_view(picture)
    rows, columns = view.shape[:2]
    tops = (t for t in range(200) if np.array_equal(picture[t : t + rows, MARGIN_PX : MARGIN_PX + columns], view))
    assert next(tops, None)
    assert abs(rows / columns - volume.array.shape[1] / volume.array.shape[2]) < 0.02
    assert side_view(picture[:50, :50]).shape == (50, 50, 3)
