"""Make all pictures of the README: the real panel, the real result, the ladder, on synthetic scans.

    python docs/make_pictures.py [folder]

Needs the test environment (``make test`` makes it) and the weights. The panel is drawn by the stand-in for Slicer's Qt
side (`Testing/support/pythonqt`), the views by Slicer's own displayable managers, offscreen. In 3D Slicer,
the frames around them look different. Only the two reports of real scans show people; they are drawn where
`SPINALTAP_DATA` names the folder of development data.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing" / "support"), str(ROOT / "SpinalTap"), str(ROOT)]

import panel_support  # noqa: E402
import slicer  # noqa: E402
import vtk  # noqa: E402
from panel_support import click, picture, process_events, pythonqt, use_style, wait_until  # noqa: E402
from trame_slicer.core.slicer_app import SlicerApp  # noqa: E402
from trame_slicer.views import SliceView, ThreeDView  # noqa: E402
from trame_slicer.views.render_scheduler import NoScheduleRendering  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
THUMBNAIL = ROOT / "Resources" / "Icons" / "SpinalTapPractice.png"
MARGIN_PX = 8
VIEW_PX = (760, 760)
LONGEST_RUN_S = 900
RUNGS_SEED = 90000  # as `spinaltap experiment poster --rungs`
REAL_SCANS = {  # below SPINALTAP_DATA; licences and sources are named in the README
    "real-stack.png": "spider_3d/011_image.nii.gz",
    "real-lumbar.png": "sct/t2_lumbar.nii.gz",
}
CLOSER = 1.55  # a spine is slim: the sphere that the camera is fitted to leaves room beside it


class Desk:
    """The module's widget on a scene with views, as in the application."""

    def __init__(self):
        from pythonqt.application import WidgetParent

        self.app = SlicerApp()
        slicer.mrmlScene = self.app.scene
        import SpinalTap

        self.parent = WidgetParent()
        self.parent.layout().setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        self.widget = SpinalTap.SpinalTapWidget(pythonqt.wrap(self.parent))
        self.widget.setup()
        self.ui, self.session = self.widget.ui, self.widget.session
        self.ui.exportFolderEdit.currentPath = "/home/me/Documents/spine"
        self.fit()

    def fit(self):
        """Resize the panel to its width in Slicer and to the height that it needs."""
        for _ in range(3):
            self.parent.resize(panel_support.PANEL_WIDTH_PX, self.parent.sizeHint().height())
            self.parent.show()
            process_events()

    def segment(self):
        """Click Segment and wait; return a picture of the panel during the run."""
        from SpinalTapLib.session.state import State

        click(self.ui.segmentButton)
        halfway = None

        def ended():
            nonlocal halfway
            if halfway is None and self.session.progress.fraction > 0.3:
                self.fit()
                halfway = self.parent.grab()
            return self.session.state is not State.RUNNING

        wait_until(ended, seconds=LONGEST_RUN_S)
        if self.session.failure is not None:
            raise SystemExit(self.session.failure.sentence)
        return halfway


def make_panel_pictures(desk, folder):
    """Write pictures of the panel, light and dark, and of its parts for the tutorial."""
    desk.ui.resultsTable.selectRow(max(0, desk.ui.resultsTable.rowCount - 3))
    process_events()
    for dark, name in ((False, "panel-light.png"), (True, "panel-dark.png")):
        use_style(dark)
        desk.fit()
        picture(desk.widget.parent, folder / name)
    use_style(dark=False)
    desk.fit()
    picture(desk.ui.resultsGroup, folder / "table.png")


