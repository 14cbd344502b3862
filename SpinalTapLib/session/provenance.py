"""Provenance of a result: node attributes, and the log for a bug report."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import __version__
from ..files.spine_codec import seed_out
from ..options import Options
from .state import Failure, Progress

if TYPE_CHECKING:
    from ..worker.exchange import Result


def provenance(result: Result, options: Options) -> dict[str, str]:
    """Return the attributes of the result nodes, name to value."""
    spine = result.spine
    return {
        "Version": __version__,
        "Model": str(spine.model.get("name", "")),
        "ModelSHA256": str(spine.model.get("sha256", "")),
        "Device": spine.device,
        "Anchor": spine.anchor,
        "Seed": json.dumps(seed_out(spine.seed)),
        "Options": json.dumps(asdict(options), sort_keys=True),
    }


def log_text(
    result: Result | None, failure: Failure | None, options: Options, progress: Progress, worker_log: str
) -> str:
    """Return versions, device, weights, the last progress sentence and the end of the worker's log, as one text."""
    from ..installation import PACKAGES, installed_version

    lines = [
        f"SpinalTap {__version__}",
        f"Python {platform.python_version()} ({sys.executable})",
        platform.platform(),
        ", ".join(f"{name} {installed_version(name) or 'missing'}" for name in PACKAGES),
        f"Settings: {json.dumps(asdict(options), sort_keys=True)}",
    ]
    if result is not None:
        spine = result.spine
        seconds = ", ".join(f"{stage} {time:.1f} s" for stage, time in spine.seconds.items())
        lines.append(f"Model: {spine.model.get('name', 'unknown')} {spine.model.get('sha256', '')}")
        lines.append(f"Device: {spine.device}")
        lines += [f"Seconds: {seconds}", *(f"Warning: {text}" for text in spine.warnings)]
    if progress.sentence:
        lines.append(f"Last: {progress.sentence}")
    if failure is not None:
        lines += [f"Failed: {failure.sentence}", failure.details]
    elif worker_log:
        lines += ["", worker_log]
    return "\n".join(lines)
