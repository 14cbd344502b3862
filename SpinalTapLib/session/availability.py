"""Permits: which commands a session takes now, and why not; the words of every tooltip."""

from __future__ import annotations

from .ports import Scene
from .state import Can, Result, State

BUSY = "Wait until the work is done, or cancel it."
NO_VOLUME = "Choose a scan first."
NO_RESULT = "Segment the spine first."
NO_LEVELS = 'The levels are not known yet: say which vertebra is which first ("This is ...").'
NO_MEMORY = "This result holds nothing to count again from; segment the volume again."


class Permits:
    """The ``can_<command>`` half of `session.Session`."""

    _scene: Scene
    _volume: str | None
    _result: Result | None
    _history: list[Result]

    @property
    def state(self) -> State:
        """Where the session stands."""
        raise NotImplementedError

    @property
    def can_segment(self) -> Can:
        """For `segment`."""
        return self._unless(
            self._busy(), self._no_volume(), self._problem(), "Finds, names and models every vertebra in the scan."
        )

    @property
    def can_cancel(self) -> Can:
        """For `cancel`."""
        running = self.state is State.RUNNING
        return Can(running, "Stops at once; the scene stays as it was." if running else "Nothing is running.")

    @property
    def can_reseed(self) -> Can:
        """For `reseed`."""
        box = "" if self._volume and self._scene.has_box(self._volume) else "Place the S1 box first."
        return self._unless(self._no_recount(), box, "Counts every level again from the S1 box.")

    @property
    def can_shift_up(self) -> Can:
        """For ``shift_labels(+1)``."""
        return self._unless(self._no_recount(), self._no_levels(), "Moves all names up by one level (L5 becomes L4).")

    @property
    def can_shift_down(self) -> Can:
        """For ``shift_labels(-1)``."""
        return self._unless(self._no_recount(), self._no_levels(), "Moves all names down by one level (L4 becomes L5).")

    @property
    def can_pin_level(self) -> Can:
        """For `pin_level`."""
        return self._unless(self._no_recount(), "Says which level the chosen vertebra is, and counts from it.")

    @property
    def can_drop_vertebra(self) -> Can:
        """For `drop_vertebra`."""
        only = self._result is not None and len(self._result.spine.vertebrae) < 2
        last = "This is the only vertebra; delete the segmentation if it is none." if only else ""
        return self._unless(
            self._no_recount(), last, "Leaves out what was taken for a vertebra and is none, and counts again."
        )

    @property
    def can_show_new_box(self) -> Can:
        """For `show_new_box`."""
        return self._unless(self._no_recount(), "Shows a box to drag onto the body of a vertebra that was missed.")

    @property
    def can_hide_new_box(self) -> Can:
        """For `hide_new_box`."""
        there = self._volume and self._scene.has_new_box(self._volume)
        return self._unless(
            self._busy(), "" if there else "That box is not shown.", "Removes the box for a missed vertebra."
        )

    @property
    def can_add_vertebra(self) -> Can:
        """For `add_vertebra`."""
        there = self._volume and self._result is not None and self._scene.has_new_box(self._volume)
        return self._unless(
            self._no_recount(),
            "" if there else "Show the box for a missed vertebra first, and drag it onto its body.",
            "Adds the vertebra whose body is in that box, and counts again.",
        )

    @property
    def can_undo(self) -> Can:
        """For `undo`."""
        nothing = "" if self._history else "There is nothing to undo."
        return self._unless(self._busy(), nothing, "Goes back to the result before the last change.")

    @property
    def can_jump(self) -> Can:
        """For `jump_to`."""
        return self._unless(self._no_result(), "Moves all slice views to this vertebra.")

    @property
    def can_export(self) -> Can:
        """For `export`."""
        return self._unless(self._busy(), self._no_result(), "Writes the surfaces to files, in millimetres (LPS).")

    @property
    def can_place_box(self) -> Can:
        """For `place_box`."""
        return self._unless(self._no_volume(), self._problem(), "Shows the box that marks S1; drag it onto S1.")

    @property
    def can_put_box_on_s1(self) -> Can:
        """For `put_box_on_s1`."""
        return self._unless(self._no_recount(), "Puts the box back on the S1 that was found, and counts from there.")

    @property
    def can_show_3d(self) -> Can:
        """For `show_3d`."""
        return self._unless(self._no_result(), "Shows the vertebrae in the 3-D view.")

    def _unless(self, *reasons: str) -> Can:
        """Return a refusal with the first reason that is not empty; the last text tells what the command does."""
        against = next(filter(None, reasons[:-1]), "")
        return Can(not against, against or reasons[-1])

    def _busy(self) -> str:
        return BUSY if self.state is State.RUNNING else ""

    def _no_volume(self) -> str:
        return "" if self._volume else NO_VOLUME

    def _problem(self) -> str:
        return self._scene.volume_problem(self._volume) if self._volume else NO_VOLUME

    def _no_result(self) -> str:
        return self._no_volume() or ("" if self._result is not None else NO_RESULT)

    def _no_recount(self) -> str:
        reason = self._busy() or self._no_result()
        if not reason and self._result is not None and self._result.folder is None:
            return NO_MEMORY
        return reason

    def _no_levels(self) -> str:
        named = self._result is not None and any(v.level for v in self._result.spine.vertebrae)
        return "" if named else NO_LEVELS


def require(can: Can) -> None:
    """Raise ValueError with the reason if a command may not be given."""
    if not can:
        raise ValueError(can.reason)
