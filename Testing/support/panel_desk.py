"""A panel with a fake session, shown, for the tests of the panel's own part."""

from __future__ import annotations

import pytest
from fake_session import FakeSession
from panel_support import load_ui, pythonqt, show, use_style
from SpinalTapPanel.panel import Panel
from SpinalTapPanel.setup import SetupSection


@pytest.fixture(autouse=True)
def _no_swallowed_exceptions():
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


def raising(error):
    """Return a command that fails."""

    def command(*_arguments):
        raise error

    return command
