"""The few CTK and qMRML widgets that the panel uses, as plain PySide6 widgets on the real MRML scene."""

# ruff: noqa: N801, N802, N815 - the names are those of Qt and Slicer

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets

HEADER_PX = 26


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A section with a header that folds it away."""

    contentsCollapsed = QtCore.Signal(bool)
    SIGNATURES = ("contentsCollapsed(bool)",)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self.setContentsMargins(0, HEADER_PX, 0, 0)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)

    def _get_text(self):
        return self._text

    def _set_text(self, text):
        self._text = text
        self.update()

    def _get_collapsed(self):
        return self._collapsed

    def _set_collapsed(self, collapsed):
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._fold()
        self.contentsCollapsed.emit(collapsed)

    def _fold(self):
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly):
            child.setVisible(not self._collapsed)
        self.setMaximumHeight(HEADER_PX if self._collapsed else 16777215)
        self.updateGeometry()

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)

    def sizeHint(self):
        hint = super().sizeHint()
        return QtCore.QSize(hint.width(), HEADER_PX) if self._collapsed else hint

    def minimumSizeHint(self):
        hint = super().minimumSizeHint()
        return QtCore.QSize(hint.width(), HEADER_PX) if self._collapsed else hint

    def showEvent(self, event):
        super().showEvent(event)
        if self._collapsed:
            self._fold()

    def mousePressEvent(self, event):
        if event.position().y() <= HEADER_PX:
            self._set_collapsed(not self._collapsed)

    def keyPressEvent(self, event):
        if event.key() in (QtCore.Qt.Key.Key_Space, QtCore.Qt.Key.Key_Return):
            self._set_collapsed(not self._collapsed)

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        box = QtCore.QRect(0, 0, self.width(), HEADER_PX - 2)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = box
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(8, 7, 10, 10)
        element = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(
            element.PE_IndicatorArrowRight if self._collapsed else element.PE_IndicatorArrowDown, arrow
        )
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(box.adjusted(24, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self._text)
        painter.end()


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a browse button."""

    currentPathChanged = QtCore.Signal(str)
    SIGNATURES = ("currentPathChanged(QString)",)
    Dirs = 0x001
    Files = 0x002
    Writable = 0x010

    def __init__(self, parent=None):
        super().__init__(parent)
        self._filters, self._setting_key, self._history = 0, "", True
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._edit = QtWidgets.QLineEdit()
        self._edit.textChanged.connect(self.currentPathChanged)
        browse = QtWidgets.QToolButton()
        browse.setText("…")
        layout.addWidget(self._edit)
        layout.addWidget(browse)
        self.setFocusProxy(self._edit)

    def _get_path(self):
        return self._edit.text()

    def _set_path(self, path):
        self._edit.setText(path)

    def _get_filters(self):
        return self._filters

    def _set_filters(self, filters):
        self._filters = filters

    def _get_key(self):
        return self._setting_key

    def _set_key(self, key):
        self._setting_key = key

    def _get_history(self):
        return self._history

    def _set_history(self, history):
        self._history = history

    currentPath = QtCore.Property(str, _get_path, _set_path)
    filters = QtCore.Property(int, _get_filters, _set_filters)
    settingKey = QtCore.Property(str, _get_key, _set_key)
    showHistoryButton = QtCore.Property(bool, _get_history, _set_history)

    def addCurrentPathToHistory(self):
        """In CTK: remember the path in the settings."""


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands the scene on to those inside it."""

    mrmlSceneChanged = QtCore.Signal(object)
    SIGNATURES = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


def _flag(name):
    return QtCore.Property(
        bool, lambda self: self._flags.get(name, False), lambda self, value: self._flags.__setitem__(name, value)
    )


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A list of the scene's nodes of some types."""

    currentNodeChanged = QtCore.Signal(object)
    SIGNATURES = ("currentNodeChanged(vtkMRMLNode*)",)
    noneEnabled = _flag("noneEnabled")
    addEnabled = _flag("addEnabled")
    removeEnabled = _flag("removeEnabled")
    renameEnabled = _flag("renameEnabled")
    editEnabled = _flag("editEnabled")
    showChildNodeTypes = _flag("showChildNodeTypes")
    showHidden = _flag("showHidden")
    selectNodeUponCreation = _flag("selectNodeUponCreation")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene, self._types, self._ids, self._tags = None, [], [], []
        self._flags = {"showChildNodeTypes": True, "addEnabled": True, "removeEnabled": True}
        self._combo = QtWidgets.QComboBox()
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._combo.setMinimumContentsLength(8)
        self._combo.currentIndexChanged.connect(lambda _: self.currentNodeChanged.emit(self.currentNode()))
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._fill()

    def _get_types(self):
        return self._types

    def _set_types(self, types):
        self._types = list(types)
        self._fill()

    nodeTypes = QtCore.Property("QStringList", _get_types, _set_types)

    def _get_id(self):
        index = self._combo.currentIndex()
        return self._ids[index] if 0 <= index < len(self._ids) else ""

    currentNodeID = QtCore.Property(str, _get_id)

    def setMRMLScene(self, scene):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent)
            self._tags = [scene.AddObserver(event, lambda *_: self._fill()) for event in events]
        self._fill()

    def mrmlScene(self):
        return self._scene

    def currentNode(self):
        node_id = self._get_id()
        return self._scene.GetNodeByID(node_id) if node_id else None

    def setCurrentNode(self, node):
        node_id = node.GetID() if node is not None else None
        self._combo.setCurrentIndex(self._ids.index(node_id) if node_id in self._ids else (0 if self._none() else -1))

    def _none(self):
        return self._flags.get("noneEnabled", False)

    def _nodes(self):
        if self._scene is None:
            return []
        exact = not self._flags.get("showChildNodeTypes", True)
        found = []
        for name in self._types:
            nodes = self._scene.GetNodesByClass(name)
            for i in range(nodes.GetNumberOfItems()):
                node = nodes.GetItemAsObject(i)
                if not node.GetHideFromEditors() and (not exact or node.GetClassName() == name):
                    found.append(node)
        return found

    def _fill(self):
        before = self._get_id()
        nodes = self._nodes()
        self._combo.blockSignals(True)
        self._combo.clear()
        self._ids = []
        if self._none():
            self._combo.addItem("None")
            self._ids.append("")
        for node in nodes:
            self._combo.addItem(node.GetName())
            self._ids.append(node.GetID())
        self._combo.setPlaceholderText("Select a Volume")
        first = 0 if self._ids else -1  # without "None" the first node is taken
        self._combo.setCurrentIndex(self._ids.index(before) if before in self._ids else first)
        self._combo.blockSignals(False)
        if self._get_id() != before:
            self.currentNodeChanged.emit(self.currentNode())
