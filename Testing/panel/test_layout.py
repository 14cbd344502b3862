"""How the panel looks: width, order, shortcuts, tooltips, light and dark.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

import pytest
from fake_session import NAMES, make_rows
from panel_support import PANEL_WIDTH_PX, picture, process_events, pythonqt, qt, use_style

pytest_plugins = ("panel_desk",)


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


TAKEN = {
    # qSlicerMainWindow.ui and Docs/user_guide/user_interface.md
    "Ctrl+F", "Ctrl+O", "Ctrl+S", "Ctrl+W", "Ctrl+H", "Ctrl+B", "Ctrl+G", "Ctrl+`", *(f"Ctrl+{n}" for n in range(6)),
    # qMRMLMarkupsToolBar.cxx: new markup, persistence, place a point
    "Ctrl+Shift+A", "Ctrl+Shift+T", "Ctrl+Shift+Space",
    # qMRMLSequenceBrowserToolBar.cxx: play, previous, next
    "Ctrl+Shift+Down", "Ctrl+Shift+Left", "Ctrl+Shift+Right",
}  # fmt: skip
"""Shortcuts of the Slicer application, read in its sources: one that two widgets have does nothing at all."""


def test_no_shortcut_is_one_of_slicers_own(desk):
    own = {w.shortcut.toString() for w in vars(desk.ui).values() if hasattr(w, "className") and hasattr(w, "shortcut")}
    assert len(own - {""}) > 10 and not own & TAKEN


def test_the_panel_asks_for_no_more_than_320_pixels_at_9_points(desk):
    font = pythonqt.unwrap(desk.widget).font()
    font.setPointSizeF(9.0)
    pythonqt.unwrap(desk.widget).setFont(font)
    desk.ui.setupSection.visible = True
    desk.session.preview = "No vertebra was found there yet. Let go to look once more."
    desk.session.other_count = "Take this count: Vertebra 12 is T10 (45 %)"
    desk.done(warnings=("A sentence that is a good deal longer than a line. " * 3,))
    process_events()
    # Slicer's module panel takes the hint, not the minimum, as the least width.
    assert desk.widget.sizeHint.width() <= 320


def test_headings_are_not_cut_off_at_that_width(desk):
    from PySide6.QtGui import QFontMetrics

    for name in ("boxGroup", "resultsGroup", "exportGroup"):
        group = pythonqt.unwrap(getattr(desk.ui, name))
        assert QFontMetrics(group.font()).horizontalAdvance(group.title()) < 280, name


def test_nothing_touches_the_edge_of_the_panel(desk):
    desk.done()
    margins = pythonqt.unwrap(desk.widget).layout().contentsMargins()
    assert min(margins.left(), margins.top(), margins.right(), margins.bottom()) >= 4


def test_corrections_go_from_one_vertebra_to_all_levels_to_undo(desk):
    desk.done()
    def places(*names):
        return [pythonqt.unwrap(getattr(desk.ui, name)).geometry() for name in names]

    one = places("oneVertebraLabel", "pinButton", "editButton")
    both = places("allLevelsLabel", "shiftUpButton", "shiftDownButton")
    last = places("show3DCheckBox", "undoButton")
    for row in (one, both, last):
        assert [place.left() for place in row] == sorted(place.left() for place in row)
        assert max(place.top() for place in row) - min(place.top() for place in row) < 12
    assert one[0].top() < both[0].top() < last[0].top()


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
