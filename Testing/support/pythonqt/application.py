"""The application side of the stand-in: slicer.app, module and widget base classes, a UI loader."""

# ruff: noqa: N802, N803, N815 - the names are those of Qt and Slicer

from __future__ import annotations

import importlib
import logging
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import slicer
from PySide6 import QtCore, QtUiTools, QtWidgets

from . import widgets
from .binding import wrap

CUSTOM = (widgets.ctkCollapsibleButton, widgets.ctkPathLineEdit, widgets.qMRMLWidget, widgets.qMRMLNodeComboBox)


class UiLoader:
    """qt.QUiLoader: loads a .ui file, CTK and qMRML widgets included."""

    def load(self, file, parent=None):
        tree = ElementTree.fromstring(bytes(file.readAll()))
        connections = tree.find("connections")
        scene_users = []
        for connection in list(connections if connections is not None else ()):
            if connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)":
                assert connection.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
                assert connection.findtext("sender") == tree.find("widget").get("name")
                scene_users.append(connection.findtext("receiver"))
                connections.remove(connection)
        loader = QtUiTools.QUiLoader()
        for cls in CUSTOM:
            loader.registerCustomWidget(cls)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        widget = loader.load(buffer)
        for name in scene_users:
            widget.mrmlSceneChanged.connect(widget.findChild(QtWidgets.QWidget, name).setMRMLScene)
        return wrap(widget)


class ModuleManager(QtCore.QObject):
    moduleAboutToBeUnloaded = QtCore.Signal(str)


class Application(QtCore.QObject):
    """slicer.app, as far as the module and slicer.util use it."""

    startupCompleted = QtCore.Signal()

    def __init__(self):
        super().__init__()
        self._manager = ModuleManager()
        self._version = (5, 10)
        self._testing = True

    applicationName = QtCore.Property(str, lambda self: "Slicer stand-in")
    majorVersion = QtCore.Property(int, lambda self: self._version[0])
    slicerHome = QtCore.Property(str, lambda self: str(Path(__file__).parent))
    minorVersion = QtCore.Property(int, lambda self: self._version[1])

    def testingEnabled(self):
        return self._testing

    def moduleManager(self):
        return self._manager

    def applicationDirPath(self):
        return str(Path(__file__).parent)

    def layoutManager(self):
        """There are no views."""

    def processEvents(self):
        QtWidgets.QApplication.processEvents()

    def style(self):
        return QtWidgets.QApplication.style()

    def clipboard(self):
        return QtWidgets.QApplication.clipboard()

    def setOverrideCursor(self, cursor):
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        QtWidgets.QApplication.restoreOverrideCursor()


def _fact(name, kind=str, empty=""):
    return QtCore.Property(
        kind, lambda self: self._facts.get(name, empty), lambda self, v: self._facts.__setitem__(name, v)
    )


class ModuleParent(QtCore.QObject):
    """qSlicerScriptedLoadableModule: what a module says about itself."""

    def __init__(self, path):
        super().__init__()
        self._facts = {"path": str(path)}

    title = _fact("title")
    helpText = _fact("helpText")
    acknowledgementText = _fact("acknowledgementText")
    categories = _fact("categories", "QStringList", [])
    contributors = _fact("contributors", "QStringList", [])
    dependencies = _fact("dependencies", "QStringList", [])
    icon = _fact("icon", "QIcon", None)
    path = _fact("path")
    hidden = _fact("hidden", bool, False)


class WidgetParent(widgets.qMRMLWidget):
    """qSlicerScriptedLoadableModuleWidget: the panel's place in the main window."""

    def __init__(self):
        super().__init__()
        self._entered = True
        self.setLayout(QtWidgets.QVBoxLayout())

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def reload(self):
        """Make the new widget, as the application does at the end of a reload."""
        cls = getattr(importlib.import_module("SpinalTap"), "SpinalTapWidget")  # noqa: B009
        slicer.modules.SpinalTapWidget = cls(wrap(self))
        slicer.modules.SpinalTapWidget.setup()


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def resourcePath(self, filename):
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, name):
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node.SetName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    messageDelay = 0

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        logging.info(message)

    def runTest(self):
        pass
