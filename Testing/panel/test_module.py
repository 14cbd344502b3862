"""The module itself: loaded, set up, used, closed and reloaded as the application does it.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`) and on Slicer's real MRML libraries.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fake_session import FakeSession
from panel_support import ROOT, click, process_events, pythonqt, slicer, wait_until

from SpinalTapLib.options import Options
from SpinalTapLib.session.state import State

MODULE = ROOT / "SpinalTap" / "SpinalTap.py"
OURS = ("SpinalTapLib", "SpinalTapPanel")


class SampleDataLogic:
    """Takes what Slicer's own SampleDataLogic takes."""

    registered: list = []  # noqa: RUF012

    @staticmethod
    def registerCustomSampleDataSource(  # noqa: N802
        category="Custom", sampleName=None, uris=None, fileNames=None, nodeNames=None, customDownloader=None,  # noqa: N803
        thumbnailFileName=None, loadFileType="VolumeFile", loadFiles=None, loadFileProperties={}, checksums=None,  # noqa: B006, N803
    ):  # fmt: skip
        SampleDataLogic.registered.append(SimpleNamespace(**locals()))


@pytest.fixture(autouse=True)
def no_swallowed_exceptions(monkeypatch):
    pythonqt.SLOT_ERRORS.clear()
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: pythonqt.SLOT_ERRORS.append(error))
    yield
    assert not pythonqt.SLOT_ERRORS


@pytest.fixture
def terminologies():
    return slicer.vtkSlicerTerminologiesModuleLogic()


@pytest.fixture
def spinaltap(monkeypatch, terminologies):
    """The module, imported anew, in a new scene, its description read."""
    pythonqt.new_scene()
    SampleDataLogic.registered.clear()
    monkeypatch.setitem(sys.modules, "SampleData", SimpleNamespace(SampleDataLogic=SampleDataLogic))
    sys.modules.pop("SpinalTap", None)
    module = importlib.import_module("SpinalTap")
    slicer.modules.spinaltap = SimpleNamespace(path=str(MODULE))
    slicer.modules.terminologies = SimpleNamespace(logic=lambda: terminologies)
    return module


class Application:
    """The module's widget as the application holds it, on a fake session."""

    def __init__(self, spinaltap, monkeypatch):
        from pythonqt.application import WidgetParent

        self.spinaltap, self.sessions = spinaltap, []

        def make_session():
            self.sessions.append(FakeSession())
            return self.sessions[-1]

        monkeypatch.setattr(spinaltap.SpinalTapLogic, "makeSession", staticmethod(make_session))
        self.parent = WidgetParent()
        self.parent.resize(400, 900)
        self.parent.show()
        self.widget = spinaltap.SpinalTapWidget(pythonqt.wrap(self.parent))
        slicer.modules.SpinalTapWidget = self.widget
        slicer.modules.spinaltap.widgetRepresentation = lambda: pythonqt.wrap(self.parent)
        self.widget.setup()

    @property
    def session(self):
        return self.sessions[-1]


@pytest.fixture
def application(spinaltap, monkeypatch):
    application = Application(spinaltap, monkeypatch)
    yield application
    slicer.modules.SpinalTapWidget.cleanup()
    application.parent.hide()


def add_volume(name="scan"):
    import numpy as np

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.zeros((3, 4, 5), np.int16))
    return node


# --- loading -----------------------------------------------------------------------------------------------------


