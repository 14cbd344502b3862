"""A road for the worker in which a `BlockSpine` stands for the network; a scan's name may ask for an accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import block_spine
import torch
from block_spine import HEIGHT, MARGIN, PITCH, BlockSpine

from SpinalTapLib import pipeline
from SpinalTapLib.pipeline import Options

__all__ = ["Options", "reseed_spine", "segment_spine"]

LONG_S = 60.0  # longer than any test waits


def segment_spine(volume, seed=None, *, options=None, progress=None, cancelled=None):
    """Segment blocks, or have the accident that the scan's name asks for."""
    for word, accident in ACCIDENTS.items():
        if word in volume.name:
            accident(volume.name, progress)
    rows, columns = volume.array.shape[1:]
    assert columns == 100, "not a scan of blocks"
    count = (rows - 2 * MARGIN - HEIGHT) // PITCH + 1
    anchored = "no anchor" not in volume.name
    _put_detector(BlockSpine(count=count, s1=anchored, c2=count == 24 and anchored).detector())
    if "nothing" in volume.name:
        _put_detector(_blind())
    return pipeline.segment_spine(volume, seed, options=options, progress=progress)


def reseed_spine(spine, seed, *, options=None, progress=None, cancelled=None):
    """Count again."""
    if spine.evidence.volume.name == "slow recount":
        time.sleep(0.3)
    return pipeline.reseed_spine(spine, seed, options=options, progress=progress)


def _put_detector(detector):
    pipeline.PartDetector = detector
    pipeline.load_network = lambda *_, **__: (SimpleNamespace(cpu=lambda: None), {"name": "blocks", "sha256": "b" * 64})
    pipeline._look = lambda options, working: None


def _blind():
    class Blind(BlockSpine().detector()):
        def detect(self, working, progress=None, cancelled=None):
            seen = BlockSpine(count=(working.array.shape[1] - 2 * MARGIN - HEIGHT) // PITCH + 1).detections(working)
            seen.probabilities[:, block_spine.BACKGROUND] = 1
            seen.probabilities[:, 1:] = 0
            return type(seen)(working, (), seen.probabilities)

    return Blind


def _slow(name, progress):
    for i in range(int(LONG_S / 0.1)):
        progress("detect", i / 1000, f"Looking at slice {i + 1} of 1000")
        time.sleep(0.1)


def _silent(name, progress):
    progress("detect", 0.2, "Looking at slice 1 of 1")
    time.sleep(2.5)


def _crash(name, progress):
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)


def _killed(name, progress):
    os.kill(os.getpid(), signal.SIGKILL)


def _memory(name, progress):
    raise MemoryError


def _card_memory(name, progress):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def _bug(name, progress):
    raise KeyError("left over")


def _disk(name, progress):
    raise OSError(28, "No space left on device")


def _child(name, progress):
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG_S})"])
    Path(os.environ["SPINALTAP_TEST_CHILD"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(LONG_S)


def _altered(name, progress):
    from SpinalTapLib.weights import load_network

    load_network(os.environ["SPINALTAP_TEST_WEIGHTS"])


def _noisy(name, progress):
    print("this is no message")
    os.write(1, b"nor is this\n")


ACCIDENTS = {
    "slow scan": _slow,
    "silent": _silent,
    "crash": _crash,
    "killed": _killed,
    "memory": _memory,
    "card": _card_memory,
    "bug": _bug,
    "disk": _disk,
    "child": _child,
    "altered": _altered,
    "noisy": _noisy,
}
