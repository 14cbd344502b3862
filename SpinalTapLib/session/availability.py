"""Reasons why a command is not available: one sentence for the tooltip, or an empty string if it is available."""

from __future__ import annotations

from .ports import Scene
from .state import Can, SessionState


def can(description: str, *reasons: str) -> Can:
    """Return the availability of a command: refused with the first reason that is not empty."""
    reason = next(filter(None, reasons), "")
    return Can(not reason, reason or description)


def require(permission: Can) -> None:
    """Raise ValueError with the reason if a command is not available."""
    if not permission:
        raise ValueError(permission.reason)


def busy(state: SessionState) -> str:
    """Reason while the worker is busy."""
    return "Wait until the work is done, or cancel it." if state.is_running else ""


def no_volume(state: SessionState) -> str:
    """Reason if no volume is chosen."""
    return "" if state.volume else "Choose a scan first."


def unusable_volume(state: SessionState, scene: Scene) -> str:
    """Reason if no volume is chosen or it cannot be segmented."""
    return scene.volume_problem(state.volume) if state.volume else no_volume(state)


def no_result(state: SessionState) -> str:
    """Reason if there is no result to show, correct or export."""
    return no_volume(state) or ("" if state.result is not None else "Segment the spine first.")


def no_comparison(comparison: object | None) -> str:
    """Reason if the result was not compared with an earlier one."""
    return "" if comparison is not None else "Compare with an earlier result first."


def no_recount(state: SessionState) -> str:
    """Reason if the levels cannot be recounted."""
    reason = busy(state) or no_result(state)
    if not reason and state.result is not None and state.result.folder is None:
        return "The levels of this stored result cannot be counted again; segment the volume again."
    return reason


def no_levels(state: SessionState) -> str:
    """Reason if no vertebra has a level."""
    if state.result is not None and any(vertebra.level for vertebra in state.result.spine.vertebrae):
        return ""
    return 'The levels are not known yet: set the level of one vertebra first ("This is ...").'


def last_vertebra(state: SessionState) -> str:
    """Reason if only one vertebra is left."""
    if state.result is not None and len(state.result.spine.vertebrae) < 2:
        return "This is the only vertebra; if it is not one, delete the segmentation."
    return ""


def no_alternative(state: SessionState) -> str:
    """Reason if the result has no alternative count."""
    return "" if state.result is not None and state.result.spine.alternatives else "No other count is probable."


def no_box(state: SessionState, scene: Scene) -> str:
    """Reason if there is no S1 box."""
    return "" if state.volume and scene.has_box(state.volume) else "Place the S1 box first."


def no_new_box(state: SessionState, scene: Scene, sentence: str) -> str:
    """Return `sentence` if there is no box for a missed vertebra."""
    return "" if state.volume and scene.has_new_box(state.volume) else sentence


def nothing_to_undo(state: SessionState) -> str:
    """Reason if no command has changed the result."""
    return "" if state.earlier else "There is nothing to undo."
