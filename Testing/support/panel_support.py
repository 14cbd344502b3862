"""What the tests of the panel share: the stand-in in place, a panel on a session, clicks and pictures."""

from __future__ import annotations

import os
import sys

import pytest
from paths import ROOT

pytest.importorskip("PySide6", reason="the stand-in for Slicer's Qt side needs PySide6")
pytest.importorskip("slicer", reason="the panel's tests need the MRML libraries of Slicer (slicer-core)")
if not hasattr(__import__("slicer"), "vtkMRMLScene"):
    pytest.skip("the package called slicer is not Slicer's (slicer-core is)", allow_module_level=True)

sys.path[:0] = [entry for entry in (str(ROOT / "SpinalTap"), str(ROOT)) if entry not in sys.path]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pythonqt  # noqa: E402

pythonqt.install()

import qt  # noqa: E402
import slicer  # noqa: E402
from PySide6 import QtCore, QtGui, QtTest, QtWidgets  # noqa: E402

PANEL_WIDTH_PX = 400


def load_ui():
    """The real .ui file, loaded by Slicer's own loadUI over the stand-in."""
    from SpinalTapLib.resources import resource_path

    widget = slicer.util.loadUI(str(resource_path("UI", "SpinalTap.ui")))
    widget.setMRMLScene(slicer.mrmlScene)
    return widget, slicer.util.childWidgetVariables(widget)


def show(widget):
    """Give the widget the width of Slicer's module panel and lay it out."""
    qobject = pythonqt.unwrap(widget)
    qobject.resize(PANEL_WIDTH_PX, qobject.sizeHint().height())
    qobject.show()
    process_events()
    qobject.resize(PANEL_WIDTH_PX, qobject.sizeHint().height())
    process_events()


def process_events(times=4):
    for _ in range(times):
        QtWidgets.QApplication.processEvents()


def wait_until(condition, seconds=600.0):
    """Run the event loop until `condition()` holds; the limit only guards against hanging."""
    timer = QtCore.QElapsedTimer()
    timer.start()
    while not condition():
        assert timer.elapsed() < 1000 * seconds, "waited in vain"
        QtTest.QTest.qWait(20)


def click(widget):
    """A real mouse click in the middle of the widget."""
    qobject = pythonqt.unwrap(widget)
    QtTest.QTest.mouseClick(qobject, QtCore.Qt.MouseButton.LeftButton)
    process_events()


def click_box(widget):
    """A real click on a check box, which takes clicks on its box and words only."""
    qobject = pythonqt.unwrap(widget)
    QtTest.QTest.mouseClick(
        qobject, QtCore.Qt.MouseButton.LeftButton, pos=QtCore.QPoint(8, qobject.height() // 2)
    )
    process_events()


def click_row(table, row, column=0, modifier=None):
    """A real click on a cell of the table."""
    qobject = pythonqt.unwrap(table)
    position = qobject.visualItemRect(qobject.item(row, column)).center()
    QtTest.QTest.mouseClick(
        qobject.viewport(),
        QtCore.Qt.MouseButton.LeftButton,
        modifier or QtCore.Qt.KeyboardModifier.NoModifier,
        position,
    )
    process_events()


def press(widget, keys):
    """Press a key combination where the keyboard focus would be."""
    qobject = pythonqt.unwrap(widget)
    qobject.window().activateWindow()  # shortcuts work in the active window
    QtTest.QTest.qWaitForWindowActive(qobject.window(), 1000)
    QtTest.QTest.keySequence(qobject, QtGui.QKeySequence(keys))
    # A button that is pressed by its shortcut stays down for a moment before it acts.
    wait_until(lambda: not any(button.isDown() for button in qobject.findChildren(QtWidgets.QAbstractButton)))


def use_style(dark):
    """Light or dark colours, close to those of Slicer's two styles."""
    application = QtWidgets.QApplication.instance()
    application.setPalette(dark_palette() if dark else application.style().standardPalette())


def dark_palette():
    role, palette = QtGui.QPalette.ColorRole, QtGui.QPalette()
    colours = {
        role.Window: "#2e3136", role.WindowText: "#e6e6e6", role.Base: "#23262b", role.AlternateBase: "#2a2d32",
        role.Text: "#e6e6e6", role.Button: "#3a3e44", role.ButtonText: "#e6e6e6", role.Highlight: "#2f6fb5",
        role.HighlightedText: "#ffffff", role.ToolTipBase: "#2e3136", role.ToolTipText: "#e6e6e6",
        role.PlaceholderText: "#909090", role.Link: "#6cb4ff",
    }  # fmt: skip
    for name, colour in colours.items():
        palette.setColor(name, QtGui.QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, name, QtGui.QColor("#80848a"))
    return palette


def picture(widget, path):
    """Write a picture of the widget."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert pythonqt.unwrap(widget).grab().save(str(path)), path


__all__ = [
    "PANEL_WIDTH_PX", "ROOT", "click", "click_box", "click_row", "load_ui", "picture", "press", "process_events",
    "pythonqt", "qt", "show", "slicer", "use_style", "wait_until",
]  # fmt: skip
