"""The panel compares with an earlier result, chosen in a menu, and shows and exports what has changed.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from panel_support import click, click_box, click_row, picture, process_events, pythonqt, show, slicer, use_style
from paths import ROOT

from SpinalTapLib.session.state import Change as Kind
from SpinalTapLib.spine.change import LIMITS, Change, Comparison, HeightLoss

pytest_plugins = ("panel_desk",)

PICTURES = Path(os.environ.get("SPINALTAP_PICTURES", ROOT / "build" / "pictures"))


def comparison():
    """Return a comparison in which L1 has lost a third of its anterior height, and S1 was cut off."""

    def change(level, name, earlier, later, is_sure=True):
        return Change(level, name, earlier, later, LIMITS[name], is_sure)

    changes = (
        change("S1", "height_anterior_mm", 30.0, 22.0, is_sure=False),
        *(change(level, "height_anterior_mm", 28.0, 27.6) for level in ("L5", "L4", "L3", "L2")),
        change("L1", "height_anterior_mm", 26.0, 17.0),
        change("L1", "wedge_angle_deg", 4.0, 17.5),
        change("L1", "disc_height_posterior_mm", 6.0, 6.1),
    )
    losses = (HeightLoss("L1", "anterior", 34.6, "moderate"),)
    return Comparison(changes, losses, ("Only in the later result, so not compared: T12.",), ("T2 2023", "T2 2026"))


@pytest.fixture
def compared(desk):
    desk.done()
    desk.session.comparison = comparison()
    desk.session.tell(Kind.RESULT)
    show(desk.widget)
    return desk


def lines(desk):
    table = desk.ui.changesTable
    return [[table.item(row, column).text() for column in range(6)] for row in range(table.rowCount)]


def entries(desk):
    menu = pythonqt.unwrap(desk.ui.compareButton.menu())
    menu.aboutToShow.emit()
    return menu, [action for action in menu.actions() if not action.isSeparator()]


def choose_folder(monkeypatch, folder):
    """Have the user choose a folder; return the titles of the questions."""
    asked = []

    def chosen(_parent, title, _start):
        asked.append(title)
        return str(folder)

    from PySide6.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", chosen)
    return asked


def test_without_a_comparison_there_is_nothing_to_see(desk):
    desk.done()
    assert not desk.ui.changesGroup.visible and desk.ui.compareButton.enabled


def test_the_earlier_result_is_another_scan_or_a_folder(desk, monkeypatch, tmp_path):
    desk.done()
    own, other = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("2026", "2023"))
    desk.session.set_volume(own.GetID())
    menu, actions = entries(desk)
    assert [action.text() for action in actions] == ["2023", "A result folder ..."]
    menu.triggered.emit(actions[0])
    assert desk.calls()[-1] == ("compare_with", other.GetID())
    asked = choose_folder(monkeypatch, tmp_path)
    menu.triggered.emit(actions[1])
    assert asked == ["Folder of the earlier result"] and desk.calls()[-1] == ("compare_with", tmp_path)
    desk.session.calls.clear()
    choose_folder(monkeypatch, "")  # cancelled
    menu.triggered.emit(actions[1])
    assert not desk.calls()


def test_the_menu_says_that_no_other_scan_has_a_result(desk, monkeypatch):
    desk.done()
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "without a result")
    monkeypatch.setattr(desk.session, "is_earlier_result", lambda _: False)
    _, actions = entries(desk)
    assert [(action.text(), action.isEnabled()) for action in actions] == [
        ("No other scan in the scene has a result", False), ("A result folder ...", True)
    ]  # fmt: skip


def test_the_table_goes_from_the_top_down_and_the_losses_are_said(compared):
    found = lines(compared)
    assert found[0] == ["L1", "Anterior height", "26.0", "17.0", "-9.0 mm", "beyond"]
    assert found[1] == ["L1", "Wedge angle", "4.0", "17.5", "+13.5 °", "beyond"]
    assert found[-1][0] == "S1" and found[-1][-1] == "not sure"
    assert compared.ui.changesGroup.title == "Changes since T2 2023"
    words = compared.ui.changesLabel.text
    assert words.startswith("2 of 8 measurements changed by more than the measurement error. 1 cannot be judged")
    assert "L1 has lost 35 % of its anterior height" in words and "moderate range of Genant's grades" in words
    assert compared.ui.changesTable.item(0, 0).toolTip().startswith("Anterior height, beyond the error: of two scans")
    assert "95 % differ by less than 0.8 mm" in compared.ui.changesTable.item(0, 0).toolTip()


def test_what_is_within_the_error_can_be_hidden(compared):
    click_box(compared.ui.onlyBeyondCheckBox)
    assert [line[:2] for line in lines(compared)] == [["L1", "Anterior height"], ["L1", "Wedge angle"]]
    click_box(compared.ui.onlyBeyondCheckBox)
    assert len(lines(compared)) == 8


def test_a_click_shows_the_vertebra_in_the_views(compared):
    click_row(compared.ui.changesTable, 3)
    assert compared.calls()[-1] == ("jump_to", "L2")


def test_the_changes_are_exported_to_a_folder(compared, monkeypatch, tmp_path):
    choose_folder(monkeypatch, tmp_path)
    click(compared.ui.exportChangesButton)
    assert compared.calls()[-1] == ("export_changes", str(tmp_path))


def test_a_comparison_that_is_gone_takes_its_table_along(compared):
    compared.session.comparison = None
    compared.session.tell(Kind.RESULT)
    assert not compared.ui.changesGroup.visible and not lines(compared)


@pytest.mark.parametrize("dark", [False, True])
def test_no_cell_is_cut_off_at_the_width_of_the_panel(compared, dark):
    use_style(dark)
    process_events()
    picture(compared.widget, PICTURES / f"panel-changes-{'dark' if dark else 'light'}.png")
    table = pythonqt.unwrap(compared.ui.changesTable)
    assert not table.horizontalScrollBar().maximum()
    assert all(table.columnWidth(column) >= table.sizeHintForColumn(column) for column in range(6))
