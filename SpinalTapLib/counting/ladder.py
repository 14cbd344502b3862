"""The ladder: from one known vertebra to the next, and the next, until there is none.

After the ladder algorithm of Windsor and Jamaludin (arXiv 2001.11284); the network and the rules are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..detection.networks import LadderNetwork
from ..scans.volume import SagittalVolume
from .rungs import Rung, look_at, planes_around, propose
from .symmetry import settled

MAX_RUNGS = 30
"""No spine has more; the loop ends here whatever the network says."""

PRESENCE_LIMIT = 0.5
"""Below it the network sees no next vertebra."""

STEP_RANGE = (0.55, 2.1)
"""Plausible distance between neighbouring centres, in sizes of the current vertebra (anatomy: 0.9-1.4)."""

SIZE_RANGE = (0.55, 1.7)
"""Plausible ratio of neighbouring sizes."""

MAX_TURN_DEGREES = 50.0
"""The largest bend between neighbours; an L5 on a steep S1 reaches about 30."""

Look = Callable[[Rung], tuple[Rung, Rung]]
"""What is above and below a rung."""

Snap = Callable[[Rung], "Rung | None"]
"""Moves a proposed rung onto what the detector found there, or returns None where it found nothing."""


@dataclass(frozen=True)
class Climb:
    """Where a climb went and why it ended.

    Attributes
    ----------
    rungs : tuple of Rung
        The start first.
    reason : str
        A plain-English clause: why there is no further rung.
    """

    rungs: tuple[Rung, ...]
    reason: str


class LadderLook:
    """Looks at a working volume with the ladder network, once at each rung: what it has seen, it remembers.

    A climb goes back the way it came, and a recount visits the same detections again, from another start.

    Parameters
    ----------
    network : LadderNetwork
    volume : SagittalVolume
        At the working resolution.
    """

    def __init__(self, network: LadderNetwork, volume: SagittalVolume) -> None:
        self._network, self._volume = network.eval(), volume
        self._seen: dict[tuple[float, bytes], tuple[Rung, Rung]] = {}

    def __call__(self, rung: Rung) -> tuple[Rung, Rung]:
        """Return the vertebrae that the network sees above and below a rung."""
        key = (float(rung.slice), np.asarray(rung.corners, float).tobytes())
        if key not in self._seen:
            self._seen[key] = self._look(rung)
        return self._seen[key]

    def _look(self, rung: Rung) -> tuple[Rung, Rung]:
        crop = look_at(planes_around(self._volume, rung.slice), rung, self._network.side_px)
        with torch.inference_mode():
            device = next(self._network.parameters()).device
            output = self._network(torch.from_numpy(crop)[None].to(device))[0].float().cpu().numpy()
        slice_mm, pixel_mm, _ = self._volume.spacing_mm
        above, below = propose(rung, output, float(slice_mm), float(pixel_mm))
        return self._settled(above), self._settled(below)

    def _settled(self, proposal: Rung) -> Rung:
        """Return a vertebra that is there on its own plane of symmetry: the sideways step is the network's weakest."""
        return settled(self._volume, proposal) if proposal.presence >= PRESENCE_LIMIT else proposal


def climb(
    look: Look,
    start: Rung,
    shape: Sequence[int],
    *,
    upwards: bool = True,
    steps: int | None = None,
    snap: Snap | None = None,
) -> Climb:
    """Climb from one vertebra to its neighbours, one rung at a time.

    Parameters
    ----------
    look : callable
        The network, or a stand-in.
    start : Rung
    shape : (slices, rows, columns)
        Size of the volume: no rung is taken whose centre lies outside it.
    upwards : bool
        Towards the head, or towards the sacrum.
    steps : int or None
        At most so many rungs above the start; None climbs until there is no next one.
    snap : callable, optional
        Moves each rung onto a detection, so that errors don't add up.

    Returns
    -------
    Climb
        Always ends: at most `MAX_RUNGS` rungs, and never twice at the same place.
    """
    rungs = [start]
    limit = MAX_RUNGS if steps is None else min(int(steps), MAX_RUNGS)
    for _ in range(limit):
        proposal = look(rungs[-1])[0 if upwards else 1]
        if not np.isfinite(proposal.corners).all() or not np.isfinite(proposal.slice):
            return Climb(tuple(rungs), "the next vertebra could not be measured")
        found = snap(proposal) if snap is not None else None
        taken = proposal if found is None else replace(found, presence=max(proposal.presence, found.presence))
        reason = _why_not(rungs, taken, shape)
        if reason:
            return Climb(tuple(rungs), reason)
        rungs.append(taken)
    reached = steps is not None and len(rungs) == int(steps) + 1
    reason = "the wanted number of vertebrae was reached" if reached else "no spine has more vertebrae"
    return Climb(tuple(rungs), reason)


def _why_not(rungs: Sequence[Rung], proposal: Rung, shape: Sequence[int]) -> str:
    """Return why a proposed rung is not taken, or an empty text."""
    current = rungs[-1]
    if proposal.presence < PRESENCE_LIMIT:
        return "no further vertebra is seen"
    position = np.array([proposal.slice, *proposal.centre])
    if (position < -0.5).any() or (position > np.asarray(shape) - 0.5).any():
        return "the image ends there"
    step = float(np.linalg.norm(proposal.centre - current.centre)) / current.size
    if not STEP_RANGE[0] < step < STEP_RANGE[1]:
        return "the next vertebra would lie too near or too far"
    if not SIZE_RANGE[0] < proposal.size / current.size < SIZE_RANGE[1]:
        return "the next vertebra would have an unlikely size"
    if float(proposal.up @ current.up) < np.cos(np.deg2rad(MAX_TURN_DEGREES)):
        return "the next vertebra would be turned too far"
    before = (r for r in rungs[:-1] if abs(r.slice - proposal.slice) < max(2.0, r.size))
    if any(np.linalg.norm(r.centre - proposal.centre) < 0.5 * r.size for r in before):
        return "the ladder came back to a vertebra that it had counted"
    return ""
