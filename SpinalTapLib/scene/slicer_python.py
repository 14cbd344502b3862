"""Find Slicer's Python."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import slicer


def worker_python() -> str:
    """Return the Python executable for the worker: Slicer's ``PythonSlicer``, or the running one outside Slicer."""
    app = getattr(slicer, "app", None)
    if app is not None:
        suffix = ".exe" if sys.platform == "win32" else ""
        for folder in (Path(app.applicationDirPath()), Path(getattr(app, "slicerHome", "")) / "bin"):
            found = folder / f"PythonSlicer{suffix}"
            if found.is_file():
                return str(found)
        on_path = shutil.which("PythonSlicer")
        if on_path:
            return on_path
    return sys.executable
