"""Fixtures that several files share. Nothing here needs the network, a display or real data."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # tests side by side get one thread each; said before PyTorch starts its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # child processes share what the first of them has compiled

from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("scene_fixtures")  # before the first file that imports it


# The same examples on every run and machine: a test that fails must fail again, and a slow machine is no failure.
settings.register_profile(
    "same", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Put the root logger back: the command line sets it for its whole process."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(autouse=True)
def no_failure_behind_a_sentence(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which the panel turned an unforeseen error into a sentence; one that asks for `caplog` looks."""
    yield
    if "caplog" not in inspect.signature(request.function).parameters:
        errors = [r for r in caplog.get_records("call") if r.exc_info and r.getMessage().startswith("SpinalTap")]
        assert not errors, errors[0].exc_text or errors[0].getMessage()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of real scans that SPINALTAP_DATA names; skip the test without it."""
    name = os.environ.get("SPINALTAP_DATA", "")
    if not name:
        pytest.skip("SPINALTAP_DATA does not name a folder of real scans")
    if not Path(name).is_dir():
        pytest.fail(f"SPINALTAP_DATA names {name}, which is no folder")
    return Path(name)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the weights of a tiny network that has learnt nothing."""
    import torch

    from SpinalTapLib.detection.networks import PartNetwork
    from SpinalTapLib.detection.weights import save_network

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    save_network(path, PartNetwork(widths=(2, 4, 4, 4, 4)))
    return path


@pytest.fixture
def block_spine(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path):
    """Return a function that puts a perfect detector of a `BlockSpine` in the pipeline and returns both."""
    from block_spine import put_blocks

    return functools.partial(put_blocks, monkeypatch, tiny_weights)
