"""The values that a session speaks in: states, changes, permissions, rows, settings, results.

Nothing here imports Qt, Slicer or the library's heavy parts, so that a face may import it at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..spine.vertebra import Spine


class State(str, Enum):
    """Where a session stands."""

    EMPTY = "empty"  # no volume chosen
    READY = "ready"  # a volume, no result yet
    RUNNING = "running"  # the worker works: segmenting or recounting
    DONE = "done"  # a result is in the scene
    FAILED = "failed"  # the last command failed; `Session.failure` says why; a result may still be there


class Change(str, Enum):
    """What has changed, so that a face redraws no more than it must."""

    STATE = "state"  # state, failure and every can_<command>
    PROGRESS = "progress"
    RESULT = "result"  # rows, warnings, undo
    VOLUME = "volume"  # another volume, or none
    BOX = "box"  # the S1 box was made, removed, shown, hidden or moved
    PREVIEW = "preview"  # the sentence shown while the S1 box is dragged


class EditAnswer(str, Enum):
    """What to do with segments that were changed by hand and are about to be replaced."""

    KEEP_COPY = "keep a copy"
    DISCARD = "discard"
    CANCEL = "cancel"


class Can(NamedTuple):
    """Whether a command may be given now.

    Attributes
    ----------
    allowed : bool
        True if the command would be taken.
    reason : str
        One plain sentence for a tooltip: why not, or, if allowed, what the command does.
    """

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class Progress:
    """How far the running command is: `fraction` 0-1 and one plain `sentence` ("Tile 3 of 12")."""

    fraction: float = 0.0
    sentence: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a command failed: one clear `sentence`, and `details` (the log's last lines) one click away."""

    sentence: str
    details: str = ""


@dataclass(frozen=True)
class Settings:
    """What the folded "Advanced" part of a face offers; the names are those of `SpinalTapLib.pipeline.Options`.

    Attributes
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    steps : int or None
        Ladder steps from the seed upwards, or None for as many as there are vertebrae.
    structures : str
        ``"bodies"`` or ``"all"`` (discs and canal too).
    method : str
        ``"fused"``, ``"detector"`` or ``"ladder"``.
    """

    device: str = "auto"
    steps: int | None = None
    structures: str = "bodies"
    method: str = "fused"


@dataclass(frozen=True)
class Result:
    """A spine as it goes into the scene.

    Attributes
    ----------
    spine : Spine
        Vertebrae and label map; the label map lies on the `SagittalVolume`'s grid.
    matrix : ndarray, shape (4, 4)
        (slice, row, column, 1) of the label map to LPS world, mm, as it was when the run began.
    surfaces : mapping of int to object
        Label value to closed surface (vtkPolyData), LPS world, mm.
    folder : Path or None
        The exchange folder that a recount starts from (see `SpinalTapLib.worker.exchange`).
    values : tuple of int
        Label value of each structure in that folder, 0 for those without a name.
    """

    spine: Spine
    matrix: np.ndarray
    surfaces: Mapping[int, Any] = field(default_factory=dict)
    folder: Path | None = None
    values: tuple[int, ...] = ()
