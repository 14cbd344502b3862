"""The poster's experiment: every method is judged by the same rules, phantoms are drawn once, the picture is whole."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from block_spine import BlockSpine

from SpinalTapLib.cli.main import main
from SpinalTapLib.detection.networks import LadderNetwork
from SpinalTapLib.detection.weights import save_network
from SpinalTapLib.spine import levels
from SpinalTapLib.spine.boxes import corners_of
from SpinalTapLib.spine.vertebra import CORNERS, SeedBox
from SpinalTapLib.training.evaluation.matching import LabelledBody, bodies_in
from SpinalTapLib.training.experiments import poster, rungs_picture
from SpinalTapLib.training.experiments.poster import (
    FUSED,
    LADDER,
    METHODS,
    SQUEEZED,
    TILES,
    Poster,
    Subject,
    find_all,
    judge,
)

BLOCKS = BlockSpine(count=5)


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Return a scan of five blocks with its truth."""
    volume, classes = BLOCKS.volume(), BLOCKS.structures()
    labels = np.zeros(volume.array.shape, int)
    for i, name in enumerate(levels.COMMON[:5]):
        rows = slice(BLOCKS.top(i), BLOCKS.top(i) + 26)
        labels[1:-1, rows] = np.where(np.isin(classes[rows], (1, 2, 3)), levels.level(name).value, 0)
    s1 = bodies_in(labels, volume.matrix)[-1]
    assert s1.value == levels.level("S1").value
    return Subject("lumbar", volume, labels, SeedBox(s1.centroid_lps_mm, np.array([30.0, 34, 26])))


@pytest.fixture(scope="module")
def ladder() -> LadderNetwork:
    """Return a network that has learnt nothing."""
    return LadderNetwork(widths=(2, 2), side_px=16)


def test_a_perfect_detector_finds_everything_on_tiles_and_a_ladder_that_learnt_nothing_finds_s1(subject, ladder):
    found = find_all(subject, _Silent(), ladder)
    outcomes = {method: judge(subject, method, bodies) for method, bodies in found.items()}
    assert set(outcomes) == set(METHODS)
    for method in (TILES, FUSED):
        assert outcomes[method].identified == outcomes[method].climbed == outcomes[method].reference == 5
    assert outcomes[LADDER].identified <= 1 and outcomes[LADDER].matched >= 1


class _Silent:
    """The perfect detector, without the progress that it must tell otherwise; a squeezed scan it cannot read."""

    def detect(self, working):
        spine = BLOCKS.detections(working)
        return spine if working.array.shape == BLOCKS.volume().array.shape else replace(spine, vertebrae=())


def test_an_order_with_a_slip_counts_up_to_the_slip(subject):
    true = sorted(bodies_in(subject.labels, subject.image.matrix), key=lambda b: b.centroid_lps_mm[2])
    slipped = [*true[:2], *(replace(b, value=levels.level(n).value) for b, n in zip(true[2:], ("L3", "L2", "L1")))]
    outcome = judge(subject, TILES, slipped)
    assert (outcome.matched, outcome.identified, outcome.climbed) == (5, 2, 2)
    missed = judge(subject, TILES, [*true[:2], *true[3:]])
    assert (missed.matched, missed.identified, missed.climbed) == (4, 4, 2)
    twice = judge(subject, TILES, [*true, LabelledBody(22, true[0].centroid_lps_mm + 1.0)])
    assert (twice.predicted, twice.matched) == (6, 5)


def test_figures_are_shares_of_all_vertebrae_of_all_scans(subject):
    true = bodies_in(subject.labels, subject.image.matrix)
    outcomes = tuple(judge(subject, TILES, bodies) for bodies in (true, true[:1], []))
    found = Poster(outcomes, {"ladder": "lumbar pairs only"})
    figures = found.figures(TILES, "lumbar")
    assert figures["scans"] == 3 and figures["recall"] == pytest.approx(6 / 15) and figures["precision"] == 1
    assert figures["scans_in_order"] == pytest.approx(1 / 3)
    assert found.figures(SQUEEZED, "whole")["scans"] == 0
    text = found.markdown()
    assert "| lumbar spine" in text and "| whole spine" in text and "The ladder: lumbar pairs only." in text
    assert json.loads(json.dumps(found.as_json()))["table"]["lumbar"][TILES]["recall"] == pytest.approx(0.4)


def test_a_phantom_is_drawn_once_and_is_the_same_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setitem(poster.SLICE_MM, "lumbar", 8.0)
    drawn = []
    real = poster.draw_phantom

    def draw(seed, **arguments):
        drawn.append(seed)
        return real(seed, **arguments, pixel_mm=1.6)

    monkeypatch.setattr(poster, "draw_phantom", draw)
    plain = poster.draw_subject("lumbar", 3)
    first, again = (poster.draw_subject("lumbar", 3, tmp_path) for _ in range(2))
    assert drawn == [3, 3]
    for one in (first, again):
        assert np.allclose(one.image.matrix, plain.image.matrix, atol=1e-3)
        assert np.array_equal(one.labels, plain.labels) and np.allclose(one.image.array, plain.image.array)
        assert np.allclose(one.s1.center_lps_mm, plain.s1.center_lps_mm)


def test_the_true_box_holds_the_corners():
    corners = np.array([[0.0, -20, 8], [0, 10, 18], [0, 16, -8], [0, -5, -19]])
    box = poster.box_of({"corners_lps_mm": dict(zip(CORNERS, corners.tolist()))})
    assert box.center_lps_mm.tolist() == [0, -2, -0.5] and box.size_mm.tolist() == [36, 36, 37]
    assert np.allclose(corners_of(box)[0], [0, -20, 18])


def test_the_picture_shows_every_rung_and_does_not_change_from_one_run_to_the_next(subject, ladder):
    one, again = (rungs_picture.draw_rungs(subject.image, subject.s1, ladder) for _ in range(2))
    assert np.array_equal(one, again) and one.dtype == np.uint8
    assert len(np.unique(one.reshape(-1, 3), axis=0)) > 50


def test_the_commands_print_and_draw(subject, ladder, tmp_path, monkeypatch, tiny_weights, capsys):
    save_network(tmp_path / "rungs.pt", ladder, {"trained_on": "nothing"})
    monkeypatch.setattr(poster, "draw_subject", lambda region, *_: replace(subject, region=region))
    arguments = ["experiment", "poster", "--scans", "1", "--model", str(tiny_weights), "--ladder"]
    assert main([*arguments, str(tmp_path / "rungs.pt"), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert set(table["table"]) == {"lumbar", "whole"} and table["networks"]["ladder"] == "nothing"
    assert len(table["outcomes"]) == 2 * len(METHODS)

    class Drawn:
        image = subject.image

        def truth(self):
            return {"S1": {"corners_lps_mm": dict(zip(CORNERS, corners_of(subject.s1).tolist()))}}

    monkeypatch.setattr(rungs_picture, "draw_phantom", lambda *_, **__: Drawn())
    picture = tmp_path / "rungs.png"
    assert main(["experiment", "poster", "--rungs", str(picture), "--ladder", str(tmp_path / "rungs.pt")]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
