"""The session: state and commands for one scan at a time, independent of Qt and Slicer.

A panel or script gives commands and reads properties; `ports` defines the protocols to scene and worker.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..corrections import Add, Correction, Count, Drop, Pin, Seed, Shift, TakeAlternative
from ..errors import sentence_for
from ..options import Options
from ..spine import levels
from ..spine.boxes import box_for_missed
from ..spine.level_at import Plane, Shown, level_at
from ..spine.summary import Row, other_count_words, rows_of, summary, warnings_of
from ..spine.vertebra import Vertebra
from ..worker.exchange import Result
from . import availability as why
from . import provenance
from .availability import can, require
from .history import latest
from .jobs import Jobs, Purpose
from .ports import Face, Scene, SceneEvents, Worker
from .s1_box import S1Box
from .state import Can, Change, EditAnswer, Failure, MotionAnswer, Progress, SessionState, State

if TYPE_CHECKING:
    from ..compare import Record
    from ..spine.change import Comparison

_POLL_S = 0.02  # polling interval of `wait`

_log = logging.getLogger(__name__)


class Session:
    """Commands, properties and notifications for one volume at a time.

    A command that is not available raises ValueError with the reason in its ``can_<command>``. Later errors leave the
    scene unchanged and end in `State.FAILED` with `failure` set.

    Parameters
    ----------
    scene : Scene
        The adapter to the MRML scene (or a stand-in).
    worker : Worker
        The link to the worker process (or a stand-in).
    settings : Options, optional
        Options of the run; may be assigned at any time and apply from the next command.

    Attributes
    ----------
    settings : Options
        See above.
    """

    def __init__(self, scene: Scene, worker: Worker, settings: Options | None = None) -> None:
        self.settings = settings or Options()
        self._scene = scene
        self._worker = worker
        self._jobs = Jobs(worker)
        self._box = S1Box(scene)
        self._faces: list[Face] = []
        self._state = SessionState()
        self._shelf: dict[str, SessionState] = {}  # states of the volumes that are not chosen
        self._corner_levels = True
        self._corner_everywhere = False
        self._problem = ""  # of the chosen volume, as last reported to the faces
        scene.listen(
            SceneEvents(
                box_moving=self._on_box_moving,
                box_released=self._on_box_released,
                box_removed=self._on_box_removed,
                volume_changed=self._on_volume_changed,
                volume_removed=self._on_volume_removed,
                result_removed=self._on_result_removed,
                scene_closed=self._on_scene_closed,
                scene_loaded=self._on_scene_loaded,
            )
        )

    # --- what a panel reads ------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """State of the session."""
        return self._state.name

    @property
    def volume(self) -> str | None:
        """Node ID of the chosen volume, or None."""
        return self._state.volume

    @property
    def progress(self) -> Progress:
        """Fraction and sentence of the running command; the sentence of the last one when none runs."""
        return self._jobs.progress

    @property
    def failure(self) -> Failure | None:
        """Why the last command failed, or None."""
        return self._state.failure

    @property
    def result(self) -> Result | None:
        """The result in the scene, or None."""
        return self._state.result

    @property
    def rows(self) -> tuple[Row, ...]:
        """The results table, from the top vertebra down as on a sagittal image."""
        return rows_of(self._state.result.spine) if self._state.result is not None else ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Plain sentences about the result, such as levels that are not known or vertebrae to check."""
        return warnings_of(self._state.result.spine) if self._state.result is not None else ()

    @property
    def other_count(self) -> str:
        """What `take_alternative` does where another count has more than 0.1, else an empty text.

        ``"Take the other count: S1 is L5 (29 %)"``.
        """
        return other_count_words(self._state.result.spine) if self._state.result is not None else ""

    @property
    def preview(self) -> str:
        """One sentence while the S1 box is dragged ("Let go to make this vertebra S1"), else an empty text."""
        return self._state.preview

    @property
    def box_is_shown(self) -> bool:
        """True if there is an S1 box and it is visible."""
        return self.volume is not None and self._scene.box_is_shown(self.volume)

    @property
    def is_shown_3d(self) -> bool:
        """True if the surfaces are visible in 3-D."""
        return self.volume is not None and self.result is not None and self._scene.is_shown_3d(self.volume)

    @property
    def corner_levels(self) -> bool:
        """True if the corner of each slice view says which vertebra or disc it shows."""
        return self._corner_levels

    @property
    def corner_everywhere(self) -> bool:
        """True if it says so over every scan, not only over those of the same study as the chosen one."""
        return self._corner_everywhere

    @property
    def comparison(self) -> Comparison | None:
        """What has changed since the result of `compare_with`, or None.

        It is gone when one of the two results changes, or its table is removed from the scene.
        """
        return self._state.comparison if self.volume is not None and self._scene.has_changes(self.volume) else None

    @property
    def log(self) -> str:
        """Versions, device, weights, the last command and the last lines of the worker's log, as one text."""
        worker_log = self._worker.log_tail()
        return provenance.log_text(self.result, self.failure, self.settings, self.progress, worker_log)

    # --- which commands are available --------------------------------------------------------------------------

    @property
    def can_segment(self) -> Can:
        """For `segment`."""
        against = why.busy(self._state), why.unusable_volume(self._state, self._scene)
        return can("Finds, names and models every vertebra in the scan.", *against)

    @property
    def can_cancel(self) -> Can:
        """For `cancel`."""
        against = "" if self.state is State.RUNNING else "Nothing is running."
        return can("Stops at once; the scene stays as it was.", against)

    @property
    def can_reseed(self) -> Can:
        """For `reseed`."""
        against = why.no_recount(self._state), why.no_box(self._state, self._scene)
        return can("Counts every level again from the S1 box.", *against)

    @property
    def can_shift_up(self) -> Can:
        """For ``shift_labels(+1)``."""
        against = why.no_recount(self._state), why.no_levels(self._state)
        return can("Names every vertebra one level higher: L5 becomes L4.", *against)

    @property
    def can_shift_down(self) -> Can:
        """For ``shift_labels(-1)``."""
        against = why.no_recount(self._state), why.no_levels(self._state)
        return can("Names every vertebra one level lower: L4 becomes L5.", *against)

    @property
    def can_pin_level(self) -> Can:
        """For `pin_level`."""
        return can(
            "Sets the level of the chosen vertebra; the others are counted from it.", why.no_recount(self._state)
        )

    @property
    def can_take_alternative(self) -> Can:
        """For `take_alternative`."""
        against = why.no_recount(self._state), why.no_alternative(self._state)
        return can("Names all levels according to the other probable count; Undo goes back.", *against)

    @property
    def can_drop_vertebra(self) -> Can:
        """For `drop_vertebra`."""
        against = why.no_recount(self._state), why.last_vertebra(self._state)
        return can("Removes a false detection, and counts again.", *against)

    @property
    def can_show_new_box(self) -> Can:
        """For `show_new_box`."""
        return can("Shows a box to drag onto the body of a vertebra that was missed.", why.no_recount(self._state))

    @property
    def can_hide_new_box(self) -> Can:
        """For `hide_new_box`."""
        against = why.busy(self._state), why.no_new_box(self._state, self._scene, "That box is not shown.")
        return can("Removes the box for a missed vertebra.", *against)

    @property
    def can_add_vertebra(self) -> Can:
        """For `add_vertebra`."""
        hint = "Show the box for a missed vertebra first, and drag it onto its body."
        against = why.no_recount(self._state), why.no_new_box(self._state, self._scene, hint)
        return can("Adds the vertebra whose body is in that box, and counts again.", *against)

    @property
    def can_undo(self) -> Can:
        """For `undo`."""
        against = why.busy(self._state), why.nothing_to_undo(self._state)
        return can("Goes back to the result before the last change.", *against)

    @property
    def can_jump(self) -> Can:
        """For `jump_to`."""
        return can("Centres all slice views on this vertebra.", why.no_result(self._state))

    @property
    def can_export(self) -> Can:
        """For `export`."""
        against = why.busy(self._state), why.no_result(self._state)
        return can("Writes the surfaces to files, in millimetres (LPS).", *against)

    @property
    def can_take_levels(self) -> Can:
        """For `take_levels_to`."""
        against = why.busy(self._state), why.no_result(self._state)
        return can("Puts the segmentation and its levels onto another scan of the study.", *against)

    @property
    def can_compare(self) -> Can:
        """For `compare_with`."""
        against = why.busy(self._state), why.no_result(self._state)
        return can("Shows what has changed since an earlier result of the same patient.", *against)

    @property
    def can_export_changes(self) -> Can:
        """For `export_changes`."""
        return can("Writes the changes as a table and a picture.", why.no_comparison(self.comparison))

    @property
    def can_place_box(self) -> Can:
        """For `place_box`."""
        against = why.unusable_volume(self._state, self._scene)
        return can("Shows the box that marks S1; drag it onto S1.", against)

    @property
    def can_put_box_on_s1(self) -> Can:
        """For `put_box_on_s1`."""
        return can("Puts the box back on the S1 that was found, and counts from there.", why.no_recount(self._state))

    @property
    def can_show_3d(self) -> Can:
        """For `show_3d`."""
        return can("Shows the vertebrae in the 3-D view.", why.no_result(self._state))

    # --- commands: the volume and the run ----------------------------------------------------------------------

    def set_volume(self, volume: str | None) -> None:
        """Choose the volume by node ID, and restore its result from the scene if there is one.

        A run on another volume is cancelled first.
        """
        if volume == self.volume:
            return
        self._stop()
        if self.volume is not None:
            self._shelf[self.volume] = replace(self._state, failure=None, preview="")
            self._box.put_away(self.volume)
        self._state = SessionState(volume)
        if volume is not None and self._scene.has_result(volume):  # it may have been deleted in the meantime
            self._state = self._shelf.get(volume, self._state)
        self._shelf.pop(str(volume), None)
        self._scene.watch_volume(volume)
        self._jobs.say("")
        if volume is not None and self.result is None:
            self._restore(volume)
        if volume is not None:
            self._box.bring_back(volume)
        self._problem = why.unusable_volume(self._state, self._scene)
        self._tell(Change.VOLUME, Change.STATE, Change.RESULT, Change.BOX)

    def segment(self) -> None:
        """Segment the chosen volume; a box placed by the user is the seed.

        Otherwise the box that the present result was counted from is the seed, until `put_box_on_s1` removes it. It
        follows a scan that was moved, even if the box in the scene did not.
        """
        require(self.can_segment)
        volume = str(self.volume)
        discard = self._ask_about_edits(volume)
        if discard is None:
            return
        try:
            purpose = Purpose(fresh=True, moved=self._scene.has_moved(volume), discard=discard)
            seed = self._box.seed(self._state)
            self._set(failure=None)
            self._jobs.segment(self._scene.read_volume(volume), seed, self.settings, purpose)
        except (ValueError, OSError, MemoryError) as error:
            self._fail(Failure(sentence_for(error)))
            return
        self._set(is_running=True)
        self._tell(Change.STATE, Change.PROGRESS)

    def cancel(self) -> None:
        """Stop the running command at once; the scene stays as it was before."""
        require(self.can_cancel)
        self._stop()
        self._tell(Change.STATE, Change.PROGRESS, Change.BOX)

    def undo(self) -> None:
        """Restore the result before the last command that changed it."""
        require(self.can_undo)
        before = self._state.earlier[-1]
        if self._show(before, Purpose()):
            self._set(result=before, earlier=self._state.earlier[:-1], failure=None)
            self._box.mark(self._state)
            self._warm()
            self._jobs.say(f"Undone. {summary(before.spine)}")
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.PROGRESS)

    def take_up(self) -> None:
        """Adopt a result that a script has put into the scene for the chosen volume."""
        self._take_up()
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.PROGRESS)

    # --- commands: corrections ---------------------------------------------------------------------------------

    def reseed(self, level: str = "S1") -> None:
        """Recount from the box at its present position, which marks `level`, without running the network."""
        box = self._scene.box(self.volume) if self.volume else None  # raises ValueError if it cannot be read
        require(self.can_reseed)
        if box is not None:
            self._correct(Seed(replace(box, level=levels.level(level).name)))

    def put_box_on_s1(self) -> None:
        """Put the box back on the detected S1, and recount from there."""
        require(self.can_put_box_on_s1)
        self._correct(Seed())

    def shift_labels(self, steps: int) -> None:
        """Rename every vertebra `steps` levels up (+1: L5 becomes L4) or down (-1)."""
        require(self.can_shift_up if steps > 0 else self.can_shift_down)
        self._correct(Shift(steps))

    def pin_level(self, index: int, level: str) -> None:
        """Set the level of the vertebra `index` (see `Row.index`), and recount the others from it."""
        require(self.can_pin_level)
        self._correct(Pin(index, level))

    def take_alternative(self, number: int = 1) -> None:
        """Recount as in another probable count: 1 is the most probable of ``result.spine.alternatives``."""
        require(self.can_take_alternative)
        self._correct(TakeAlternative(number))

    def drop_vertebra(self, index: int) -> None:
        """Remove a false detection, the vertebra `index` (see `Row.index`), and recount."""
        require(self.can_drop_vertebra)
        self._correct(Drop(index))

    def add_vertebra(self) -> None:
        """Add a missed vertebra from the box of `show_new_box`, and recount."""
        require(self.can_add_vertebra)
        box = self._scene.new_box(str(self.volume))
        assert box is not None
        self._correct(Add(box), Purpose(adds=True))

    # --- commands: boxes, views, files -------------------------------------------------------------------------

    def place_box(self) -> None:
        """Show the S1 box where it was, else on the detected S1, else in the lower middle of the volume."""
        require(self.can_place_box)
        self._box.show(self._state)
        self._tell(Change.BOX)

    def show_box(self, visible: bool) -> None:
        """Show or hide the S1 box."""
        if self.volume is not None:
            self._scene.show_box(self.volume, visible)
            self._tell(Change.BOX)

    def show_new_box(self) -> None:
        """Show a box for a missed vertebra at its most likely place; the user drags it onto the body."""
        require(self.can_show_new_box)
        assert self.result is not None and self.result.spine.label_map is not None
        box = box_for_missed(self.result.spine, self.result.matrix, self.result.spine.label_map.shape)
        self._scene.place_new_box(str(self.volume), box)
        self._scene.jump(box.center_lps_mm)
        self._tell(Change.BOX)

    def hide_new_box(self) -> None:
        """Remove the box of `show_new_box` without adding a vertebra."""
        require(self.can_hide_new_box)
        self._scene.place_new_box(str(self.volume), None)
        self._tell(Change.BOX)

    def jump_to(self, level: str) -> None:
        """Centre all slice views on that vertebra (a `Row.level`)."""
        require(self.can_jump)
        self._scene.jump(self._vertebra(level).centroid_lps_mm)

    def show_corner_levels(self, visible: bool = True, everywhere: bool | None = None) -> None:
        """Show or hide the level in the corner of the slice views.

        Parameters
        ----------
        visible : bool
            Whether to show it; True at first.
        everywhere : bool, optional
            Whether to show it over every scan, not only over those in the same frame of reference; as before if
            omitted, False at first.
        """
        self._corner_levels = visible
        self._corner_everywhere = self._corner_everywhere if everywhere is None else everywhere
        self._show_corner_levels()
        self._tell(Change.BOX)

    def level_at(self, place: Plane | np.ndarray) -> Shown | None:
        """Return what a plane or a point (LPS, mm) shows, by the result; None where nothing is known.

        Raises
        ------
        ValueError
            If there is no result, or the place is neither.
        """
        require(self.can_jump)
        assert self.result is not None
        return level_at(self.result.spine, place)

    def take_levels_to(self, other: str, follow_motion: bool | None = None) -> str:
        """Put the segmentation and its names onto another scan, as a node of its own, and return the node's name.

        Parameters
        ----------
        other : str
            Node ID of the other volume.
        follow_motion : bool, optional
            What to do if the patient has moved between the scans (estimated from the images): follow the motion, or
            leave the positions as they are. If omitted, the face is asked; without one, the positions stay. Either
            way, `progress` says what was done. An empty name is returned if the user cancels.

        Raises
        ------
        ValueError
            If there is no result, the other scan is this one, shows none of the vertebrae, or is no volume.
        """
        require(self.can_take_levels)
        volume, result = str(self.volume), self.result
        assert result is not None
        if other == volume:
            raise ValueError("This is the scan that was segmented; choose another one.")
        points = np.concatenate([vertebra.corners_lps_mm for vertebra in result.spine.vertebrae])
        to_first, told = np.eye(4), "The patient has not moved between the two scans."
        try:
            motion = self._scene.motion(volume, other, points)
        except ValueError as error:
            told = f"It is not known whether the patient has moved. {error}"
        else:
            if motion.has_moved:
                answer = self._ask_about_motion(motion.sentence, follow_motion)
                if answer is MotionAnswer.CANCEL:
                    return ""
                follows = answer is MotionAnswer.FOLLOW
                to_first = motion.matrix if follows else to_first
                told = f"{motion.sentence} The levels {'follow the motion' if follows else 'do not follow it'}."
        name = self._scene.take_levels(volume, other, result, to_first, told)
        self._jobs.say(f"{name!r} was made. {told}")
        self._tell(Change.PROGRESS)
        return name

    def is_earlier_result(self, volume: str) -> bool:
        """Return True if the result of a volume, by node ID, can be the earlier one in `compare_with`."""
        return volume != self.volume and self._scene.has_result(volume)

    def compare_with(self, earlier: str | Path) -> Comparison:
        """Compare the result with an earlier one of the same patient, and show the changes as a table.

        Parameters
        ----------
        earlier : str or Path
            Node ID of a volume that has a result, or (Path) a result folder.

        Raises
        ------
        ValueError
            If there is no result, the earlier one is missing or the same, they are of two patients, or have no level
            in common.
        """
        require(self.can_compare)
        from ..compare import compare_records, record_of

        volume = str(self.volume)
        if earlier == volume:
            raise ValueError("This is the scan itself; choose an earlier one.")
        before = record_of(earlier) if isinstance(earlier, Path) else self._record(earlier)
        found = compare_records(before, self._record(volume))
        self._scene.show_changes(volume, None if isinstance(earlier, Path) else earlier, found)
        self._set(comparison=found)
        self._jobs.say(found.summary)
        self._tell(Change.RESULT, Change.PROGRESS)
        return found

    def export_changes(self, folder: Path | str) -> tuple[Path, ...]:
        """Write ``changes.csv`` and ``changes.png`` to a folder, both or none, and return their paths.

        Raises
        ------
        ValueError
            If there is no comparison, or the folder cannot be written.
        """
        require(self.can_export_changes)
        from ..compare import write_changes

        assert self.comparison is not None
        files = write_changes(self.comparison, folder)
        self._jobs.say(f"The changes were written to {folder}.")
        self._tell(Change.PROGRESS)
        return files

    def show_3d(self, visible: bool = True) -> None:
        """Show or hide the surfaces in 3-D."""
        require(self.can_show_3d)
        self._scene.show_3d(str(self.volume), visible)
        self._tell(Change.RESULT)

    def export(
        self,
        folder: Path | str,
        file_format: str = "stl",
        levels: tuple[str, ...] | None = None,
        merged: bool = False,
        joined: bool = False,
    ) -> tuple[Path, ...]:
        """Write surfaces, LPS, mm, check each file by reading it back, and return the paths.

        Parameters
        ----------
        folder : path
            Output folder; created if it does not exist.
        file_format : str
            ``"stl"``, ``"obj"`` or ``"ply"``.
        levels : tuple of str, optional
            `Row.level` names, exported with their arches where these were segmented; everything by default.
        merged : bool
            One file for all instead of one each.
        joined : bool
            One closed surface for each body with its arch instead of two.

        Raises
        ------
        ValueError
            In one sentence; no file of this export is left behind.
        """
        require(self.can_export)
        if not str(folder).strip():
            raise ValueError("Choose a folder for the files first.")
        from ..files.meshes import export_surfaces
        from ..spine.levels import arch_name

        volume = str(self.volume)
        surfaces = dict(self._scene.surfaces(volume))
        if levels is not None:
            missing = [name for name in levels if name not in surfaces]
            if missing:
                raise ValueError(f"There is no surface of {', '.join(missing)} in this scan.")
            wanted = [name for level in levels for name in (level, arch_name(level)) if name in surfaces]
            surfaces = {name: surfaces[name] for name in wanted}
        colours = {name: row.colour for row in self.rows for name in (row.level, arch_name(row.level))}
        name = self._scene.volume_name(volume)
        files = export_surfaces(surfaces, colours, Path(folder), name, file_format, merged, joined)
        self._jobs.say(f"{len(files)} file{'' if len(files) == 1 else 's'} written to {folder}.")
        self._tell(Change.PROGRESS)
        return files

    # --- subscription and time ---------------------------------------------------------------------------------

    def subscribe(self, face: Face) -> None:
        """Report every change to `face`."""
        if face not in self._faces:
            self._faces.append(face)

    def unsubscribe(self, face: Face) -> None:
        """Stop reporting to `face`; unknown faces are ignored."""
        if face in self._faces:
            self._faces.remove(face)

    def poll(self) -> None:
        """Process the worker's messages. Call it every 50-100 ms on the thread that owns the scene."""
        news, outcome = self._jobs.poll()
        if isinstance(outcome, Result):
            self._finish(outcome)
        elif outcome is not None:
            self._fail(outcome)
        elif news:
            self._tell(Change.PROGRESS)

    def wait(self, timeout_s: float = 600.0) -> State:
        """Poll until no command is running, for scripts and tests; raise TimeoutError after `timeout_s` seconds."""
        end = time.monotonic() + timeout_s
        while self.state is State.RUNNING:
            if time.monotonic() > end:
                raise TimeoutError(f"The segmentation has not ended within {timeout_s:g} s; it is still running.")
            time.sleep(_POLL_S)
            self.poll()
        return self.state

    def close(self) -> None:
        """End the worker, stop observing the scene and remove temporary files. May be called twice."""
        self._scene.show_levels(None, None)
        self._scene.listen(None)
        self._scene.watch_volume(None)
        self._jobs.close()
        self._faces.clear()
        self._shelf.clear()
        self._state = SessionState()

    # --- a request and its answer ------------------------------------------------------------------------------

    def _correct(self, correction: Correction, purpose: Purpose | None = None) -> None:
        """Send a recount to the worker; raise ValueError if the correction is not valid for this result."""
        result = self.result
        if result is None:
            return
        count = correction.count(result.spine, Count(result.spine.seed, self.settings.steps, self.settings.method))
        self._set(failure=None)
        try:
            self._jobs.recount(result, count, self.settings, purpose or Purpose())
        except (ValueError, OSError) as error:
            self._fail(Failure(sentence_for(error)))
            return
        self._set(is_running=True)
        self._tell(Change.STATE, Change.PROGRESS)

    def _recount_from_box(self) -> None:
        """Recount from the released box, or schedule it if the worker is busy."""
        if self._state.is_running:
            self._set(recount_wanted=True)
        elif self.volume is not None and not why.no_recount(self._state):
            try:
                box = self._scene.box(self.volume)
            except ValueError as error:
                self._fail(Failure(str(error)))
                return
            if box is not None:
                self._correct(Seed(box))

    def _finish(self, result: Result) -> None:
        """Show the worker's answer in the scene."""
        job, before = self._jobs.job, self._state
        purpose = job.purpose if job is not None else Purpose()
        self._end_job(summary(result.spine), 1.0)
        if not self._show(result, purpose):
            return
        earlier: tuple[Result, ...] = ()  # results from before a move lie at the scan's old position
        if not purpose.moved:
            earlier = latest([*before.earlier, *([before.result] if before.result is not None else [])])
        self._set(result=result, earlier=earlier, failure=None, recount_wanted=False)
        volume = str(self.volume)
        if purpose.adds or purpose.fresh:
            self._scene.place_new_box(volume, None)
        if not before.recount_wanted:
            self._box.mark(self._state)
        if before.result is None and result.spine.vertebrae:
            self._scene.show_3d(volume, True)
            self._scene.jump(result.spine.vertebrae[len(result.spine.vertebrae) // 2].centroid_lps_mm)
        self._jobs.keep_only(self._kept())
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.PROGRESS)
        if before.recount_wanted:
            self._recount_from_box()

    def _show(self, result: Result, purpose: Purpose) -> bool:
        """Show a result in the scene; on failure, leave the scene unchanged and report the failure."""
        try:
            origin = provenance.provenance(result, self.settings)
            self._scene.show(str(self.volume), result, origin, purpose.fresh, purpose.discard)
            return True
        except Exception as error:  # of any kind; the user gets a sentence, the log gets the traceback
            _log.exception("The result could not be put into the scene")
            self._fail(Failure(f"The result could not be put into the scene. {sentence_for(error)}", repr(error)))
            return False

    def _fail(self, failure: Failure) -> None:
        job = self._jobs.job
        self._end_job("")
        if job is None or not job.purpose.fresh:
            self._box.put_back(self._state)
        self._set(failure=failure, recount_wanted=False)
        self._jobs.keep_only(self._kept())
        self._tell(Change.STATE, Change.PROGRESS)

    def _stop(self) -> None:
        """Cancel the running command."""
        job = self._jobs.job
        self._jobs.cancel()
        self._set(is_running=False, recount_wanted=False)
        if job is not None and not job.purpose.fresh:
            self._box.put_back(self._state)
        self._jobs.keep_only(self._kept())

    def _end_job(self, sentence: str, fraction: float = 0.0) -> None:
        self._jobs.end(sentence, fraction)
        self._set(is_running=False)

    def _warm(self) -> None:
        """Have the worker prepare for a recount."""
        if self.result is not None and self.result.folder is not None:
            with contextlib.suppress(ValueError):  # a worker that cannot start is reported at the next recount
                self._jobs.warm(self.result.folder)

    def _ask_about_edits(self, volume: str) -> Mapping[str, str] | None:
        """Return the hand edits to discard, or None if the user cancels; without a face, keep all edits."""
        edits = self._scene.edited_segments(volume)
        if not edits or not self._faces:
            return {}
        answer = self._faces[0].ask_about_edits(tuple(edits))
        return None if answer is EditAnswer.CANCEL else edits if answer is EditAnswer.DISCARD else {}

    def _ask_about_motion(self, sentence: str, follow: bool | None) -> MotionAnswer:
        if follow is not None or not self._faces:
            return MotionAnswer.FOLLOW if follow else MotionAnswer.LEAVE
        return self._faces[0].ask_about_motion(sentence)

    # --- what the user does to the scene's nodes ---------------------------------------------------------------

    def _on_box_moving(self) -> None:
        self._set(preview=self._box.preview(self._state))
        self._warm()
        self._tell(Change.PREVIEW)

    def _on_box_released(self) -> None:
        self._set(preview="")
        self._tell(Change.PREVIEW, Change.BOX)
        self._recount_from_box()

    def _on_box_removed(self) -> None:
        self._set(preview="", recount_wanted=False)
        self._tell(Change.PREVIEW, Change.BOX, Change.STATE)

    def _on_volume_changed(self) -> None:
        problem = why.unusable_volume(self._state, self._scene)
        if problem != self._problem:
            self._problem = problem
            self._tell(Change.STATE)

    def _on_volume_removed(self, volume: str) -> None:
        self._shelf.pop(volume, None)
        if volume == self.volume:
            self._forget_volume("The scan was removed from the scene.")
        else:
            self._jobs.keep_only(self._kept())

    def _on_result_removed(self) -> None:
        self._stop()
        self._state = SessionState(self.volume)
        self._tell(Change.RESULT, Change.STATE, Change.BOX)

    def _on_scene_closed(self) -> None:
        self._shelf.clear()
        self._forget_volume("")

    def _on_scene_loaded(self) -> None:
        if self.result is None:
            self._take_up()
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.VOLUME)

    def _forget_volume(self, sentence: str) -> None:
        self._stop()
        self._state = SessionState()
        self._scene.watch_volume(None)
        self._jobs.say(sentence)
        self._tell(Change.VOLUME, Change.STATE, Change.RESULT, Change.BOX, Change.PROGRESS)

    # --- results -----------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Replace the known result with the one in the scene for the chosen volume."""
        if self.volume is None or self._state.is_running:
            return
        self._state = SessionState(self.volume)
        self._scene.watch_volume(self.volume)
        self._restore(self.volume)
        self._jobs.keep_only(self._kept())

    def _restore(self, volume: str) -> None:
        """Restore a result from the scene."""
        try:
            result = self._scene.restore(volume, self._jobs.new_folder())
        except (ValueError, OSError) as error:
            _log.warning("The stored result was not taken up: %s", error)
            self._jobs.say(sentence_for(error))
            return
        if result is not None:
            self._set(result=result)
            self._jobs.say(summary(result.spine))

    def _kept(self) -> list[Result | None]:
        """Return all results that are shown, or that undo or a change of volume may show again."""
        return [r for state in (self._state, *self._shelf.values()) for r in (state.result, *state.earlier)]

    def _record(self, volume: str) -> Record:
        from ..compare import Record

        scene = self._scene
        return Record(scene.volume_name(volume), scene.stored_spine(volume), scene.patient(volume))

    def _vertebra(self, name: str) -> Vertebra:
        for vertebra in self.result.spine.vertebrae if self.result is not None else ():
            if vertebra.name == name:
                return vertebra
        raise ValueError(f"{name} was not found in this scan.")

    def _set(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)

    def _show_corner_levels(self) -> None:
        spine = self.result.spine if self.result is not None and self._corner_levels else None
        self._scene.show_levels(self.volume, spine, self._corner_everywhere)

    def _tell(self, *changes: Change) -> None:
        if Change.RESULT in changes:
            self._show_corner_levels()
        for change in changes:
            for face in tuple(self._faces):
                face.session_changed(change)
