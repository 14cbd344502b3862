"""Why a command cannot be given now: one sentence for its tooltip, or an empty text where nothing stands against it."""

from __future__ import annotations

from .ports import Scene
from .state import Can, SessionState


def can(what_it_does: str, *reasons_against: str) -> Can:
    """Return whether a command may be given: refused with the first reason that is not empty."""
    against = next(filter(None, reasons_against), "")
    return Can(not against, against or what_it_does)


def require(permission: Can) -> None:
    """Raise ValueError with the reason if a command may not be given."""
    if not permission:
        raise ValueError(permission.reason)


def busy(state: SessionState) -> str:
    """The worker works on a request."""
    return "Wait until the work is done, or cancel it." if state.is_running else ""


def no_volume(state: SessionState) -> str:
    """No volume is chosen."""
    return "" if state.volume else "Choose a scan first."


def unusable_volume(state: SessionState, scene: Scene) -> str:
    """No volume is chosen, or it cannot be segmented."""
    return scene.volume_problem(state.volume) if state.volume else no_volume(state)


def no_result(state: SessionState) -> str:
    """There is nothing to look at, to correct or to export."""
    return no_volume(state) or ("" if state.result is not None else "Segment the spine first.")


def no_recount(state: SessionState) -> str:
    """The levels cannot be counted again."""
    reason = busy(state) or no_result(state)
    if not reason and state.result is not None and state.result.folder is None:
        return "The levels of this stored result cannot be counted again; segment the volume again."
    return reason


def no_levels(state: SessionState) -> str:
    """No vertebra has a level."""
    if state.result is not None and any(vertebra.level for vertebra in state.result.spine.vertebrae):
        return ""
    return 'The levels are not known yet: say which vertebra is which first ("This is ...").'


def last_vertebra(state: SessionState) -> str:
    """Only one vertebra is left."""
    if state.result is not None and len(state.result.spine.vertebrae) < 2:
        return "This is the only vertebra; delete the segmentation if it is none."
    return ""


def no_alternative(state: SessionState) -> str:
    """The picture allows no other count."""
    return "" if state.result is not None and state.result.spine.alternatives else "No other count is probable."


def no_box(state: SessionState, scene: Scene) -> str:
    """There is no S1 box."""
    return "" if state.volume and scene.has_box(state.volume) else "Place the S1 box first."


def no_new_box(state: SessionState, scene: Scene, sentence: str) -> str:
    """There is no box for a missed vertebra; `sentence` says so."""
    return "" if state.volume and scene.has_new_box(state.volume) else sentence


def nothing_to_undo(state: SessionState) -> str:
    """No command has changed the result yet."""
    return "" if state.earlier else "There is nothing to undo."
