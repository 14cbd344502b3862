"""The controller between a face and the scene: states, commands, notifications. Needs neither Qt nor Slicer.

A face (the Qt panel, a script, a test) makes one `Session`, subscribes, calls `Session.poll` about ten times a
second from the thread that owns the scene, and gives commands. Nothing here blocks while the network works.

Examples
--------
>>> session = Session(scene, worker)                                     # doctest: +SKIP
>>> session.set_volume("vtkMRMLScalarVolumeNode1")                       # doctest: +SKIP
>>> session.segment(); session.wait(); [row.level for row in session.rows]   # doctest: +SKIP
['L1', 'L2', 'L3', 'L4', 'L5', 'S1']
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import sentence_for
from ..spine import boxes as seeds
from ..spine import levels
from ..spine.summary import summary
from ..spine.vertebra import SeedBox, Vertebra
from .availability import require
from .results import SessionCore
from .state import Change, Failure


class Session(SessionCore):
    """One user's work on one volume at a time.

    A command that cannot be given now raises ValueError with the sentence that its ``can_<command>`` carries;
    everything that goes wrong later leaves the scene as it was and ends in `State.FAILED` with `failure` set.

    Parameters
    ----------
    scene : Scene
        The adapter to the MRML scene (or a stand-in).
    worker : Worker
        The link to the worker process (or a stand-in).
    settings : Settings, optional
        What the advanced controls say; may be assigned at any time, and counts from the next command.

    Attributes
    ----------
    settings : Settings
        See above.
    """

    def set_volume(self, volume: str | None) -> None:
        """Choose the volume by node ID; a result that the scene already holds for it is taken up again.

        A run on another volume is cancelled first.
        """
        if volume == self._volume:
            return
        self._stop()
        if self._volume is not None:
            self._shelf[self._volume] = (self._result, self._history)
            self._marks.put_away(self._volume)
        self._volume, self._failure, self._preview = volume, None, ""
        self._result, self._history = self._shelf.pop(volume, (None, [])) if volume else (None, [])
        if volume is not None and not self._scene.has_result(volume):
            self._result, self._history = None, []  # it was deleted meanwhile
        self._scene.watch_volume(volume)
        self._runner.say("")
        if volume is not None and self._result is None:
            self._restore(volume)
        self._marks.show_again(volume)
        self._tell(Change.VOLUME, Change.STATE, Change.RESULT, Change.BOX)

    def segment(self) -> None:
        """Start the network on the chosen volume; a box that the user has placed is the seed.

        So is the mark that the present result was counted from, until `put_box_on_s1` takes it back. It moves along
        with a scan that was moved since; the box that is seen may have stayed behind.
        """
        require(self.can_segment)
        volume = str(self._volume)
        discard = self._ask_about_edits(volume)
        if discard is None:
            return
        try:
            moved, seed = self._scene.has_moved(volume), self._marks.seed(volume, self._result)
            self._failure = None
            notes = {"fresh": True, "discard": discard, "moved": moved}
            self._runner.segment(self._scene.read_volume(volume), seed, self.settings, notes)
        except (ValueError, OSError, MemoryError) as error:
            self._fail(Failure(sentence_for(error)))
            return
        self._tell(Change.STATE, Change.PROGRESS)

    def cancel(self) -> None:
        """Stop what runs, at once; the scene is as it was before the command."""
        require(self.can_cancel)
        self._stop()
        self._tell(Change.STATE, Change.PROGRESS, Change.BOX)

    def reseed(self, level: str = "S1") -> None:
        """Recount from the box as it lies now, which marks `level`; the network does not run again."""
        box = self._scene.box(self._volume) if self._volume else None  # says why, if it cannot be read
        require(self.can_reseed)
        if box is not None:
            self._recount(replace(box, level=levels.level(level).name))

    def shift_labels(self, steps: int) -> None:
        """Rename every vertebra `steps` levels up (+1: L5 becomes L4) or down (-1)."""
        require(self.can_shift_up if steps > 0 else self.can_shift_down)
        self._recount(self._shifted(steps))

    def pin_level(self, index: int, level: str) -> None:
        """Say that the vertebra `index` (see `Row.index`) is `level`, and recount the others from it."""
        require(self.can_pin_level)
        name = levels.level(level).name
        self._recount(seeds.box_around(self._numbered(index), name))

    def drop_vertebra(self, index: int) -> None:
        """Leave out the vertebra `index` (see `Row.index`), which is none, and count again."""
        require(self.can_drop_vertebra)
        self._numbered(index)
        self._start(lambda result: self._runner.drop(result, index, self.settings, {"fresh": False}))

    def show_new_box(self) -> None:
        """Show a box for a vertebra that was missed, where one most likely is; the user drags it onto its body."""
        require(self.can_show_new_box)
        assert self._result is not None
        box = seeds.box_for_missed(self._result.spine)
        self._scene.place_new_box(str(self._volume), box)
        self._scene.jump(box.center_lps_mm)
        self._tell(Change.BOX)

    def hide_new_box(self) -> None:
        """Remove the box of `show_new_box`: no vertebra was missed after all."""
        require(self.can_hide_new_box)
        self._scene.place_new_box(str(self._volume), None)
        self._tell(Change.BOX)

    def add_vertebra(self) -> None:
        """Add a vertebra that was missed, from the box of `show_new_box` as it lies now, and count again."""
        require(self.can_add_vertebra)
        box = self._scene.new_box(str(self._volume))
        assert box is not None
        self._start(lambda result: self._runner.add(result, box, self.settings, {"fresh": False, "added": True}))

    def undo(self) -> None:
        """Go back to the result before the last command that changed it."""
        require(self.can_undo)
        before = self._history[-1]
        if self._show(before, {"fresh": False}):
            self._history.pop()
            self._result, self._failure = before, None
            self._marks.put(self._volume, before)
            self._warm()
            self._runner.say(f"Undone. {summary(before.spine)}")
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.PROGRESS)

    def jump_to(self, level: str) -> None:
        """Move all slice views to that vertebra (a `Row.level`)."""
        require(self.can_jump)
        self._scene.jump(self._vertebra(level).centroid_lps_mm)

    def export(
        self, folder: Path | str, file_format: str = "stl", levels: tuple[str, ...] | None = None, merged: bool = False
    ) -> tuple[Path, ...]:
        """Write surfaces, LPS, mm, and return the files, each read back and checked.

        Parameters
        ----------
        folder : path
            Where to; made if it is not there.
        file_format : str
            ``"stl"``, ``"obj"`` or ``"ply"``.
        levels : tuple of str, optional
            `Row.level` names; all of them by default.
        merged : bool
            One file for all instead of one each.

        Raises
        ------
        ValueError
            In one sentence; no file of this export is left behind then.
        """
        require(self.can_export)
        from ..files.meshes import export_surfaces

        volume = str(self._volume)
        surfaces = dict(self._scene.surfaces(volume))
        if levels is not None:
            missing = [name for name in levels if name not in surfaces]
            if missing:
                raise ValueError(f"There is no surface of {', '.join(missing)} in this scan.")
            surfaces = {name: surfaces[name] for name in levels}
        colours = {row.level: row.colour for row in self.rows}
        return export_surfaces(surfaces, colours, Path(folder), self._scene.volume_name(volume), file_format, merged)

    def place_box(self) -> None:
        """Show the S1 box: where it was, else on the S1 that was found, else in the volume's lower middle."""
        require(self.can_place_box)
        volume = str(self._volume)
        if not self._scene.has_box(volume):
            box = seeds.box_of(self._result.spine)[0] if self._result is not None else None
            self._scene.place_box(volume, box or seeds.first_box(self._scene.volume_bounds(volume)), by_user=False)
        self._scene.show_box(volume, True)
        self._tell(Change.BOX)

    def put_box_on_s1(self) -> None:
        """Put the box back on the S1 that the program found by itself, and recount from there."""
        require(self.can_put_box_on_s1)
        self._recount(None)

    def show_box(self, visible: bool) -> None:
        """Show or hide the box."""
        if self._volume is not None:
            self._scene.show_box(self._volume, visible)
            self._tell(Change.BOX)

    def show_3d(self, visible: bool = True) -> None:
        """Show or hide the surfaces in 3-D."""
        require(self.can_show_3d)
        self._scene.show_3d(str(self._volume), visible)
        self._tell(Change.RESULT)

    def take_up(self) -> None:
        """Take up what somebody else, a script say, has put into the scene for the chosen volume."""
        self._take_up()
        self._tell(Change.RESULT, Change.STATE, Change.BOX, Change.PROGRESS)

    # --- vertebrae ---------------------------------------------------------------------------------------

    def _vertebrae(self) -> tuple[Vertebra, ...]:
        return self._result.spine.vertebrae if self._result is not None else ()

    def _numbered(self, index: int) -> Vertebra:
        vertebrae = self._vertebrae()
        if not 0 <= index < len(vertebrae):
            raise ValueError(f"There is no vertebra number {index}; the result has {len(vertebrae)}.")
        return vertebrae[index]

    def _vertebra(self, name: str) -> Vertebra:
        for vertebra in self._vertebrae():
            if vertebra.name == name:
                return vertebra
        raise ValueError(f"{name} was not found in this scan.")

    def _shifted(self, steps: int) -> SeedBox:
        """Return a mark that moves all names by `steps` levels."""
        for vertebra in self._vertebrae():
            place = levels.COMMON.index(vertebra.level) + steps if vertebra.level in levels.COMMON else -1
            if 0 <= place < len(levels.COMMON):
                return seeds.box_around(vertebra, levels.COMMON[place])
        raise ValueError("The names cannot be moved any further: the spine would end.")