def make_thumbnail(volume):
    """Write the thumbnail of the practice scan for the Sample Data module: its middle slice, 260 x 280 pixels."""
    import numpy as np
    from PySide6 import QtCore, QtGui

    array = slicer.util.arrayFromVolume(volume)
    middle = array[len(array) // 2].astype(float)
    shades = np.ascontiguousarray((255 * np.clip(middle / np.percentile(middle, 97), 0, 1)).astype(np.uint8))
    rows, columns = shades.shape
    image = QtGui.QImage(shades.data, columns, rows, columns, QtGui.QImage.Format.Format_Grayscale8)
    size = QtCore.QSize(260, 280)
    expand = QtCore.Qt.AspectRatioMode.KeepAspectRatioByExpanding
    scaled = image.scaled(size, expand, QtCore.Qt.TransformationMode.SmoothTransformation)
    left, top = (scaled.width() - size.width()) // 2, (scaled.height() - size.height()) // 2
    scaled.copy(QtCore.QRect(QtCore.QPoint(left, top), size)).save(str(THUMBNAIL))


def make_slice_picture(desk, volume, folder):
    """Write the mid-sagittal slice with segments and S1 box."""
    view = SliceView(desk.app.scene, desk.app.app_logic, "Sagittal", scheduled_render_strategy=NoScheduleRendering())
    view.render_window().SetMultiSamples(0)
    view.set_orientation("Sagittal")
    view.set_background_volume_id(volume.GetID())
    view.render_window().SetSize(*VIEW_PX)
    view.update_size(*VIEW_PX)
    view.render()
    view.fit_view_to_content()
    segmentation = desk.app.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    segmentation.GetDisplayNode().SetOpacity2DFill(0.35)
    for i in range(desk.app.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")):
        desk.app.scene.GetNthNodeByClass(i, "vtkMRMLMarkupsFiducialNode").GetDisplayNode().SetVisibility(False)
    left, posterior, superior = desk.session.result.spine["S1"].centroid_lps_mm
    view.get_view_node().JumpSliceByOffsetting(-left, -posterior, superior)
    save(view, folder / "s1-box.png")


def make_surface_picture(desk, folder):
    """Write the surfaces, seen from the left and slightly from behind."""
    view = ThreeDView(desk.app.scene, desk.app.app_logic, "Spine", scheduled_render_strategy=NoScheduleRendering())
    view.render_window().SetMultiSamples(4)
    view.render_window().SetSize(460, 760)
    view.set_box_visible(False)
    view.set_background_gradient_color([38, 42, 54], [88, 96, 116])
    view.get_view_node().SetAxisLabelsVisible(False)
    for name in ("vtkMRMLMarkupsROINode", "vtkMRMLMarkupsFiducialNode"):
        for i in range(desk.app.scene.GetNumberOfNodesByClass(name)):
            desk.app.scene.GetNthNodeByClass(i, name).GetDisplayNode().SetVisibility(False)
    desk.session.show_3d(True)
    view.render()
    camera = view.renderer().GetActiveCamera()
    view.renderer().ResetCamera()
    focus = camera.GetFocalPoint()
    distance = camera.GetDistance()
    camera.SetPosition(focus[0] - 0.85 * distance, focus[1] + 0.5 * distance, focus[2] + 0.1 * distance)
    camera.SetViewUp(0, 0, 1)
    view.renderer().ResetCamera()
    camera.Zoom(CLOSER)
    save(view, folder / "surfaces.png")


def make_rungs_picture(folder):
    """Write the rungs of the ladder on a synthetic whole spine."""
    from SpinalTapLib.detection.weights import load_network
    from SpinalTapLib.training.experiments.rungs_picture import write_rungs

    write_rungs(folder / "rungs.png", load_network("ladder")[0], RUNGS_SEED)


def make_real_pictures(folder, data):
    """Write the reports of the real scans, with whole vertebrae, discs and the dural sac."""
    from SpinalTapLib.cli.main import main as spinaltap
    from SpinalTapLib.files.result_names import REPORT_NAME

    for name, scan in REAL_SCANS.items():
        with tempfile.TemporaryDirectory() as result:
            if spinaltap(["segment", str(data / scan), "--output", result, "--structures", "all"]) != 0:
                raise SystemExit(f"{scan} could not be segmented.")
            shutil.copyfile(Path(result) / REPORT_NAME, folder / name)


def save(view, path):
    """Render a view and write it as a picture."""
    view.render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(view.render_window())
    grab.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()


def main(folder):
    from SpinalTapPanel.practice import make_practice_scan

    folder.mkdir(parents=True, exist_ok=True)
    desk = Desk()
    try:
        volume = make_practice_scan()
        if folder == PICTURES:
            make_thumbnail(volume)
        desk.widget._parameterNode.inputVolume = volume
        halfway = desk.segment()
        if halfway is not None:
            halfway.save(str(folder / "panel-running.png"))
        make_panel_pictures(desk, folder)
        make_slice_picture(desk, volume, folder)
        make_surface_picture(desk, folder)
    finally:
        desk.widget.cleanup()
    make_rungs_picture(folder)
    if os.environ.get("SPINALTAP_DATA"):
        make_real_pictures(folder, Path(os.environ["SPINALTAP_DATA"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