def _last_line_of(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_importing_the_module_loads_nothing_heavy():
    code = (
        "import sys; sys.path[:0] = ['Testing/support']; import panel_support;"
        "before = set(sys.modules); import SpinalTap;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "heavy = {'torch', 'skimage', 'scipy', 'SimpleITK', 'urllib', 'requests', 'ssl'};"
        "print(sorted(new & heavy))"
    )
    assert _last_line_of(code) == "[]"


def test_module_describes_itself_and_carries_its_icon(spinaltap):
    from pythonqt.application import ModuleParent

    parent = pythonqt.wrap(ModuleParent(MODULE))
    spinaltap.SpinalTap(parent)
    assert parent.title == "SpinalTap"
    assert parent.categories == ("Segmentation",)
    assert len(parent.contributors) == 1 and "(" in parent.contributors[0]
    assert "Not a medical device" in parent.helpText and "https://" in parent.helpText
    assert "Windsor" in parent.acknowledgementText and "Ladder" in parent.acknowledgementText
    assert not parent.icon.isNull()


def test_start_up_makes_codes_and_samples_known_and_touches_no_network(spinaltap, terminologies, monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", None)
    spinaltap.onStartupCompleted()
    category = slicer.vtkSlicerTerminologyCategory()
    assert terminologies.GetNthCategoryInTerminology("SpinalTap vertebrae", 0, category)
    practice, lumbar = SampleDataLogic.registered
    assert practice.customDownloader is not None
    assert lumbar.uris.startswith("https://raw.githubusercontent.com/spinalcordtoolbox/sct_tutorial_data/")
    assert lumbar.uris.endswith("/" + lumbar.fileNames)
    assert lumbar.checksums.startswith("SHA256:") and len(lumbar.checksums) == len("SHA256:") + 64
    assert lumbar.customDownloader is None
    assert practice.sampleName.startswith("Practice spine") and lumbar.sampleName == "Lumbar spine T2"


def test_checksum_of_the_real_sample_is_that_of_the_development_copy():
    import hashlib
    import os
    from pathlib import Path

    from SpinalTapPanel import samples

    path = Path(os.environ.get("SPINALTAP_DATA", "")) / "sct" / "t2_lumbar.nii.gz"
    if not path.is_file():
        pytest.skip("SPINALTAP_DATA does not name a folder with sct/t2_lumbar.nii.gz")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == samples.LUMBAR_SHA256


def test_a_panel_is_set_up_without_the_network_and_its_libraries():
    code = (
        "import sys; sys.path[:0] = ['Testing/support']; from panel_support import pythonqt; before = set(sys.modules);"
        "pythonqt.new_scene(); from pythonqt.application import WidgetParent; import SpinalTap;"
        "parent = WidgetParent(); widget = SpinalTap.SpinalTapWidget(pythonqt.wrap(parent));"
        "widget.setup(); widget.cleanup();"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(sorted(new & {'torch', 'skimage', 'urllib', 'requests'}))"
    )
    assert _last_line_of(code) == "[]"


# --- choosing ----------------------------------------------------------------------------------------------------


def test_first_scan_is_chosen_by_itself_and_another_on_request(application):
    assert application.session.volume is None
    first, second = add_volume("first"), add_volume("second")
    application.widget.enter()
    assert application.session.volume == first.GetID()
    application.widget.ui.inputSelector.setCurrentNode(second)
    assert application.session.volume == second.GetID()
    slicer.mrmlScene.RemoveNode(second)
    assert application.session.volume != second.GetID()


def test_advanced_choices_reach_the_session_and_the_saved_scene(application):
    ui = application.widget.ui
    assert application.session.settings == Options()
    words = [ui.deviceSelector.itemText(i) for i in range(ui.deviceSelector.count)]
    assert words == ["Automatic", "Processor", "NVIDIA graphics card", "Apple graphics"]
    ui.deviceSelector.currentIndex = 1
    ui.stepsSpinBox.value = 6
    words = [ui.structuresSelector.itemText(i) for i in range(ui.structuresSelector.count)]
    assert words == ["Bodies", "Whole vertebrae", "Everything"]
    ui.structuresSelector.currentIndex = 2
    ui.methodSelector.currentIndex = 2
    assert application.session.settings == Options(device="cpu", steps=6, structures="all", method="ladder")
    node = slicer.mrmlScene.GetSingletonNode("SpinalTap", "vtkMRMLScriptedModuleNode")
    assert node.GetParameter("structures") == "ALL" and node.GetParameter("steps") == "6"
    ui.stepsSpinBox.value = 0
    assert application.session.settings.steps is None


def test_choices_are_those_of_the_pipeline():
    import dataclasses

    from SpinalTapPanel.choices import Device, Method, Structures

    from SpinalTapLib.pipeline import Options

    names = {field.name for field in dataclasses.fields(Options)}
    assert {"device", "steps", "structures", "method"} <= names
    defaults = Options()
    assert (Device(defaults.device), Structures(defaults.structures), Method(defaults.method)) == (
        Device.AUTO, Structures.VERTEBRAE, Method.FUSED,
    )  # fmt: skip


MATRIX = [[4.0, 0, 0, -20], [0, 0, 1, -90], [0, -1, 0, 60], [0, 0, 0, 1]]
DRAWN = f"""
import sys
import numpy as np
import SimpleITK as sitk
from SpinalTapLib.scans.volume import volume_from_array
array = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
image = volume_from_array(array, np.array({MATRIX})).to_source(array)
sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), sys.argv[1] + "/phantom-7-lumbar-t2.nii.gz")
"""


def test_practice_scan_is_drawn_beside_the_interface_chosen_and_lies_as_patients_lie(application, monkeypatch):
    import numpy as np
    from SpinalTapPanel import practice

    matrix = np.array(MATRIX)
    monkeypatch.setattr(practice, "command", lambda folder: [sys.executable, "-c", DRAWN, folder])
    ui = application.widget.ui
    click(ui.sampleButton)
    assert not ui.sampleButton.enabled and ui.statusLabel.text.startswith("Drawing a practice scan")
    wait_until(lambda: application.session.volume is not None)
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert application.session.volume == node.GetID()
    assert ui.sampleButton.enabled and not ui.statusLabel.text.startswith("Drawing")
    array = slicer.util.arrayFromVolume(node)
    assert array.shape == (3, 4, 5)
    ras = [0.0] * 4
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(node))
    ras = ijk_to_ras @ [4, 3, 2, 1]  # column 4, row 3, slice 2
    lps = matrix @ [2, 3, 4, 1]
    assert np.allclose(ras[:3], lps[:3] * [-1, -1, 1])


def test_the_practice_scan_of_sample_data_says_that_it_is_being_drawn(spinaltap, monkeypatch):
    from SpinalTapPanel import practice

    said = []
    monkeypatch.setattr(practice, "command", lambda folder: [sys.executable, "-c", DRAWN, folder])
    monkeypatch.setattr(slicer.util, "showStatusMessage", said.append)
    spinaltap.onStartupCompleted()
    (node,) = SampleDataLogic.registered[0].customDownloader()
    assert node.IsA("vtkMRMLScalarVolumeNode")
    assert said[0].startswith("Drawing a practice scan (") and said[-1] == ""


def test_a_practice_scan_that_cannot_be_drawn_is_one_sentence(application, monkeypatch):
    from SpinalTapPanel import practice

    monkeypatch.setattr(practice, "command", lambda folder: [sys.executable, "-c", "raise SystemExit('no disk left')"])
    ui = application.widget.ui
    click(ui.sampleButton)
    wait_until(lambda: ui.sampleButton.enabled)
    assert ui.statusLabel.text == "The practice scan could not be drawn. no disk left"
    monkeypatch.setattr(practice, "command", lambda folder: ["/no/such/program"])
    click(ui.sampleButton)
    assert ui.sampleButton.enabled and "could not be drawn" in ui.statusLabel.text


def test_a_practice_scan_that_is_being_drawn_ends_with_the_panel(application, monkeypatch):
    from SpinalTapPanel import practice

    endless = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    monkeypatch.setattr(practice, "command", lambda folder: endless)
    click(application.widget.ui.sampleButton)
    drawing = application.widget.practice._drawing
    application.widget.cleanup()
    assert drawing._process.wait(300) != 0  # ended from outside: it never ends by itself


def test_the_practice_scan_is_what_the_command_line_draws(tmp_path):
    from SpinalTapPanel import practice

    from SpinalTapLib.cli.main import make_parser

    python, _m, package, *arguments = practice.command(str(tmp_path))
    assert (python, package) == (sys.executable, "SpinalTapLib")
    options = make_parser().parse_args(arguments)
    assert options.output == str(tmp_path) and options.slice_mm == practice.SLICE_MM


def _ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


# --- scripts ------------------------------------------------------------------------------------------------------


def test_an_open_panel_takes_up_what_a_script_has_segmented(application, monkeypatch):
    volume = add_volume()
    application.widget.enter()
    panels = application.session
    monkeypatch.setattr(FakeSession, "wait", lambda session, timeout_s: session.finish())
    rows = application.spinaltap.SpinalTapLogic().process(volume)
    assert [row.level for row in rows][-1] == "S1" and application.session is not panels
    assert ("take_up",) in panels.calls
    application.spinaltap.SpinalTapLogic().process(add_volume("other"))
    assert panels.calls.count(("take_up",)) == 1


def test_a_script_is_told_in_one_sentence_why_a_scan_cannot_be_segmented(application, monkeypatch):
    def refuse(session):
        raise ValueError("'labels' is a label map; choose the scan that it was made from.")

    monkeypatch.setattr(FakeSession, "segment", refuse)
    with pytest.raises(RuntimeError, match="is a label map"):
        application.spinaltap.SpinalTapLogic().process(add_volume())
    assert ("close",) in application.session.calls


# --- closing -----------------------------------------------------------------------------------------------------


def test_closing_the_scene_while_it_runs_leaves_an_empty_panel_that_works(application):
    add_volume()
    application.widget.enter()
    click(application.widget.ui.segmentButton)
    assert application.session.state is State.RUNNING
    slicer.mrmlScene.Clear(0)
    process_events()
    assert application.session.volume is None
    assert application.widget._parameterNode.inputVolume is None
    volume = add_volume("next")
    application.widget.ui.inputSelector.setCurrentNode(volume)
    assert application.session.volume == volume.GetID()


def _modules_of_ours():
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] in OURS}


