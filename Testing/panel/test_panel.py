"""The panel's own part, on a session that does at once what it is told.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_session import NAMES, FakeSession, make_rows, missing_names
from panel_support import (
    PANEL_WIDTH_PX,
    click,
    click_box,
    click_row,
    load_ui,
    picture,
    press,
    process_events,
    pythonqt,
    qt,
    show,
    slicer,
    use_style,
)
from SpinalTapPanel.panel import Panel
from SpinalTapPanel.setup import SetupSection

from SpinalTapLib.installation import Need
from SpinalTapLib.session.state import Change, EditAnswer


@pytest.fixture(autouse=True)
def no_swallowed_exceptions():
    pythonqt.SLOT_ERRORS.clear()
    yield
    assert not pythonqt.SLOT_ERRORS


class Desk:
    """A panel with its session, shown."""

    def __init__(self, tmp_path):
        pythonqt.new_scene()
        self.session = FakeSession()
        self.widget, self.ui = load_ui()
        self.ui.exportFolderEdit.currentPath = str(tmp_path)
        self.setup = SetupSection(self.ui, lambda: None)
        self.panel = Panel(self.ui, self.session, self.setup)
        show(self.widget)

    def done(self, **kwargs):
        self.session.set_volume("vtkMRMLScalarVolumeNode1")
        self.session.finish(**kwargs)
        show(self.widget)
        self.session.calls.clear()

    def calls(self):
        return [call for call in self.session.calls if call[0] != "poll"]

    def texts(self):
        table = self.ui.resultsTable
        return [[table.item(r, c).text() for c in range(4)] for r in range(table.rowCount)]


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.panel.close()
    desk.widget.hide()
    use_style(dark=False)


def test_the_fake_session_has_every_name_of_the_real_one():
    assert not missing_names()


# --- the stand-in is strict -----------------------------------------------------------------------------------


def test_stand_in_refuses_what_pythonqt_refuses(desk):
    with pytest.raises(AttributeError):
        desk.ui.segmentButton.colour = "red"
    with pytest.raises(AttributeError):
        getattr(desk.ui.segmentButton, "txet")  # noqa: B009
    with pytest.raises(TypeError):
        desk.ui.segmentButton.text()
    with pytest.raises(LookupError):
        desk.ui.segmentButton.connect("pressedTwice()", print)
    assert desk.ui.inputSelector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
    button = qt.QPushButton("x")
    button.delete()
    with pytest.raises(ValueError):
        getattr(button, "text")  # noqa: B009


# --- states ----------------------------------------------------------------------------------------------------


def test_without_a_scan_everything_that_needs_one_is_disabled_and_says_why(desk):
    for name in ("segmentButton", "showBoxCheckBox", "resetBoxButton"):
        button = getattr(desk.ui, name)
        assert not button.enabled, name
        assert button.toolTip.startswith("Choose a scan first."), name
    assert desk.ui.statusLabel.text == "Choose a scan first."
    assert desk.ui.sampleButton.visible
    for name in ("resultsGroup", "exportGroup", "cancelButton", "progressBar", "warningFrame", "setupSection"):
        assert not getattr(desk.ui, name).visible, name


def test_segment_turns_into_cancel_with_a_bar_and_a_sentence_and_back(desk):
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    assert not desk.ui.sampleButton.visible
    process_events()
    place = desk.ui.segmentButton.geometry
    click(desk.ui.segmentButton)
    assert desk.calls()[-1][0] == "segment"
    assert not desk.ui.segmentButton.visible
    assert desk.ui.cancelButton.visible and desk.ui.cancelButton.enabled
    assert desk.ui.cancelButton.geometry.topLeft() == place.topLeft()
    desk.session.run(0.42, "Looking for vertebrae: tile 5 of 12")
    assert desk.ui.progressBar.value == 42
    assert desk.ui.statusLabel.text == "Looking for vertebrae: tile 5 of 12"
    click(desk.ui.cancelButton)
    assert desk.calls()[-1] == ("cancel",)
    assert desk.ui.segmentButton.visible and not desk.ui.cancelButton.visible and not desk.ui.progressBar.visible
    assert desk.ui.statusLabel.text == "Cancelled; the scene is as it was."


def test_the_same_key_starts_and_another_stops(desk):
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    press(desk.widget, "Ctrl+Return")
    assert desk.calls()[-1][0] == "segment"
    press(desk.widget, "Ctrl+.")
    assert desk.calls()[-1] == ("cancel",)


def test_result_is_shown_from_the_top_of_the_spine_with_words_and_colours(desk):
    desk.done()
    assert desk.ui.resultsGroup.visible and desk.ui.exportGroup.visible
    assert [line[0] for line in desk.texts()] == list(NAMES)
    assert desk.texts()[0] == ["T12", "check (41 %)", "26.0 mm", "cut by the edge of the image"]
    assert desk.texts()[1][1] == "likely (78 %)"
    table = desk.ui.resultsTable
    dots = [table.item(row, 1).icon().pixmap(12, 12).toImage().pixelColor(6, 6).getRgb()[:3] for row in (0, 1, 3)]
    assert len(set(dots)) == 3
    swatch = table.item(6, 0).icon().pixmap(12, 12).toImage().pixelColor(6, 6).getRgb()[:3]
    assert swatch == make_rows()[6].colour
    assert desk.ui.statusLabel.text == "7 vertebrae, counted from S1."


def test_low_confidence_and_warnings_are_shown_not_hidden(desk):
    desk.done(warnings=("No S1 and no C2 in view: the levels have no anchor.", "T12 is cut."))
    assert desk.ui.warningFrame.visible
    assert "no anchor" in desk.ui.warningLabel.text and "T12 is cut." in desk.ui.warningLabel.text
    assert not desk.ui.warningIcon.pixmap.isNull()


def test_vertebrae_without_a_level_and_without_a_height_are_shown_too(desk):
    row = make_rows(("Vertebra 2", "Vertebra 1"))[0]
    desk.done(rows=(row.__class__(**{**vars(row), "height_mm": float("nan")}),))
    assert desk.texts()[0][0] == "Vertebra 2"
    assert desk.texts()[0][2] == "–"


def test_a_failure_is_one_sentence_and_points_at_the_log(desk):
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    desk.session.fail("The worker ran out of memory.", details="line 1\nline 2")
    assert desk.ui.warningFrame.visible
    assert desk.ui.warningLabel.text.startswith("The worker ran out of memory. The log")
    assert "Traceback" not in desk.ui.warningLabel.text
    desk.session.finish()
    assert not desk.ui.warningFrame.visible


# --- the table and the labels ----------------------------------------------------------------------------------


def test_a_click_and_the_arrow_keys_jump_to_the_vertebra(desk):
    desk.done()
    click_row(desk.ui.resultsTable, 3)
    assert ("jump_to", "L3") in desk.calls()
    press(desk.ui.resultsTable, "Down")
    assert desk.calls()[-1] == ("jump_to", "L4")


def test_filling_the_table_jumps_nowhere_and_keeps_the_chosen_vertebra(desk):
    desk.done()
    click_row(desk.ui.resultsTable, 3)
    desk.session.calls.clear()
    click(desk.ui.shiftUpButton)
    assert desk.calls() == [("shift_labels", 1)]
    assert desk.texts()[3][0] == "L2"
    assert [index.row() for index in desk.ui.resultsTable.selectionModel().selectedRows()] == [3]
    click(desk.ui.shiftDownButton)
    assert desk.calls()[-1] == ("shift_labels", -1)
    click(desk.ui.undoButton)
    assert desk.calls()[-1] == ("undo",)


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
    assert drop.enabled and drop.text == "Drop L2: it is no vertebra"
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


# --- the S1 box -------------------------------------------------------------------------------------------------


def test_the_box_is_shown_hidden_and_put_back(desk):
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    click_box(desk.ui.showBoxCheckBox)
    assert desk.calls()[-1] == ("place_box",)
    assert desk.ui.showBoxCheckBox.checked
    click_box(desk.ui.showBoxCheckBox)
    assert desk.calls()[-1] == ("show_box", False)
    desk.done()
    assert desk.ui.showBoxCheckBox.checked, "the box that came with the result"
    click(desk.ui.resetBoxButton)
    assert desk.calls()[-1] == ("put_box_on_s1",)


def test_while_the_box_moves_the_hint_says_what_letting_go_would_do(desk):
    desk.done()
    usual = desk.ui.boxHint.text
    assert "S1" in usual
    desk.session.preview = "Let go to make this vertebra S1."
    desk.session.tell(Change.PREVIEW)
    assert desk.ui.boxHint.text == "Let go to make this vertebra S1."
    desk.session.preview = ""
    desk.session.tell(Change.PREVIEW)
    assert desk.ui.boxHint.text == usual
    assert not desk.ui.boxPicture.pixmap.isNull()


def test_surfaces_are_shown_and_hidden(desk):
    desk.done()
    assert desk.ui.show3DCheckBox.checked
    click_box(desk.ui.show3DCheckBox)
    assert desk.calls()[-1] == ("show_3d", False)
    assert not desk.ui.show3DCheckBox.checked


# --- export -----------------------------------------------------------------------------------------------------


def test_export_all_then_only_the_chosen(desk, tmp_path):
    desk.done()
    click(desk.ui.exportButton)
    assert desk.calls()[-1] == ("export", str(tmp_path), "stl", None, False)
    assert desk.ui.statusLabel.text == f"7 file(s) written to {tmp_path}."
    desk.ui.exportLevelsSelector.currentIndex = 1
    click(desk.ui.exportButton)
    assert desk.ui.statusLabel.text.startswith("Choose the vertebrae to export")
    click_row(desk.ui.resultsTable, 2)
    from PySide6.QtCore import Qt

    click_row(desk.ui.resultsTable, 4, modifier=Qt.KeyboardModifier.ControlModifier)
    desk.ui.exportFormatSelector.currentIndex = 2
    click_box(desk.ui.exportMergedCheckBox)
    click(desk.ui.exportButton)
    assert desk.calls()[-1] == ("export", str(tmp_path), "ply", ("L2", "L4"), True)


def test_an_export_that_fails_is_a_sentence(desk):
    desk.done()
    desk.ui.exportFolderEdit.currentPath = "/no/such/folder"
    click(desk.ui.exportButton)
    assert desk.ui.statusLabel.text == "There is no folder /no/such/folder."


# --- what must never happen --------------------------------------------------------------------------------------


def test_a_command_that_the_session_refuses_or_breaks_on_ends_in_a_sentence(desk, caplog):
    desk.done()
    desk.session.undo = _raise(ValueError("There is nothing to undo."))
    click(desk.ui.undoButton)
    assert desk.ui.statusLabel.text == "There is nothing to undo."
    desk.session.undo = _raise(ZeroDivisionError("division by zero"))
    click(desk.ui.undoButton)
    assert desk.ui.statusLabel.text.startswith("Something went wrong: ZeroDivisionError.")
    assert "could not carry out undo" in caplog.text


def test_a_broken_poll_stops_once_and_says_so(desk, caplog):
    desk.session.poll = _raise(RuntimeError("boom"))
    desk.panel._poll()
    assert desk.ui.statusLabel.text.startswith("The panel stopped following the work")
    assert not desk.panel._timer.active


def _raise(error):
    def command(*_arguments):
        raise error

    return command


def test_the_session_is_asked_about_ten_times_a_second(desk):
    from PySide6.QtTest import QTest

    desk.session.calls.clear()
    QTest.qWait(500)
    polls = desk.session.calls.count(("poll",))
    assert 3 <= polls <= 10, polls


def test_a_closed_panel_neither_polls_nor_listens(desk):
    desk.panel.close()
    assert not desk.session.faces
    assert not desk.panel._timer.active
    desk.panel.close()


def test_hand_edits_are_kept_when_no_one_can_be_asked(desk):
    assert desk.session.ask(("L4",)) is EditAnswer.KEEP_COPY


@pytest.mark.parametrize(
    ("button", "answer"),
    [("Keep a copy", EditAnswer.KEEP_COPY), ("Discard them", EditAnswer.DISCARD), ("Cancel", EditAnswer.CANCEL)],
)
def test_the_user_is_asked_about_hand_edits(desk, monkeypatch, button, answer):
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QMessageBox

    monkeypatch.setattr(pythonqt.unwrap(slicer.app), "_testing", False)

    def press_button():
        box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible())
        assert "L4, L5" in box.text()
        next(b for b in box.buttons() if b.text().replace("&", "") == button).click()

    QTimer.singleShot(50, press_button)
    assert desk.session.ask(("L4", "L5")) is answer


# --- log ---------------------------------------------------------------------------------------------------------


def test_log_is_one_click_away_and_can_be_copied(desk):
    assert desk.ui.logSection.collapsed
    desk.ui.logSection.collapsed = False
    assert desk.ui.logText.plainText == desk.session.log
    process_events()
    click(desk.ui.copyLogButton)
    assert slicer.app.clipboard().text() == desk.session.log


# --- setup -------------------------------------------------------------------------------------------------------

MISSING = (
    Need("torch", "PyTorch", False, "PyTorch, which runs the network, is not installed yet."),
    Need("scikit-image", "scikit-image", False, "The Python package scikit-image is not installed yet."),
    Need("weights", "Network weights", True, "Weights verified."),
)


@pytest.fixture
def missing(desk, monkeypatch):
    import SpinalTapLib.installation

    needs = list(MISSING)
    monkeypatch.setattr(SpinalTapLib.installation, "check_needs", lambda version=None: tuple(needs))
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    desk.setup.check()
    desk.panel.refresh()
    show(desk.widget)
    return needs


def _mend(needs, key):
    for position, need in enumerate(needs):
        if need.key == key:
            needs[position] = Need(key, need.name, True, f"{need.name} is there.")


def test_setup_appears_only_when_something_is_missing_and_segmenting_waits_for_it(desk, missing):
    assert desk.ui.setupSection.visible
    assert "✗ PyTorch" in desk.ui.setupLabel.text and "✓ Weights" in desk.ui.setupLabel.text
    assert not desk.ui.segmentButton.enabled
    assert "PyTorch" in desk.ui.segmentButton.toolTip
    assert desk.ui.statusLabel.text.endswith("See Setup below.")
    missing[:] = [Need(n.key, n.name, True, n.sentence) for n in missing]
    click(desk.ui.setupCheckButton)
    desk.panel.refresh()
    assert not desk.ui.setupSection.visible
    assert desk.ui.segmentButton.enabled


def test_an_older_slicer_is_told_to_be_updated_and_offers_nothing_to_install(desk, monkeypatch):
    import SpinalTapLib.installation

    weights = Need("weights", "Network weights", True, "Weights verified.")
    monkeypatch.setattr(pythonqt.unwrap(slicer.app), "_version", (5, 8))
    monkeypatch.setattr(SpinalTapLib.installation, "_torch", lambda: Need("torch", "PyTorch", True, "PyTorch 2.13."))
    monkeypatch.setattr(SpinalTapLib.installation, "_package", lambda line: Need(line, line, True, f"{line}."))
    monkeypatch.setattr(SpinalTapLib.installation, "_weights", lambda name: weights)
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    desk.setup.check()
    desk.panel.refresh()
    assert not desk.ui.segmentButton.enabled and not desk.ui.setupInstallButton.enabled
    assert desk.ui.statusLabel.text.startswith("This is 3D Slicer 5.8; SpinalTap needs 5.10 or later.")


def test_without_the_pytorch_extension_torch_is_not_installed_by_another_way(desk, missing, monkeypatch):
    called = []
    monkeypatch.setattr(slicer.util, "pip_install", called.append)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: False)
    click(desk.ui.setupInstallButton)
    assert "extension PyTorch" in desk.ui.setupLabel.text
    assert not called


def test_torch_comes_through_the_pytorch_extension_and_the_rest_through_slicers_installer(desk, missing, monkeypatch):
    import sys
    from types import SimpleNamespace

    done = []

    class Logic:
        def torchInstalled(self):  # noqa: N802
            return False

        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):  # noqa: N802, N803
            assert askConfirmation
            done.append(("torch", torchVersionRequirement))
            _mend(missing, "torch")

    packaging = SimpleNamespace(
        load_requirements=lambda path: [Path(path).read_text()],
        pip_ensure=lambda requirements, requester: (
            done.append((requirements[0].splitlines()[-1], requester)),
            _mend(missing, "scikit-image"),
        ),
    )
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=Logic))
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    click(desk.ui.setupInstallButton)
    assert done == [("torch", ">=2.2"), ("scikit-image>=0.22", "SpinalTap")]
    assert not desk.ui.setupSection.visible


def test_an_older_slicer_installs_with_pip_after_a_question(desk, missing, monkeypatch):
    _mend(missing, "torch")
    called = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: True)

    def pip_install(arguments):
        called.append(arguments)
        _mend(missing, "scikit-image")

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    desk.setup.check()
    click(desk.ui.setupInstallButton)
    assert called[0][0] == "-r" and called[0][1].endswith("requirements.txt")
    assert not desk.ui.setupSection.visible


def test_a_failed_installation_is_a_sentence(desk, missing, monkeypatch):
    _mend(missing, "torch")
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: True)
    monkeypatch.setattr(slicer.util, "pip_install", _raise(RuntimeError("no network")))
    desk.setup.check()
    click(desk.ui.setupInstallButton)
    assert "The installation did not work: no network" in desk.ui.setupLabel.text


# --- looks -------------------------------------------------------------------------------------------------------

CONTROLS = (
    "QPushButton", "QCheckBox", "QComboBox", "QSpinBox", "QTableWidget", "QPlainTextEdit", "QProgressBar",
    "qMRMLNodeComboBox", "ctkPathLineEdit",
)  # fmt: skip


def test_every_control_has_a_tooltip_and_an_accessible_name_and_every_button_a_shortcut(desk):
    shortcuts = []
    for name, widget in vars(desk.ui).items():
        if not hasattr(widget, "className") or widget.className() not in CONTROLS or name.startswith("qt_"):
            continue
        assert widget.toolTip, name
        assert widget.accessibleName, name
        if widget.className() == "QPushButton" or name in ("showBoxCheckBox", "show3DCheckBox"):
            assert not widget.shortcut.isEmpty(), name
            shortcuts.append(widget.shortcut.toString())
    assert len(shortcuts) == len(set(shortcuts)), "two buttons share a shortcut"


def test_shortcuts_stand_in_the_tooltips(desk):
    desk.done()
    for name in ("segmentButton", "undoButton", "exportButton", "showBoxCheckBox"):
        button = getattr(desk.ui, name)
        assert button.shortcut.toString(qt.QKeySequence.NativeText) in button.toolTip, name


@pytest.mark.parametrize("language_factor", [1.0, 1.25])
def test_nothing_is_wider_than_the_panel(desk, language_factor):
    desk.ui.advancedButton.collapsed = False
    desk.ui.logSection.collapsed = False
    font = pythonqt.unwrap(desk.widget).font()
    font.setPointSizeF(font.pointSizeF() * language_factor)
    pythonqt.unwrap(desk.widget).setFont(font)
    warning = "A sentence that is a good deal longer than a line. " * 3
    desk.done(rows=make_rows(("Vertebra 12", *NAMES)), warnings=(warning,))
    assert desk.widget.minimumSizeHint.width() <= PANEL_WIDTH_PX


def test_a_whole_spine_scrolls_in_the_table_and_leaves_the_rest_in_sight(desk):
    from SpinalTapLib.spine import levels

    desk.done(rows=make_rows(tuple(reversed(levels.COMMON))))
    assert desk.ui.resultsTable.rowCount == 24
    assert desk.ui.resultsTable.height < 400


@pytest.mark.parametrize("dark", [False, True])
def test_panel_can_be_pictured_in_light_and_dark(desk, dark, tmp_path):
    use_style(dark)
    desk.done()
    picture(desk.widget, tmp_path / "panel.png")
    image = desk.widget.grab().toImage()
    background = image.pixelColor(3, 3).lightness()
    words = desk.ui.statusLabel.grab().toImage()
    shades = {words.pixelColor(x, y).lightness() for x in range(0, 150) for y in range(words.height())}
    contrast = max(abs(shade - background) for shade in shades)
    assert (background < 100) is dark
    assert contrast > 130, "the words must stand out from the background"


BUTTONS = {
    "segmentButton": "can_segment", "cancelButton": "can_cancel", "showBoxCheckBox": "can_place_box",
    "resetBoxButton": "can_put_box_on_s1", "shiftUpButton": "can_shift_up", "shiftDownButton": "can_shift_down",
    "pinButton": "can_pin_level", "editButton": "can_drop_vertebra", "undoButton": "can_undo",
    "show3DCheckBox": "can_show_3d", "exportButton": "can_export",
}  # fmt: skip


def test_a_session_that_may_do_nothing_leaves_no_button_enabled_and_each_says_why(desk):
    desk.done()
    click_row(desk.ui.resultsTable, 1)
    desk.session.refusals = {can: f"Not now ({can})." for can in (*BUTTONS.values(), "can_show_new_box")}
    desk.panel.refresh()
    for name, can in BUTTONS.items():
        button = getattr(desk.ui, name)
        assert not button.enabled, name
        assert button.toolTip.startswith(f"Not now ({can})."), name
