"""The S1 box is dragged with the mouse, in real slice and 3-D views without a screen, and the levels follow.

The pictures are kept in the folder that SPINALTAP_PICTURES names, or in ``build/pictures``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
pytest.importorskip("trame_slicer", reason="trame-slicer (Slicer's views without a screen) is not installed")
import slicer
import vtk
from scene_fixtures import DirectWorker, add_blocks, nodes_of, segment_names

pytest_plugins = ("scene_fixtures",)

SIZE = (480, 640)
RAS = np.array([-1.0, -1, 1])
PICTURES = Path(os.environ.get("SPINALTAP_PICTURES", ROOT / "build" / "pictures"))


@pytest.fixture(scope="module")
def can_draw():
    """Skip where nothing can be drawn without a screen; otherwise say how."""
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(8, 8)
    window.AddRenderer(vtk.vtkRenderer())
    window.Render()
    if not window.SupportsOpenGL():
        pytest.skip("neither EGL nor OSMesa is there to draw without a screen")


@pytest.fixture
def application(can_draw, monkeypatch):
    """Slicer's application logic, scene and views, without the application."""
    from trame_slicer.core import SlicerApp

    made = SlicerApp()
    monkeypatch.setattr(slicer, "mrmlScene", made.scene, raising=False)
    return made


def quiet(view, size=SIZE):
    """Let a view draw only when it is asked to, without anti-aliasing: fast, and the same picture every time."""
    from trame_slicer.views.render_scheduler import NoScheduleRendering

    view.set_scheduled_render(NoScheduleRendering())
    view.render_window().SetMultiSamples(0)
    view.render_window().SetSize(*size)
    view.interactor().UpdateSize(*size)
    return view


@pytest.fixture
def sagittal(application):
    from trame_slicer.views import SliceView

    view = quiet(SliceView(application.scene, application.app_logic, "Yellow"))
    view.set_orientation("Sagittal")
    yield view
    view.finalize()


@pytest.fixture
def threed(application):
    from trame_slicer.views import ThreeDView

    view = quiet(ThreeDView(application.scene, application.app_logic, "ThreeD"))
    yield view
    view.finalize()


@pytest.fixture
def session(application):
    from SpinalTapLib.scene import SlicerScene
    from SpinalTapLib.session.session import Session

    made = Session(SlicerScene(application.scene), DirectWorker())
    yield made
    made.close()


