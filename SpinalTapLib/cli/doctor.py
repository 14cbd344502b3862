"""Check the installation, and run the pipeline once on a synthetic scan."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass

import numpy as np

from .. import __version__
from ..installation import PACKAGES, check_needs, installed_version


@dataclass(frozen=True)
class Check:
    """One line of the report: the check, whether it passed, and details."""

    name: str
    ok: bool
    detail: str


def examine(device: str = "auto") -> list[Check]:
    """Check versions, device and weights, and run the pipeline once on a synthetic scan.

    Parameters
    ----------
    device : str
        As for `device.choose_device`.
    """
    checks = [
        Check("SpinalTap", True, f"{__version__} on Python {platform.python_version()}, {platform.platform()}"),
        *(_package(name) for name in PACKAGES),
        *(Check(need.name, need.met, need.sentence) for need in check_needs() if need.key == "weights"),
    ]
    for further in (_device, _self_check):
        if all(check.ok for check in checks):
            checks.append(further(device))
    return checks


def _package(name: str) -> Check:
    version = installed_version(name)
    return Check(name, version is not None, version or "not installed")


def _device(choice: str) -> Check:
    from ..detection.device import choose_device, describe

    try:
        return Check("Device", True, describe(choose_device(choice)))
    except ValueError as error:
        return Check("Device", False, str(error))


def _self_check(device: str) -> Check:
    from ..pipeline import Options, segment_spine
    from ..scans.volume import volume_from_array

    matrix = np.array([[4.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    began = time.perf_counter()
    try:
        segment_spine(volume_from_array(column_of_blocks(), matrix), options=Options(device=device))
    except Exception as error:  # the report names any failure
        return Check("Self-check", False, f"{type(error).__name__}: {error}")
    return Check("Self-check", True, f"a scan of 3 slices was processed in {time.perf_counter() - began:.1f} s")


def column_of_blocks() -> np.ndarray:
    """Return a crude lumbar spine, shape (3, 224, 160): bright blocks with dark gaps on a noisy grey background."""
    rng = np.random.default_rng(0)
    array = rng.normal(60, 12, (3, 224, 160))
    for top in range(12, 200, 36):
        array[:, top : top + 26, 60:94] += 120
    return array.clip(0).astype(np.float32)
