"""Drawing: lines as dense as they are wide, words on one base line, PNG files that others read."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from SpinalTapLib.report.canvas import Page, dashes, png_bytes, shortened, text_mask, text_width, wrap

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def ink(page: Page) -> float:
    """How many white pixels' worth of white is on a black page."""
    return float(page.rgb()[..., 0].sum() / 255)


@settings(max_examples=40, deadline=None)
@given(
    ends=st.tuples(*[st.floats(10, 70)] * 4).filter(lambda e: np.hypot(e[0] - e[2], e[1] - e[3]) > 5),
    width=st.floats(1, 6),
)
def test_a_line_covers_its_length_times_its_width_with_round_ends(ends, width):
    page = Page(80, 80, BLACK)
    points = np.reshape(ends, (2, 2))
    page.line(points, WHITE, width)
    length = np.linalg.norm(points[1] - points[0])  # widths are rounded to an eighth of a pixel
    assert ink(page) == pytest.approx(length * width + np.pi * width**2 / 4, rel=0.2, abs=1.5)


def test_a_closed_line_is_nowhere_denser_than_its_colour():
    page = Page(40, 40, (10, 20, 30))
    page.line(np.array([(5, 5), (5, 30), (30, 30), (5, 5)], float), (200, 100, 50), 3)
    assert page.rgb()[..., 0].max() == 200
    assert page.rgb()[..., 0].min() == 10


def test_lines_and_pictures_may_stick_out_of_the_page():
    page = Page(20, 20, BLACK)
    page.line(np.array([(-50, -50), (70, 70)], float), WHITE, 2)
    page.line(np.array([(100, 100), (200, 100)], float), WHITE, 2)
    page.paste(np.full((30, 5), 255.0), -5, 18)
    page.text("far away", 5, 300, 12, WHITE)
    page.text("half", 3, -4, 12, WHITE)
    assert page.rgb()[10, 19].min() == 255
    assert page.rgb()[10, 10].min() == 255


def test_dashes_leave_as_much_out_as_they_draw():
    line = np.array([(0, 0), (0, 100), (50, 100)], float)
    pieces = dashes(line, 5)
    assert len(pieces) == 15
    drawn = sum(np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() for piece in pieces)
    assert drawn == pytest.approx(75, rel=0.03)


@pytest.mark.parametrize("size", [11, 13, 15, 25])
def test_words_of_a_size_stand_on_one_line(size):
    def lowest(word: str) -> int:
        """Rows from the bottom of the mask to the lowest ink."""
        mask = text_mask(word, size)
        return mask.shape[0] - 1 - int(np.flatnonzero(mask.max(1) > 128)[-1])

    assert abs(lowest("L3") - lowest("T12")) <= 1
    assert lowest("gy") < lowest("L3")


def test_the_base_line_is_where_it_was_asked_for():
    page = Page(60, 60, BLACK)
    page.text("HL", 40, 5, 20, WHITE)
    rows = np.flatnonzero(page.rgb()[..., 0].max(1) > 128)
    assert abs(rows[-1] - 40) <= 1


@pytest.mark.parametrize(("align", "expected"), [("left", 50), ("middle", 50), ("right", 50)])
def test_words_are_aligned_at_their_column(align, expected):
    page = Page(40, 120, BLACK)
    width = page.text("HHHH", 30, expected, 16, WHITE, align=align)
    columns = np.flatnonzero(page.rgb()[..., 0].max(0) > 128)
    shift = {"left": 0, "middle": width / 2, "right": width}[align]
    assert columns[0] == pytest.approx(expected - shift, abs=2.5)


def test_characters_that_the_font_lacks_become_question_marks():
    assert np.array_equal(text_mask("a脊b", 16), text_mask("a?b", 16))
    assert text_mask("°–µé", 16).any()


def test_long_words_are_shortened_and_sentences_wrapped_to_fit():
    sentence = "anterior height loss 27 % (moderate range); 4.1 mm forward offset on L5"
    assert shortened("short", 300, 13) == "short"
    assert text_width(shortened(sentence, 120, 13), 13) <= 120
    lines = wrap(sentence, 180, 13, 5)
    assert " ".join(lines) == sentence
    assert all(text_width(line, 13) <= 180 for line in lines)
    cut = wrap(sentence, 120, 13, 2)
    assert len(cut) == 2 and cut[-1].endswith("…")
    assert wrap("", 100, 13, 2) == []


def test_a_png_is_read_back_as_it_was(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png_bytes(picture))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png"))), picture)
