"""Show a session in the panel's widgets, and turn clicks into session commands; the session makes all decisions."""

from __future__ import annotations

import logging

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from SpinalTapLib.options import SURFACE_FORMATS

from .changes import Changes
from .corrections import Corrections
from .questions import ask_about_edits, ask_about_motion, scan_menu
from .table import ResultsTable

POLL_MS = 80  # see `Session.poll`
ICON_PX = 20
PICTURE_SCALE = 2.0  # the picture has twice the pixels, for high-resolution screens

# Button, session property that enables it, session command.
COMMANDS = (
    ("segmentButton", "can_segment", "segment"),
    ("cancelButton", "can_cancel", "cancel"),
    ("resetBoxButton", "can_put_box_on_s1", "put_box_on_s1"),
    ("undoButton", "can_undo", "undo"),
    ("otherCountButton", "can_take_alternative", "take_alternative"),
)


class Panel:
    """The widgets that show a session (see `SpinalTapLib.session.ports.Face`).

    Parameters
    ----------
    ui : object
        The widgets of ``SpinalTap.ui``.
    session : SpinalTapLib.session.Session
        The session to show.
    setup : SpinalTapPanel.setup.SetupSection
        The section that lists missing packages.
    """

    def __init__(self, ui, session, setup):
        self._ui, self._session, self._setup = ui, session, setup
        self._said = ""
        self._table = ResultsTable(ui.resultsTable, self._jump, lambda: self._corrections.refresh())
        self._corrections = Corrections(ui, session, self._table, self._give, self._allow)
        ui.exportFormatSelector.addItems([name.upper() for name in SURFACE_FORMATS])
        ui.exportFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        if not ui.exportFolderEdit.currentPath:
            ui.exportFolderEdit.currentPath = qt.QStandardPaths.writableLocation(qt.QStandardPaths.DocumentsLocation)
        self._changes = Changes(ui, session, self._give, self._allow, self._jump)
        self._scans = scan_menu(
            ui.takeLevelsButton,
            lambda scan: scan != session.volume,
            _("There is no other scan in the scene"),
            self._take_levels,
        )
        ui.takeLevelsButton.setMenu(self._scans)
        self._show_picture()
        self._connect()
        self._timer = qt.QTimer()
        self._timer.interval = POLL_MS
        self._timer.connect("timeout()", self._poll)
        self._timer.start()
        session.subscribe(self)
        self.refresh()

    def close(self):
        """Stop polling and listening; the owner of the session closes it."""
        self._timer.stop()
        self._session.unsubscribe(self)

    def say(self, sentence):
        """Show a sentence in the status line until the next change."""
        self._said = sentence
        self._show_progress()

    # --- changes of the session ----------------------------------------------------------------------------

    def session_changed(self, change):
        """Update the widgets that a change affects."""
        from SpinalTapLib.session.state import Change

        if change == Change.PROGRESS:
            self._show_progress()
        elif change == Change.PREVIEW:
            self._show_hint()
        else:
            if change in (Change.RESULT, Change.VOLUME):
                self._said = ""
            self.refresh()

    def ask_about_edits(self, names):
        """Ask what to do with hand-edited segments that are about to be replaced."""
        return ask_about_edits(names)

    def ask_about_motion(self, sentence):
        """Say that the patient has moved between two scans, and ask whether the levels shall follow."""
        return ask_about_motion(sentence)

    # --- showing ------------------------------------------------------------------------------------------------

    def refresh(self):
        """Update all widgets."""
        self._table.fill(self._session.rows)
        for name, can, _command in COMMANDS:
            self._allow(name, getattr(self._session, can))
        self._allow("exportButton", self._session.can_export)
        self._allow("takeLevelsButton", self._session.can_take_levels)
        self._show_segment_button()
        self._show_other_count()
        self._show_toggles()
        self._corrections.refresh()
        self._changes.refresh()
        self._show_warnings()
        self._show_hint()
        self._show_progress()
        self._show_log()
        has_result = bool(self._session.rows)
        self._ui.resultsGroup.visible = has_result
        self._ui.exportGroup.visible = has_result
        self._ui.sampleButton.visible = self._session.volume is None

    def _is_running(self):
        from SpinalTapLib.session.state import State

        return self._session.state == State.RUNNING

    def _allow(self, name, can, reason=""):
        button = getattr(self._ui, name)
        button.enabled = bool(can) and not reason
        shortcut = button.shortcut.toString(qt.QKeySequence.NativeText)
        button.toolTip = "\n".join(filter(None, (reason or can.reason, shortcut)))

    def _show_segment_button(self):
        running = self._is_running()
        self._allow("segmentButton", self._session.can_segment, self._setup.problem)
        self._ui.segmentButton.visible = not running
        self._ui.cancelButton.visible = running
        self._ui.progressBar.visible = running

    def _show_other_count(self):
        button, keys = self._ui.otherCountButton, self._ui.otherCountButton.shortcut
        button.text = self._session.other_count
        button.shortcut = keys  # a new text takes the shortcut away
        button.visible = bool(self._session.other_count)

    def _show_toggles(self):
        for name, can, shown in (
            ("showBoxCheckBox", self._session.can_place_box, self._session.box_is_shown),
            ("show3DCheckBox", self._session.can_show_3d, self._session.is_shown_3d),
        ):
            button = getattr(self._ui, name)
            self._allow(name, can)
            button.blockSignals(True)
            button.checked = shown
            button.blockSignals(False)
        self._show_corner_switches()

    def _show_corner_switches(self):
        for name, chosen in (
            ("cornerLevelsCheckBox", self._session.corner_levels),
            ("cornerEverywhereCheckBox", self._session.corner_everywhere),
        ):
            button = getattr(self._ui, name)
            button.blockSignals(True)
            button.checked = chosen
            button.blockSignals(False)
        self._ui.cornerEverywhereCheckBox.enabled = self._session.corner_levels

    def _show_progress(self):
        progress = self._session.progress
        self._ui.progressBar.value = round(100 * progress.fraction)
        if self._is_running():
            text = progress.sentence
        else:
            can = self._session.can_segment
            text = self._setup.problem or self._said or ("" if can else can.reason) or progress.sentence
        self._ui.statusLabel.text = text
        self._ui.statusLabel.visible = bool(text)

    def _show_warnings(self):
        failure = self._session.failure
        lines = [failure.sentence] if failure else []
        if failure and failure.details:
            lines[0] += " " + _("The log at the bottom has the details.")
        lines += self._session.warnings
        style = qt.QStyle.SP_MessageBoxCritical if failure else qt.QStyle.SP_MessageBoxWarning
        self._ui.warningIcon.setPixmap(slicer.app.style().standardIcon(style).pixmap(ICON_PX, ICON_PX))
        self._ui.warningLabel.text = "\n\n".join(lines)
        self._ui.warningFrame.visible = bool(lines)

    def _show_hint(self):
        usual = _("Drag the box onto S1, the top of the sacrum: every level is counted again from there.")
        self._ui.boxHint.text = self._session.preview or usual

    def _show_log(self, *_ignored):
        if not self._ui.logSection.collapsed:
            self._ui.logText.plainText = self._session.log

    def _show_picture(self):
        from SpinalTapLib.resources import resource_path

        pixmap = qt.QPixmap(str(resource_path("Icons", "S1Box.png")))
        pixmap.setDevicePixelRatio(PICTURE_SCALE)
        self._ui.boxPicture.setPixmap(pixmap)

    # --- clicks -------------------------------------------------------------------------------------------------

    def _connect(self):
        for name, _can, command in COMMANDS:
            getattr(self._ui, name).connect("clicked()", self._presser(command))
        self._ui.showBoxCheckBox.connect("toggled(bool)", self._toggle_box)
        self._ui.show3DCheckBox.connect("toggled(bool)", lambda shown: self._give("show_3d", shown))
        for name in ("cornerLevelsCheckBox", "cornerEverywhereCheckBox"):
            getattr(self._ui, name).connect("toggled(bool)", self._switch_corner_levels)
        self._ui.exportButton.connect("clicked()", self._export)
        self._ui.logSection.connect("contentsCollapsed(bool)", self._show_log)
        self._ui.copyLogButton.connect("clicked()", lambda: slicer.app.clipboard().setText(self._session.log))

    def _presser(self, command):
        return lambda: self._give(command)

    def _give(self, command, *arguments):
        """Run a session command; show a refusal or failure in the status line, never as a traceback."""
        self._said = ""
        try:
            return getattr(self._session, command)(*arguments)
        except ValueError as problem:
            self._said = str(problem)
        except Exception as problem:
            logging.exception("SpinalTap could not carry out %s", command)
            self._said = _("Something went wrong: {reason} Slicer's error log has the details.").format(
                reason=f"{type(problem).__name__}."
            )
        finally:
            self.refresh()
        return None

    def _poll(self):
        try:
            self._session.poll()
        except Exception:
            self._timer.stop()  # report once, not twelve times a second
            logging.exception("SpinalTap's panel stopped following the work")
            self._said = _("The panel stopped updating; reload the module. Slicer's error log says why.")
            self.refresh()

    def _toggle_box(self, shown):
        if shown:
            self._give("place_box")
        else:
            self._give("show_box", False)

    def _take_levels(self, scan):
        with slicer.util.WaitCursor():
            self._give("take_levels_to", scan)

    def _switch_corner_levels(self, *_ignored):
        ui = self._ui
        self._give("show_corner_levels", ui.cornerLevelsCheckBox.checked, ui.cornerEverywhereCheckBox.checked)

    def _jump(self, row):
        if self._session.can_jump:
            self._give_quietly("jump_to", row.level)

    def _give_quietly(self, command, *arguments):
        # Without a refresh, which would refill the table while the user moves through it.
        try:
            getattr(self._session, command)(*arguments)
        except ValueError as problem:
            self._said = str(problem)
            self._show_progress()

    def _export(self):
        ui = self._ui
        levels = None
        if ui.exportLevelsSelector.currentIndex == 1:
            levels = tuple(row.level for row in self._table.chosen)
            if not levels:
                self._said = _("Choose the vertebrae to export in the table first, or set Levels to All.")
                self._show_progress()
                return
        folder = ui.exportFolderEdit.currentPath
        with slicer.util.WaitCursor():
            files = self._give("export", folder, SURFACE_FORMATS[ui.exportFormatSelector.currentIndex], levels,
                               ui.exportMergedCheckBox.checked, ui.exportJoinedCheckBox.checked)  # fmt: skip
        if files:
            ui.exportFolderEdit.addCurrentPathToHistory()
