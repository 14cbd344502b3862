"""Whereabouts: where each volume lay when the result that is in the scene was read, and where it lies now."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spine.vertebra import SeedBox
from . import roi as box
from .frames import RAS_FROM_LPS, Frame, frame_of

SAME_PLACE_MM = 1e-3
"""A header's rounding, not a move."""


class Whereabouts:
    """The frames of a scene's volumes, by node ID.

    A volume that is read for a new run may lie elsewhere than when the result in the scene was made, and that result
    stays if the run is cancelled: its frame counts until the new result is shown.
    """

    def __init__(self) -> None:
        self._read: dict[str, Frame] = {}
        self._shown: dict[str, Frame] = {}

    def note_read(self, volume: str, frame: Frame) -> None:
        """Remember where a volume lies that is read for a run."""
        self._read[volume] = frame

    def note_shown(self, volume: str, frame: Frame) -> None:
        """Remember where a volume lay whose result is in the scene now."""
        self._shown[volume] = frame

    def forget(self, volume: str | None) -> None:
        """Forget a volume, or all of them: another scan may be given the ID of one that is gone."""
        for frames in (self._read, self._shown):
            frames.clear() if volume is None else frames.pop(volume, None)

    def of_run(self, volume: Any) -> Frame:
        """Return where a volume node lay when it was read for the latest run, or where it lies if it never was."""
        return self._read.get(volume.GetID()) or frame_of(volume)

    def of_result(self, volume: Any) -> Frame:
        """Return where a volume node lay when the result in the scene was read, or where it lies without a result."""
        return self._shown.get(volume.GetID()) or frame_of(volume)

    def has_moved(self, volume: Any) -> bool:
        """Return True if a volume node lies elsewhere than when the result in the scene was read."""
        return not np.allclose(self.then_from_now(volume), np.eye(4), atol=SAME_PLACE_MM)

    def now(self, volume: Any, then: SeedBox) -> SeedBox:
        """Return a box of the result in the scene, LPS, moved along to where the volume node lies now."""
        return box.moved(then, np.linalg.inv(self.then_from_now(volume)))

    def then(self, volume: Any, now: SeedBox) -> SeedBox:
        """Return a box in the world, LPS, where the result in the scene would have it."""
        return box.moved(now, self.then_from_now(volume))

    def then_from_now(self, volume: Any) -> np.ndarray:
        """Return the LPS matrix, shape (4, 4), from where a volume node lies to where it lay for the result."""
        ras = self.of_result(volume).ijk_to_world @ np.linalg.inv(frame_of(volume).ijk_to_world)
        return RAS_FROM_LPS @ ras @ RAS_FROM_LPS
