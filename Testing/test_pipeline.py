"""The road from a volume to a spine, with a detector that knows the answer in the network's place."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from block_spine import HEIGHT, PITCH, SLICE_MM, BlockSpine

from SpinalTapLib import pipeline
from SpinalTapLib.counting.turns import TURNS, UPRIGHT, Turn
from SpinalTapLib.detection.networks import LevelNetwork
from SpinalTapLib.evidence import round_probabilities, to_steps
from SpinalTapLib.files.evidence_file import evidence_bytes, read_evidence
from SpinalTapLib.files.spine_json import spine_json
from SpinalTapLib.pipeline import Cancelled, Options, reseed_spine, segment_spine
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.vertebra import SeedBox

STAGES = ("prepare", "load", "detect", "link", "bodies", "label", "measure")


def box_on(vertebra, level):
    return SeedBox(vertebra.centroid_lps_mm, np.full(3, 20.0), level=level)


def test_a_lumbar_spine_is_named_from_s1_upwards(block_spine):
    spine, _ = block_spine()
    answer = segment_spine(spine.volume(), options=Options(structures="bodies"))
    assert [v.level for v in answer.vertebrae] == ["S1", "L5", "L4", "L3", "L2", "L1"]
    assert answer.anchor == "S1"
    assert answer.warnings == ()


def test_the_mask_of_the_earlier_scan_is_released_before_the_next_one_is_read(block_spine, monkeypatch):
    volume = block_spine()[0].volume()
    detections = segment_spine(volume).evidence.detections
    levels_look = pipeline._LOOKS[1]  # the true one, which the fixture replaces
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_counting_network", lambda _: (LevelNetwork((4, 6, 8), 32, 24), {}))
        levels_look("levels", detections)
    earlier = weakref.ref(detections)
    del detections
    detect, alive = pipeline._detect, []

    def watched(*arguments):
        gc.collect()
        alive.append(earlier() is not None)
        return detect(*arguments)

    monkeypatch.setattr(pipeline, "_detect", watched)
    segment_spine(volume)
    assert alive == [False]


def test_the_label_map_lies_on_the_scan_and_holds_one_body_a_vertebra(block_spine):
    spine, _ = block_spine()
    volume = spine.volume()
    answer = segment_spine(volume)
    assert answer.label_map.shape == volume.array.shape
    assert set(np.unique(answer.label_map)) == {0} | {v.label_value for v in answer.vertebrae}
    for index, vertebra in enumerate(answer.vertebrae):
        _, rows, _ = np.nonzero(answer.label_map == vertebra.label_value)
        assert spine.top(index) - 1 <= rows.min() and rows.max() <= spine.top(index) + HEIGHT
        assert np.allclose(volume.to_index(vertebra.centroid_lps_mm)[1], spine.top(index) + HEIGHT / 2, atol=1)


def test_the_centroid_is_that_of_the_label_map(block_spine):
    volume = block_spine()[0].volume()
    answer = segment_spine(volume)
    for vertebra in answer.vertebrae:
        index = np.argwhere(answer.label_map == vertebra.label_value)
        centre = volume.to_lps(index.mean(0))
        assert np.linalg.norm(vertebra.centroid_lps_mm - centre) < 1.0, vertebra.level


def test_a_vertebra_knows_its_candidate_whatever_is_left_out_of_the_count(block_spine):
    spine, _ = block_spine()
    found = segment_spine(spine.volume(), options=Options(method="detector"))
    evidence = replace(found.evidence, ignored=frozenset({1}))
    fewer = pipeline.recount(replace(found, evidence=evidence), found, None, Options(method="detector"))
    assert [v.candidate for v in found.vertebrae] == list(range(6))
    assert [v.candidate for v in fewer.vertebrae] == [0, 2, 3, 4, 5]
    for vertebra in fewer.vertebrae:
        np.testing.assert_array_equal(vertebra.centroid_lps_mm, evidence.centroids_lps_mm[vertebra.candidate])
        body = evidence.bodies.index == vertebra.candidate + 1
        assert (fewer.label_map[body] == vertebra.label_value).all()


def test_slices_say_where_the_body_is_in_the_scan(block_spine):
    answer = segment_spine(block_spine()[0].volume())
    for vertebra in answer.vertebrae:
        present = np.flatnonzero((answer.label_map == vertebra.label_value).any((1, 2)))
        assert vertebra.slices == tuple(present)
        assert 5 <= len(vertebra.slices) <= 7


def test_discs_and_canal_are_drawn_when_asked_for(block_spine):
    answer = segment_spine(block_spine()[0].volume(), options=Options(structures="all"))
    values = set(np.unique(answer.label_map))
    assert levels.disc_value(levels.level("L4").value) in values
    assert levels.CANAL_VALUE in values


def test_vertebrae_are_measured(block_spine):
    answer = segment_spine(block_spine()[0].volume())
    assert answer["L4"].measurements["height_anterior_mm"] == pytest.approx(HEIGHT - 1, abs=1)


def test_without_an_anchor_the_vertebrae_are_numbered_and_the_user_is_told(block_spine):
    answer = segment_spine(block_spine(s1=False)[0].volume())
    assert [v.label_value for v in answer.vertebrae] == [101, 102, 103, 104, 105, 106]
    assert answer.anchor == "none"
    assert any("levels are not known" in sentence for sentence in answer.warnings)
    assert set(np.unique(answer.label_map)) == {0, 101, 102, 103, 104, 105, 106}


def test_every_stage_has_its_seconds(block_spine):
    answer = segment_spine(block_spine()[0].volume())
    assert tuple(answer.seconds) == STAGES
    assert all(seconds >= 0 for seconds in answer.seconds.values())


def test_progress_never_falls_and_stays_within_one(block_spine):
    seen = []
    segment_spine(block_spine()[0].volume(), progress=lambda *call: seen.append(call))
    fractions = [fraction for _, fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 and 0.9 < fractions[-1] <= 1
    assert tuple(dict.fromkeys(stage for stage, _, _ in seen)) == STAGES
    assert all(message and message[0].isupper() for _, _, message in seen)


@pytest.mark.parametrize("calls", [0, 1, 4, 9, 12])
def test_a_cancel_ends_the_run_wherever_it_comes(block_spine, calls):
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > calls

    with pytest.raises(Cancelled):
        segment_spine(block_spine()[0].volume(), cancelled=cancelled)
    assert len(asked) == calls + 1


def test_warnings_of_the_scan_come_first(block_spine):
    spine, _ = block_spine(s1=False)
    scan = replace(spine.volume(), warnings=("The scan is odd.",))
    answer = segment_spine(scan, options=Options(structures="bodies"))
    assert answer.warnings[0] == "The scan is odd." and len(answer.warnings) == 2


def test_an_untrained_network_finds_nothing(tiny_weights):
    answer = segment_spine(BlockSpine(2).volume(), options=Options(model=str(tiny_weights), device="cpu"))
    assert answer.vertebrae == ()
    assert not answer.label_map.any()
    assert answer.model["name"] == "tiny" and len(answer.model["sha256"]) == 64


def test_a_seed_box_names_its_vertebra(block_spine):
    spine, _ = block_spine(s1=False)
    volume = spine.volume()
    third = segment_spine(volume).vertebrae[2]
    answer = segment_spine(volume, box_on(third, "L4"))
    assert answer["L4"].centroid_lps_mm == pytest.approx(third.centroid_lps_mm)
    assert answer.anchor == "pinned" and answer.seed.level == "L4"


def test_a_recount_does_not_run_the_detector(block_spine):
    spine, detector = block_spine()
    answer = segment_spine(spine.volume())
    again = reseed_spine(answer, box_on(answer.vertebrae[1], "S1"))
    assert detector.runs == 1
    assert [v.level for v in again.vertebrae] == ["S1", "L5", "L4", "L3", "L2"]
    assert answer.vertebrae[0].level == "S1" and len(answer.vertebrae) == 6


def test_recounting_twice_brings_back_what_the_first_time_left_out(block_spine):
    answer = segment_spine(block_spine()[0].volume())
    lost = reseed_spine(answer, box_on(answer.vertebrae[2], "S1"))
    back = reseed_spine(lost, box_on(answer.vertebrae[0], "S1"))
    assert len(lost.vertebrae) == 4
    assert (back.label_map == answer.label_map).all()


def test_a_recount_without_a_box_counts_from_what_was_seen(block_spine):
    answer = segment_spine(block_spine()[0].volume())
    again = reseed_spine(reseed_spine(answer, box_on(answer.vertebrae[1], "S1")), None)
    assert [v.level for v in again.vertebrae] == [v.level for v in answer.vertebrae]
    assert again.anchor == "S1" and again.seed is None


def test_a_result_without_evidence_cannot_be_recounted(block_spine):
    answer = replace(segment_spine(block_spine()[0].volume()), evidence=None)
    with pytest.raises(ValueError, match="segment the scan again"):
        reseed_spine(answer, None)


def test_evidence_read_from_its_file_gives_the_same_answer(block_spine, tmp_path):
    spine, _ = block_spine(count=4)
    volume = spine.volume()
    answer = segment_spine(volume, options=Options(structures="all"))
    (tmp_path / "evidence.npz").write_bytes(evidence_bytes(answer.evidence))
    again = reseed_spine(replace(answer, evidence=read_evidence(tmp_path / "evidence.npz", volume)), None)
    assert (again.label_map == answer.label_map).all()
    assert again.vertebrae[1].measurements == pytest.approx(answer.vertebrae[1].measurements)
    assert [v.flags for v in again.vertebrae] == [v.flags for v in answer.vertebrae]


def test_evidence_keeps_the_arches_and_older_evidence_has_none(block_spine, tmp_path):
    volume = block_spine(count=3, arches=True)[0].volume()
    answer = segment_spine(volume, options=Options(structures="vertebrae"))
    path = tmp_path / "evidence.npz"
    path.write_bytes(evidence_bytes(answer.evidence))
    again = read_evidence(path, volume)
    assert (again.bodies.index == answer.evidence.bodies.index).all()
    assert levels.arch_value(levels.level("L5").value) in answer.label_map
    with np.load(path) as stored:
        older = {name: stored[name][:, :7] if name == "probabilities" else stored[name] for name in stored.files}
    older.pop("homes")
    np.savez(path, **older)
    bodies = read_evidence(path, volume, "bodies").bodies
    assert (read_evidence(path, volume).bodies.index == bodies.index).all()


def test_evidence_of_another_scan_is_refused(block_spine, tmp_path):
    answer = segment_spine(block_spine(count=4)[0].volume())
    path = tmp_path / "evidence.npz"
    path.write_bytes(evidence_bytes(answer.evidence))
    with pytest.raises(ValueError, match="another scan"):
        read_evidence(path, BlockSpine(5).volume())
    moved = BlockSpine(4).volume()
    shifted = moved.matrix.copy()
    shifted[0, 3] += 5
    with pytest.raises(ValueError, match="another scan"):
        read_evidence(path, replace(moved, matrix=shifted))


@pytest.mark.parametrize("damage", [lambda b: b[:200], lambda b: b"", lambda b: b"not a zip file at all"])
def test_damaged_evidence_is_told_in_one_sentence(block_spine, tmp_path, damage):
    answer = segment_spine(block_spine(count=3)[0].volume())
    path = tmp_path / "evidence.npz"
    path.write_bytes(damage(evidence_bytes(answer.evidence)))
    with pytest.raises(ValueError, match="segment the scan again"):
        read_evidence(path, BlockSpine(3).volume())


def test_rounded_probabilities_survive_bytes_exactly():
    values = np.linspace(0, 1, 1000).astype(np.float16)[None]
    once = values.copy()
    round_probabilities(once)
    twice = once.copy()
    round_probabilities(twice)
    assert (twice == once).all()
    assert (to_steps(once) == to_steps(values)).all()
    assert np.abs(once.astype(float) - values).max() < 0.0025


def test_a_graphics_card_without_memory_leaves_the_work_to_the_processor(block_spine, monkeypatch):
    spine, detector = block_spine()
    devices = []

    class FullCard(detector):
        def __init__(self, network, device="cpu"):
            devices.append(device)

        def detect(self, working, progress=None, cancelled=None):
            if devices[-1] == "cuda":
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().detect(working, progress, cancelled)

    monkeypatch.setattr(pipeline, "PartDetector", FullCard)
    monkeypatch.setattr(pipeline, "choose_device", lambda choice: "cuda")
    answer = segment_spine(spine.volume())
    assert devices == ["cuda", "cpu"]
    assert answer.device == "cpu" and len(answer.vertebrae) == 6


def test_a_cancel_stays_a_cancel_on_a_pytorch_without_the_newer_name_of_that_error(block_spine, monkeypatch):
    monkeypatch.delattr(torch, "OutOfMemoryError")

    def progress(stage, fraction, sentence):
        if stage == "detect":
            raise Cancelled

    with pytest.raises(Cancelled):
        segment_spine(block_spine()[0].volume(), progress=progress)


def test_an_answer_names_every_network_that_had_a_say(block_spine, monkeypatch):
    volume = block_spine()[0].volume()

    def blind(rung):
        return replace(rung, presence=0.0), replace(rung, presence=0.0)

    monkeypatch.setattr(pipeline, "_look", lambda options, _: None if options.method == "detector" else blind)
    monkeypatch.setattr(pipeline, "_counting_network", lambda name: (None, {"name": name, "sha256": "12ab"}))
    answer = segment_spine(volume)
    assert set(answer.model) == {"name", "sha256", "levels", "levels_sha256", "ladder", "ladder_sha256"}
    assert answer.model["ladder"] == "ladder" and answer.model["ladder_sha256"] == "12ab"
    assert json.loads(spine_json(answer, volume))["model"] == answer.model
    alone = reseed_spine(answer, None, options=Options(method="detector"))
    assert set(alone.model) == {"name", "sha256", "levels", "levels_sha256"}


@pytest.mark.parametrize(("room", "kept"), [(0, 1), (10**9, 4)])
def test_earlier_answers_are_kept_as_long_as_there_is_room_and_the_last_one_always(
    block_spine, monkeypatch, room, kept
):
    monkeypatch.setattr(pipeline, "EARLIER_BYTES", room)
    answers = [segment_spine(block_spine(count=3)[0].volume(), options=Options(method="detector"))]
    for _ in range(4):
        answers.append(reseed_spine(answers[-1], None, options=Options(method="detector")))
    chain = [answers[-1]]
    while chain[-1].earlier is not None:
        chain.append(chain[-1].earlier)
    assert len(chain) == kept + 1
    assert [a.label_map is b.label_map for a, b in zip(chain, answers[::-1])] == [True] * len(chain)


@pytest.mark.parametrize(
    "wrong", [{"method": "magic"}, {"structures": "ribs"}, {"steps": -1}, {"steps": 1000}, {"device": "tpu"}]
)
def test_options_that_do_not_exist_are_named(wrong, block_spine):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        segment_spine(block_spine()[0].volume(), options=Options(**wrong))


@pytest.mark.parametrize("choice", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_the_reason(choice, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends, "mps", SimpleNamespace(is_available=lambda: False))
    with pytest.raises(ValueError, match=f"'{choice}' cannot be used here: .*--device auto"):
        pipeline.choose_device(choice)
    assert pipeline.choose_device("auto") == "cpu"


def test_the_geometry_of_the_blocks_is_found_in_millimetres(block_spine):
    answer = segment_spine(block_spine()[0].volume())
    steps = np.diff([v.centroid_lps_mm for v in answer.vertebrae], axis=0)
    assert np.allclose(steps, [0, 0, PITCH], atol=0.5)
    assert answer.vertebrae[0].centroid_lps_mm[0] == pytest.approx(-12 + 3 * SLICE_MM, abs=0.5)


@pytest.mark.parametrize("turned", [False, True])
def test_a_lone_s1_is_withheld_if_the_picture_lies_on_its_side(block_spine, monkeypatch, turned):
    spine, _ = block_spine(count=1)
    monkeypatch.setattr("SpinalTapLib.pipeline.better_turn", lambda *_: Turn(1) if turned else None)
    answer = segment_spine(spine.volume())
    (only,) = answer.vertebrae
    value = 101 if turned else 26
    assert (only.level, only.label_value, answer.anchor) == ((None, 101, "none") if turned else ("S1", 26, "S1"))
    assert set(np.unique(answer.label_map)) == {0, value}
    assert any("lying on its side" in warning for warning in answer.warnings) == turned


@pytest.mark.parametrize("steps", [0, 1])
def test_steps_that_are_asked_for_are_no_reason_to_doubt_the_picture(block_spine, steps):
    spine, detector = block_spine()
    answer = segment_spine(spine.volume(), options=Options(steps=steps))
    assert [v.level for v in answer.vertebrae] == ["S1", "L5"][: steps + 1] and answer.anchor == "S1"
    assert detector.runs == 1


def test_a_picture_whose_names_are_not_sure_is_looked_at_upside_down_and_mirrored(block_spine, monkeypatch):
    spine, detector = block_spine()
    assert segment_spine(spine.volume()).anchor == "S1" and detector.runs == 1
    monkeypatch.setattr(pipeline, "SURE", 1.01)
    assert segment_spine(spine.volume()).anchor == "S1" and detector.runs == 2 + len(UPRIGHT)


def test_a_picture_that_cannot_be_named_is_looked_at_in_every_position(block_spine):
    spine, detector = block_spine(s1=False)
    told = []
    answer = segment_spine(spine.volume(), progress=lambda *call: told.append(call))
    assert detector.runs == 1 + len(TURNS) and "turn" in answer.seconds
    assert len({call for call in told if call[0] == "turn"}) == 1  # always the same, so that it is shown once
    assert not any("seems to be" in warning for warning in answer.warnings)
