"""The controller between a face and the scene: states, commands, notifications. Needs neither Qt nor Slicer.

A face (the Qt panel, a script, a test) makes one `Session`, subscribes, calls `Session.poll` about ten times a
second from the thread that owns the scene, and gives commands. Nothing here blocks while the network works.

Examples
--------
>>> session = Session(scene, worker)                                     # doctest: +SKIP
>>> session.set_volume("vtkMRMLScalarVolumeNode1")                       # doctest: +SKIP
>>> session.segment(); session.wait(); [row.level for row in session.rows]   # doctest: +SKIP
['S1', 'L5', 'L4', 'L3', 'L2', 'L1']
"""

from __future__ import annotations

from pathlib import Path

from .ports import Can, Face, Failure, Progress, Result, Row, Scene, Settings, State, Worker


class Session:
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

    def __init__(self, scene: Scene, worker: Worker, settings: Settings | None = None) -> None:
        raise NotImplementedError

    # --- what a face reads -------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the session stands."""
        raise NotImplementedError

    @property
    def volume(self) -> str | None:
        """Node ID of the chosen volume, or None."""
        raise NotImplementedError

    @property
    def progress(self) -> Progress:
        """Fraction and sentence of the running command; the sentence of the last one when none runs."""
        raise NotImplementedError

    @property
    def failure(self) -> Failure | None:
        """Why the last command failed, or None."""
        raise NotImplementedError

    @property
    def result(self) -> Result | None:
        """The result in the scene, or None."""
        raise NotImplementedError

    @property
    def rows(self) -> tuple[Row, ...]:
        """The results table, from the top vertebra down as on a sagittal image."""
        raise NotImplementedError

    @property
    def warnings(self) -> tuple[str, ...]:
        """Plain sentences about the result (no S1 or C2 in view, low confidence, ...)."""
        raise NotImplementedError

    @property
    def preview(self) -> str:
        """One sentence while the S1 box is dragged ("Let go to make this vertebra S1"), else an empty text."""
        raise NotImplementedError

    @property
    def box_is_shown(self) -> bool:
        """True if there is an S1 box and it is visible."""
        raise NotImplementedError

    @property
    def is_shown_3d(self) -> bool:
        """True if the surfaces are visible in 3-D."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """Versions, device, weights, the last command and the last lines of the worker's log, as one text."""
        raise NotImplementedError

    # --- may a command be given? -------------------------------------------------------------------------

    @property
    def can_segment(self) -> Can:
        """For `segment`."""
        raise NotImplementedError

    @property
    def can_cancel(self) -> Can:
        """For `cancel`."""
        raise NotImplementedError

    @property
    def can_reseed(self) -> Can:
        """For `reseed`."""
        raise NotImplementedError

    @property
    def can_shift_up(self) -> Can:
        """For ``shift_labels(+1)``."""
        raise NotImplementedError

    @property
    def can_shift_down(self) -> Can:
        """For ``shift_labels(-1)``."""
        raise NotImplementedError

    @property
    def can_pin_level(self) -> Can:
        """For `pin_level`."""
        raise NotImplementedError

    @property
    def can_undo(self) -> Can:
        """For `undo`."""
        raise NotImplementedError

    @property
    def can_jump(self) -> Can:
        """For `jump_to`."""
        raise NotImplementedError

    @property
    def can_export(self) -> Can:
        """For `export`."""
        raise NotImplementedError

    @property
    def can_place_box(self) -> Can:
        """For `place_box`."""
        raise NotImplementedError

    @property
    def can_put_box_on_s1(self) -> Can:
        """For `put_box_on_s1`."""
        raise NotImplementedError

    @property
    def can_show_3d(self) -> Can:
        """For `show_3d`."""
        raise NotImplementedError

    # --- subscription and time ---------------------------------------------------------------------------

    def subscribe(self, face: Face) -> None:
        """Tell `face` about every change from now on."""
        raise NotImplementedError

    def unsubscribe(self, face: Face) -> None:
        """Stop telling `face`; unknown faces are ignored."""
        raise NotImplementedError

    def poll(self) -> None:
        """Take in what the worker has sent. Call it every 50-100 ms on the thread that owns the scene."""
        raise NotImplementedError

    def wait(self, timeout_s: float = 600.0) -> State:
        """Poll until nothing runs, for scripts and tests; raise TimeoutError after `timeout_s` seconds."""
        raise NotImplementedError

    def close(self) -> None:
        """End the worker, stop listening to the scene and remove temporary files. Closing twice is fine."""
        raise NotImplementedError

    # --- commands ----------------------------------------------------------------------------------------

    def set_volume(self, volume: str | None) -> None:
        """Choose the volume by node ID; a result that the scene already holds for it is taken up again.

        A run on another volume is cancelled first.
        """
        raise NotImplementedError

    def segment(self) -> None:
        """Start the network on the chosen volume; a box that the user has placed is the seed."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Stop what runs, at once; the scene is as it was before the command."""
        raise NotImplementedError

    def reseed(self, level: str = "S1") -> None:
        """Recount from the box as it lies now, which marks `level`; the network does not run again."""
        raise NotImplementedError

    def shift_labels(self, steps: int) -> None:
        """Rename every vertebra `steps` levels up (+1: L5 becomes L4) or down (-1)."""
        raise NotImplementedError

    def pin_level(self, index: int, level: str) -> None:
        """Say that the vertebra `index` (see `Row.index`) is `level`, and recount the others from it."""
        raise NotImplementedError

    def undo(self) -> None:
        """Go back to the result before the last command that changed it."""
        raise NotImplementedError

    def jump_to(self, level: str) -> None:
        """Move all slice views to that vertebra (a `Row.level`)."""
        raise NotImplementedError

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
        """
        raise NotImplementedError

    def place_box(self) -> None:
        """Show the S1 box: where it was, else on the S1 that was found, else in the volume's lower middle."""
        raise NotImplementedError

    def put_box_on_s1(self) -> None:
        """Put the box back on the S1 that the program found by itself, and recount from there."""
        raise NotImplementedError

    def show_box(self, visible: bool) -> None:
        """Show or hide the box."""
        raise NotImplementedError

    def show_3d(self, visible: bool = True) -> None:
        """Show or hide the surfaces in 3-D."""
        raise NotImplementedError
