"""A stand-in for the segmentation, which does in a moment what the text in the scan's file says, and an engine for it.

Worker processes import this file, so it needs nothing that they lack.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

from SpinalTapLib.batch.engines import with_function
from SpinalTapLib.errors import sentence_for
from SpinalTapLib.files.atomic import staged_folder
from SpinalTapLib.options import PARTS_MODEL

HANG_S = 600.0
CORNERS = ("superior_anterior", "superior_posterior", "inferior_posterior", "inferior_anterior")


def spine_content(levels=("S1", "L5"), confidence=0.97) -> dict:
    """Return the content of a spine.json with these vertebrae."""
    vertebrae = [
        {
            "level": level, "label_value": {"S1": 26, "L5": 24}.get(level, 101), "level_probability": 0.99,
            "confidence": confidence, "centroid_lps_mm": [0.0, 1.5, 30.0 * i],
            "corners_lps_mm": {name: [0.0, float(j), 30.0 * i] for j, name in enumerate(CORNERS)}, "slices": [3],
            "measurements": {"height_anterior_mm": 25.5}, "flags": [],
        }
        for i, level in enumerate(levels)
    ]  # fmt: skip
    return {
        "schema_version": 2, "input": {"name": "scan"}, "software": {"name": "SpinalTap", "version": "0"},
        "model": {"name": PARTS_MODEL}, "device": "cpu", "seconds": {"detect": 1.0}, "seed": None, "anchor": "S1",
        "warnings": [], "alternatives": [{"start": {"index": 0, "level": "L5"}, "probability": 0.05}],
        "vertebrae": vertebrae,
    }  # fmt: skip


def segment(path, folder, *, extra, **_):
    """Do what the file says: be done, find nothing, fail, fill the disk, hang, or be killed (once, or always)."""
    path = Path(path)
    words = path.read_text().split()
    with path.with_suffix(".log").open("a") as log:
        log.write(f"{os.getpid()}\n")
    what = words[0] if words else "done"
    if what == "fail":
        raise ValueError(f"{path} is damaged; copy it again.")
    if what == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if what == "hang":
        time.sleep(HANG_S)
    if what == "killed" or (what == "once" and len(path.with_suffix(".log").read_text().split()) == 1):
        with staged_folder(folder) as stage:  # in the middle of writing
            (stage / "spine.json").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    if what == "empty":
        return SimpleNamespace(vertebrae=())
    with staged_folder(folder) as stage:
        (stage / "spine.json").write_text(json.dumps(spine_content()))
        for name, content in extra.items():
            (stage / name).write_bytes(content)
    return SimpleNamespace(vertebrae=("S1", "L5"))


work = with_function(segment)


def scans(folder: Path, **what: str) -> Path:
    """Write scans: the stem of each file and what its segmentation shall do."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in what.items():
        (folder / f"{name}.nii").write_text(text)
    return folder


class Here:
    """An engine that does each job at once, in this process."""

    waiting, lost = 2, ()

    def __init__(self, jobs=1, work=work):
        self._work, self.closed = work, None

    def submit(self, job):
        future = Future()
        try:
            future.set_result(self._work(job))
        except Exception as error:
            future.set_exception(error)
        return future

    def sentence(self, error):
        return sentence_for(error)

    def close(self, now=False):
        self.closed = "now" if now else "after the last"
