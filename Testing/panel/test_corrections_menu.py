"""Buttons and menus for corrections: which vertebra they act on, and when they are enabled.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

from panel_support import click_row, qt

pytest_plugins = ("panel_desk",)


def test_this_is_needs_one_vertebra_and_offers_every_level(desk):
    desk.done()
    assert not desk.ui.pinButton.enabled
    assert desk.ui.pinButton.toolTip.startswith("Choose one vertebra in the table first.")
    click_row(desk.ui.resultsTable, 0)
    assert desk.ui.pinButton.enabled
    actions = [action for region in desk.ui.pinButton.menu().actions() for action in region.menu().actions()]
    assert {"S1", "L6", "L5", "T13", "T12", "C2"} <= {action.text for action in actions}
    next(action for action in actions if action.text == "T11").trigger()
    assert ("pin_level", 6, "T11") in desk.calls()



def test_what_is_no_vertebra_is_dropped_and_one_that_was_missed_added(desk):
    desk.done()
    box, add, drop = desk.ui.editButton.menu().actions()
    assert not drop.enabled and drop.toolTip == "Choose one vertebra in the table first."
    click_row(desk.ui.resultsTable, 2)
    assert drop.enabled and drop.text == "Drop L2: it is not a vertebra"
    drop.trigger()
    assert desk.calls()[-1] == ("drop_vertebra", 4)
    assert box.text == "Show a box for a missed vertebra"
    box.trigger()
    add.trigger()
    assert desk.calls()[-2:] == [("show_new_box",), ("add_vertebra",)]
    assert box.text == "Remove the box for a missed vertebra"
    box.trigger()
    assert desk.calls()[-1] == ("hide_new_box",)
    desk.session.refusals = {"can_add_vertebra": "Show the box first."}
    desk.panel.refresh()
    assert not add.enabled and add.toolTip == "Show the box first." and desk.ui.editButton.enabled


def test_a_right_click_on_the_table_offers_the_same(desk):
    desk.done()
    click_row(desk.ui.resultsTable, 2)
    this_is, *others, drop = desk.ui.resultsTable.actions()
    assert desk.ui.resultsTable.contextMenuPolicy == qt.Qt.ActionsContextMenu
    assert this_is.text == desk.ui.pinButton.text and this_is.enabled
    drop.trigger()
    assert desk.calls()[-1] == ("drop_vertebra", 4)
    assert [a.text for a in (*others, drop)] == [action.text for action in desk.ui.editButton.menu().actions()]
