"""How many earlier results undo keeps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from SpinalTapLib.session import history


def results(count, voxels):
    return [SimpleNamespace(spine=SimpleNamespace(label_map=np.zeros(voxels, np.uint16))) for _ in range(count)]


def test_the_latest_twenty_are_kept():
    made = results(30, 10)
    assert history.latest(made) == tuple(made[10:])
    assert history.latest(made[:3]) == tuple(made[:3])


def test_large_scans_have_room_for_fewer_and_always_for_one(monkeypatch):
    monkeypatch.setattr(history, "MOST_BYTES", 100)
    made = results(9, 20)  # 40 bytes each
    assert history.latest(made) == tuple(made[-2:])
    assert history.latest(results(2, 1000))[0].spine.label_map.size == 1000
    assert history.latest([]) == ()
