"""Former location of the session's data types; `Settings` is `options.Options`."""

from __future__ import annotations

from .options import Options as Settings
from .session.state import Can, Change, EditAnswer, Failure, Progress, State
from .spine.summary import Row

__all__ = ["Can", "Change", "EditAnswer", "Failure", "Progress", "Row", "Settings", "State"]
