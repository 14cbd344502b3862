"""The buttons and menus under the table for correcting the result; a right click on the table offers some of them."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from .questions import level_menu


class Corrections:
    """Buttons and menus for correcting the result.

    Parameters
    ----------
    ui : object
        The panel's widgets.
    session : SpinalTapLib.session.Session
        The session to correct.
    table : SpinalTapPanel.table.ResultsTable
        Its selected row is the vertebra to correct.
    give : callable
        Called with the name of a session command and its arguments.
    allow : callable
        Called with a button's name, the session's `Can` and, optionally, a reason to disable it.
    """

    def __init__(self, ui, session, table, give, allow):
        self._ui, self._session, self._table, self._allow = ui, session, table, allow
        self._levels = level_menu(ui.pinButton, self._with_one(lambda row, level: give("pin_level", row.index, level)))
        self._levels.title = ui.pinButton.text
        ui.pinButton.setMenu(self._levels)
        self._menu = qt.QMenu(ui.editButton)
        self._menu.toolTipsVisible = True
        self._box = self._menu.addAction("")
        self._add = self._menu.addAction(_("Add the vertebra in that box"))
        self._drop = self._menu.addAction("")
        ui.editButton.setMenu(self._menu)
        ui.resultsTable.contextMenuPolicy = qt.Qt.ActionsContextMenu
        for action in (self._levels.menuAction(), self._box, self._add, self._drop):
            ui.resultsTable.addAction(action)
        ui.shiftUpButton.connect("clicked()", lambda: give("shift_labels", 1))
        ui.shiftDownButton.connect("clicked()", lambda: give("shift_labels", -1))
        self._box.connect("triggered()", lambda: give("hide_new_box" if session.can_hide_new_box else "show_new_box"))
        self._add.connect("triggered()", lambda: give("add_vertebra"))
        self._drop.connect("triggered()", self._with_one(lambda row: give("drop_vertebra", row.index)))

    def refresh(self):
        """Enable the available corrections, and name the vertebra that they apply to."""
        session, chosen = self._session, self._table.chosen
        nobody = "" if len(chosen) == 1 else _("Choose one vertebra in the table first.")
        pin, drop, hide = session.can_pin_level, session.can_drop_vertebra, session.can_hide_new_box
        box = hide if hide else session.can_show_new_box
        add = session.can_add_vertebra
        self._allow("shiftUpButton", session.can_shift_up)
        self._allow("shiftDownButton", session.can_shift_down)
        self._allow("pinButton", pin, nobody if pin else "")
        self._allow("editButton", drop if drop or not box else box)
        self._levels.menuAction().enabled = self._ui.pinButton.enabled
        name = chosen[0].level if len(chosen) == 1 else _("the chosen vertebra")
        self._box.text = _("Remove the box for a missed vertebra") if hide else _("Show a box for a missed vertebra")
        self._drop.text = _("Drop {level}: it is not a vertebra").format(level=name)
        for action, can, reason in (
            (self._box, box, ""), (self._add, add, ""), (self._drop, drop, nobody if drop else "")
        ):  # fmt: skip
            action.enabled = bool(can) and not reason
            action.toolTip = reason or can.reason

    def _with_one(self, command):
        """Return a slot that calls `command` with the selected row, if exactly one is selected."""

        def slot(*arguments):
            chosen = self._table.chosen
            if len(chosen) == 1:
                command(chosen[0], *arguments)

        return slot
