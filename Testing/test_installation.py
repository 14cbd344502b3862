"""What must be in place is found out without importing it, and what is missing is said in one sentence."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys

import pytest
from paths import ROOT

from SpinalTapLib import installation as needs


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """A Resources folder of its own with two small "networks", and versions that can be set."""
    models = tmp_path / "Models"
    models.mkdir()
    (tmp_path / "requirements.txt").write_text("# a comment\nscikit-image>=0.22\n")
    for name in needs.MODELS:
        content = name.encode() * 100
        (models / f"{name}.pt").write_bytes(content)
        (models / f"{name}.json").write_text(json.dumps({"sha256": hashlib.sha256(content).hexdigest()}))
    versions = {"torch": "2.4.1+cu121", "scikit-image": "0.22.0"}
    monkeypatch.setattr(needs, "resource_path", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(needs, "installed_version", versions.get)
    return models, versions


def unmet(slicer_version=None):
    return {need.key: need.sentence for need in needs.check_needs(slicer_version) if not need.met}


def test_a_whole_installation_lacks_nothing(installation):
    assert unmet((5, 10)) == {}
    assert all(need.sentence.endswith(".") for need in needs.check_needs((5, 12)))


@pytest.mark.parametrize("version", [None, "1.13.1", "2.1.2+cpu"])
def test_missing_or_old_torch_is_said(installation, version):
    installation[1]["torch"] = version
    assert set(unmet()) == {"torch"}
    assert (version or "not installed") in unmet()["torch"]


def test_versions_are_compared_as_numbers(installation):
    installation[1].update({"torch": "2.10.0", "scikit-image": "0.9"})
    assert set(unmet()) == {"scikit-image"}


def test_a_missing_package_is_named(installation):
    installation[1]["scikit-image"] = None
    assert unmet() == {"scikit-image": "The Python package scikit-image is not installed yet."}


def test_weights_that_are_gone_altered_or_without_card_are_told_apart(installation):
    models, _ = installation
    (models / "parts.pt").write_bytes(b"something else")
    assert "altered" in unmet()["weights"]
    (models / "parts.json").write_text("{")
    assert "card" in unmet()["weights"]
    (models / "parts.pt").unlink()
    assert "parts.pt is missing" in unmet()["weights"]


def test_an_old_slicer_is_said(installation):
    assert unmet((5, 8)) == {"slicer": "This is 3D Slicer 5.8; SpinalTap needs 5.10 or later."}


def test_nothing_heavy_is_imported_to_find_out():
    code = "import sys; from SpinalTapLib.installation import check_needs; check_needs(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_bounds_are_those_of_the_package():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'"torch>=([0-9.]+)"', project).group(1) == needs.OLDEST_TORCH
