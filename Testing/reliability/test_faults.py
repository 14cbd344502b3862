"""Faults: whatever happens at a file operation, a result is as before or as after, and the next run works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from paths import ROOT, SUPPORT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the bench forks")

EVERY, COMMANDS = 12, ("segment again", "reseed in place", "batch goes on", "worker recount")
"""Only every N-th operation, and some of the commands; ``make faults`` runs the bench with all of them."""


@cache
def bench() -> tuple[list[str], dict[str, list[int]]]:
    """Return the bench's complaints, and its counts by command."""
    found = subprocess.run(
        [sys.executable, str(SUPPORT / "faults.py"), *COMMANDS, "--every", str(EVERY), "--naive"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    *complaints, counts = found.stdout.splitlines()
    return complaints, json.loads(counts)


def test_after_every_fault_a_result_is_as_before_or_as_after():
    complaints, _ = bench()
    assert not [line for line in complaints if not line.startswith("naive: ")]


def test_every_command_met_faults_before_and_after_its_result_was_there():
    _, counts = bench()
    assert set(counts) == {*COMMANDS, "naive"}
    for name in COMMANDS:
        operations, cases, before, after, _ = counts[name]
        assert operations > 3 and cases > 4 and before > 0 and before + after <= cases, name
    assert sum(after for _, _, _, after, _ in counts.values()) > 0


def test_the_bench_notices_a_command_that_writes_its_files_one_by_one():
    complaints, _ = bench()
    assert any(line.startswith("naive: kill") and "between" in line for line in complaints)
