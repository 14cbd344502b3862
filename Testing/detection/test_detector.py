"""The detector looks at every slice, says so, and stops when asked."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_parts import SHAPE, column_of_boxes, draw
from torch import nn

from SpinalTapLib.detection.detector import Detections, PartDetector
from SpinalTapLib.detection.networks import PartNetwork
from SpinalTapLib.detection.part_maps import PartMaps
from SpinalTapLib.progress import Cancelled
from SpinalTapLib.scans.volume import SagittalVolume
from SpinalTapLib.spine.structures import N_STRUCTURES, Structure


def a_volume(n: int, shape: tuple[int, int] = SHAPE) -> SagittalVolume:
    """Return noise in n slices 4 mm apart, the first from the left empty."""
    array = np.random.default_rng(0).random((n, *shape)).astype(np.float32)
    array[0] = 0
    return SagittalVolume(array, np.array([[4.0, 0, 0, -20], [0, 0, 1, 5], [0, -1, 0, 90], [0, 0, 0, 1]]))


class DrawnDetector(PartDetector):
    """A detector that sees a column of boxes in every slice that is not empty."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())
        self.looked = 0

    def part_maps(self, image: np.ndarray) -> PartMaps:
        self.looked += 1
        return draw(column_of_boxes(3) if image.any() else np.zeros((0, 4, 2)), image.shape)


def test_every_slice_gives_its_vertebrae_and_its_mask() -> None:
    detections = DrawnDetector().detect(a_volume(4))
    assert isinstance(detections, Detections)
    assert [v.slice for v in detections.vertebrae] == [1] * 3 + [2] * 3 + [3] * 3
    assert detections.probabilities.shape == (4, N_STRUCTURES, *SHAPE)
    assert detections.probabilities.dtype == np.float16
    np.testing.assert_allclose(detections.probabilities.sum(1), 1, atol=2e-3)


def test_progress_rises_in_plain_words() -> None:
    calls: list[tuple[str, float, str]] = []
    DrawnDetector().detect(a_volume(5), progress=lambda *args: calls.append(args))
    assert calls[0] == ("detect", 0.0, "Looking at slice 1 of 5")
    assert calls[2] == ("detect", 0.4, "Looking at slice 3 of 5, 3 vertebrae seen")
    assert [fraction for _, fraction, _ in calls] == sorted(fraction for _, fraction, _ in calls)


def test_a_cancel_stops_before_the_next_slice() -> None:
    detector = DrawnDetector()
    with pytest.raises(Cancelled):
        detector.detect(a_volume(5), cancelled=lambda: detector.looked >= 2)
    assert detector.looked == 2


def test_a_real_network_runs_from_end_to_end() -> None:
    detections = PartDetector(PartNetwork((2, 3))).detect(a_volume(2, (40, 30)))
    assert detections.vertebrae == ()  # untrained
    assert (detections.probabilities[0, Structure.BACKGROUND] == 1).all()  # the empty slice
    assert (detections.probabilities[1, Structure.BACKGROUND] < 1).any()


@pytest.mark.parametrize(("slice_mm", "step"), [(0.9, 4), (2.0, 2), (3.0, 1), (5.0, 1)])
def test_a_network_that_looks_at_neighbours_gets_those_a_few_millimetres_away(slice_mm: float, step: int) -> None:
    count = 9
    array = np.arange(count, dtype=np.float32)[:, None, None] + np.random.default_rng(0).random((count, 16, 16))
    matrix = np.array([[slice_mm, 0, 0, -20], [0, 0, 1, 5], [0, -1, 0, 90], [0, 0, 0, 1.0]])
    shown: list[tuple[list[int | None], float]] = []

    class Noting(PartDetector):
        def part_maps(self, image, neighbours=(), distance_mm=0.0):
            places = [None if side is None else int(side.min()) for side in (image, *neighbours)]
            shown.append((places, distance_mm))
            return draw(np.zeros((0, 4, 2)), image.shape)

    Noting(PartNetwork((2, 3), slices=3)).detect(SagittalVolume(array.astype(np.float32), matrix))
    places, distance = shown[4]
    assert places == [4, 4 - step, 4 + step] and distance == pytest.approx(step * slice_mm)
    assert shown[0][0][1] is None and shown[-1][0][2] is None
