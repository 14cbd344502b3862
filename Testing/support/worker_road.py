"""A road for the worker in which a `BlockSpine` stands for the network; a scan's name may ask for an accident."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import block_spine
from accidents import befall
from block_spine import HEIGHT, MARGIN, PITCH, BlockSpine

from SpinalTapLib import pipeline
from SpinalTapLib.pipeline import Options
from SpinalTapLib.spine.vertebra import Alternative

__all__ = ["Options", "reseed_spine", "segment_spine"]


def segment_spine(volume, seed=None, *, options=None, progress=None, cancelled=None):
    """Segment blocks, or have the accident that the scan's name asks for."""
    befall(volume.name, progress)
    rows, columns = volume.array.shape[1:]
    assert columns == 100, "not a scan of blocks"
    count = (rows - 2 * MARGIN - HEIGHT) // PITCH + 1
    anchored = "no anchor" not in volume.name
    blocks = BlockSpine(count=count, s1=anchored, c2=count == 24 and anchored, arches="arches" in volume.name)
    with _detector(_blind() if "nothing" in volume.name else blocks.detector()):
        spine = pipeline.segment_spine(volume, seed, options=options, progress=progress)
    return in_doubt(spine) if "in doubt" in volume.name else spine


def in_doubt(spine):
    """Return a spine whose lowest vertebra, S1 with 71 %, may as well be L5."""
    vertebrae = tuple(replace(vertebra, level_probability=0.71) for vertebra in spine.vertebrae)
    return replace(spine, vertebrae=vertebrae, alternatives=(Alternative(0, "L5", 0.29),))


def reseed_spine(spine, seed, *, options=None, progress=None, cancelled=None):
    """Count again."""
    with detector_in_place():
        return pipeline.reseed_spine(spine, seed, options=options, progress=progress)


def detector_in_place():
    """Return a context in which the pipeline has a detector that sees nothing, and no ladder: for recounts."""
    return _detector(_blind())


def _detector(detector):
    """Return a context in which the pipeline has this detector and no ladder."""
    network = SimpleNamespace(cpu=lambda: None), {"name": "blocks", "sha256": "b" * 64}
    return mock.patch.multiple(
        pipeline, PartDetector=detector, load_network=lambda *_, **__: network, _look=lambda *_: None,
        _levels_look=lambda *_: None, _counting_network=lambda name: (None, {"name": name, "sha256": "b" * 64}),
    )


def _blind():
    class Blind(BlockSpine().detector()):
        def detect(self, working, progress=None, cancelled=None):
            seen = BlockSpine(count=(working.array.shape[1] - 2 * MARGIN - HEIGHT) // PITCH + 1).detections(working)
            seen.probabilities[:, block_spine.BACKGROUND] = 1
            seen.probabilities[:, 1:] = 0
            return type(seen)(working, (), seen.probabilities)

    return Blind
