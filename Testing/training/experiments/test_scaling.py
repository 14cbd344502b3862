"""The growth of time and memory with the size of a scan."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from block_spine import BlockSpine

from SpinalTapLib.training.experiments import scaling
from SpinalTapLib.training.experiments.scaling import (
    AXES,
    Cost,
    cost_of,
    cuts,
    measure_scaling,
    scaling_table,
    straightness,
)
from SpinalTapLib.training.experiments.speed_pictures import write_scaling

needs_wait4 = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report what a process has used")


def test_parts_keep_the_place_of_every_voxel():
    whole = BlockSpine(2).volume()
    for axis, kept in (("slices", (4, 102, 100)), ("rows", (7, 51, 100)), ("columns", (7, 102, 50))):
        (part,) = cuts(whole, axis, [0.5])
        assert part.array.shape == kept
        start = np.rint(whole.to_index(part.to_lps([0, 0, 0]))).astype(int)
        assert part.array[0, 0, 0] == whole.array[tuple(start)]
    (lowest,) = cuts(whole, "rows", [0.5])
    assert lowest.to_lps([0, 50, 0]) == pytest.approx(whole.to_lps([0, 101, 0]))


@needs_wait4
def test_the_cost_of_a_process_is_its_own():
    cost = cost_of([sys.executable, "-c", "x = bytearray(50_000_000)"])
    assert cost.processor_s > 0 and cost.peak_mb > 50
    with pytest.raises(ValueError, match="ended with 3"):
        cost_of([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_straight_line_is_straight_and_a_bend_is_not():
    assert straightness([1, 2, 3], [5, 7, 9]) == pytest.approx((2, 3, 0))
    assert straightness([1, 2, 3, 4], [1, 4, 9, 16])[2] > 0.2


@pytest.fixture
def runs(monkeypatch):
    """Return runs on parts of two blocks by a command that only writes its answer."""
    def cost(command):
        out = scaling.Path(command[command.index("--output") + 1])
        out.mkdir(exist_ok=True)
        (out / "spine.json").write_text('{"vertebrae": [1, 2]}')
        return Cost(1.0, 2.0, 300.0)

    monkeypatch.setattr(scaling, "cost_of", cost)
    return measure_scaling(BlockSpine(2).volume(), shares=(0.5, 1.0))


def test_every_part_is_measured_and_listed(runs):
    assert [run.axis for run in runs] == [axis for axis in AXES for _ in range(2)]
    assert {run.vertebrae for run in runs} == {2} and runs[1].size == pytest.approx(7 * 102 * 100 / 100)
    table = scaling_table(runs)
    assert "| columns | 7 | 51 | 2 | 2.00 | 1.00 | 300 |" in table and "a straight line within 0%" in table


def test_the_picture_is_drawn(runs, tmp_path):
    pytest.importorskip("matplotlib")
    assert write_scaling(runs, tmp_path / "scaling.png").stat().st_size > 3000
