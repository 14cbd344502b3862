"""The panel shows a session and gives it commands.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

from fake_session import NAMES, make_rows, missing_names
from panel_desk import raising
from panel_support import click, click_box, click_row, press, process_events, pythonqt, slicer, wait_until

from SpinalTapLib.session.state import Change

pytest_plugins = ("panel_desk",)


def test_the_fake_session_has_every_name_of_the_real_one():
    assert not missing_names()


# --- states ----------------------------------------------------------------------------------------------------


def test_without_a_scan_everything_that_needs_one_is_disabled_and_says_why(desk):
    for name in ("segmentButton", "showBoxCheckBox", "resetBoxButton"):
        button = getattr(desk.ui, name)
        assert not button.enabled, name
        assert button.toolTip.startswith("Choose a scan first."), name
    assert desk.ui.statusLabel.text == "Choose a scan first."
    assert desk.ui.sampleButton.visible
    for name in ("resultsGroup", "exportGroup", "changesGroup", "cancelButton", "progressBar", "warningFrame",
                 "setupSection"):  # fmt: skip
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


# --- another count ---------------------------------------------------------------------------------------------


def test_another_probable_count_is_one_click_away_and_otherwise_out_of_sight(desk):
    desk.done()
    assert not desk.ui.otherCountButton.visible
    desk.session.other_count = "Take the other count: S1 is L5 (29 %)"
    desk.session.tell(Change.RESULT)
    assert desk.ui.otherCountButton.visible and desk.ui.otherCountButton.enabled
    assert desk.ui.otherCountButton.text == "Take the other count: S1 is L5 (29 %)"
    process_events()
    click(desk.ui.otherCountButton)
    assert desk.calls()[-1] == ("take_alternative", 1)
    desk.session.other_count = ""
    desk.session.tell(Change.RESULT)
    assert not desk.ui.otherCountButton.visible


def test_a_level_that_is_not_sure_is_explained_by_its_tooltips(desk):
    doubt = "The probability that this is S1 is 71 %."
    rows = make_rows()
    desk.done(rows=(*rows[:-1], rows[-1].__class__(**{**vars(rows[-1]), "doubt": doubt, "note": "small"})))
    tips = [desk.ui.resultsTable.item(6, column).toolTip() for column in range(4)]
    assert tips == [doubt, doubt, doubt, f"small\n{doubt}"]
    assert not desk.ui.resultsTable.item(5, 0).toolTip()


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


def test_the_level_in_the_corner_of_the_views_is_on_at_first_and_can_be_switched(desk):
    desk.done()
    assert desk.ui.cornerLevelsCheckBox.checked and not desk.ui.cornerEverywhereCheckBox.checked
    click_box(desk.ui.cornerEverywhereCheckBox)
    assert desk.calls()[-1] == ("show_corner_levels", True, True)
    click_box(desk.ui.cornerLevelsCheckBox)
    assert desk.calls()[-1] == ("show_corner_levels", False, True)
    assert not desk.ui.cornerEverywhereCheckBox.enabled


def test_the_levels_are_taken_to_a_scan_of_the_menu(desk):
    desk.done()
    own, other = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("T2", "axial"))
    desk.session.set_volume(own.GetID())
    desk.panel.refresh()
    menu = desk.panel._scans
    pythonqt.unwrap(menu).aboutToShow.emit()
    actions = pythonqt.unwrap(menu).actions()
    assert [action.text() for action in actions] == ["axial"]
    pythonqt.unwrap(menu).triggered.emit(actions[0])
    assert desk.calls()[-1] == ("take_levels_to", other.GetID())


# --- export -----------------------------------------------------------------------------------------------------


def test_export_all_then_only_the_chosen(desk, tmp_path):
    desk.done()
    click(desk.ui.exportButton)
    assert desk.calls()[-1] == ("export", str(tmp_path), "stl", None, False, False)
    assert desk.ui.statusLabel.text == f"7 files written to {tmp_path}."
    desk.ui.exportLevelsSelector.currentIndex = 1
    click(desk.ui.exportButton)
    assert desk.ui.statusLabel.text.startswith("Choose the vertebrae to export")
    click_row(desk.ui.resultsTable, 2)
    from PySide6.QtCore import Qt

    click_row(desk.ui.resultsTable, 4, modifier=Qt.KeyboardModifier.ControlModifier)
    desk.ui.exportFormatSelector.currentIndex = 2
    click_box(desk.ui.exportMergedCheckBox)
    click_box(desk.ui.exportJoinedCheckBox)
    click(desk.ui.exportButton)
    assert desk.calls()[-1] == ("export", str(tmp_path), "ply", ("L2", "L4"), True, True)


def test_an_export_that_fails_is_a_sentence(desk):
    desk.done()
    desk.ui.exportFolderEdit.currentPath = "/no/such/folder"
    click(desk.ui.exportButton)
    assert desk.ui.statusLabel.text == "There is no folder /no/such/folder."


def test_what_was_written_stays_in_sight_at_the_next_click(desk, tmp_path):
    desk.done()
    click(desk.ui.undoButton)
    click(desk.ui.exportButton)
    click_box(desk.ui.show3DCheckBox)
    assert desk.ui.statusLabel.text == f"7 files written to {tmp_path}."


def test_an_empty_folder_is_not_taken_for_the_working_directory(desk):
    desk.done()
    desk.ui.exportFolderEdit.currentPath = " "
    click(desk.ui.exportButton)
    assert desk.ui.statusLabel.text == "Choose a folder for the files first."


# --- what must never happen --------------------------------------------------------------------------------------


def test_a_command_that_the_session_refuses_or_breaks_on_ends_in_a_sentence(desk, caplog):
    desk.done()
    desk.session.undo = raising(ValueError("There is nothing to undo."))
    click(desk.ui.undoButton)
    assert desk.ui.statusLabel.text == "There is nothing to undo."
    desk.session.undo = raising(ZeroDivisionError("division by zero"))
    click(desk.ui.undoButton)
    assert desk.ui.statusLabel.text.startswith("Something went wrong: ZeroDivisionError.")
    assert "could not carry out undo" in caplog.text


def test_a_broken_poll_stops_once_and_says_so(desk, caplog):
    desk.session.poll = raising(RuntimeError("boom"))
    desk.panel._poll()
    assert desk.ui.statusLabel.text.startswith("The panel stopped updating")
    assert not desk.panel._timer.active


def test_the_session_is_asked_about_ten_times_a_second(desk):
    from SpinalTapPanel.panel import POLL_MS

    assert 50 <= POLL_MS <= 100
    desk.session.calls.clear()
    wait_until(lambda: desk.session.calls.count(("poll",)) >= 2)


def test_a_closed_panel_neither_polls_nor_listens(desk):
    desk.panel.close()
    assert not desk.session.faces
    assert not desk.panel._timer.active
    desk.panel.close()


# --- log ---------------------------------------------------------------------------------------------------------


def test_log_is_one_click_away_and_can_be_copied(desk):
    assert desk.ui.logSection.collapsed
    desk.ui.logSection.collapsed = False
    assert desk.ui.logText.plainText == desk.session.log
    process_events()
    click(desk.ui.copyLogButton)
    assert slicer.app.clipboard().text() == desk.session.log


BUTTONS = {
    "segmentButton": "can_segment", "cancelButton": "can_cancel", "showBoxCheckBox": "can_place_box",
    "resetBoxButton": "can_put_box_on_s1", "shiftUpButton": "can_shift_up", "shiftDownButton": "can_shift_down",
    "pinButton": "can_pin_level", "editButton": "can_drop_vertebra", "undoButton": "can_undo",
    "show3DCheckBox": "can_show_3d", "exportButton": "can_export", "otherCountButton": "can_take_alternative",
    "takeLevelsButton": "can_take_levels", "compareButton": "can_compare",
    "exportChangesButton": "can_export_changes",
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
