"""How long a recount takes: `make bench`. Not part of the tests, which must not depend on the machine."""

from __future__ import annotations

import time

import numpy as np

from SpinalTapLib.pipeline import reseed_spine, segment_spine
from SpinalTapLib.spine.vertebra import SeedBox

LONGEST_S = 0.5


def test_a_recount_of_24_vertebrae_takes_under_half_a_second_of_processor_time(block_spine):
    answer = segment_spine(block_spine(count=24)[0].volume())
    box = SeedBox(answer.vertebrae[0].centroid_lps_mm, np.full(3, 20.0), level="S1")
    reseed_spine(answer, box)
    began = time.process_time()
    reseed_spine(answer, box)
    seconds = time.process_time() - began
    print(f"\nA recount of 24 vertebrae: {seconds:.3f} s of processor time")
    assert seconds < LONGEST_S
