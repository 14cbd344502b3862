"""What a user does, from the scan to the files: the real panel, the real session, Slicer's real MRML scene.

The network is replaced by a perfect one on a scan of blocks (see `block_spine`), except in the last test, which is
the module's own test class with the real worker process and the shipped weights. The Qt side is a stand-in.
"""

from __future__ import annotations

import sys

import pytest
from panel_support import click, click_box, click_row, process_events, pythonqt, show, slicer, use_style, wait_until
from scene_fixtures import DirectWorker, add_blocks, make_scene, nodes_of

from SpinalTapLib.installation import check_needs
from SpinalTapLib.session.state import State

LEVELS = ["L1", "L2", "L3", "L4", "L5", "S1"]


@pytest.fixture(autouse=True)
def nothing_is_swallowed(monkeypatch):
    pythonqt.SLOT_ERRORS.clear()
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: pythonqt.SLOT_ERRORS.append(error))
    yield
    assert not pythonqt.SLOT_ERRORS


@pytest.fixture
def spinaltap(monkeypatch):
    import SpinalTap

    monkeypatch.setattr(slicer, "mrmlScene", make_scene(), raising=False)
    yield SpinalTap
    slicer.mrmlScene.Clear(True)


class User:
    """The module's widget with a session on a worker without a process."""

    def __init__(self, spinaltap, monkeypatch, tmp_path):
        from pythonqt.application import WidgetParent

        from SpinalTapLib.scene import SlicerScene
        from SpinalTapLib.session.session import Session

        self.worker = DirectWorker()
        monkeypatch.setattr(
            spinaltap.SpinalTapLogic, "makeSession", staticmethod(lambda: Session(SlicerScene(), self.worker))
        )
        monkeypatch.setattr("SpinalTapLib.installation.check_needs", lambda version=None: ())
        self.volume = add_blocks(slicer.mrmlScene, "first")
        self.parent = WidgetParent()
        self.widget = spinaltap.SpinalTapWidget(pythonqt.wrap(self.parent))
        self.widget.setup()
        self.ui, self.session = self.widget.ui, self.widget.session
        self.ui.exportFolderEdit.currentPath = str(tmp_path / "surfaces")
        show(self.parent)

    def settle(self):
        wait_until(lambda: self.session.state is not State.RUNNING)
        show(self.parent)

    def segment(self):
        click(self.ui.segmentButton)
        self.settle()
        assert self.session.failure is None, self.session.failure

    def levels(self):
        table = self.ui.resultsTable
        return [table.item(row, 0).text() for row in range(table.rowCount)]

    def drag_box_to(self, level):
        """What a drag in a view does to the node: it moves, and then the mouse is let go."""
        left, posterior, superior = self.session.result.spine[level].centroid_lps_mm
        (box,) = nodes_of(slicer.mrmlScene, "vtkMRMLMarkupsROINode")
        box.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent)
        box.SetCenterWorld([-left, -posterior, superior])
        process_events()
        hint = self.ui.boxHint.text
        box.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
        self.settle()
        return hint


@pytest.fixture
def user(spinaltap, monkeypatch, tmp_path):
    user = User(spinaltap, monkeypatch, tmp_path)
    yield user
    user.widget.cleanup()
    user.parent.hide()
    use_style(dark=False)


def test_from_the_click_to_the_table_and_the_nodes(user):
    assert user.session.volume == user.volume.GetID()
    user.segment()
    assert user.levels() == LEVELS
    assert user.ui.showBoxCheckBox.checked
    assert len(nodes_of(slicer.mrmlScene, "vtkMRMLSegmentationNode")) == 1
    assert len(nodes_of(slicer.mrmlScene, "vtkMRMLMarkupsFiducialNode")) == len(LEVELS)
    user.segment()
    assert len(nodes_of(slicer.mrmlScene, "vtkMRMLSegmentationNode")) == 1
    assert len(nodes_of(slicer.mrmlScene, "vtkMRMLMarkupsFiducialNode")) == len(LEVELS)


def test_dragging_the_box_recounts_and_undo_takes_it_back(user):
    user.segment()
    usual = user.ui.boxHint.text
    l5 = user.session.result.spine["L5"].centroid_lps_mm.copy()
    user.drag_box_to("L5")
    assert user.ui.boxHint.text == usual
    assert user.levels() != LEVELS
    assert abs(user.session.result.spine["S1"].centroid_lps_mm - l5).max() < 1
    click(user.ui.undoButton)
    user.settle()
    assert user.levels() == LEVELS


def test_putting_the_box_back_recounts_from_the_s1_that_was_found(user):
    user.segment()
    user.drag_box_to("L4")
    assert user.levels() != LEVELS
    click(user.ui.resetBoxButton)
    user.settle()
    assert user.levels() == LEVELS


