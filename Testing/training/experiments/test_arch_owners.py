"""The experiment on the assignment of arches, on blocks whose arches reach down beside the next block."""

from __future__ import annotations

import numpy as np
from block_spine import ARCH, BODY, BlockSpine

from SpinalTapLib.cli.main import main
from SpinalTapLib.training.experiments import arch_owners
from SpinalTapLib.training.experiments.arch_owners import Drawn

BLOCKS = BlockSpine(count=4, s1=False, arches=True)


def test_every_method_is_judged_by_the_same_voxels():
    detections = BLOCKS.detections(BLOCKS.volume())
    instance = BLOCKS.owner() + 1
    for i in range(BLOCKS.count):
        body = detections.probabilities[:, BODY] > 0.5
        body[:, : BLOCKS.top(i)] = body[:, BLOCKS.top(i) + 26 :] = False
        instance[body] = i + 1
    nearest, bone, *votes = arch_owners._shares_right(Drawn("blocks", detections, instance), np.random.default_rng(0))
    assert nearest < 0.9 and bone == 1, "the arches do not touch, so the way through bone is always right"
    assert len(votes) == len(arch_owners.NOISE) and votes[0] > 0.97 and min(votes) > 0.7
    assert (detections.probabilities[:, ARCH] > 0.5).any()


def test_no_scans_are_refused(capsys):
    assert main(["experiment", "arches", "--scans", "0"]) == 2
    assert "--scans" in capsys.readouterr().err
