"""Threads and the limits of this process."""

import threading

import pytest

from SpinalTapLib.machine import in_threads


@pytest.mark.parametrize("limit", ["1", "3", ""])
def test_results_come_in_the_order_of_the_items(monkeypatch, limit):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert list(in_threads(lambda x: x * x, range(50))) == [x * x for x in range(50)]


def test_one_thread_is_the_callers_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set(in_threads(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}


@pytest.mark.parametrize("limit", ["1", "2"])
def test_an_error_reaches_the_caller(monkeypatch, limit):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)

    def halve(x):
        if x == 3:
            raise ValueError("3 is odd")
        return x / 2

    with pytest.raises(ValueError, match="3 is odd"):
        list(in_threads(halve, [2, 3, 4]))
