"""Data types shared by session, panel and scene.

Nothing here imports Qt, Slicer or the library's heavy parts, so that a panel may import it at start-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..spine.change import Comparison
    from ..worker.exchange import Result


class State(str, Enum):
    """State of a session."""

    EMPTY = "empty"  # no volume chosen
    READY = "ready"  # a volume, no result yet
    RUNNING = "running"  # the worker is segmenting or recounting
    DONE = "done"  # a result is in the scene
    FAILED = "failed"  # the last command failed; `Session.failure` says why; a result may still be there


class Change(str, Enum):
    """Kinds of change, so that a panel redraws only what is needed."""

    STATE = "state"  # state, failure and every can_<command>
    PROGRESS = "progress"
    RESULT = "result"  # rows, warnings, undo, comparison
    VOLUME = "volume"  # another volume, or none
    BOX = "box"  # the S1 box was made, removed, shown, hidden or moved
    PREVIEW = "preview"  # the sentence shown while the S1 box is dragged


class EditAnswer(str, Enum):
    """How to treat hand-edited segments that are about to be replaced."""

    KEEP_COPY = "keep a copy"
    DISCARD = "discard"
    CANCEL = "cancel"


class MotionAnswer(str, Enum):
    """What to do about a patient who has moved between two scans."""

    FOLLOW = "follow the motion"
    LEAVE = "leave the positions as they are"
    CANCEL = "cancel"


class Can(NamedTuple):
    """Availability of a command.

    Attributes
    ----------
    allowed : bool
        True if the command is available.
    reason : str
        One plain sentence for a tooltip: why not, or, if allowed, what the command does.
    """

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class Progress:
    """Progress of the running command: `fraction` 0-1 and one plain `sentence` ("Tile 3 of 12")."""

    fraction: float = 0.0
    sentence: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a command failed: one clear `sentence`, and `details`, the last lines of the log."""

    sentence: str
    details: str = ""


@dataclass(frozen=True, eq=False)
class SessionState:
    """The session's data on the chosen volume.

    Attributes
    ----------
    volume : str or None
        Its node ID, or None if none is chosen.
    result : Result or None
        Its result in the scene.
    earlier : tuple of Result
        Earlier results for undo, the latest last.
    comparison : Comparison or None
        What has changed since an earlier result, as long as the scene shows it.
    failure : Failure or None
        Why the last command failed.
    preview : str
        Sentence on what releasing the S1 box would do, while it is dragged.
    is_running : bool
        True while the worker is handling a request.
    recount_wanted : bool
        True if the S1 box was released during a request, so that a recount follows.
    """

    volume: str | None = None
    result: Result | None = None
    earlier: tuple[Result, ...] = ()
    comparison: Comparison | None = None
    failure: Failure | None = None
    preview: str = ""
    is_running: bool = False
    recount_wanted: bool = False

    @property
    def name(self) -> State:
        """Where the session stands."""
        if self.is_running:
            return State.RUNNING
        if self.failure is not None:
            return State.FAILED
        if self.volume is None:
            return State.EMPTY
        return State.READY if self.result is None else State.DONE
