"""PythonQt's manners: what a wrapped object lets one read, set, call and connect."""

# ruff: noqa: N802 - the names are those of Qt and Slicer

from __future__ import annotations

import enum
import inspect
import sys
import weakref
from types import ModuleType

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

SLOT_ERRORS: list[BaseException] = []
"""Exceptions that slots have raised; PythonQt would print them and go on."""

_ALIASES = {"name": "objectName"}  # PythonQt's own name for the objectName
_RENAMED = {"exec_": "exec"}  # PythonQt keeps the old name
_WRAPPERS: weakref.WeakValueDictionary[int, Wrapped] = weakref.WeakValueDictionary()
_SLOTS: dict[tuple[int, str, object], object] = {}


def wrap(value):
    """Return what PythonQt would hand to Python for a value that comes from Qt."""
    if isinstance(value, QtCore.QObject):
        key = shiboken6.getCppPointer(value)[0]
        known = _WRAPPERS.get(key)
        if known is None or object.__getattribute__(known, "_object") is not value:
            known = Wrapped(value)
            _WRAPPERS[key] = known
        return known
    if isinstance(value, (list, tuple)):
        return tuple(wrap(item) for item in value)
    return value


def unwrap(value):
    """Return the PySide6 value behind a wrapped one."""
    if isinstance(value, Wrapped):
        return _alive(value)
    if isinstance(value, ClassProxy):
        return object.__getattribute__(value, "_class")
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(item) for item in value)
    return value


def _alive(wrapped):
    qobject = object.__getattribute__(wrapped, "_object")
    if not shiboken6.isValid(qobject):
        raise ValueError(f"Trying to use a destroyed {type(qobject).__name__} object")
    return qobject


def _property_index(qobject, name):
    return qobject.metaObject().indexOfProperty(name)


def _signal_names(qobject):
    meta = qobject.metaObject()
    methods = (meta.method(i) for i in range(meta.methodCount()))
    return {bytes(m.name()).decode() for m in methods if m.methodType() == QtCore.QMetaMethod.MethodType.Signal}


class Wrapped:
    """One QObject as PythonQt shows it."""

    __slots__ = ("__weakref__", "_object")

    def __init__(self, qobject):
        object.__setattr__(self, "_object", qobject)

    def __getattr__(self, name):
        qobject = _alive(self)
        name = _ALIASES.get(name, name)
        if _property_index(qobject, name) >= 0:
            return wrap(qobject.property(name))
        if name in _signal_names(qobject):
            return SignalHandle(self, name)
        name = _RENAMED.get(name, name)
        if not name.startswith("_") and callable(getattr(type(qobject), name, None)):
            return _caller(getattr(qobject, name))
        raise AttributeError(f"{type(qobject).__name__} has no attribute named '{name}'")

    def __setattr__(self, name, value):
        qobject = _alive(self)
        name = _ALIASES.get(name, name)
        index = _property_index(qobject, name)
        if index < 0:
            raise AttributeError(f"{type(qobject).__name__} has no property named '{name}' that could be assigned")
        if not qobject.metaObject().property(index).isWritable():
            raise AttributeError(f"the property '{name}' of {type(qobject).__name__} is read-only")
        if not qobject.setProperty(name, unwrap(value)):
            raise ValueError(f"the property '{name}' of {type(qobject).__name__} does not take {value!r}")

    def __eq__(self, other):
        return isinstance(other, Wrapped) and hash(self) == hash(other)

    def __hash__(self):
        return shiboken6.getCppPointer(object.__getattribute__(self, "_object"))[0]

    def __repr__(self):
        return f"<PythonQt stand-in of {object.__getattribute__(self, '_object')!r}>"

    # PythonQt gives these to every object.
    def className(self):
        return type(_alive(self)).__name__

    def connect(self, signal, function):
        """Connect ``"clicked()"`` or ``"currentNodeChanged(vtkMRMLNode*)"`` to a callable."""
        self._check(signal)
        SignalHandle(self, signal.split("(")[0].strip()).connect(function)
        return True

    def disconnect(self, signal, function):
        self._check(signal)
        SignalHandle(self, signal.split("(")[0].strip()).disconnect(function)
        return True

    def _check(self, signal):
        qobject = _alive(self)
        known = getattr(type(qobject), "SIGNATURES", ())
        normal = bytes(QtCore.QMetaObject.normalizedSignature(signal)).decode()
        if normal not in known and qobject.metaObject().indexOfSignal(normal) < 0:
            raise LookupError(f"{type(qobject).__name__} has no signal '{signal}'")

    def delete(self):
        shiboken6.delete(_alive(self))


class SignalHandle:
    """``button.clicked`` with connect, disconnect and, as PythonQt has it, a call that emits."""

    def __init__(self, owner, name):
        self._owner, self._name = owner, name

    def _signal(self):
        return getattr(_alive(self._owner), self._name)

    def connect(self, function):
        slot = _trimmed(function)
        _SLOTS[id(_alive(self._owner)), self._name, function] = slot
        self._signal().connect(slot)
        return True

    def disconnect(self, function):
        self._signal().disconnect(_SLOTS.pop((id(_alive(self._owner)), self._name, function)))
        return True

    def __call__(self, *arguments):
        self._signal().emit(*unwrap(arguments))

    emit = __call__


def _trimmed(function):
    """Return a slot that passes on as many of a signal's arguments as `function` takes."""
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    arity = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)

    def slot(*arguments):
        try:
            function(*(wrap(a) for a in (arguments if takes_all else arguments[:arity])))
        except Exception as error:
            SLOT_ERRORS.append(error)
            sys.excepthook(type(error), error, error.__traceback__)

    return slot


def _caller(function):
    def call(*arguments):
        return wrap(function(*(unwrap(a) for a in arguments)))

    return call


class ClassProxy:
    """A Qt class as the module `qt` has it: callable, with its enums and static functions."""

    def __init__(self, cls):
        object.__setattr__(self, "_class", cls)

    def __call__(self, *arguments):
        return wrap(object.__getattribute__(self, "_class")(*(unwrap(a) for a in arguments)))

    def __getattr__(self, name):
        value = getattr(object.__getattribute__(self, "_class"), name)
        if callable(value) and not isinstance(value, (type, enum.Enum)):
            return _caller(value)
        return value

    def __instancecheck__(self, instance):
        return isinstance(unwrap(instance), object.__getattribute__(self, "_class"))

    def __eq__(self, other):
        return isinstance(other, ClassProxy) and unwrap(self) is unwrap(other)

    def __hash__(self):
        return id(unwrap(self))


class QtModule(ModuleType):
    """The module `qt`: all of QtCore, QtGui and QtWidgets in one."""

    def __getattr__(self, name):
        for module in (QtWidgets, QtGui, QtCore):
            value = getattr(module, name, None)
            if isinstance(value, type):
                # Enum-only namespaces and plain values (QColor, QSize, QTableWidgetItem ...) are the same in PythonQt.
                return value if name == "Qt" or not issubclass(value, QtCore.QObject) else ClassProxy(value)
        raise AttributeError(f"module 'qt' has no attribute '{name}'")
