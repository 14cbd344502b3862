"""Resources are found wherever the code runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from SpinalTapLib import resources
from SpinalTapLib.resources import resource_path


def test_in_the_source_tree_the_folder_stands_beside_the_package() -> None:
    assert resource_path() == Path(resources.__file__).resolve().parents[1] / "Resources"
    assert resource_path("Models").is_dir()


def test_a_file_that_does_not_exist_yet_has_a_path() -> None:
    assert resource_path("Models", "not there.pt").name == "not there.pt"


@pytest.mark.parametrize("inside", [True, False])
def test_the_wheels_own_folder_comes_before_one_beside_the_package(tmp_path: Path, inside: bool) -> None:
    package = tmp_path / "SpinalTapLib"
    package.mkdir()
    shutil.copy(resources.__file__, package / "resources.py")
    (tmp_path / "Resources").mkdir()
    if inside:
        (package / "Resources").mkdir()
    code = "import resources; print(resources.resource_path('Models'))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=package, capture_output=True, text=True, check=True)
    expected = (package if inside else tmp_path) / "Resources" / "Models"
    assert Path(answer.stdout.strip()) == expected.resolve()


def test_an_incomplete_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resources, "_HERE", tmp_path / "SpinalTapLib")
    with pytest.raises(ValueError, match="installation is incomplete"):
        resource_path("Models")
