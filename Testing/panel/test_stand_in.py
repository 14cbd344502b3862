"""The stand-in for PythonQt is as strict as PythonQt."""

from __future__ import annotations

import pytest
from panel_support import qt

pytest_plugins = ("panel_desk",)


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
