"""A stand-in of slicer.parameterNodeWrapper: typed parameters on a real vtkMRMLScriptedModuleNode, bound to widgets.

It knows the types that the module uses (node, bool, int, enum) and refuses others, and a widget of the wrong kind,
as Slicer's own does. Enums are written by name, and shown by the ``label`` method of the enum.
"""

# ruff: noqa: N802, N803, N807 - the names are those of Qt and Slicer

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass

import slicer
import vtk

from .binding import unwrap

PROPERTY = "SlicerParameterName"


@dataclass(frozen=True)
class WithinRange:
    """An annotation: the number lies between the two, ends included."""

    minimum: float
    maximum: float


class _Kind:
    """How one type is written into the node and shown in a widget."""

    def __init__(self, hint):
        self.range = next((a for a in typing.get_args(hint)[1:] if isinstance(a, WithinRange)), None)
        self.type = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
        if not (self.type in (bool, int) or issubclass(self.type, (enum.Enum, slicer.vtkMRMLNode))):
            raise TypeError(f"Unable to create serializer for type: {self.type}")

    @property
    def is_node(self):
        return issubclass(self.type, slicer.vtkMRMLNode)

    def read(self, node, name):
        if self.is_node:
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        if self.type is bool:
            return text == "True"
        return self.type[text] if issubclass(self.type, enum.Enum) else self.type(text)

    def write(self, node, name, value):
        if not isinstance(value, self.type) and not (self.is_node and value is None):
            raise TypeError(f"{name} must be {self.type}, got {value!r}")
        if self.range and not self.range.minimum <= value <= self.range.maximum:
            raise ValueError(f"{name} must be within {self.range.minimum} and {self.range.maximum}, got {value!r}")
        if self.is_node:
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(name, value.name if isinstance(value, enum.Enum) else str(value))

    def fit(self, widget):
        """Return read, write and the signal of a widget, as Slicer's GUI connectors have them."""
        name = widget.className()
        if self.is_node and name == "qMRMLNodeComboBox":
            return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
        if self.type is bool and name == "QCheckBox":
            return (lambda: widget.checked), (lambda v: setattr(widget, "checked", v)), widget.stateChanged
        if self.type is int and name == "QSpinBox":
            widget.setRange(self.range.minimum, self.range.maximum)
            return (lambda: widget.value), (lambda v: setattr(widget, "value", v)), widget.valueChanged
        if issubclass(self.type, enum.Enum) and name == "QComboBox":
            values = list(self.type)
            label = getattr(self.type, "label", lambda value: value.name)
            widget.clear()
            for value in values:
                widget.addItem(label(value))
            return (
                lambda: values[widget.currentIndex],
                lambda value: setattr(widget, "currentIndex", values.index(value)),
                widget.currentIndexChanged,
            )
        raise RuntimeError(f"Unable to create GUI connector from datatype '{self.type}' to widget type '{name}'")


def parameterNodeWrapper(cls):
    """Make the class a typed view of a parameter node."""
    kinds = {name: _Kind(hint) for name, hint in typing.get_type_hints(cls, include_extras=True).items()}
    defaults = {name: getattr(cls, name, None) for name in kinds}
    for name, kind in kinds.items():
        setattr(cls, name, _property(name, kind))

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._connections, self._updating = {}, False
        for name, kind in kinds.items():
            if not parameterNode.HasParameter(name) and parameterNode.GetNodeReferenceID(name) is None:
                kind.write(parameterNode, name, defaults[name])

    def connectGui(self, gui):
        tag = len(self._connections)
        connections = []
        for widget in vars(gui).values():
            name = widget.property(PROPERTY) if hasattr(widget, "property") else None
            if name:
                connections.append((name, *kinds[name].fit(widget)))
        slots = [(signal, _follow(self, name, read)) for name, read, _, signal in connections]
        self._connections[tag] = (connections, slots, self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._show))
        self._show()
        for signal, slot in slots:
            signal.connect(slot)
        return tag

    def disconnectGui(self, tag):
        _, slots, observer = self._connections.pop(tag)
        for signal, slot in slots:
            signal.disconnect(slot)
        self.RemoveObserver(observer)

    def _show(self, *_):
        if self._updating:
            return
        self._updating = True
        try:
            for connections, _slots, _observer in self._connections.values():
                for name, read, write, _signal in connections:
                    value = getattr(self, name)
                    if read() is not value and unwrap(read()) != value:
                        write(value)
        finally:
            self._updating = False

    cls.__init__, cls._show = __init__, _show
    cls.connectGui, cls.disconnectGui = connectGui, disconnectGui
    cls.AddObserver = lambda self, event, function: self.parameterNode.AddObserver(event, function)
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    return cls


def _property(name, kind):
    return property(
        lambda self: kind.read(self.parameterNode, name), lambda self, v: kind.write(self.parameterNode, name, v)
    )


def _follow(self, name, read):
    def changed():
        if not self._updating:
            setattr(self, name, read())

    return changed
