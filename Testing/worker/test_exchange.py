"""The exchange folder: what is written is read back, and half a file is never taken for a whole one."""

from __future__ import annotations

import numpy as np
import pytest
import worker_road
from block_spine import BlockSpine
from full_disk import limit_disk

from SpinalTapLib.worker import exchange


@pytest.fixture(scope="module")
def spine():
    return worker_road.segment_spine(BlockSpine().volume())


def write(folder, spine):
    exchange.write_shapes(folder, spine.evidence, lambda number, whole: None)
    exchange.write_answer(folder, "answer-1", spine)


def test_a_volume_survives_the_folder(tmp_path):
    volume = BlockSpine().volume()
    exchange.write_volume(tmp_path, volume)
    again = exchange.read_volume(tmp_path)
    assert np.array_equal(again.array, volume.array) and np.array_equal(again.matrix, volume.matrix)
    assert again.name == volume.name


def test_an_answer_survives_the_folder(tmp_path, spine):
    assert not exchange.has_shapes(tmp_path)
    write(tmp_path, spine)
    assert exchange.has_shapes(tmp_path)
    result = exchange.read_answer(exchange.read_shapes(tmp_path), "answer-1")
    assert np.array_equal(result.spine.label_map, spine.label_map)
    assert set(result.surfaces) == {v.label_value for v in spine.vertebrae}


def test_shapes_that_were_cut_off_are_written_again(tmp_path, spine):
    write(tmp_path, spine)
    index = tmp_path / "index.npy"
    whole = index.read_bytes()
    index.write_bytes(whole[:1000])
    assert not exchange.has_shapes(tmp_path)
    write(tmp_path, spine)
    assert index.read_bytes() == whole


@pytest.mark.parametrize("name", ["index.npy", "surfaces.npz"])
def test_a_failure_while_shapes_are_written_leaves_no_half_file(tmp_path, spine, monkeypatch, name):
    limit_disk(monkeypatch, lambda path: name in path.name)
    with pytest.raises(ValueError, match="the disk is full"):
        write(tmp_path, spine)
    assert not (tmp_path / name).exists() and not exchange.has_shapes(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_missing_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"shapes of this result could not be read.*segment the scan again"):
        exchange.read_shapes(tmp_path)
    shapes = exchange.Shapes(tmp_path, np.zeros((1, 1, 1), int), {})
    with pytest.raises(ValueError, match=r"answer could not be read.*segment the scan again"):
        exchange.read_answer(shapes, "answer-1")