def picture(view, name):
    """Draw a view, keep the picture and return its pixels, shape (rows, columns, 3)."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    view.render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(view.render_window())
    grab.ReadFrontBufferOff()
    grab.Update()
    PICTURES.mkdir(parents=True, exist_ok=True)
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(PICTURES / f"{name}.png"))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    image = grab.GetOutput()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(*image.GetDimensions()[1::-1], -1)


def pixel_of(view, point_lps):
    """Return where a point is in a slice view, (x, y) from the lower left."""
    to_pixels = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view._view_node.GetXYToRAS(), to_pixels)
    x, y, _, w = to_pixels.MultiplyPoint([*(np.asarray(point_lps) * RAS), 1.0])
    return np.array([x, y]) / w


def mouse_drag(view, start, end, steps=6):
    """Press, move and release the left button, as a user does."""
    interactor = view.interactor()

    def event(name, place):
        interactor.SetEventInformation(round(place[0]), round(place[1]), 0, 0, "\0", 0, "")
        interactor.InvokeEvent(name)

    event("MouseMoveEvent", start)
    event("LeftButtonPressEvent", start)
    for part in np.linspace(0, 1, steps + 1)[1:]:
        event("MouseMoveEvent", start + part * (end - start))
        view.render()
    event("LeftButtonReleaseEvent", end)


def segmented(session, scene, view):
    volume = add_blocks(scene)
    session.set_volume(volume.GetID())
    session.segment()
    session.wait(60)
    assert session.failure is None, session.failure
    view.set_background_volume_id(volume.GetID())
    view.fit_view_to_content()
    session.jump_to("S1")
    view.render()
    return volume


def box_node(scene):
    (node,) = nodes_of(scene, "vtkMRMLMarkupsROINode")
    return node


def names_in(scene):
    (node,) = nodes_of(scene, "vtkMRMLSegmentationNode")
    return segment_names(node)


def test_dragging_the_box_with_the_mouse_from_s1_to_l5_recounts_every_level(application, session, sagittal):
    scene = application.scene
    segmented(session, scene, sagittal)
    before = picture(sagittal, "box_on_s1")
    spine = session.result.spine
    start, end = pixel_of(sagittal, spine["S1"].centroid_lps_mm), pixel_of(sagittal, spine["L5"].centroid_lps_mm)
    moved = []
    session.subscribe(Previews(session, moved))
    mouse_drag(sagittal, start, end)
    assert session.wait(60).value == "done"
    assert moved and moved[-1] in ("", "Let go to make this vertebra S1 (now L5).")
    centre = np.array(box_node(scene).GetCenter()) * RAS
    assert np.allclose(centre, spine["L5"].centroid_lps_mm, atol=1.5)
    assert names_in(scene) == ["S1", "L5", "L4", "L3", "L2"]
    assert [row.level for row in session.rows] == ["L2", "L3", "L4", "L5", "S1"]
    after = picture(sagittal, "box_on_l5")
    assert (before != after).any(-1).mean() > 0.01  # bodies have changed their colours, the box its place


class Previews:
    """A face that keeps what is said during a drag."""

    def __init__(self, session, said):
        self._session, self._said = session, said

    def session_changed(self, change):
        if change.value == "preview":
            self._said.append(self._session.preview)

    def ask_about_edits(self, names):
        raise AssertionError("nothing was edited")


def test_the_box_does_not_darken_the_scan(application, session, sagittal):
    scene = application.scene
    segmented(session, scene, sagittal)
    with_box = picture(sagittal, "with_box").astype(int)
    session.show_box(False)
    without = picture(sagittal, "without_box").astype(int)
    changed = (with_box != without).any(-1).mean()
    assert 0 < changed < 0.08  # its outline and handles, not its area


def test_a_drag_of_a_deleted_box_does_no_harm(application, session, sagittal):
    scene = application.scene
    segmented(session, scene, sagittal)
    spine = session.result.spine
    start, end = pixel_of(sagittal, spine["S1"].centroid_lps_mm), pixel_of(sagittal, spine["L4"].centroid_lps_mm)
    interactor = sagittal.interactor()
    for name, place in (("MouseMoveEvent", start), ("LeftButtonPressEvent", start), ("MouseMoveEvent", end)):
        interactor.SetEventInformation(round(place[0]), round(place[1]), 0, 0, "\0", 0, "")
        interactor.InvokeEvent(name)
    assert session.preview
    scene.RemoveNode(box_node(scene))
    interactor.InvokeEvent("LeftButtonReleaseEvent")
    sagittal.render()
    session.poll()
    assert session.preview == "" and session.state.value == "done"
    assert [row.level for row in session.rows][-1] == "S1"


def test_the_bodies_are_seen_in_3d_in_their_colours(application, session, sagittal, threed):
    scene = application.scene
    segmented(session, scene, sagittal)
    session.show_box(False)
    session.show_3d(False)
    threed._view_node.SetBoxVisible(False)
    threed._view_node.SetAxisLabelsVisible(False)
    for node in nodes_of(scene, "vtkMRMLMarkupsFiducialNode"):
        node.GetDisplayNode().SetVisibility(False)
    empty = picture(threed, "3d_empty")
    session.show_3d(True)
    shown = picture(threed, "3d_bodies")
    body = (empty.astype(int) != shown).any(-1)
    assert 0.03 < body.mean() < 0.6
    rows = np.flatnonzero(body.any(1))
    assert rows.min() > 5 and rows.max() < SIZE[1] - 6  # the whole spine is in the picture
    hues = {tuple(int(part > 0.6 * pixel.max()) for part in pixel) for pixel in shown[body][::50].astype(int)}
    assert len(hues) >= 3


def test_the_corner_of_the_view_says_what_it_shows(application, session, sagittal):
    from SpinalTapLib.scene.corner import View

    scene = application.scene
    session._scene.corner.view_of = lambda node: View(sagittal.first_renderer(), sagittal.render)
    segmented(session, scene, sagittal)
    session.show_box(False)
    with_text = picture(sagittal, "corner_text").astype(int)
    session.show_corner_levels(False)
    without = picture(sagittal, "corner_without_text").astype(int)
    rows, columns = np.nonzero((with_text != without).any(-1))
    assert len(rows) > 50
    assert rows.max() < 0.1 * SIZE[1] and columns.min() > 0.5 * SIZE[0]  # rows count from below: the lower right corner
