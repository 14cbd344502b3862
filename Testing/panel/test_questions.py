"""Questions to the user.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

import pytest
from panel_support import pythonqt, slicer

from SpinalTapLib.session.state import EditAnswer

pytest_plugins = ("panel_desk",)


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
        shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible()]
        if not shown:
            QTimer.singleShot(20, press_button)
            return
        (box,) = shown
        assert "L4, L5" in box.text()
        next(b for b in box.buttons() if b.text().replace("&", "") == button).click()

    QTimer.singleShot(50, press_button)
    assert desk.session.ask(("L4", "L5")) is answer
