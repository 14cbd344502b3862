"""Fuzz: a damaged file is read, or refused in one sentence of SpinalTap's own.

Every run draws the same examples. ``make fuzz`` draws many more, other ones each time, with limits of time and memory.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("resource", reason="limits of memory are those of POSIX")

from fuzz import kinds, limits

EXAMPLES = int(os.environ.get("SPINALTAP_FUZZ", "0"))
"""Number of examples of each kind of ``make fuzz``; 0 for the short run."""

NAMES = (
    "nifti", "nifti, compressed", "nrrd", "metaimage", "dicom", "evidence.npz", "changes.json", "spine.json", "roi",
    "model card", "request", "stored scene", "surfaces",
)  # fmt: skip
FEW = {"evidence.npz": 12, "request": 12, "dicom": 15, "model card": 15}
"""Fewer examples for what takes longer than a millisecond or two."""


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory) -> dict:
    return kinds(tmp_path_factory.mktemp("examples"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(every_kind, tmp_path_factory, name):
    kind, home = every_kind[name], tmp_path_factory.mktemp("damaged")
    number = iter(range(10**9))

    @settings(max_examples=EXAMPLES or FEW.get(name, 30), derandomize=not EXAMPLES, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(content=kind.contents)
    def check(content: bytes) -> None:
        folder = home / str(next(number))
        folder.mkdir()
        if EXAMPLES:
            with limits():
                complaint = kind.try_one(content, folder)
        else:
            complaint = kind.try_one(content, folder)
        assert not complaint, complaint
        _remove(folder)

    check()


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_every_kind_is_tried(every_kind):
    assert set(every_kind) == set(NAMES)


def test_the_fuzz_notices_what_is_no_sentence(every_kind, tmp_path):
    from fuzz import Kind

    def wrong(path):
        raise ValueError("invalid literal")

    assert "invalid literal" in Kind(st.just(b""), "a", wrong).try_one(b"", tmp_path)
    assert "KeyError" in Kind(st.just(b""), "a", lambda path: {}["b"]).try_one(b"", tmp_path)
