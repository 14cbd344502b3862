"""The practice scan: a synthetic lumbar spine, drawn in a child process so that Slicer stays usable."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

SEED = 7
SLICE_MM = 5.0  # the upper end of clinical slice distances, so that fewer slices are drawn
SHOWN_PERCENTILE = 98.0  # scaling to the brightest voxels (fluid) would make bone dark
POLL_MS = 100
LONGEST_S = 300.0  # ten times the time needed on a busy computer


class Drawing:
    """A practice scan that is being drawn."""

    def __init__(self):
        from SpinalTapLib.worker.processes import environment, own_group

        self._folder = tempfile.TemporaryDirectory(prefix="spinaltap-practice-")
        self._began = time.monotonic()
        with (Path(self._folder.name) / "log").open("w") as log:
            self._process = subprocess.Popen(
                command(self._folder.name), stdout=log, stderr=log, env=environment(), **own_group()
            )

    @property
    def seconds(self):
        """Seconds since it began."""
        return time.monotonic() - self._began

    @property
    def sentence(self):
        """Progress sentence."""
        return _("Drawing a practice scan ({seconds} s)").format(seconds=round(self.seconds))

    @property
    def ended(self):
        """True once `scan` may be called."""
        return self._process.poll() is not None or self.seconds > LONGEST_S

    def scan(self):
        """Return the scan that was drawn; raise RuntimeError with one sentence if there is none."""
        from SpinalTapLib.scans.volume import load_volume

        found = next(iter(Path(self._folder.name).glob("*-t2.nii.gz")), None)
        if self._process.poll() != 0 or found is None:
            last = (Path(self._folder.name) / "log").read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(_("The practice scan could not be drawn. {reason}").format(reason="".join(last)))
        return load_volume(found)

    def close(self):
        """End the process and remove its files; may be called twice."""
        from SpinalTapLib.worker.processes import end_tree

        if self._process.poll() is None:
            end_tree(self._process)
        self._folder.cleanup()


class PracticeButton:
    """The panel's button that makes a practice scan.

    Parameters
    ----------
    button : QPushButton
        The button.
    say : callable
        Called with one sentence for the status line.
    on_scan : callable
        Called with the volume node.
    """

    def __init__(self, button, say, on_scan):
        self._button, self._say, self._on_scan = button, say, on_scan
        self._drawing = None
        self._timer = qt.QTimer()
        self._timer.interval = POLL_MS
        self._timer.connect("timeout()", self._look)
        button.connect("clicked()", self._start)

    def close(self):
        """Stop drawing."""
        self._timer.stop()
        if self._drawing is not None:
            self._drawing.close()
            self._drawing = None
        self._button.enabled = True

    def _start(self):
        try:
            self._drawing = Drawing()
        except OSError as problem:
            self._say(_("The practice scan could not be drawn. {reason}").format(reason=problem))
            return
        self._button.enabled = False
        self._timer.start()
        self._look()

    def _look(self):
        if not self._drawing.ended:
            self._say(self._drawing.sentence)
            return
        try:
            scan = self._drawing.scan()
        except (RuntimeError, ValueError) as problem:
            self._say(str(problem))
        else:
            self._say("")
            self._on_scan(add(scan))
        finally:
            self.close()


def command(folder):
    """Return the command line that draws the scan into a folder."""
    from SpinalTapLib.scene import worker_python

    options = {"output": folder, "region": "lumbar", "seed": SEED, "slice-mm": SLICE_MM}
    return [worker_python(), "-m", "SpinalTapLib", "phantom", *(f"--{k}={v}" for k, v in options.items())]


def make_practice_scan(say=lambda sentence: None):
    """Draw the scan, add it to the scene and return the node; the interface stays usable.

    Parameters
    ----------
    say : callable, optional
        Called with a progress sentence during drawing, and with an empty string at the end.
    """
    drawing = Drawing()
    try:
        while not drawing.ended:
            say(drawing.sentence)
            slicer.app.processEvents()
            time.sleep(POLL_MS / 1000)
        say("")
        return add(drawing.scan())
    finally:
        drawing.close()


def add(scan):
    """Add a `SagittalVolume` to the scene, show it like a loaded file, and return the node."""
    import numpy as np

    name = slicer.mrmlScene.GenerateUniqueName(_("SpinalTap practice scan"))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, scan.array.astype("int16"))
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(_ijk_to_ras(scan.matrix)))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0.0, float(np.percentile(scan.array, SHOWN_PERCENTILE)))
    if hasattr(slicer.util, "setSliceViewerLayers") and slicer.app.layoutManager() is not None:
        slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def _ijk_to_ras(slice_row_column_to_lps):
    """Convert a (slice, row, column) to LPS matrix to (column, row, slice) to RAS, the convention of volume nodes."""
    import numpy as np

    swapped = slice_row_column_to_lps[:, [2, 1, 0, 3]]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ swapped
