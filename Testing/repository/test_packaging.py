"""What a fresh clone needs: metadata, the wheel, the Makefile, the door for continuous integration."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomllib
from paths import ROOT

import SpinalTapLib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HANGING_S = 600
HEAVY = ("torch", "vtk", "vtkmodules", "SimpleITK", "skimage", "scipy", "numpy")
IMPORT_NAMES = {"pillow": "PIL", "scikit-image": "skimage", "PySide6-Essentials": "PySide6", "slicer-core": "slicer"}
IMPORT_NAMES["dynamic-network-architectures"] = "dynamic_network_architectures"

needs_make = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="needs make and a POSIX shell")


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=HANGING_S)


def make(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"} if path else None
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=HANGING_S)


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_importing_the_package_loads_nothing_heavy():
    done = python(f"import sys, SpinalTapLib; print([m for m in {HEAVY} if m in sys.modules])")
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_asking_for_help_loads_no_network():
    code = "from SpinalTapLib.cli.main import main; main(['segment', '--help'])"
    assert python(f"import sys; {code}; print('torch' in sys.modules)").stdout.strip().endswith("False")


@pytest.mark.parametrize("name", SpinalTapLib.__all__)
def test_every_public_name_is_there(name):
    assert getattr(SpinalTapLib, name).__doc__


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = SpinalTapLib.no_such_name


def test_the_console_script_is_a_function_that_returns_an_exit_code():
    module, function = PROJECT["scripts"]["spinaltap"].split(":")
    assert getattr(importlib.import_module(module), function)(["--version"]) == 0


def imported_names(folder: Path) -> set[str]:
    """Return the top-level packages that the Python files of a folder import."""
    names = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"SpinalTapLib"}


def declared(requirements: list[str]) -> set[str]:
    names = [re.match(r"[A-Za-z0-9_.-]+", requirement).group() for requirement in requirements]
    return {IMPORT_NAMES.get(name, name) for name in names}


def test_the_library_imports_only_what_it_declares():
    allowed = declared(PROJECT["dependencies"]) | {"vtkmodules", "slicer"}  # Slicer itself brings `slicer`
    for extra in ("train", "dicom", "cluster", "review", "benchmark"):
        allowed |= declared(PROJECT["optional-dependencies"][extra])
    assert imported_names(ROOT / "SpinalTapLib") <= allowed


def test_the_package_called_slicer_is_never_asked_for():
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    assert not [line for line in [*PROJECT["dependencies"], *extras] if re.match(r"slicer\b(?!-core)", line)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=HANGING_S)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_carries_every_resource(wheel):
    for path in (ROOT / "Resources").rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.parent.name != "__pycache__":
            assert f"SpinalTapLib/Resources/{path.relative_to(ROOT / 'Resources').as_posix()}" in wheel.namelist()


def test_the_wheel_carries_the_whole_library_and_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"SpinalTapLib", f"spinaltaplib-{SpinalTapLib.__version__}.dist-info"}
    for path in (ROOT / "SpinalTapLib").rglob("*.py"):
        assert path.relative_to(ROOT).as_posix() in wheel.namelist()
    assert "SpinalTapLib/training/configs/parts.json" in wheel.namelist()
    assert "SpinalTapLib/review/static/niivue/LICENSE" in wheel.namelist()


def test_the_wheel_finds_its_resources_where_it_is_installed(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = "from SpinalTapLib import resources; print(resources.resource_path('Terminology', 'SpinalTap.term.json'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=HANGING_S)
    found = Path(done.stdout.strip())
    assert found.is_file() and tmp_path.resolve() in found.resolve().parents, done.stderr


@needs_make
@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has one build for all other systems' processors")
def test_without_an_nvidia_card_only_the_processor_build_of_torch_can_be_installed(tmp_path):
    script(tmp_path, "nvidia-smi", "exit 9")
    lines = make("-n", "demo", f"VENV={tmp_path}/venv", path=tmp_path).stdout
    assert re.search(r'--no-deps .*"torch==[\d.]+\+cpu"', lines)


@needs_make
def test_with_an_nvidia_card_the_usual_build_of_torch_is_installed(tmp_path):
    script(tmp_path, "nvidia-smi", "echo 'GPU 0: a card'")
    lines = make("-n", "demo", f"VENV={tmp_path}/venv", path=tmp_path).stdout
    assert re.search(r'"torch==[\d.]+"', lines) and "+cpu" not in lines


@needs_make
def test_a_python_that_is_too_old_is_refused_with_a_sentence(tmp_path):
    script(tmp_path, "oldpython", "exit 1")
    done = make("demo", f"VENV={tmp_path}/venv", f"PYTHON={tmp_path}/oldpython")
    assert done.returncode != 0
    assert "needs Python 3.11 or later" in done.stdout
    assert not (tmp_path / "venv").exists()


@needs_make
def test_a_ready_environment_is_not_touched_again(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    for stamp in (".made", ".run-ready", ".test-ready"):
        (venv / stamp).touch()
    assert "pip" not in make("-n", "test", f"VENV={venv}").stdout


@needs_make
def test_a_scan_with_a_blank_in_its_name_is_passed_whole(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    for stamp in (".made", ".run-ready"):
        (venv / stamp).touch()
    assert 'segment "my scan.nii.gz" ' in make("-n", "demo", "SCAN=my scan.nii.gz", f"VENV={venv}").stdout


def test_continuous_integration_runs_the_command_of_the_readme():
    door = ROOT / ".ci" / "run"
    assert os.access(door, os.X_OK) or os.name == "nt"
    assert re.search(r"^exec make test\b", door.read_text(), re.MULTILINE)
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_command_of_the_readme_exists():
    from SpinalTapLib.cli.main import make_parser

    known = next(action.choices for action in make_parser()._actions if "segment" in (action.choices or ()))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in re.findall(r"spinaltap ([a-z]+)", text)} <= set(known)
