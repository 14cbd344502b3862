"""A session without scene and worker: it does at once what it is told, so that the panel's own part can be tested."""

from __future__ import annotations

import inspect
from pathlib import Path

from SpinalTapLib.options import Options
from SpinalTapLib.session.session import Session
from SpinalTapLib.session.state import Can, Change, EditAnswer, Failure, Progress, State
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.summary import Row

NAMES = ("T12", "L1", "L2", "L3", "L4", "L5", "S1")


def make_rows(names=NAMES, confidence=None):
    """Rows from the top down, as a session gives them."""
    confidence = confidence or {"T12": 0.41, "L1": 0.78}
    words = ((0.9, "sure"), (0.6, "likely"), (0.0, "check"))
    rows = []
    for position, name in enumerate(names):
        value = confidence.get(name, 0.98 - 0.005 * position)
        rows.append(
            Row(
                index=len(names) - 1 - position,
                level=name,
                colour=levels.level(name).colour if name in levels.COMMON else (150, 150, 150),
                confidence=value,
                confidence_words=next(word for bound, word in words if value >= bound),
                height_mm=26.0 + 0.4 * position,
                note="cut by the edge of the image" if value < 0.5 else "",
            )
        )
    return tuple(rows)


class FakeSession:
    """Has every public name of `Session`, and no other."""

    def __init__(self):
        self.settings = Options()
        self.state = State.EMPTY
        self.volume = None
        self.progress = Progress()
        self.failure = None
        self.result = None
        self.rows = ()
        self.warnings = ()
        self.other_count = ""
        self.preview = ""
        self.box_is_shown = False
        self.is_shown_3d = False
        self.corner_levels = True
        self.corner_everywhere = False
        self.comparison = None
        self.new_box_is_there = False
        self.log = "SpinalTap 0.1.0\nPython 3.11"
        self.calls = []
        self.refusals = {}
        self.faces = []
        self.answers = []

    def __getattr__(self, name):
        if name.startswith("can_"):
            return self._can(name)
        raise AttributeError(name)

    def _can(self, name):
        if name in self.refusals:
            return Can(False, self.refusals[name])
        running = self.state is State.RUNNING
        if name == "can_cancel":
            return Can(running, "Stop at once." if running else "Nothing is running.")
        if running:
            return Can(False, "Wait until the work is done, or cancel it.")
        if self.volume is None:
            return Can(False, "Choose a scan first.")
        if name == "can_hide_new_box":
            return Can(self.new_box_is_there, "Do it." if self.new_box_is_there else "That box is not shown.")
        if name in ("can_segment", "can_place_box"):
            return Can(True, "Finds, names and models every vertebra in the scan.")
        return Can(bool(self.rows), "Do it." if self.rows else "Segment the spine first.")

    def tell(self, *changes):
        for face in tuple(self.faces):
            for change in changes:
                face.session_changed(change)

    # what tests do with it
    def run(self, fraction, sentence):
        self.state, self.progress = State.RUNNING, Progress(fraction, sentence)
        self.tell(Change.STATE, Change.PROGRESS)

    def finish(self, rows=None, warnings=()):
        self.rows = make_rows() if rows is None else rows
        self.state, self.warnings, self.failure = State.DONE, tuple(warnings), None
        self.box_is_shown = self.is_shown_3d = True
        self.progress = Progress(1.0, f"{len(self.rows)} vertebrae, counted from S1.")
        self.tell(Change.RESULT, Change.STATE, Change.BOX)

    def fail(self, sentence, details=""):
        self.state, self.failure = State.FAILED, Failure(sentence, details)
        self.tell(Change.STATE)

    # the session's commands
    def subscribe(self, face):
        self.faces.append(face)

    def unsubscribe(self, face):
        if face in self.faces:
            self.faces.remove(face)

    def poll(self):
        self.calls.append(("poll",))

    def wait(self, timeout_s=600.0):
        return self.state

    def close(self):
        self.calls.append(("close",))

    def set_volume(self, volume):
        self.calls.append(("set_volume", volume))
        self.volume = volume
        self.rows, self.failure, self.warnings = (), None, ()
        self.state = State.READY if volume else State.EMPTY
        self.tell(Change.VOLUME, Change.STATE)

    def segment(self):
        self.calls.append(("segment", self.settings))
        self.run(0.0, "Starting …")

    def cancel(self):
        self.calls.append(("cancel",))
        self.state, self.progress = State.READY, Progress(0.0, "Cancelled; the scene is as it was.")
        self.tell(Change.STATE)

    def reseed(self, level="S1"):
        self.calls.append(("reseed", level))

    def shift_labels(self, steps):
        self.calls.append(("shift_labels", steps))
        names = ("T11", *NAMES) if steps > 0 else NAMES
        self.finish(make_rows(names[: len(self.rows)]))

    def pin_level(self, index, level):
        self.calls.append(("pin_level", index, level))

    def drop_vertebra(self, index):
        self.calls.append(("drop_vertebra", index))

    def take_alternative(self, number=1):
        self.calls.append(("take_alternative", number))

    def show_new_box(self):
        self.calls.append(("show_new_box",))
        self.new_box_is_there = True

    def hide_new_box(self):
        self.calls.append(("hide_new_box",))
        self.new_box_is_there = False

    def take_up(self):
        self.calls.append(("take_up",))

    def add_vertebra(self):
        self.calls.append(("add_vertebra",))

    def undo(self):
        self.calls.append(("undo",))
        self.finish()

    def jump_to(self, level):
        self.calls.append(("jump_to", level))

    def export(self, folder, file_format="stl", levels=None, merged=False, joined=False):
        self.calls.append(("export", folder, file_format, levels, merged, joined))
        if not str(folder).strip():
            raise ValueError("Choose a folder for the files first.")
        if not Path(folder).is_dir():
            raise ValueError(f"There is no folder {folder}.")
        files = tuple(Path(folder) / f"{name}.{file_format}" for name in levels or NAMES)
        self.progress = Progress(0.0, f"{len(files)} files written to {folder}.")
        self.tell(Change.PROGRESS)
        return files

    def place_box(self):
        self.calls.append(("place_box",))
        self.box_is_shown = True
        self.tell(Change.BOX)

    def put_box_on_s1(self):
        self.calls.append(("put_box_on_s1",))

    def show_box(self, visible):
        self.calls.append(("show_box", visible))
        self.box_is_shown = visible
        self.tell(Change.BOX)

    def show_corner_levels(self, visible=True, everywhere=None):
        self.calls.append(("show_corner_levels", visible, everywhere))
        self.corner_levels, self.corner_everywhere = visible, bool(everywhere)
        self.tell(Change.BOX)

    def take_levels_to(self, other, follow_motion=None):
        self.calls.append(("take_levels_to", other))
        return f"levels on {other}"

    def is_earlier_result(self, volume):
        return volume != self.volume

    def compare_with(self, earlier):
        self.calls.append(("compare_with", earlier))

    def export_changes(self, folder):
        self.calls.append(("export_changes", folder))

    def level_at(self, place):
        """Nothing is known."""

    def show_3d(self, visible=True):
        self.calls.append(("show_3d", visible))
        self.is_shown_3d = visible
        self.tell(Change.RESULT)

    def ask(self, names):
        answer = self.faces[0].ask_about_edits(names)
        assert isinstance(answer, EditAnswer)
        self.answers.append(answer)
        return answer


def public_names(cls):
    return {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")}


def missing_names():
    """Names of the real session that the fake one lacks: the fake must not drift away from it."""
    fake = FakeSession()
    return {name for name in public_names(Session) if not hasattr(fake, name)}
