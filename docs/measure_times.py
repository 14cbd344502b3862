"""Measure how long a user waits for the module, the panel, the nodes, a drag, a cancel and the progress line.

    python docs/measure_times.py [repeats]

Needs the test environment (``make test`` makes it) and the weights. It draws a synthetic whole spine, segments it with
the real worker process and prints a Markdown table: the target, the minimum and the median of the wall-clock time, and
the minimum of the processor time, which hardly depends on the load of the machine; all in seconds. The panel runs on
the stand-in for Slicer's Qt (`Testing/support/pythonqt`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing" / "support"), str(ROOT / "SpinalTap"), str(ROOT)]

IMPORT = (
    "import sys; sys.path[:0] = ['Testing/support']; import panel_support, time; "
    "start, worked = time.perf_counter(), time.process_time(); import SpinalTap; "
    "print(time.perf_counter() - start, time.process_time() - worked)"
)
CANCEL_AT_S = 6.0  # in the middle of the network's work
LONGEST_RUN_S = 900


def timed(call, worker=None):
    """Return the wall-clock time of a call and its processor time, here and in the worker process, s."""
    start, worked = time.perf_counter(), processor_seconds(worker)
    call()
    return time.perf_counter() - start, processor_seconds(worker) - worked


def processor_seconds(worker):
    """Return the processor time of this process and, on Linux, of the worker process so far, s."""
    own, stat = time.process_time(), Path(f"/proc/{worker}/stat")
    if worker is None or not stat.is_file():
        return own
    fields = stat.read_text().rpartition(")")[2].split()
    return own + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_import(repeats):
    """Time the import of the module, in a new Python process with the packages that Slicer has loaded."""
    command = [sys.executable, "-c", IMPORT]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True) for _ in range(repeats)]
    return [tuple(map(float, run.stdout.split()[-2:])) for run in runs]


def time_panel(repeats):
    """Time from selecting the module to a usable panel."""
    from panel_support import pythonqt
    from pythonqt.application import WidgetParent

    import SpinalTap

    times = []
    for _ in range(repeats):
        widget = SpinalTap.SpinalTapWidget(pythonqt.wrap(WidgetParent()))
        times.append(timed(widget.setup))
        widget.cleanup()
    return times


def whole_spine(scene):
    """Return a volume node with a synthetic whole spine."""
    from scene_fixtures import add_volume

    from SpinalTapLib.training.synthetic.phantom import draw_phantom

    image = draw_phantom(1, region="whole").image
    return add_volume(scene, image.array, image.matrix, "whole spine")


class Silences:
    """Listener that measures the time between progress messages."""

    def __init__(self):
        self.longest, self._last = 0.0, time.perf_counter()

    def session_changed(self, change):
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now

    def ask_about_edits(self, names):
        raise AssertionError("nothing was edited")


def time_run(session, volume):
    """Segment; return the longest time without progress and the total time, s."""
    silences = Silences()
    session.set_volume(volume.GetID())
    session.subscribe(silences)
    seconds = timed(lambda: (session.segment(), session.wait(LONGEST_RUN_S)))[0]
    session.unsubscribe(silences)
    if session.failure is not None:
        raise SystemExit(session.failure.sentence)
    return silences.longest, seconds


def time_nodes(scene, session, volume, repeats):
    """Time the creation of all nodes of a result, with surfaces, for a second volume."""
    from SpinalTapLib.scene import SlicerScene

    times = []
    for _ in range(repeats):
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "again")
        node.CopyContent(volume)
        before = {scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())}
        adapter = SlicerScene(scene)
        adapter.read_volume(node.GetID())
        times.append(timed(lambda a=adapter, n=node: a.show(n.GetID(), session.result, {}, True, {})))
        made = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
        for other in (*(n for n in made if n not in before), node):
            scene.RemoveNode(other)
    return times


def time_drags(session, worker, repeats):
    """Time from releasing the S1 box to the new labels; there and back, so that every drag changes them."""
    import slicer

    spine, times = session.result.spine, []
    events = slicer.vtkMRMLMarkupsNode
    box = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLMarkupsROINode")
    targets = [spine.vertebrae[i].centroid_lps_mm * (-1, -1, 1) for i in (1, 0)]
    for k in range(2 * repeats):
        box.InvokeEvent(events.PointStartInteractionEvent)
        box.SetCenter(*targets[k % 2])
        box.InvokeEvent(events.PointModifiedEvent)
        times.append(timed(lambda: (box.InvokeEvent(events.PointEndInteractionEvent), session.wait()), worker))
        if session.failure is not None:
            raise SystemExit(session.failure.sentence)
    return times


def time_cancels(session, repeats):
    """Time from the click on Cancel to a usable panel."""
    times = []
    for _ in range(repeats):
        session.segment()
        end = time.monotonic() + CANCEL_AT_S
        while session.can_cancel and time.monotonic() < end:
            session.poll()
            time.sleep(0.05)
        times.append(timed(session.cancel))
    return times


def show(what, wanted, times):
    wall, worked = [t[0] for t in times], [t[1] for t in times if t[1] is not None]
    processor = f"{min(worked):.2f}" if worked else "-"
    print(f"| {what} | {wanted} | {min(wall):.2f} | {median(wall):.2f} | {processor} |", flush=True)


def main(repeats):
    import panel_support  # noqa: F401 - the stand-in, before anything asks for Qt
    import slicer
    from scene_fixtures import make_scene

    from SpinalTapLib.scene import SlicerScene
    from SpinalTapLib.session.session import Session
    from SpinalTapLib.worker.link import WorkerLink

    slicer.mrmlScene = make_scene()
    print("| what | wanted | least | median | processor |\n| --- | --- | --- | --- | --- |")
    show("the module is imported", "0.3", time_import(repeats))
    show("the panel is ready", "0.5", time_panel(repeats))
    worker = WorkerLink()
    session = Session(SlicerScene(), worker)
    try:
        volume = whole_spine(slicer.mrmlScene)
        silence, seconds = time_run(session, volume)
        count = len(session.rows)
        show(f"segmenting a whole spine of {count} vertebrae, the start of the worker included", "-", [(seconds, None)])
        show("the longest silence of the progress", "1", [(silence, None)])
        show(f"nodes of {count} vertebrae with surfaces", "1.5", time_nodes(slicer.mrmlScene, session, volume, repeats))
        show("S1 box let go to new labels", "0.8", time_drags(session, worker.pid, repeats))
        show("cancel", "1", time_cancels(session, 2))
    finally:
        session.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
