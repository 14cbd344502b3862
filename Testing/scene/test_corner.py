"""The corner of each slice view says which vertebra or disc it shows, on real MRML nodes."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
import vtk
from scene_fixtures import DirectWorker, add_blocks, add_volume, nodes_of, transform_above, turned
from spines_by_hand import column, spine_of

pytest_plugins = ("scene_fixtures",)

RAS = np.array([-1.0, -1, 1])


class Desk:
    """A scan with an axial and a sagittal slice view; its result is made of boxes, S1 at the origin."""

    def __init__(self, scene):
        from SpinalTapLib.scene import SlicerScene
        from SpinalTapLib.scene.corner import View

        self.scene, self.renderers, self.pictures = scene, {}, 0
        self.volume = self.add_scan()
        adapter = SlicerScene(scene)
        adapter.corner.view_of = lambda node: View(
            self.renderers.setdefault(node.GetLayoutName(), vtk.vtkRenderer()), self.schedule
        )
        self.adapter = adapter
        self.views = {name: self.add_view(name) for name in ("Axial", "Sagittal")}
        self.spine = spine_of(column(("S1", "L5", "L4", "L3", "L2", "L1")))
        self.show()

    def add_scan(self):
        return self.scan_at((-40, -60, -50), "sagittal")

    def show(self, **options):
        self.adapter.show_levels(self.volume.GetID(), self.spine, **options)

    def close(self):
        self.adapter.show_levels(None, None)

    def schedule(self):
        self.pictures += 1

    def add_view(self, name):
        node = self.scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetLayoutName(name)
        node.SetOrientation("Axial" if name != "Sagittal" else name)
        node.SetFieldOfView(400, 400, 1)
        composite = self.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", name)
        composite.SetLayoutName(name)
        composite.SetBackgroundVolumeID(self.volume.GetID())
        return node

    def background(self, name, volume):
        for composite in nodes_of(self.scene, "vtkMRMLSliceCompositeNode"):
            if composite.GetLayoutName() == name:
                composite.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)

    def scroll_to(self, point_lps, name="Axial"):
        self.views[name].JumpSliceByCentering(*(np.asarray(point_lps) * RAS))

    def text(self, name="Axial"):
        """Return the text in the picture of a view, or None if it has none."""
        actors = self.renderers[name].GetViewProps() if name in self.renderers else None
        found = [actors.GetItemAsObject(i).GetInput() for i in range(actors.GetNumberOfItems())] if actors else []
        assert len(found) <= 1
        return found[0] if found else None

    def middle(self, level):
        return self.spine[level].centroid_lps_mm

    def disc(self, upper, lower):
        return (self.spine[upper].corners_lps_mm[2:].mean(0) + self.spine[lower].corners_lps_mm[:2].mean(0)) / 2

    def scan_at(self, low, name):
        """Return a scan of 80 x 120 x 280 mm from a corner on, LPS."""
        matrix = np.diag([4.0, 4, 4, 1])[:, [2, 1, 0, 3]]
        matrix[:3, 3] = low
        return add_volume(self.scene, np.zeros((70, 30, 20), np.int16), matrix, name)

    def other_scan(self, name="axial T2", study=True):
        """Return another scan of the same part of the body, of the same study or of none."""
        node = self.scan_at((-38, -58, -48), name)
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        folder = tree.CreateStudyItem(tree.GetSceneItemID(), "study") if study else 0
        for scan in (node, self.volume):
            item = tree.GetItemByDataNode(scan) or tree.CreateItem(tree.GetSceneItemID(), scan)
            if study:
                tree.SetItemParent(item, folder)
        return node


class LiveDesk(Desk):
    """The same with a session that has segmented six blocks."""

    def add_scan(self):
        return add_blocks(self.scene)

    def show(self, **options):
        from SpinalTapLib.session.session import Session

        self.session = Session(self.adapter, DirectWorker())
        self.session.set_volume(self.volume.GetID())
        self.session.segment()
        self.session.wait(60)
        self.spine = self.session.result.spine

    def close(self):
        self.session.close()


@pytest.fixture
def desk(scene):
    made = Desk(scene)
    yield made
    made.close()
    assert made.text() is None and made.text("Sagittal") is None


@pytest.fixture
def live(scene):
    made = LiveDesk(scene)
    yield made
    made.close()
    assert made.text() is None and made.text("Sagittal") is None


def test_while_the_user_scrolls_each_view_says_what_it_shows(desk):
    for level in ("S1", "L4", "L1"):
        desk.scroll_to(desk.middle(level))
        assert desk.text() == level
    desk.scroll_to(desk.disc("L4", "L5"))
    assert desk.text() == "L4-L5 disc"
    desk.scroll_to(desk.middle("L3") * (1, 1, 0) + (0, 0, desk.spine["L3"].corners_lps_mm[:2, 2].mean() - 4))
    assert desk.text() == "L3, upper half"
    desk.scroll_to(desk.middle("L3"), "Sagittal")
    assert desk.text("Sagittal") == "L1 to S1"


def test_an_oblique_slice_along_a_disc_shows_that_disc(desk):
    node, centre = desk.views["Axial"], desk.disc("L4", "L5") * RAS
    matrix = vtk.vtkMatrix4x4()
    turn = turned(12)[:3, :3]
    for i in range(3):
        for j in range(3):
            matrix.SetElement(i, j, turn[i, j])
        matrix.SetElement(i, 3, centre[i])
    node.GetSliceToRAS().DeepCopy(matrix)
    node.UpdateMatrices()
    assert desk.text() == "L4-L5 disc"


def test_beyond_the_spine_and_beside_the_view_the_corner_is_empty(desk):
    desk.scroll_to(desk.middle("S1") - (0, 0, 200))
    assert not desk.text()
    desk.views["Axial"].SetFieldOfView(20, 20, 1)
    desk.scroll_to(desk.middle("L3") + (70, 0, 0))
    assert not desk.text()  # the view shows a place beside the spine


def test_a_session_keeps_the_texts_up_to_date_and_removes_them_with_the_result(live):
    live.scroll_to(live.middle("L4"))
    assert live.text() == "L4" and live.session.corner_levels
    live.session.shift_labels(1)
    live.session.wait(60)
    assert live.text() == "L3"
    live.session.show_corner_levels(False)
    assert live.text() is None and not live.session.corner_levels
    live.session.show_corner_levels(True)
    assert live.text() == "L3"
    shift = np.eye(4)
    shift[2, 3] = 40
    transform_above(live.scene, live.volume, shift)
    live.scroll_to(live.middle("L5") + (0, 0, 40))
    assert live.text() == "L4"  # the names go where the scan goes
    (segmentation,) = nodes_of(live.scene, "vtkMRMLSegmentationNode")
    live.scene.RemoveNode(segmentation)
    assert live.text() is None
    live.scroll_to(live.middle("L3"))
    assert live.text() is None


def test_scripts_ask_a_session_for_a_point_or_a_plane(live):
    from SpinalTapLib.spine.level_at import Plane

    assert live.session.level_at(live.middle("L4")).text == "L4"
    assert live.session.level_at(Plane(live.disc("L4", "L5"), np.array([0, 0, 1.0]))).text == "L4-L5 disc"
    live.session.set_volume(None)
    with pytest.raises(ValueError, match="first"):
        live.session.level_at(np.zeros(3))


def test_switched_off_there_is_no_text_and_no_work(desk, monkeypatch):
    from SpinalTapLib.scene import corner

    desk.adapter.show_levels(desk.volume.GetID(), None)
    assert desk.text() is None and desk.text("Sagittal") is None
    monkeypatch.setattr(corner, "plane_of", lambda *_: pytest.fail("a slice was looked at"))
    desk.scroll_to(desk.middle("L4"))
    monkeypatch.undo()
    desk.show()
    assert desk.text() == "L4"


def test_another_scan_of_the_study_is_named_and_one_of_elsewhere_only_if_the_user_says_so(desk):
    desk.scroll_to(desk.middle("L4"))
    desk.background("Axial", desk.other_scan())
    assert desk.text() == "L4"
    desk.background("Axial", desk.other_scan("another patient", study=False))
    assert not desk.text()
    desk.show(everywhere=True)
    assert desk.text() == "L4"
    desk.background("Axial", None)
    assert not desk.text()


def test_two_dicom_frames_of_reference_within_a_study_are_kept_apart(desk, monkeypatch):
    frames = {"1.1": "frame a", "1.2": "frame a", "1.3": "frame b"}

    class Database:
        def instanceValue(self, instance, tag):  # noqa: N802 - Slicer's name
            assert tag == "0020,0052"
            return frames[instance]

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    same, moved_patient = desk.other_scan(), desk.other_scan("after a break")
    for node, instance in ((desk.volume, "1.1"), (same, "1.2"), (moved_patient, "1.3")):
        node.SetAttribute("DICOM.instanceUIDs", instance)
    desk.scroll_to(desk.middle("L2"))
    desk.background("Axial", same)
    assert desk.text() == "L2"
    desk.background("Axial", moved_patient)
    assert not desk.text()


def test_a_scan_that_ends_before_the_level_gets_no_text(desk):
    scan = desk.other_scan()
    desk.background("Axial", scan)
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    matrix.SetElement(2, 3, matrix.GetElement(2, 3) + 500)
    scan.SetIJKToRASMatrix(matrix)
    desk.scroll_to(desk.middle("L2"))
    assert not desk.text()


def test_a_view_that_is_opened_later_is_named_too(desk):
    desk.views["Other"] = desk.add_view("Other")
    desk.scroll_to(desk.middle("L5"), "Other")
    assert desk.text("Other") == "L5"


def test_a_step_of_scrolling_takes_less_than_5_ms(desk):
    began = time.process_time()
    for i in range(40):
        desk.scroll_to(desk.middle("L4") + (0, 0, i / 4))
    assert (time.process_time() - began) / 40 < 0.005
