"""Notes: texts stay those of stored results, and mean what they meant."""

import json
from dataclasses import replace

import numpy as np
import pytest

from SpinalTapLib.spine.measurements import measure
from SpinalTapLib.spine.notes import LEVELS_UNKNOWN, LEVELS_UNKNOWN_IN_PANEL, Note, notes_in
from SpinalTapLib.spine.summary import warnings_of
from SpinalTapLib.spine.vertebra import Spine, Vertebra

STORED = {
    "seen in one slice only": Note.ONE_SLICE,
    "cut by the edge of the image": Note.CUT,
    "corner estimated": Note.CORNER_ESTIMATED,
    "a vertebra may be missing below": Note.MISSING_BELOW,
    "outline drawn from its corners": Note.FROM_CORNERS,
    "sides outside the slices": Note.SIDES_CUT,
    "outline uncertain: compare it with the image": Note.OUTLINE_UNSURE,
    "not outlined": Note.NOT_OUTLINED,
    "no posterior elements seen": Note.NO_ARCH,
    "no lamina or spinous process seen in the midline": Note.NO_SPINOUS,
    "posterior elements not joined to the body in this scan": Note.ARCH_APART,
    "posterior elements merge with a neighbour's; the border between them is estimated": Note.ARCH_MERGED,
    "posterior elements cut by the edge of the image": Note.ARCH_CUT,
    "counted from one end only": Note.ONE_END,
    "seen by one of the two methods only": Note.PASSED_OVER,
    "position estimated, not outlined": Note.LADDER_ONLY,
    "position taken from the box, not outlined": Note.FROM_BOX,
    "the image suggests another level": Note.AGAINST_PICTURE,
    "transitional? between lumbar and sacral": Note.TRANSITIONAL,
    "one vertebra more than usual: T13, or five lumbar levels and an L6": Note.ONE_MORE,
    "one vertebra fewer than usual above or below": Note.ONE_FEWER,
    "dens apart from the body in this scan, not outlined": Note.DENS_APART,
    "no signal here (metal?): only its neighbours show where it is": Note.NO_SIGNAL,
    "added by hand": Note.ADDED,
    "anterior height loss 27 % (moderate range)": Note.HEIGHT_LOSS,
    "3.2 mm forward offset on S1": Note.OFFSET,
    "12.0 mm backward offset on the vertebra below": Note.OFFSET,
}
"""Texts that results of version 0.1.0 hold."""


@pytest.mark.parametrize(("text", "note"), STORED.items())
def test_a_stored_text_is_its_note(text, note):
    assert Note.of(text) is note


@pytest.mark.parametrize("note", [note for note in Note if "{" not in note.value])
def test_a_text_of_today_is_its_note(note):
    assert Note.of(note.value) is note


def test_every_note_is_in_stored_results():
    assert set(STORED.values()) == set(Note)


def test_a_part_of_a_note_or_any_other_text_is_none():
    assert notes_in(["cut by", "not outlined at all", "", "corner estimated"]) == (Note.CORNER_ESTIMATED,)


def test_a_note_with_values_is_written_as_ever():
    assert Note.HEIGHT_LOSS.text(place="middle", percent=40.4, severity="severe") == (
        "middle height loss 40 % (severe range)"
    )
    assert Note.OFFSET.text(distance_mm=3.04, direction="forward", below="L5") == "3.0 mm forward offset on L5"


def test_a_note_is_its_text_in_files_and_sentences():
    assert json.dumps([Note.CUT]) == '["cut by the edge of the image"]'
    assert "; ".join([Note.CUT]) == f"{Note.CUT}" == "cut by the edge of the image"


def body(height, flags=()):
    """Return L4 of a column, 34 mm deep, its front `height` and its back 28 mm high."""
    corners = np.array([[0, 0, height], [0, 34, 28], [0, 34, 0], [0, 0, 0]], float)
    return Vertebra("L4", 23, 1.0, corners.mean(0), corners, flags=flags)


@pytest.mark.parametrize("note", Note)
def test_only_bodies_whose_corners_were_all_seen_lose_height(note):
    (measured,) = measure([body(18.0, (note.value,))])
    assert (Note.HEIGHT_LOSS in notes_in(measured.flags)) == (not note.means_unsure_corners)


def test_measured_notes_of_before_are_replaced_and_all_others_stay():
    before = body(18.0, ("one of the user's own", "not outlined", "anterior height loss 20 % (mild range)"))
    (once,) = measure([before])
    assert once.flags == ("one of the user's own", "not outlined", "anterior height loss 36 % (moderate range)")
    (twice,) = measure([replace(once, corners_lps_mm=body(28.0).corners_lps_mm)])
    assert twice.flags == ("one of the user's own", "not outlined")


def test_the_panel_words_the_missing_anchor_for_those_with_a_table():
    spine = Spine((body(28.0),), warnings=(LEVELS_UNKNOWN, "Another sentence."))
    assert warnings_of(spine) == (LEVELS_UNKNOWN_IN_PANEL, "Another sentence.")
