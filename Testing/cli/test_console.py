"""Progress where nobody looks on: plain lines, none of them twice."""

from __future__ import annotations

import io
import math

import pytest

from SpinalTapLib.cli import console
from SpinalTapLib.cli.console import Console


@pytest.mark.parametrize(("pause", "shown"), [(-1, ["  0%  Reading", " 50%  Reading", " 99%  Checking"]),
                                              (math.inf, ["  0%  Reading", " 99%  Checking"])])  # fmt: skip
def test_a_line_is_shown_once_however_often_it_is_told(monkeypatch, pause, shown):
    monkeypatch.setattr(console, "PLAIN_SECONDS", pause)
    stream = io.StringIO()
    told = Console(stream)
    for call in [("read", 0, "Reading"), ("read", 0.5, "Reading")] + [("turn", 0.99, "Checking")] * 3:
        told.progress(*call)
    assert stream.getvalue().splitlines() == shown
