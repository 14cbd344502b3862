"""The detector looks at every slice, says so, and stops when asked."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_parts import SHAPE, column_of_boxes, draw
from torch import nn

from SpinalTapLib.detection.detector import Detections, PartDetector
from SpinalTapLib.detection.networks import BACKGROUND, PartNetwork
from SpinalTapLib.detection.part_maps import PartMaps
from SpinalTapLib.progress import Cancelled
from SpinalTapLib.scans.volume import SagittalVolume


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
    assert detections.probabilities.shape == (4, 7, *SHAPE)
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
    assert (detections.probabilities[0, BACKGROUND] == 1).all()  # the empty slice
    assert (detections.probabilities[1, BACKGROUND] < 1).any()