@pytest.fixture
def same_library():
    """Other tests hold classes of the library as it was: let later imports find one library again."""
    before = _modules_of_ours()
    yield
    for name in _modules_of_ours():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.usefixtures("same_library")
def test_reloading_while_it_runs_ends_the_old_session_and_takes_new_code(application, monkeypatch):
    add_volume()
    application.widget.enter()
    click(application.widget.ui.segmentButton)
    old_session, old_module = application.session, sys.modules["SpinalTapLib.session.state"]
    logic = application.spinaltap.SpinalTapLogic
    real = importlib.util.spec_from_file_location

    def keep_fake(name, path, **kwargs):
        spec = real(name, path, **kwargs)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            if name == "SpinalTap":
                module.SpinalTapLogic.makeSession = staticmethod(logic.makeSession)

        spec.loader.exec_module = exec_module
        return spec

    monkeypatch.setattr(importlib.util, "spec_from_file_location", keep_fake)
    try:
        application.widget.onReload()
        process_events()
        assert ("close",) in old_session.calls
        assert not old_session.faces
        assert slicer.modules.SpinalTapWidget is not application.widget
        assert sys.modules["SpinalTapLib.session.state"] is not old_module
        assert len(application.sessions) == 2
        assert slicer.modules.SpinalTapWidget.ui.segmentButton.visible
    finally:
        slicer.modules.SpinalTapWidget.cleanup()


def test_cleanup_twice_and_unloading_the_module_are_fine(application):
    application.widget.cleanup()
    application.widget.cleanup()
    assert ("close",) in application.session.calls
    slicer.app.moduleManager().moduleAboutToBeUnloaded("SpinalTap")


def test_leaving_the_module_lets_the_run_go_on(application):
    add_volume()
    application.widget.enter()
    click(application.widget.ui.segmentButton)
    application.widget.exit()
    assert application.session.state is State.RUNNING
    polls = application.session.calls.count(("poll",))
    wait_until(lambda: application.session.calls.count(("poll",)) > polls)
