"""Accidents that a scan's name asks for: a road for the worker that needs no PyTorch and so starts at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from SpinalTapLib.options import Options

__all__ = ["Options", "befall", "segment_spine"]

LONG_S = 3600.0  # nobody waits for it: such a process is ended


def segment_spine(volume, seed=None, *, options=None, progress=None, cancelled=None):
    """Have the accident."""
    befall(volume.name, progress)
    raise ValueError("This road leads nowhere.")


def befall(name, progress):
    """Have the accident that a name asks for, if any."""
    for word, accident in ACCIDENTS.items():
        if word in name:
            accident(name, progress)


def _slow(name, progress):
    for i in range(int(LONG_S / 0.1)):
        progress("detect", i / 1000, f"Looking at slice {i + 1} of 1000")
        time.sleep(0.1)


def _crash(name, progress):
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)


def _killed(name, progress):
    os.kill(os.getpid(), signal.SIGKILL)


def _memory(name, progress):
    raise MemoryError


def _card_memory(name, progress):
    import torch

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
    from SpinalTapLib.detection.weights import load_network

    load_network(os.environ["SPINALTAP_TEST_WEIGHTS"])


def _noisy(name, progress):
    print("this is no message")
    os.write(1, b"nor is this\n")


ACCIDENTS = {
    "slow scan": _slow,
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
