"""Put the stand-in in place: sys.modules gets `qt` and `ctk`, the real `slicer` gets its application side."""

from __future__ import annotations

import logging
import os
import sys
from types import ModuleType, SimpleNamespace

from PySide6 import QtWidgets


def install():
    """Install the stand-in once; afterwards `import qt, ctk, slicer` work as inside the application."""
    if "qt" in sys.modules:
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["spinaltap-tests"])
    application.setStyle("Fusion")

    import slicer

    from . import application as side
    from . import parameters, widgets
    from .binding import ClassProxy, QtModule, wrap

    qt = QtModule("qt")
    qt.QUiLoader = side.UiLoader
    ctk = ModuleType("ctk")
    for cls in (widgets.ctkCollapsibleButton, widgets.ctkPathLineEdit):
        setattr(ctk, cls.__name__, ClassProxy(cls))
    slicer.qMRMLWidget = ClassProxy(widgets.qMRMLWidget)
    slicer.qMRMLNodeComboBox = ClassProxy(widgets.qMRMLNodeComboBox)
    slicer.app = wrap(side.Application())
    slicer.app_keeps = slicer.app  # the one reference that Slicer itself would hold
    slicer.modules = SimpleNamespace()
    modules = {
        "qt": qt,
        "ctk": ctk,
        "slicer.i18n": _module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text),
        "slicer.ScriptedLoadableModule": _module(
            "slicer.ScriptedLoadableModule",
            **{name: value for name, value in vars(side).items() if name.startswith("Scripted")},
        ),
        "slicer.parameterNodeWrapper": _module(
            "slicer.parameterNodeWrapper",
            parameterNodeWrapper=parameters.parameterNodeWrapper,
            WithinRange=parameters.WithinRange,
        ),
    }
    sys.modules.update(modules)
    for name, module in modules.items():
        if name.startswith("slicer."):
            setattr(slicer, name.split(".")[1], module)
    slicer.util.mainWindow = lambda: None
    logging.getLogger("slicer").debug("the stand-in is in place")


def _module(name, **content):
    module = ModuleType(name)
    vars(module).update(content)
    return module


def new_scene():
    """Give `slicer.mrmlScene` a fresh, real scene."""
    import slicer

    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    return scene
