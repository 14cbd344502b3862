"""Names: the chain over a column, its odds, and what pins, gaps, false places and unusual counts do to it."""

from __future__ import annotations

import numpy as np
import pytest

from SpinalTapLib.counting.names import (
    LOWEST,
    N_CLASSES,
    NOTHING,
    SACRUM,
    STEP_SIZES,
    Names,
    name_column,
    place_classes,
)
from SpinalTapLib.spine import levels

S1, C2 = 0, len(levels.COMMON) - 1


def _seen(*classes: int, sure: float = 4.0) -> np.ndarray:
    """Evidence that speaks for one class at each place, by so many units of log-likelihood."""
    out = np.full((len(classes), N_CLASSES), -sure)
    out[np.arange(len(classes)), classes] = 0.0
    return out


def _apart(places: list[float] | int) -> np.ndarray:
    """Distances of places that lie at such steps of the spine."""
    at = np.arange(places) if isinstance(places, int) else np.array(places)
    return STEP_SIZES * np.abs(at[:, None] - at[None])


def test_a_usual_column_has_the_usual_names():
    names = name_column(_seen(*range(24)), _apart(24))
    assert names.best == levels.COMMON and names.probability.min() > 0.95
    assert not names.missed and not names.others


def test_each_row_of_the_posterior_is_a_distribution():
    rng = np.random.default_rng(0)
    names = name_column(rng.normal(0, 2, (9, N_CLASSES)), _apart(9))
    assert np.allclose([sum(odds.values()) for odds in names.posterior], 1, atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_where_nothing_speaks_for_a_level_none_is_probable(n):
    names = name_column(np.zeros((n, N_CLASSES)), _apart(n))
    assert names.probability.max() < 0.25


def test_a_weak_vertebra_is_named_by_its_neighbours():
    evidence = _seen(S1, 1, 2, 3)
    evidence[0] = 0.0  # S1 shows nothing
    names = name_column(evidence, _apart(4))
    assert names.best == ("S1", "L5", "L4", "L3") and names.probability[0] > 0.9


def test_what_lies_below_s1_is_sacrum():
    assert name_column(_seen(SACRUM, SACRUM, S1, 1), _apart(4)).best == ("sacrum", "sacrum", "S1", "L5")


def test_a_place_that_is_no_vertebra_does_not_move_the_count():
    evidence = _seen(S1, 1, NOTHING, 2, 3, sure=8.0)
    names = name_column(evidence, _apart([0, 1, 1.5, 2, 3]))
    assert names.best == ("S1", "L5", "", "L4", "L3")


def test_the_dens_above_c2_is_no_second_c2():
    names = name_column(_seen(C2 - 2, C2 - 1, C2, NOTHING), _apart([0, 1, 2, 2.8]))
    assert names.best == ("C4", "C3", "C2", "")


@pytest.mark.parametrize("step", [0.7, 1.0, 1.3])
def test_a_dens_that_looks_like_a_c2_of_its_own_moves_no_name(step):
    names = name_column(_seen(C2 - 2, C2 - 1, C2, C2, sure=3.0), _apart([0, 1, 2, 2 + step]))
    assert names.best == ("C4", "C3", "C2", "dens") and names.probability[0] > 0.8
    assert not names.missed


def test_a_c2_that_may_be_the_dens_alone_is_not_sure():
    whole, apart = _seen(C2 - 3, C2 - 2, C2 - 1, C2, sure=6.0), _seen(C2 - 2, C2 - 1, C2, C2, sure=6.0)
    names = name_column(np.maximum(whole - 0.5, apart), _apart(4))
    assert names.best == ("C5", "C4", "C3", "C2") and names.probability[0] < 0.9
    assert names.others[0].level == "C4" and names.others[0].probability > 0.1


def test_only_c2_has_a_dens():
    assert "dens" not in name_column(_seen(C2 - 2, C2 - 1, C2 - 1), _apart(3)).best
    c1 = name_column(_seen(C2 - 1, C2, C2), _apart(3), {2: "C1"})
    assert c1.best == ("C3", "C2", "C1") and not c1.missed


@pytest.mark.parametrize("missing", [1, 3, 6])
def test_across_a_gap_the_count_goes_on(missing):
    places = [0, 1, 2, 3 + missing, 4 + missing]
    names = name_column(_seen(*places), _apart(places))
    assert names.best == tuple(levels.COMMON[k] for k in places)
    assert names.missed == {3: missing}


def test_a_gap_that_linking_saw_is_enough_to_doubt_the_count():
    evidence = _seen(S1, 1, 2, 3, sure=1.0)
    evidence[2:] = 0.0
    near = _apart([0, 1, 2.5, 3.5])
    plain, gap = name_column(evidence, near), name_column(evidence, near, gaps=[2])
    assert gap.posterior[2].get("L3", 0) > plain.posterior[2].get("L3", 0)


def _across(gap: float, beyond: list[int], sure: float, **where: list[int]) -> Names:
    """S1 to L3, a step of so many levels, and four places that look like these, or like nothing (`sure` 0)."""
    evidence = np.concatenate([_seen(S1, 1, 2, 3), _seen(*beyond, sure=sure)])
    return name_column(evidence, _apart([0, 1, 2, 3, *(3 + gap + np.arange(4))]), **where)


def test_a_count_across_a_gap_is_sure_only_if_what_lies_beyond_confirms_it():
    alone = _across(2.0, [5, 6, 7, 8], sure=0.0, gaps=[4])
    assert alone.best[4] == "L1" and 0.5 < alone.probability[4] < 0.9 < alone.probability[3]
    confirmed = _across(2.0, [5, 6, 7, 8], sure=2.0, gaps=[4])
    assert confirmed.best[4] == "L1" and confirmed.probability[4] > 0.9


def test_a_gap_of_the_wrong_length_does_not_outvote_what_lies_beyond():
    names = _across(2.0, [7, 8, 9, 10], sure=3.0, gaps=[4])  # three vertebrae are missing in the room of one
    assert names.best[4] == "T11" and names.missed == {4: 3}


def test_what_was_found_without_signal_tells_nothing():
    names = _across(1.0, [8, 5, 6, 7], sure=2.0, dark=[4])  # the dark one looks like T10
    assert names.best[4:6] == ("L2", "L1") and names.probability[5] > 0.9
    alone = _across(1.0, [8, 5, 6, 7], sure=0.0, dark=[4])
    assert alone.best[4:6] == ("L2", "L1") and alone.probability[5] < 0.9


def test_no_name_is_skipped_or_doubled_without_saying_so():
    rng = np.random.default_rng(1)
    for _ in range(50):
        names = name_column(rng.normal(0, 3, (12, N_CLASSES)), _apart(12) * rng.uniform(0.8, 1.3))
        said = [(i, name) for i, name in enumerate(names.best) if name not in ("", "sacrum")]
        assert len({name for _, name in said}) == len(said)
        for (_, low), (i, high) in zip(said, said[1:], strict=False):
            usual = {"T13": "T12", "L1": "T12"}
            step = levels.COMMON.index(high.replace("T13", "T12")) - levels.COMMON.index(low.replace("T13", "L1"))
            assert step >= 1 and (step - 1 <= names.missed.get(i, 0) + (usual.get(low) == "T12" and high == "T11"))


def test_25_vertebrae_have_a_t13_and_23_no_t12():
    more = [*range(6), 6, *range(6, 24)]
    names = name_column(_seen(*more), _apart(25))
    assert names.best[5:8] == ("L1", "T13", "T12") and names.best[-1] == "C2"
    fewer = [*range(6), *range(7, 24)]
    names = name_column(_seen(*fewer), _apart(23))
    assert names.best[5:7] == ("L1", "T11") and names.best[-1] == "C2" and not names.missed


def test_a_missed_thoracic_vertebra_is_no_reason_to_leave_t12_out():
    levels_seen = [*range(11), *range(12, 24)]  # T7 was not found
    evidence = np.zeros((23, N_CLASSES))
    for ends in ([0, 1, 2, 3, 4, 5], [20, 21, 22]):  # the ends of the spine are known, its middle looks alike
        evidence[ends] = _seen(*(levels_seen[i] for i in ends))
    at = 0.82 * np.array(levels_seen)
    at[11:] -= 0.3  # short steps: the gap is hardly longer than one and a half
    plain, gap = name_column(evidence, _apart(list(at))), name_column(evidence, _apart(list(at)), gaps=[11])
    assert gap.best[6:12] == ("T12", "T11", "T10", "T9", "T8", "T6") and gap.missed == {11: 1}
    assert gap.posterior[6]["T12"] > 0.8 > plain.posterior[6]["T12"]


def test_two_readings_of_one_picture_are_told_with_their_odds():
    evidence = np.logaddexp(_seen(S1, 1, 2, sure=9.0), _seen(SACRUM, S1, 1, sure=9.0) + np.log(LOWEST["S1"] / 2) / 3)
    names = name_column(evidence, _apart(3))
    assert names.best == ("S1", "L5", "L4") and 0.55 < names.probability[0] < 0.8
    other = names.others[0]
    assert (other.place, other.level) == (1, "S1") and 0.2 < other.probability < 0.45


# Pins


def test_a_pin_is_certain_whatever_the_picture_says():
    names = name_column(_seen(S1, 1, 2, 3, sure=9.0), _apart(4), {0: "L5"})
    assert names.best == ("L5", "L4", "L3", "L2") and names.probability[0] == pytest.approx(1)


def test_a_pin_on_s1_makes_sacrum_of_what_lies_below():
    assert name_column(np.zeros((4, N_CLASSES)), _apart(4), {2: "S1"}).best == ("sacrum", "sacrum", "S1", "L5")


def test_an_l6_a_t13_and_a_c1_may_be_pinned():
    nothing = np.zeros((4, N_CLASSES))
    assert name_column(nothing, _apart(4), {1: "L6"}).best == ("S1", "L6", "L5", "L4")
    assert name_column(nothing, _apart(4), {1: "T13"}).best == ("L1", "T13", "T12", "T11")
    assert name_column(nothing, _apart(4), {3: "C1"}).best == ("C4", "C3", "C2", "C1")


def test_what_lies_above_c1_has_no_name():
    assert name_column(np.zeros((4, N_CLASSES)), _apart(4), {2: "C1"}).best == ("C3", "C2", "C1", "")


def test_two_pins_that_agree_are_kept_and_two_that_do_not_are_refused_in_a_sentence():
    assert name_column(np.zeros((4, N_CLASSES)), _apart(4), {0: "L5", 2: "L3"}).best == ("L5", "L4", "L3", "L2")
    with pytest.raises(ValueError, match="L5 at vertebra 1 and S1 at vertebra 3 cannot be true together"):
        name_column(np.zeros((4, N_CLASSES)), _apart(4), {0: "L5", 2: "S1"})


def test_a_level_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no vertebral level called 'L9'"):
        name_column(np.zeros((4, N_CLASSES)), _apart(4), {0: "L9"})


@pytest.mark.parametrize("n", [23, 24, 25])
def test_places_look_like_the_count_from_below_and_from_above(n):
    classes = place_classes(n)
    assert np.allclose(classes.sum(1), 1)
    assert classes[0, 0] == 1 and classes[-1, C2] == 1 and classes[n - 5, C2 - 4] == 1