def test_shifting_and_pinning_rename_every_vertebra(user):
    user.segment()
    click(user.ui.shiftUpButton)
    user.settle()
    assert user.levels()[-1] == "L5"
    click(user.ui.shiftDownButton)
    user.settle()
    assert user.levels() == LEVELS
    click_row(user.ui.resultsTable, 1)  # L2
    actions = [a for region in user.ui.pinButton.menu().actions() for a in region.menu().actions()]
    next(a for a in actions if a.text == "L1").trigger()
    user.settle()
    assert user.levels()[1] == "L1"


def test_export_writes_files_that_are_there(user, tmp_path):
    user.segment()
    click(user.ui.exportButton)
    assert user.ui.statusLabel.text.startswith("6 files written to")
    files = sorted((tmp_path / "surfaces").glob("*.stl"))
    assert len(files) == 6 and all(file.stat().st_size > 1000 for file in files)


def test_an_export_where_nothing_can_be_written_is_one_sentence(user, tmp_path):
    user.segment()
    (tmp_path / "file").write_text("not a folder")
    user.ui.exportFolderEdit.currentPath = str(tmp_path / "file")
    click(user.ui.exportButton)
    text = user.ui.statusLabel.text
    assert text.endswith(".") and "written to" not in text and "Traceback" not in text
    assert not text.startswith("Something went wrong")


def test_cancel_leaves_the_scene_as_it_was(user):
    before = slicer.mrmlScene.GetNumberOfNodes()
    user.worker.is_held = True
    click(user.ui.segmentButton)
    process_events()
    assert user.ui.cancelButton.visible
    click(user.ui.cancelButton)
    assert user.ui.segmentButton.visible and user.ui.segmentButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    user.worker.is_held = False
    user.segment()
    assert user.levels() == LEVELS


def test_removing_the_volume_or_closing_the_scene_in_the_middle_of_a_run(user):
    user.worker.is_held = True
    click(user.ui.segmentButton)
    slicer.mrmlScene.RemoveNode(user.volume)
    process_events()
    assert user.session.state is not State.RUNNING
    assert not user.ui.segmentButton.enabled
    user.worker.is_held = False
    volume = add_blocks(slicer.mrmlScene, "second")
    user.ui.inputSelector.setCurrentNode(volume)
    user.worker.is_held = True
    click(user.ui.segmentButton)
    slicer.mrmlScene.Clear(False)
    process_events()
    assert user.session.state is State.EMPTY
    user.worker.is_held = False
    volume = add_blocks(slicer.mrmlScene, "third")
    user.ui.inputSelector.setCurrentNode(volume)
    user.segment()
    assert user.levels() == LEVELS


def test_deleting_the_result_empties_the_table(user):
    user.segment()
    for node in nodes_of(slicer.mrmlScene, "vtkMRMLSegmentationNode"):
        slicer.mrmlScene.RemoveNode(node)
    process_events()
    assert not user.ui.resultsGroup.visible
    user.segment()
    assert user.levels() == LEVELS


def test_surfaces_and_box_are_shown_and_hidden(user):
    user.segment()
    shown = user.ui.show3DCheckBox.checked
    click_box(user.ui.show3DCheckBox)
    assert user.ui.show3DCheckBox.checked is not shown
    assert user.session.is_shown_3d is not shown
    click_box(user.ui.showBoxCheckBox)
    (box,) = nodes_of(slicer.mrmlScene, "vtkMRMLMarkupsROINode")
    assert not box.GetDisplayNode().GetVisibility()
    click_box(user.ui.showBoxCheckBox)
    assert box.GetDisplayNode().GetVisibility()


def test_log_names_the_versions(user):
    user.segment()
    user.ui.logSection.collapsed = False
    text = user.ui.logText.plainText
    assert all(word in text for word in ("SpinalTap", "Python", "torch", "Model"))


def test_module_test_class_passes_on_the_blocks(spinaltap, monkeypatch):
    """The scenario of Slicer's own test run, its every line, without the weights."""
    from SpinalTapLib.scene import SlicerScene
    from SpinalTapLib.session.session import Session

    session = Session(SlicerScene(), DirectWorker())
    case = spinaltap.SpinalTapTest()
    try:
        case.useSession(session, add_blocks(slicer.mrmlScene))
    finally:
        session.close()


def test_module_test_class_passes_with_the_shipped_weights(spinaltap):
    missing = [need.sentence for need in check_needs() if not need.met]
    if missing:
        pytest.skip(" ".join(missing))
    case = spinaltap.SpinalTapTest()
    case.runs = 1  # the blocks above are segmented twice
    case.setUp()
    case.test_PracticeScanToSurfaces()
