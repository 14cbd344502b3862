"""The state of a scan, ``batch.json`` in its result folder: what came out, and what it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import reason
from ..files.atomic import write_whole
from ..files.result_names import CHANGES_NAME, JSON_NAME
from ..installation import stated_digest
from ..options import Options

STATE_NAME = "batch.json"
SCHEMA_VERSION = 1

DONE, EMPTY, FAILED = "done", "no vertebra found", "failed"
"""Outcomes of a scan that are stored."""
SKIPPED, KEPT, ELSEWHERE = "already done", "corrected by hand, kept", "another run works on it"
"""Outcomes of a scan that this run leaves alone."""


@dataclass(frozen=True)
class State:
    """The state of a scan.

    Attributes
    ----------
    scan : str
        Path of the scan.
    outcome : str
        `DONE`, `EMPTY` or `FAILED`.
    made_with : mapping
        What the outcome depends on: see `conditions`, and `Scan.stamp` as ``"scan"``.
    run : str
        Identifier of the run.
    series : str or None
        Instance UID of the DICOM series.
    message : str
        The error, if the scan failed.
    seconds : float
        Wall-clock seconds; of a scan that is done, spine.json tells them.
    """

    scan: str
    outcome: str
    made_with: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    series: str | None = None
    message: str = ""
    seconds: float = 0.0

    def is_good_for(self, made_with: Mapping[str, Any]) -> bool:
        """Return whether the scan need not be segmented again."""
        return self.outcome in (DONE, EMPTY) and dict(self.made_with) == dict(made_with)

    def content(self) -> bytes:
        """Return the content of the file."""
        return (json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=1) + "\n").encode()

    def write(self, folder: Path) -> None:
        """Write the state to a scan's result folder.

        Raises
        ------
        ValueError
            If the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"Could not make the folder {folder}: {reason(error)}.") from error
        write_whole(folder / STATE_NAME, self.content())


def read_state(folder: Path) -> State | None:
    """Return the state in a result folder, or None if there is none that this version can read."""
    try:
        content = json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
        if content.pop("schema_version") != SCHEMA_VERSION:
            return None
        return State(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def standing(folder: Path, made_with: Mapping[str, Any], run: str, again: bool) -> str:
    """Return why a scan need not be segmented: `SKIPPED` or `KEPT`; empty if it is to be segmented.

    Parameters
    ----------
    folder : Path
        Its result folder.
    made_with : mapping
        As `State.made_with`, at present.
    run : str
        Identifier of the run: what it has dealt with is never done twice.
    again : bool
        Whether to segment what earlier runs have done.
    """
    state = read_state(folder)
    if state is None or (state.outcome == DONE and not (folder / JSON_NAME).is_file()):
        return ""
    if state.run == run or (not again and state.is_good_for(made_with)):
        return SKIPPED
    return KEPT if not again and state.outcome == DONE and _is_corrected(folder) else ""


def _is_corrected(folder: Path) -> bool:
    """Return whether a user has corrected a result, which another version or other options must not undo."""
    try:
        return len(json.loads((folder / CHANGES_NAME).read_text(encoding="utf-8"))["counts"]) > 1
    except (OSError, ValueError, KeyError, TypeError):
        return False


def conditions(options: Options, surface_format: str) -> dict[str, Any]:
    """Return what a result depends on besides the scan: version, weights and options, but not the device.

    Raises
    ------
    ValueError
        If weights are missing.
    """
    chosen = asdict(options)
    weights = {kind: stated_digest(chosen.pop(kind)) for kind in ("model", "ladder", "levels")}
    chosen.pop("device")
    return {"version": __version__, "weights": weights, "options": chosen, "surface_format": surface_format}
