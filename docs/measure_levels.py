"""Measure the names on phantoms that are hard to count: the table of docs/levels.md.

    python docs/measure_levels.py [COUNT]

Lumbar scans of people with a well-formed S1-S2 disc of 4 to 11 mm, and scans of the thoracic spine alone: COUNT of
each (20), slices of 5 mm, T1, T2 and STIR in turn, healthy, of seeds that are not used for training. About ten minutes
on two cores.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from SpinalTapLib.pipeline import segment_spine  # noqa: E402
from SpinalTapLib.spine import levels  # noqa: E402
from SpinalTapLib.spine.confidence import WORDS, word_of  # noqa: E402
from SpinalTapLib.training.synthetic.phantom import draw_phantom  # noqa: E402
from SpinalTapLib.training.synthetic.random_spine import random_spine  # noqa: E402

DISC_MM = 4, 11
FIRST_SEED = {"lumbar": 6001, "thoracic": 7001}
SEQUENCES = ("t1", "t2", "stir")


def seeds(region: str, count: int):
    """Return the seeds of the people to scan."""
    every = itertools.count(FIRST_SEED[region])
    if region == "lumbar":
        every = (seed for seed in every if DISC_MM[0] <= _disc_mm(seed) <= DISC_MM[1])
    return list(itertools.islice(every, count))


def _disc_mm(seed: int) -> float:
    """Return the height of a person's S1-S2 disc, mm."""
    return random_spine(np.random.default_rng([seed, 7]), healthy=True, well_formed=1.0).junction.disc_mm


def verdict(region: str, seed: int) -> str:
    """Draw and segment one phantom, and say how its names are."""
    phantom = draw_phantom(
        seed, region=region, sequence=SEQUENCES[seed % 3], slice_mm=5.0, well_formed=float(region == "lumbar")
    )
    spine = segment_spine(phantom.image)
    named = [(v, _level_at(phantom, v.centroid_lps_mm)) for v in spine.vertebrae if v.level]
    wrong = [v for v, true in named if true != v.level]
    sure = any(word_of(v, spine) == WORDS[0] for v in wrong)
    return "not named" if not named else "right" if not wrong else "wrong and sure" if sure else "wrong"


def _level_at(phantom, point_lps_mm) -> str:
    """Return the name of the vertebra at a point, LPS, mm, or an empty string."""
    at = tuple(np.rint(phantom.image.to_index(np.asarray(point_lps_mm))).astype(int))
    inside = all(0 <= i < n for i, n in zip(at, phantom.labels.shape))
    value = int(phantom.labels[at]) if inside else 0
    return next((level.name for level in levels.LEVELS if level.value == value), "")


def main(count: int) -> None:
    """Print how many scans are named rightly."""
    print("| scans | right | wrong and sure | wrong | not named |\n| --- | --- | --- | --- | --- |")
    for region in FIRST_SEED:
        found = Counter(verdict(region, seed) for seed in seeds(region, count))
        wrong = found["wrong"] + found["wrong and sure"]
        row = (f"{count} {region}", found["right"], found["wrong and sure"], wrong, found["not named"])
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
