"""A small, strict stand-in for the Qt side of 3D Slicer: PythonQt, CTK and qMRML widgets, over PySide6.

What it is: enough of `qt`, `ctk` and the application part of `slicer` to load the real `.ui` file and to drive the
real widget code of the module on Slicer's real MRML libraries (slicer-core), without a screen.

What it is not: 3D Slicer. The widgets are PySide6's, the CTK and qMRML widgets are written here and know only what
this module uses, and nothing is said about looks inside the application. A test that passes here was "tested
against a stand-in and on the real MRML libraries".

Where it is strict, because PythonQt is, or because PythonQt would only print:

- properties are read and set without parentheses (``w.text``, not ``w.text()``); string lists come as tuples;
- assigning an attribute that is no property raises AttributeError;
- connecting a signal that does not exist raises (PythonQt prints a line and returns False);
- extra arguments of a signal are trimmed to what the callable takes;
- a destroyed object raises ValueError;
- an exception in a slot is kept in `SLOT_ERRORS`, and the tests fail on it.

`install` puts the modules in place, once a process, before the module under test is imported.
"""

from .binding import SLOT_ERRORS, unwrap, wrap
from .installation import install, new_scene

__all__ = ["SLOT_ERRORS", "install", "new_scene", "unwrap", "wrap"]
