"""Find the kind of VTK window that can render on this machine without a screen, and remember it."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import vtkmodules
from vtkmodules.vtkCommonCore import vtkVersion

_log = logging.getLogger(__name__)

_PROBE_S = 60.0
"""Time limit of the child process that tries a render window, seconds."""
ANY_WINDOW = "vtkRenderWindow"
"""VTK's default: the first kind of window that works. On Linux it tries a screen first, and warns if there is none."""
_OFFSCREEN_WINDOWS = ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow")
"""VTK's render windows for Linux without a screen: on the graphics card, or in memory."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SETTINGS = ("DISPLAY", "EGL_", "GALLIUM_", "LD_", "LIBGL_", "MESA_", "VTK_", "__EGL_", "__GLX_")
"""Beginnings of the environment variables that change how VTK renders."""

# If no kind of window is available, VTK may end the whole process. Therefore a child process tries first, and prints
# the kind that it drew to. Requesting that kind directly avoids attempts and warnings for the others.
_PROBE = """
import sys
import vtkmodules.vtkRenderingOpenGL2 as opengl
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
window = getattr(opengl, sys.argv[1], vtkRenderWindow)()
window.SetOffScreenRendering(1)
window.SetSize(16, 16)
window.AddRenderer(vtkRenderer())
window.Render()
sys.stdout.write(window.GetClassName())
"""


@functools.lru_cache(maxsize=1)
def window_kind() -> str | None:
    """Return the name of the VTK window class that works on this machine, or None if there is none.

    It is looked up in a file, or tried in child processes, which takes about a second.
    """
    if sys.platform != "linux":
        return ANY_WINDOW
    remembered = _remembered()
    if remembered is not None:
        return remembered
    for kind in (ANY_WINDOW, *_OFFSCREEN_WINDOWS):
        works = _tried(kind)
        if works is not None:
            return works
    _log.info("This machine cannot render offscreen (VTK needs EGL, OSMesa or a screen).")
    return None


@contextlib.contextmanager
def remembering(kind: str) -> Iterator[None]:
    """Remember a kind of window for the next process, if the body of the ``with`` statement renders to it.

    Only windows that need no screen are remembered, because a screen may be gone the next time. Meanwhile nothing is
    remembered: should VTK end this process, the next one tries again.
    """
    file = _file()
    with contextlib.suppress(OSError):
        file.unlink()
    yield
    if kind in _OFFSCREEN_WINDOWS:
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"machine": _machine(), "window": kind}), encoding="utf-8")
            temporary.replace(file)


def _remembered() -> str | None:
    """Return the kind of window that worked last time on this machine with this VTK, or None."""
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        known = content["window"] if content["machine"] == _machine() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if known in _OFFSCREEN_WINDOWS else None


def _file() -> Path:
    """Return the file, in the user's folder for caches (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "spinaltap" / "render_window.json"


def _machine() -> list[str]:
    """Return what decides which windows work: machine and its last start, VTK, graphics devices, and settings."""
    devices = sorted(str(path) for pattern in ("dri/*", "nvidia*") for path in Path("/dev").glob(pattern))
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_SETTINGS))
    vtk = [vtkVersion.GetVTKVersion(), str(vtkmodules.__file__)]
    return [platform.node(), _BOOT_ID.read_text(encoding="utf-8").strip(), *vtk, *devices, *settings]


def _tried(kind: str) -> str | None:
    """Return the window class that a child process drew to when asked for `kind`, or None if it failed."""
    command = [sys.executable, "-c", _PROBE, kind]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PROBE_S, check=False, stdin=subprocess.DEVNULL, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.info("Offscreen rendering could not be tried: %s", error)
        return None
    if done.returncode:
        _log.info("VTK cannot draw to a %s here: %s", kind, done.stderr.strip()[-300:])
        return None
    return done.stdout.strip().rpartition("\n")[2] or kind
