"""Any order of commands: a session on a real MRML scene never raises, loses an edit or leaves a node behind.

Every run draws the same few commands. ``make fuzz`` draws many more, other ones each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

pytest.importorskip("slicer", reason="slicer-core, the MRML libraries of 3D Slicer, is not installed")
import slicer
from scene_fixtures import DirectWorker, add_blocks, edit, make_scene, nodes_of, segment_names, voxels
from session_helpers import box_node, drag, new_box_node

from SpinalTapLib.scene import SlicerScene
from SpinalTapLib.session.session import Session
from SpinalTapLib.session.state import State
from SpinalTapLib.spine import levels

pytest_plugins = ("scene_fixtures",)

STEPS = int(os.environ.get("SPINALTAP_COMMANDS", "0"))
"""Number of commands of ``make fuzz``; 0 for the short run."""

COMMANDS_A_SCENE = 40 if STEPS else 9
OWN_CLASSES = ("Segmentation", "MarkupsFiducial", "MarkupsROI", "Table", "Text")


class Commands(RuleBasedStateMachine):
    """A session with one scan at a time, and what the user has edited by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = make_scene()
        self.before, slicer.mrmlScene = getattr(slicer, "mrmlScene", None), self.scene
        self.session = Session(SlicerScene(self.scene), DirectWorker())
        self.edited: dict[str, int] = {}  # the segment's ID, which renaming keeps, and its size after the edit
        self.volume = None

    def teardown(self) -> None:
        self.session.close()
        self.scene.Clear(True)
        slicer.mrmlScene = self.before

    def _try(self, can, command, *arguments) -> None:
        """Give a command; it must be refused with the reason that `can` gives, or end without a failure."""
        reason = can.reason
        try:
            command(*arguments)
        except ValueError as error:
            assert "\n" not in str(error) and str(error).endswith(".")
            assert can or str(error) == reason
        else:
            assert can
        self.session.wait(60)
        failure = self.session.failure
        assert failure is None or "wrong inside" not in str(failure)

    @property
    def _segmentation(self):
        found = [node for node in nodes_of(self.scene, "vtkMRMLSegmentationNode") if "copy" not in node.GetName()]
        assert len(found) <= 1
        return found[0] if found else None

    @initialize(count=st.integers(2, 4))
    def choose(self, count) -> None:
        self.volume = add_blocks(self.scene, count=count)
        self.session.set_volume(self.volume.GetID())
        self._try(self.session.can_segment, self.session.segment)

    @rule()
    def segment(self) -> None:
        self._try(self.session.can_segment, self.session.segment)
        self.edited.clear()  # a fresh result keeps copies of the edited bodies under other names

    @rule(steps=st.sampled_from((-1, 1)))
    def shift(self, steps) -> None:
        can = self.session.can_shift_up if steps > 0 else self.session.can_shift_down
        self._try(can, self.session.shift_labels, steps)

    @rule(index=st.integers(0, 3), level=st.sampled_from(("S1", "L5", "T12", "C2")))
    def pin(self, index, level) -> None:
        self._try_at(self.session.can_pin_level, self.session.pin_level, index, level)

    @rule(index=st.integers(0, 3))
    def drop(self, index) -> None:
        rows = {row.index: row.level for row in self.session.rows}
        if index in rows and len(rows) > 1:
            self._forget(rows[index])
            self._try_at(self.session.can_drop_vertebra, self.session.drop_vertebra, index)

    def _try_at(self, can, command, index, *more) -> None:
        if index < len(self.session.rows):
            self._try(can, command, index, *more)

    @rule()
    def undo(self) -> None:
        self._try(self.session.can_undo, self.session.undo)

    @rule(place=st.integers(0, 3))
    def drag_the_box(self, place) -> None:
        if self.session.can_place_box and self.session.result is not None:
            self.session.place_box()
            vertebrae = self.session.result.spine.vertebrae
            drag(self.scene, vertebrae[place % len(vertebrae)].centroid_lps_mm, steps=2)
            self.session.wait(60)

    @rule(far=st.booleans())
    def recount_from_the_box(self, far) -> None:
        if far and self.session.box_is_shown:
            box_node(self.scene).SetCenter(1e4, 0, 0)
        self._try(self.session.can_reseed, self.session.reseed)

    @rule()
    def put_the_box_back(self) -> None:
        self._try(self.session.can_put_box_on_s1, self.session.put_box_on_s1)

    @rule(add=st.booleans())
    def add_a_vertebra(self, add) -> None:
        self._try(self.session.can_show_new_box, self.session.show_new_box)
        if add:
            self._try(self.session.can_add_vertebra, self.session.add_vertebra)
        if self.session.can_hide_new_box:
            self.session.hide_new_box()
            assert not [n for n in nodes_of(self.scene, "vtkMRMLMarkupsROINode") if n.GetName() == "missed vertebra"]

    @rule()
    def remove_the_new_box_by_hand(self) -> None:
        if self.session.can_show_new_box:
            self.session.show_new_box()
            self.scene.RemoveNode(new_box_node(self.scene))

    @rule(which=st.integers(0, 3))
    def edit_by_hand(self, which) -> None:
        node = self._segmentation
        names = [] if node is None else segment_names(node)
        if names:
            name = names[which % len(names)]
            edit(node, name, carve=slice(which, which + 1))
            self.edited[node.GetSegmentation().GetSegmentIdBySegmentName(name)] = voxels(node, name)

    def _forget(self, name) -> None:
        """Look away from a segment that is dropped: its edit is kept as a copy, of which the scene's tests speak."""
        node = self._segmentation
        if node is not None:
            self.edited.pop(node.GetSegmentation().GetSegmentIdBySegmentName(name), None)

    @rule(visible=st.booleans())
    def show(self, visible) -> None:
        if self.session.can_show_3d:
            self.session.show_3d(visible)
        self.session.show_box(visible)

    @rule()
    @precondition(lambda self: self.session.rows)
    def jump(self) -> None:
        self.session.jump_to(self.session.rows[0].level)

    @rule(name=st.sampled_from(OWN_CLASSES))
    def remove_a_node_by_hand(self, name) -> None:
        nodes = nodes_of(self.scene, f"vtkMRML{name}Node")
        if nodes and name != "Segmentation":
            self.scene.RemoveNode(nodes[0])
            self.session.poll()

    @rule()
    def cancel(self) -> None:
        if self.session.can_segment:
            self.session.segment()
            if self.session.can_cancel:
                self.session.cancel()
            self.session.wait(60)

    @rule(count=st.integers(2, 4))
    def take_another_scan(self, count) -> None:
        """Remove the scan and choose another one: what belongs to the first one must go with it."""
        self.session.set_volume(None)
        self.scene.Clear(False)
        self.session.poll()
        self.edited.clear()
        own = [n.GetName() for c in OWN_CLASSES for n in nodes_of(self.scene, f"vtkMRML{c}Node")]
        assert not own, own
        self.choose(count)

    @invariant()
    def the_session_is_at_rest(self) -> None:
        assert self.session.state in (State.EMPTY, State.READY, State.DONE, State.FAILED)

    @invariant()
    def names_are_levels_and_no_two_are_the_same(self) -> None:
        names = [row.level for row in self.session.rows]
        assert len(set(names)) == len(names)
        known = [v.level for v in self.session.result.spine.vertebrae if v.level] if self.session.result else []
        assert all(levels.level(name).name == name for name in known)

    @invariant()
    def no_edit_is_lost(self) -> None:
        node = self._segmentation
        for segment_id, size in self.edited.items() if node is not None else ():
            segment = node.GetSegmentation().GetSegment(segment_id)
            # A vertebra that a count leaves out, such as one above C2, leaves a copy of its edit, and so does one whose
            # body is outlined anew, because a vertebra was added beside it.
            kept = [] if segment is None else [voxels(node, segment.GetName())]
            assert size in kept + self._copied

    @property
    def _copied(self) -> list[int]:
        """Sizes of the segments in the copies of edits."""
        copies = [n for n in nodes_of(self.scene, "vtkMRMLSegmentationNode") if "copy" in n.GetName()]
        return [voxels(node, name) for node in copies for name in segment_names(node)]

    @invariant()
    def no_node_is_left_behind(self) -> None:
        count = self.scene.GetNumberOfNodes()
        shown = [self.scene.GetNthNode(i) for i in range(count)]
        own = [n for n in shown if n.GetClassName().startswith(("vtkMRMLSegmentation", "vtkMRMLMarkups"))]
        lost = [n.GetName() for n in own if n.IsA("vtkMRMLDisplayNode") and n.GetDisplayableNode() is None]
        assert not lost, lost
        texts = len(nodes_of(self.scene, "vtkMRMLTextNode"))
        assert texts <= 3 and len(nodes_of(self.scene, "vtkMRMLTableNode")) <= 1


def test_any_order_of_commands_leaves_the_scene_in_order():
    examples = max(STEPS // COMMANDS_A_SCENE, 1) if STEPS else 4
    run_state_machine_as_test(
        Commands,
        settings=settings(
            max_examples=examples, stateful_step_count=COMMANDS_A_SCENE, derandomize=not STEPS, deadline=None,
            database=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
