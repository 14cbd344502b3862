"""Windows to render in: found in a child process, remembered only where that is safe."""

import json
import sys
from types import SimpleNamespace

import pytest

from SpinalTapLib.report import render_window
from SpinalTapLib.report.render_window import ANY_WINDOW, remembering, window_kind

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a window is always at hand")
EGL = "vtkEGLRenderWindow"


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """Return the file of an empty folder for caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "spinaltap" / "render_window.json"


@pytest.fixture
def asked(monkeypatch):
    """Return the kinds of window that were tried; the first one works, and EGL is what VTK takes for it."""
    kinds = []
    monkeypatch.setattr(render_window, "_tried", lambda kind: kinds.append(kind) or EGL)
    return kinds


def find():
    """Look for a window as a new process would."""
    return window_kind.__wrapped__()


def test_a_machine_that_cannot_render_is_found_out_without_dying_of_it(monkeypatch):
    monkeypatch.setattr(render_window, "_PROBE", "import os; os.abort()")
    assert find() is None
    monkeypatch.setattr(render_window.sys, "executable", "/nowhere/python")
    assert find() is None


def test_a_window_that_rendered_is_not_tried_again(asked, file):
    for _ in range(2):
        kind = find()
        with remembering(kind):
            pass
    assert kind == EGL and asked == [ANY_WINDOW]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_window_in_which_the_process_died_is_tried_again(asked, file):
    with remembering(EGL):
        pass
    with pytest.raises(SystemExit), remembering(find()):
        raise SystemExit
    assert not file.exists() and find() == EGL and asked == [ANY_WINDOW]


def test_a_window_on_a_screen_is_not_remembered(file):
    with remembering("vtkXOpenGLRenderWindow"):
        pass
    assert not file.exists()


@pytest.mark.parametrize("change", ["machine", "display", "vtk"])
def test_another_machine_display_or_vtk_is_tried_anew(change, asked, monkeypatch):
    with remembering(EGL):
        pass
    if change == "machine":
        monkeypatch.setattr(render_window.platform, "node", lambda: "another")
    elif change == "display":
        monkeypatch.setenv("DISPLAY", ":99")
    else:
        monkeypatch.setattr(render_window, "vtkVersion", SimpleNamespace(GetVTKVersion=lambda: "1.0"))
    assert find() == EGL and asked == [ANY_WINDOW]


@pytest.mark.parametrize("content", ["", "[]", '{"machine": []}', "null"])
def test_a_damaged_file_is_as_good_as_none(content, asked, file):
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert find() == EGL and asked == [ANY_WINDOW]
    with remembering(EGL):
        pass
    assert json.loads(file.read_text())["window"] == EGL


def test_a_folder_that_cannot_be_written_does_no_harm(asked, file):
    file.parent.parent.write_text("a file")
    with remembering(find()):
        pass
    assert find() == EGL and asked == [ANY_WINDOW, ANY_WINDOW]
