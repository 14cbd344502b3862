"""What a panel loads at start-up is light, and only the scene's files import Slicer."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from paths import ROOT

LIBRARY = ROOT / "SpinalTapLib"


def test_only_the_scene_package_imports_slicer_and_nothing_imports_qt():
    for path in LIBRARY.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).split(".")[0])
        assert not names & {"qt", "ctk", "PythonQt"}, path
        assert "slicer" not in names or "scene" in path.parts, path


@pytest.mark.parametrize(
    "module", ["session", "session.ports", "session.session", "workerlink", "values", "corrections"]
)
def test_a_face_loads_neither_the_network_nor_slicer(module):
    code = (
        f"import sys, SpinalTapLib.{module}; print([n for n in ('torch', 'slicer', 'skimage') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=LIBRARY.parent, check=True
    )
    assert done.stdout.strip() == "[]"
