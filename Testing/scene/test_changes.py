"""A result is compared with an earlier one of the scene or of a folder, and a table tells what has changed."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
from scene_fixtures import DirectWorker, add_blocks, load_bundle, make_scene, nodes_of, save_bundle

from SpinalTapLib.files.result_names import JSON_NAME, LABEL_MAP_NAME
from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.session.session import Session

pytest_plugins = ("scene_fixtures",)


@pytest.fixture
def follow_up(segmented, scene):
    """A session with the result of a later scan, and the earlier scan, which has a result too."""
    session, earlier = segmented
    later = add_blocks(scene, "later")
    session.set_volume(later.GetID())
    session.segment()
    session.wait(60)
    assert session.failure is None, session.failure
    return session, earlier


def changes_tables(scene):
    return [node for node in nodes_of(scene, "vtkMRMLTableNode") if node.GetAttribute("SpinalTap.Role") == "changes"]


def belongs_to(scene, volume, patient):
    """Put a volume where Slicer's DICOM module puts the scans of a patient."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = tree.GetItemByDataNode(volume)
    tree.SetItemUID(item, "DICOM", f"1.2.{patient}.9")
    logic = slicer.vtkSlicerSubjectHierarchyModuleLogic
    logic.InsertDicomSeriesInHierarchy(tree, patient, f"1.2.{patient}", f"1.2.{patient}.9")


def as_folder(session, folder, lost_mm):
    """Write as much of the session's result as a comparison reads, L3 higher than it is now."""
    import SimpleITK as sitk
    from spines_by_hand import column, painted

    from SpinalTapLib.files.spine_json import spine_json

    volume, labels = painted(column(("S1", "L5")))
    bodies = []
    for body in session.result.spine.vertebrae:
        numbers = dict(body.measurements)
        numbers["height_anterior_mm"] += lost_mm if body.level == "L3" else 0
        bodies.append(replace(body, measurements=numbers))
    folder.mkdir()
    sitk.WriteImage(volume.to_source(labels), str(folder / LABEL_MAP_NAME))
    spine = replace(session.result.spine, vertebrae=tuple(bodies), label_map=labels)
    (folder / JSON_NAME).write_text(spine_json(spine, volume, {}))
    return folder


def test_two_scans_of_the_scene_are_compared_in_a_table_of_the_scene(follow_up, scene):
    session, earlier = follow_up
    assert session.is_earlier_result(earlier.GetID()) and not session.is_earlier_result(session.volume)
    assert session.comparison is None and not session.can_export_changes
    found = session.compare_with(earlier.GetID())
    assert session.comparison is found and found.between == ("blocks", "later")
    assert session.progress.sentence == found.summary and found.summary.startswith("None of ")
    (node,) = changes_tables(scene)
    assert node.GetName() == "later changes since blocks" and node.GetDescription().startswith(found.summary)
    table = node.GetTable()
    assert table.GetNumberOfRows() == len(found.changes) > 20
    columns = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert columns == ["Level", "Measurement", "Earlier", "Later", "Change", "Error", "Verdict", "Note"]
    assert table.GetValueByName(0, "Level").ToString() == "L1"
    assert table.GetValueByName(0, "Measurement").ToString() == "Height anterior (mm)"
    session.compare_with(earlier.GetID())
    assert len(changes_tables(scene)) == 1  # the same one again


def test_a_folder_can_be_the_earlier_result_and_the_changes_are_exported(segmented, scene, tmp_path):
    session, _ = segmented
    found = session.compare_with(as_folder(session, tmp_path / "2023", 12.0))
    (loss,) = found.losses
    assert loss.level == "L3" and loss.place == "anterior"
    table = changes_tables(scene)[0].GetTable()
    notes = {table.GetValueByName(i, "Note").ToString() for i in range(table.GetNumberOfRows())}
    assert notes == {"", loss.sentence}
    files = session.export_changes(tmp_path / "out")
    assert [file.name for file in files] == ["changes.csv", "changes.png"] and all(file.is_file() for file in files)
    rows = list(csv.DictReader(files[0].open()))
    (row,) = (row for row in rows if (row["level"], row["measurement"]) == ("L3", "height_anterior_mm"))
    assert (row["change"], row["verdict"]) == ("-12.00", "beyond the error")
    assert session.progress.sentence == f"The changes were written to {tmp_path / 'out'}."


@pytest.mark.parametrize("which", ["later", "earlier"])
def test_the_table_goes_when_one_of_the_two_results_changes(follow_up, scene, which):
    session, earlier = follow_up
    later = session.volume
    session.compare_with(earlier.GetID())
    if which == "earlier":
        session.set_volume(earlier.GetID())
    session.shift_labels(1)
    session.wait(60)
    session.set_volume(later)
    assert session.comparison is None and not changes_tables(scene)


def test_what_cannot_be_compared_is_said_in_one_sentence_and_changes_nothing(follow_up, scene, tmp_path):
    session, earlier = follow_up
    without = add_blocks(scene, "without")
    for wrong, words in (
        (session.volume, "the scan itself"),
        (without.GetID(), "'without' has no result"),
        ("vtkMRMLScalarVolumeNode99", "no longer in the scene"),
        (tmp_path, "not a SpinalTap result"),
    ):
        with pytest.raises(ValueError, match=words):
            session.compare_with(wrong)
    belongs_to(scene, earlier, "7")
    belongs_to(scene, scene.GetNodeByID(session.volume), "8")
    with pytest.raises(ValueError, match="two patients \\('7' and '8'\\)"):
        session.compare_with(earlier.GetID())
    assert session.comparison is None and not changes_tables(scene)
    with pytest.raises(ValueError, match="Compare with an earlier result first"):
        session.export_changes(tmp_path)
    session.set_volume(without.GetID())
    with pytest.raises(ValueError, match="Segment the spine first"):
        session.compare_with(earlier.GetID())


@pytest.mark.usefixtures("follow_up")
def test_results_of_a_saved_scene_can_be_compared(scene, monkeypatch, tmp_path):
    save_bundle(scene, tmp_path / "scene.mrb")
    loaded = make_scene()
    monkeypatch.setattr(slicer, "mrmlScene", loaded)
    load_bundle(loaded, tmp_path / "scene.mrb", tmp_path / "bundle")
    again = Session(SlicerScene(loaded), DirectWorker())
    earlier, later = (node.GetID() for node in nodes_of(loaded, "vtkMRMLScalarVolumeNode"))
    again.set_volume(later)
    assert again.compare_with(earlier).between == ("blocks", "later")
    again.close()
