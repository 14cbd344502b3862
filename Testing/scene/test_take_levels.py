"""A result is put onto another scan of the study, and a motion of the patient is told."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
from scene_fixtures import add_volume, nodes_of, segment_names, segment_places

from SpinalTapLib.scans.motion import Motion
from SpinalTapLib.session.state import MotionAnswer

pytest_plugins = ("scene_fixtures",)

RAS = np.array([-1.0, -1, 1])


@pytest.fixture
def study(segmented, scene):
    """A session with a result, and an axial scan that covers the lower two vertebrae."""
    session, _ = segmented
    low = session.result.spine["S1"].centroid_lps_mm - (40, 40, 30)
    matrix = np.diag([4.0, 2, 2, 1])[:, [2, 1, 0, 3]]
    matrix[:3, :3] = [[0, 0, 2], [0, 2, 0], [4, 0, 0]]
    matrix[:3, 3] = low
    other = add_volume(scene, np.random.default_rng(0).normal(100, 9, (22, 40, 40)).astype(np.float32), matrix, "axial")
    return session, other


def taken(scene):
    return [node for node in nodes_of(scene, "vtkMRMLSegmentationNode") if "axial" in node.GetName()]


def no_motion(monkeypatch, session, motion=None):
    """Put a known motion in the place of the registration, which has tests of its own."""
    still = motion or Motion(np.eye(4), 0.2, 0.1)
    monkeypatch.setattr(session._scene, "motion", lambda *_: still)


def test_segments_and_names_lie_on_the_other_scan_at_the_same_place(study, scene, monkeypatch):
    session, other = study
    no_motion(monkeypatch, session)
    name = session.take_levels_to(other.GetID())
    (node,) = taken(scene)
    assert node.GetName() == name == "axial vertebrae from blocks"
    assert segment_names(node) == ["S1", "L5"]
    places = segment_places(node, "L5")
    assert np.linalg.norm(places.mean(0) * RAS - session.result.spine["L5"].centroid_lps_mm) < 3
    assert node.GetAttribute("SpinalTap.LevelsFrom") == "blocks"
    assert "has not moved" in session.progress.sentence
    assert len(nodes_of(scene, "vtkMRMLSegmentationNode")) == 2  # the result's own is still there


@pytest.mark.parametrize(("follow", "shift"), [(True, 8.0), (False, 0.0)])
def test_a_motion_is_told_and_followed_only_if_wanted(study, scene, monkeypatch, follow, shift):
    session, other = study
    matrix = np.eye(4)
    matrix[1, 3] = -8.0  # a position in the other scan lies 8 mm further anterior in the first
    no_motion(monkeypatch, session, Motion(matrix, 8.0, 0.0))
    session.take_levels_to(other.GetID(), follow_motion=follow)
    centre = segment_places(taken(scene)[0], "L5").mean(0) * RAS
    assert centre[1] - session.result.spine["L5"].centroid_lps_mm[1] == pytest.approx(shift, abs=1.5)
    told = session.progress.sentence
    assert "seems to have moved between the two scans, by 8 mm" in told
    assert ("follow the motion" if follow else "do not follow it") in told
    assert taken(scene)[0].GetAttribute("SpinalTap.Motion") in told


def test_the_user_is_asked_about_a_motion_and_may_cancel(study, scene, monkeypatch):
    session, other = study
    no_motion(monkeypatch, session, Motion(np.eye(4), 8.0, 0.0))
    asked = []

    class Face:
        def session_changed(self, change):
            pass

        def ask_about_motion(self, sentence):
            asked.append(sentence)
            return MotionAnswer.CANCEL

    session.subscribe(Face())
    assert session.take_levels_to(other.GetID()) == ""
    assert len(asked) == 1 and not taken(scene)


def test_the_same_scan_no_overlap_and_no_volume_are_refused(study, scene):
    session, _ = study
    with pytest.raises(ValueError, match="the scan that was segmented"):
        session.take_levels_to(session.volume)
    with pytest.raises(ValueError, match="no longer in the scene"):
        session.take_levels_to("vtkMRMLScalarVolumeNode99")
    place = np.diag([4.0, 4, 4, 1]) + 900 * np.eye(4, k=3)
    far = add_volume(scene, np.zeros((6, 6, 6), np.float32), place, "elsewhere")
    with pytest.raises(ValueError, match="shows none of the vertebrae"):
        session.take_levels_to(far.GetID())
    assert not taken(scene)
