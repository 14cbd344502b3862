"""Compare with an earlier result: the menu that chooses it, and the table of what has changed."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from .questions import ask_for_folder, scan_menu
from .table import dot

FOLDER = "result folder"  # data of the menu's last entry; all others hold a node ID
BEYOND_COLOUR = (224, 161, 0)


class Changes:
    """The button *Compare with ...* and the group of widgets with the changes.

    Parameters
    ----------
    ui : object
        The panel's widgets.
    session : SpinalTapLib.session.Session
        The session that compares.
    give : callable
        Called with the name of a session command and its arguments.
    allow : callable
        Called with a button's name and the session's `Can`.
    jump : callable
        Called with a change when the user clicks it or moves to it with the keys; it has a `level`.
    """

    def __init__(self, ui, session, give, allow, jump):
        self._ui, self._session, self._give, self._allow, self._jump = ui, session, give, allow, jump
        self._filled, self._shown = None, ()
        self._menu = scan_menu(
            ui.compareButton,
            lambda scan: session.is_earlier_result(scan),
            _("No other scan in the scene has a result"),
            self._compare,
            (_("A result folder ..."), FOLDER),
        )
        ui.compareButton.setMenu(self._menu)
        self._set_up_table()
        ui.onlyBeyondCheckBox.connect("toggled(bool)", lambda: self._fill())
        ui.exportChangesButton.connect("clicked()", self._export)

    def refresh(self):
        """Show the session's comparison, or hide the group if there is none."""
        found = self._session.comparison
        self._allow("compareButton", self._session.can_compare)
        self._allow("exportChangesButton", self._session.can_export_changes)
        self._ui.changesGroup.visible = found is not None
        if found is self._filled:
            return
        self._filled = found
        if found is not None:
            self._ui.changesGroup.title = _("Changes since {earlier}").format(earlier=found.between[0])
            self._ui.changesLabel.text = "\n\n".join((found.summary, *found.sentences))
        self._fill()

    def _set_up_table(self):
        table = self._ui.changesTable
        headers = (_("Level"), _("Measurement"), _("Earlier"), _("Later"), _("Change"), _("Error"))
        table.setColumnCount(len(headers))
        table.setHorizontalHeaderLabels(list(headers))
        table.verticalHeader().setVisible(False)
        for column in range(len(headers)):
            mode = qt.QHeaderView.Stretch if column == 1 else qt.QHeaderView.ResizeToContents
            table.horizontalHeader().setSectionResizeMode(column, mode)
        table.horizontalHeader().setHighlightSections(False)
        table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.connect("currentCellChanged(int,int,int,int)", self._chosen)
        table.connect("cellClicked(int,int)", self._chosen)

    def _fill(self):
        table, found = self._ui.changesTable, self._filled
        only_beyond = self._ui.onlyBeyondCheckBox.checked
        changes = found.from_the_top if found is not None else ()
        self._shown = tuple(change for change in changes if change.is_beyond_error or not only_beyond)
        table.blockSignals(True)
        table.clearSelection()
        table.setRowCount(len(self._shown))
        for row, change in enumerate(self._shown):
            self._fill_line(row, change)
        table.blockSignals(False)

    def _fill_line(self, row, change):
        numbers = f"{change.earlier:.1f}", f"{change.later:.1f}", f"{change.change:+.1f} {change.unit}"
        about = _("{measurement}, {verdict}: of two scans of the same spine, 95 % differ by less than {limit} {unit}")
        tip = about.format(
            measurement=change.title, verdict=change.verdict, limit=change.limit, unit=change.unit
        )
        word = (_("beyond") if change.is_beyond_error else _("within")) if change.is_sure else _("not sure")
        for column, text in enumerate((change.level, change.title, *numbers, word)):
            item = qt.QTableWidgetItem(text)
            side = qt.Qt.AlignRight if column in (2, 3, 4) else qt.Qt.AlignLeft
            item.setTextAlignment(side | qt.Qt.AlignVCenter)
            item.setToolTip(tip)
            if column == 5 and change.is_beyond_error:
                item.setIcon(dot(BEYOND_COLOUR))
            self._ui.changesTable.setItem(row, column, item)

    def _chosen(self, row):
        if 0 <= row < len(self._shown):
            self._jump(self._shown[row])

    def _compare(self, chosen):
        earlier = chosen
        if chosen == FOLDER:
            folder = ask_for_folder(_("Folder of the earlier result"), self._ui.exportFolderEdit.currentPath)
            if not folder:
                return
            earlier = Path(folder)
        with slicer.util.WaitCursor():
            self._give("compare_with", earlier)

    def _export(self):
        folder = ask_for_folder(_("Folder for changes.csv and changes.png"), self._ui.exportFolderEdit.currentPath)
        if folder:
            self._give("export_changes", folder)
