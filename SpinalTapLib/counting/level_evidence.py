"""Evidence for the names of vertebrae: what the level network sees at each, and what the part network's classes say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..detection.networks import LevelNetwork
from ..detection.part_maps import Detections
from ..spine import levels
from ..spine.structures import BODY_CLASSES, Structure
from .level_views import level_numbers, level_view, tilt_of
from .names import N_CLASSES, NOTHING, SACRUM
from .rungs import Rung, plane_at

TEMPER = 0.2
"""Power of the level network's probabilities: the views of neighbours overlap by most of their area, so that what they
show must not be counted several times."""

CUT_TEMPER = 0.4
"""Further power for a body that is cut by the edge of the image: half a body looks like many things."""

FLOOR = 0.05
"""Share of an even guess mixed into the network's answer: no real scan is quite like the synthetic ones."""

LEAST_SHARE, GREATEST_SHARE = 0.15, 0.97
"""Shares of S1 and C2 are taken to lie between these: one cut by the edge of the image may have next to none."""

PARTS_BESIDE, PARTS_ALONE = 0.6, 2.0
"""Power of what the part network's classes say, beside the level network and without it."""

UNSEEN = np.log(0.01)
"""Log-odds that something which the part network found is no vertebra, where the level network is not asked."""

Look = Callable[[Sequence[Rung]], np.ndarray]
"""Log-likelihood of each class for rungs of one volume, shape (rungs, N_CLASSES)."""


class LevelLook:
    """Looks at the structures of a scan with the level network, once at each place: what it has seen, it remembers.

    Parameters
    ----------
    network : LevelNetwork
    card : mapping
        Its model card, with the shares of the classes among its examples.
    detections : Detections
        Of the scan.
    """

    def __init__(self, network: LevelNetwork, card: Mapping[str, Any], detections: Detections) -> None:
        self._network, self._detections = network.eval(), detections
        shares = np.asarray(card.get("class_shares", np.full(N_CLASSES, 1 / N_CLASSES)), float)
        self._shares = np.log(shares / shares.sum())
        self._seen: dict[tuple[float, bytes], np.ndarray] = {}

    def __call__(self, rungs: Sequence[Rung]) -> np.ndarray:
        """Return the log-likelihood of each class at each place, shape (rungs, N_CLASSES)."""
        keys = [(float(rung.slice), np.asarray(rung.corners, float).tobytes()) for rung in rungs]
        new = {key: rung for key, rung in zip(keys, rungs) if key not in self._seen}
        if new:
            self._seen.update(zip(new, self._look(list(new.values()))))
        return np.array([self._seen[key] for key in keys]).reshape(-1, N_CLASSES)

    def _look(self, rungs: Sequence[Rung]) -> np.ndarray:
        planes = (plane_at(self._detections.probabilities, rung.slice) for rung in rungs)
        sides = self._network.rows, self._network.columns
        views = np.stack([level_view(plane, rung, *sides) for plane, rung in zip(planes, rungs)])
        pixel_mm = float(self._detections.working.spacing_mm[1])
        numbers = np.stack([level_numbers(rung.size * pixel_mm, tilt_of(rung)) for rung in rungs])
        with torch.inference_mode():
            device = next(self._network.parameters()).device
            logits = self._network(torch.from_numpy(views).to(device), torch.from_numpy(numbers).to(device))
            odds = logits.softmax(1).double().cpu().numpy()
        return TEMPER * (np.log((1 - FLOOR) * odds + FLOOR / N_CLASSES) - self._shares)


def part_evidence(shares: np.ndarray, beside: bool = False) -> np.ndarray:
    """Return what the part network's classes say of a place, shape (N_CLASSES,): log-likelihoods.

    Parameters
    ----------
    shares : ndarray, shape (7,) or (0,)
        Mean mask probabilities inside the outline, in the order of `structures.Structure`; empty where the part network
        saw nothing.
    beside : bool
        Whether the level network is asked too.
    """
    out = np.zeros(N_CLASSES)
    bone = float(shares[BODY_CLASSES].sum()) if len(shares) else 0.0
    if bone <= 0:
        return out
    for name, structure in (("S1", Structure.S1), ("C2", Structure.C2)):
        share = float(np.clip(shares[structure] / bone, LEAST_SHARE, GREATEST_SHARE))
        here = levels.COMMON.index(name)
        odds = np.full(N_CLASSES, np.log(1 - share))
        odds[here] = np.log(share)
        if name == "S1":  # a piece of the sacrum below a well-formed disc looks like S1 to the part network
            odds[SACRUM] = odds[[here, here + 1]].mean()
        out += odds
    if beside:
        return PARTS_BESIDE * out
    out[NOTHING] += UNSEEN
    return PARTS_ALONE * out
