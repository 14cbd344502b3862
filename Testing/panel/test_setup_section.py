"""The setup section: what is missing, and how it is installed.

Tested against a stand-in for PythonQt, CTK and qMRML (see `pythonqt`), not inside 3D Slicer.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from panel_desk import raising
from panel_support import click, pythonqt, show, slicer

from SpinalTapLib.installation import Need
from SpinalTapLib.resources import resource_path

pytest_plugins = ("panel_desk",)


MISSING = (
    Need("torch", "PyTorch", False, "PyTorch, which runs the network, is not installed yet."),
    Need("scikit-image", "scikit-image", False, "The Python package scikit-image is not installed yet."),
    Need("weights", "Network weights", True, "Weights verified."),
)


@pytest.fixture
def missing(desk, monkeypatch):
    import SpinalTapLib.installation

    needs = list(MISSING)
    monkeypatch.setattr(SpinalTapLib.installation, "check_needs", lambda version=None: tuple(needs))
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    desk.setup.check()
    desk.panel.refresh()
    show(desk.widget)
    return needs


def _mend(needs, key):
    for position, need in enumerate(needs):
        if need.key == key:
            needs[position] = Need(key, need.name, True, f"{need.name} is there.")


def test_setup_appears_only_when_something_is_missing_and_segmenting_waits_for_it(desk, missing):
    assert desk.ui.setupSection.visible
    assert "✗ PyTorch" in desk.ui.setupLabel.text and "✓ Weights" in desk.ui.setupLabel.text
    assert not desk.ui.segmentButton.enabled
    assert "PyTorch" in desk.ui.segmentButton.toolTip
    assert desk.ui.statusLabel.text.endswith("See Setup above.")
    missing[:] = [Need(n.key, n.name, True, n.sentence) for n in missing]
    click(desk.ui.setupCheckButton)
    desk.panel.refresh()
    assert not desk.ui.setupSection.visible
    assert desk.ui.segmentButton.enabled


def test_an_older_slicer_is_told_to_be_updated_and_offers_nothing_to_install(desk, monkeypatch):
    import SpinalTapLib.installation

    weights = Need("weights", "Network weights", True, "Weights verified.")
    monkeypatch.setattr(pythonqt.unwrap(slicer.app), "_version", (5, 8))
    monkeypatch.setattr(SpinalTapLib.installation, "_torch", lambda: Need("torch", "PyTorch", True, "PyTorch 2.13."))
    monkeypatch.setattr(SpinalTapLib.installation, "_package", lambda line: Need(line, line, True, f"{line}."))
    monkeypatch.setattr(SpinalTapLib.installation, "_weights", lambda name: weights)
    desk.session.set_volume("vtkMRMLScalarVolumeNode1")
    desk.setup.check()
    desk.panel.refresh()
    assert not desk.ui.segmentButton.enabled and not desk.ui.setupInstallButton.enabled
    assert desk.ui.statusLabel.text.startswith("This is 3D Slicer 5.8; SpinalTap needs 5.10 or later.")


def test_without_the_pytorch_extension_torch_is_not_installed_by_another_way(desk, missing, monkeypatch):
    called = []
    monkeypatch.setattr(slicer.util, "pip_install", called.append)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: False)
    click(desk.ui.setupInstallButton)
    assert "extension PyTorch" in desk.ui.setupLabel.text
    assert not called


def test_torch_comes_through_the_pytorch_extension_and_the_rest_through_slicers_installer(desk, missing, monkeypatch):
    import sys
    from types import SimpleNamespace

    done = []

    class Logic:
        def torchInstalled(self):  # noqa: N802
            return False

        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):  # noqa: N802, N803
            assert askConfirmation
            done.append(("torch", torchVersionRequirement))
            _mend(missing, "torch")

    packaging = SimpleNamespace(
        load_requirements=lambda path: [Path(path).read_text()],
        pip_ensure=lambda requirements, requester: (
            done.append((requirements[0], requester)),
            _mend(missing, "scikit-image"),
        ),
    )
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=Logic))
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    click(desk.ui.setupInstallButton)
    assert done == [("torch", ">=2.2"), (resource_path("requirements.txt").read_text(), "SpinalTap")]
    assert not desk.ui.setupSection.visible


def test_an_older_slicer_installs_with_pip_after_a_question(desk, missing, monkeypatch):
    _mend(missing, "torch")
    called = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: True)

    def pip_install(arguments):
        called.append(arguments)
        _mend(missing, "scikit-image")

    monkeypatch.setattr(slicer.util, "pip_install", pip_install)
    desk.setup.check()
    click(desk.ui.setupInstallButton)
    assert called[0][0] == "-r" and called[0][1].endswith("requirements.txt")
    assert not desk.ui.setupSection.visible


def test_a_failed_installation_is_a_sentence(desk, missing, monkeypatch):
    _mend(missing, "torch")
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: True)
    monkeypatch.setattr(slicer.util, "pip_install", raising(RuntimeError("no network")))
    desk.setup.check()
    click(desk.ui.setupInstallButton)
    assert "The installation did not work: no network" in desk.ui.setupLabel.text


def test_the_install_button_is_seen_with_a_result_on_screen(desk, missing):
    desk.done()
    show(desk.widget)
    section = pythonqt.unwrap(desk.ui.setupSection)
    assert section.geometry().top() < pythonqt.unwrap(desk.ui.segmentButton).geometry().top()
    assert section.geometry().bottom() < 300
