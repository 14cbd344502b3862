"""Check the requirements of a segmentation (packages, weights), without heavy imports and without the internet.

>>> [need.key for need in check_needs() if not need.met]   # doctest: +SKIP
['torch']
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .options import LADDER_MODEL, LEVELS_MODEL, PARTS_MODEL
from .resources import resource_path

OLDEST_SLICER = (5, 10)
"""Oldest supported 3D Slicer: the first with Python 3.12, on which the library is tested; older ones have 3.9."""

OLDEST_TORCH = "2.2"
"""Oldest supported PyTorch."""
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "SimpleITK", "vtk", "pydicom")
"""Python packages that the library depends on, as listed in reports."""

MODELS = (PARTS_MODEL, LADDER_MODEL, LEVELS_MODEL)
"""Names of the networks that a segmentation needs."""


@dataclass(frozen=True)
class Need:
    """One requirement of a segmentation.

    Attributes
    ----------
    key : str
        ``"slicer"``, ``"torch"``, ``"weights"``, or the name of a Python package.
    name : str
        Name shown to the user.
    met : bool
        Whether the requirement is met.
    sentence : str
        One plain sentence: what is installed, or what is missing and what to do.
    """

    key: str
    name: str
    met: bool
    sentence: str


def check_needs(slicer_version: tuple[int, int] | None = None) -> tuple[Need, ...]:
    """Check all requirements and return them, whether met or not.

    Parameters
    ----------
    slicer_version : tuple of int, optional
        Major and minor version of the running 3D Slicer, if any.
    """
    found = [_torch(), *(_package(line) for line in _required_packages()), *(_weights(name) for name in MODELS)]
    if slicer_version is not None:
        found.insert(0, _slicer(slicer_version))
    return tuple(found)


def _slicer(version: tuple[int, int]) -> Need:
    met = tuple(version) >= OLDEST_SLICER
    here = ".".join(map(str, version))
    wanted = ".".join(map(str, OLDEST_SLICER))
    sentence = f"3D Slicer {here}." if met else f"This is 3D Slicer {here}; SpinalTap needs {wanted} or later."
    return Need("slicer", "3D Slicer", met, sentence)


def _torch() -> Need:
    version = installed_version("torch")
    if version is None:
        return Need("torch", "PyTorch", False, "PyTorch, which runs the network, is not installed yet.")
    if _numbers(version) < _numbers(OLDEST_TORCH):
        return Need("torch", "PyTorch", False, f"PyTorch {version} is too old; version {OLDEST_TORCH} is needed.")
    return Need("torch", "PyTorch", True, f"PyTorch {version}.")


def _required_packages() -> list[str]:
    lines = resource_path("requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _package(requirement: str) -> Need:
    name, _, bound = requirement.partition(">=")
    version = installed_version(name)
    if version is None:
        return Need(name, name, False, f"The Python package {name} is not installed yet.")
    if bound and _numbers(version) < _numbers(bound):
        return Need(name, name, False, f"The Python package {name} {version} is too old; {bound} is needed.")
    return Need(name, name, True, f"{name} {version}.")


def _weights(name: str) -> Need:
    path, label = resource_path("Models", f"{name}.pt"), f"Network weights ({name})"
    if not path.is_file():
        return Need("weights", label, False, f"The file {path.name} is missing: install SpinalTap again.")
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        genuine, digest = are_genuine(path.read_bytes(), card), str(card["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return Need("weights", label, False, f"The card of {path.name} cannot be read: install SpinalTap again.")
    if not genuine:
        return Need("weights", label, False, f"The file {path.name} is damaged or altered: install SpinalTap again.")
    return Need("weights", label, True, f"Weights verified (SHA-256 {digest[:8]}…).")


def installed_version(package: str) -> str | None:
    """Return the version of a Python package, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def are_genuine(weights: bytes, card: Mapping[str, Any]) -> bool:
    """Return whether the SHA-256 of the content of a weights file is the one in its model card."""
    return hashlib.sha256(weights).hexdigest() == card["sha256"]


WEIGHTS_SUFFIX, CARD_SUFFIX = ".pt", ".json"


def weights_path(name_or_path: str | Path) -> Path:
    """Return the weights file of a name or a path; a single word without suffix is the name of shipped weights."""
    path = Path(name_or_path)
    if path.suffix != WEIGHTS_SUFFIX and len(path.parts) == 1:
        return resource_path("Models", path.name + WEIGHTS_SUFFIX)
    return path


def stated_digest(name_or_path: str | Path) -> str:
    """Return the SHA-256 that a model card states for its weights, without reading the weights.

    Raises
    ------
    ValueError
        If the weights or their card are missing, or the card cannot be read.
    """
    path = weights_path(name_or_path)
    card = path.with_suffix(CARD_SUFFIX)
    missing = next((file for file in (path, card) if not file.is_file()), None)
    if missing is not None:
        raise ValueError(f"The weights file {missing} is missing: install SpinalTap again, or use other weights.")
    try:
        return str(json.loads(card.read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"The model card {card} cannot be read ({error}): install SpinalTap again.") from error
