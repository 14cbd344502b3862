"""Classes of the mask: what an older network or file does not know has no probability."""

import numpy as np

from SpinalTapLib.spine.structures import N_STRUCTURES, Structure, with_all_structures


def test_values_of_an_older_network_get_zeros_for_new_classes():
    old = np.random.default_rng(0).random((2, 7, 3, 4))
    full = with_all_structures(old, 1)
    assert full.shape == (2, N_STRUCTURES, 3, 4)
    assert np.array_equal(full[:, :7], old) and not full[:, Structure.ARCH].any()


def test_values_that_are_complete_stay_as_they_are():
    full = np.ones((5, N_STRUCTURES), np.float16)
    assert with_all_structures(full, 1) is full
