"""Name the vertebrae of a column: the odds of every count, from what speaks for each name at each place.

The places of a column, from the bottom up, form a chain: usually each vertebra is followed by the next one up; rarely
one was missed, or a place is no vertebra at all. For every order of names that people have (the usual 24, one more,
one fewer) the chain is solved exactly by the forward-backward algorithm (Rabiner, Proc IEEE 1989;77:257-286), and the
orders are weighed by how many people have them.

Sources of the odds: one presacral vertebra more in about 4 % of people and one fewer in about 4 % (Tins and Balain,
Insights Imaging 2016). How often a vertebra is missed or a place is none was set a little above what the detector does
on synthetic scans, so that the evidence decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spine import levels

SACRUM, NOTHING = len(levels.COMMON), len(levels.COMMON) + 1
"""Classes of evidence beside the places of `levels.COMMON`: the sacrum below S1, and no vertebra."""
N_CLASSES = NOTHING + 1

SACRUM_NAME, DENS_NAME = "sacrum", "dens"
"""Names of a place below S1, and of a dens that was found apart from its C2: they are no vertebrae of the count."""

EXTRA, LEFT_OUT = "T13", "T12"
"""Name of a supernumerary vertebra, and the name that is left out where there is one fewer."""

ONE_MORE, ONE_FEWER = 0.04, 0.04
"""Shares of people with one presacral vertebra more and one fewer."""

FALSE_PLACE = 0.004
"""Odds that a place of the column is no vertebra, before it was looked at."""

MISSED, MISSED_AGAIN = 0.01, 0.4
"""Share of steps between two places at which a vertebra was missed, and odds that another one was beside it."""

IN_A_GAP = 0.9
"""How often a vertebra was missed where linking saw room for one."""

MOST_MISSED, MOST_FALSE = 6, 2
"""At most so many vertebrae missing between two places, and so many places in a row that are none."""

UNSURE_STEP = 0.15
"""Odds that the distance across a gap, or to a place without signal, tells nothing of how many vertebrae it holds:
behind a seam or metal the image may be distorted, and stations that were composed may be displaced. So a count across
it is sure only if what lies beyond confirms it."""

STEP_SIZES, STEP_SD, STEP_SD_MISSED = 1.22, 0.2, 0.12
"""Distance of neighbouring centres in sizes of a vertebra (0.9-1.4 in people), its deviation, and what each missed
vertebra adds to that."""

SACRUM_AGAIN = 0.3
"""Odds that below a piece of the sacrum under S1 another one was found."""

DENS_APART = 0.05
"""Odds that above C2 its dens was found as a body of its own, as where their synchondrosis is bright. Of 100 synthetic
necks with such a band, from which it was chosen, 40 were named rightly without this and 90 with it, 21 and 2 were wrong
and sure; 40 without a band and the real ones kept their names. The heights of C2 and C3 do not tell: C2 had 0.7 to 1.7
of C3's where it was right, and 1.1 to 1.9 where it was the dens alone."""

LOWEST = {"S1": 6.0, "L5": 3.0}
"""How much more often than any other the lowest vertebra found is one of these: most scans of the lumbar spine are made
to show the sacrum, and where S1 is missing it is by little. An assumption, not a count."""

BLEND = (6, 12)
"""Up to the first place above S1 the count from below tells the level, from the second one on that from C2."""

IMPOSSIBLE = -1e6
"""Log-odds below this are those of what cannot be."""

LEAST_CLAIM = 0.5
"""Below this probability no name is claimed."""

LEAST_ALTERNATIVE = 0.02
"""Other counts are told from this probability on."""


@dataclass(frozen=True)
class Count:
    """Another way to count: which place would be which level, and how probable that is."""

    place: int
    level: str
    probability: float


@dataclass(frozen=True, eq=False)
class Names:
    """The names of a column's places.

    Attributes
    ----------
    best : tuple of str
        The most probable names, from the bottom up; `SACRUM_NAME` below S1, `DENS_NAME` above C2 where the dens was
        found apart from it, ``""`` where there is no vertebra.
    probability : ndarray, shape (places,)
        Of each of these names.
    posterior : tuple of mapping of str to float
        The probability of every name at each place.
    counts : tuple of Count
        The count of `best` and other ones with `LEAST_ALTERNATIVE` or more, the most probable first.
    missed : mapping of int to int
        Place -> how many vertebrae the best count misses right below it.
    """

    best: tuple[str, ...]
    probability: np.ndarray
    posterior: tuple[Mapping[str, float], ...]
    counts: tuple[Count, ...]
    missed: Mapping[int, int]

    @property
    def others(self) -> tuple[Count, ...]:
        """The counts that are not that of `best`."""
        return tuple(count for count in self.counts if self.best[count.place] != count.level)


@dataclass(frozen=True, eq=False)
class _Order:
    """Names from S1 upwards and how many people have them in that order."""

    names: tuple[str, ...]
    share: float


def is_level(name: str) -> bool:
    """Whether a name of a place is that of a vertebra."""
    return name not in ("", SACRUM_NAME, DENS_NAME)


def place_classes(n: int) -> np.ndarray:
    """Return which classes the vertebrae of a spine with `n` of them look like, shape (n, N_CLASSES), rows sum to one.

    Near the sacrum the count from S1 upwards tells, near the neck that from C2 downwards; they differ where people
    have one more or one fewer.
    """
    last = len(levels.COMMON) - 1
    out = np.zeros((n, N_CLASSES))
    for place in range(n):
        above = float(np.clip((place - BLEND[0]) / (BLEND[1] - BLEND[0]), 0, 1))
        out[place, min(place, last)] += 1 - above
        out[place, int(np.clip(last - (n - 1 - place), 0, last))] += above
    return out


def name_column(
    evidence: np.ndarray,
    distances: np.ndarray,
    pins: Mapping[int, str] | None = None,
    gaps: Collection[int] = (),
    dark: Collection[int] = (),
) -> Names:
    """Name the places of a column.

    Parameters
    ----------
    evidence : ndarray, shape (places, N_CLASSES)
        Log-likelihood of what is seen at each place, from the bottom up, for each class.
    distances : ndarray, shape (places, places)
        Distance between the centres of two places, in sizes of a vertebra.
    pins : mapping of int to str, optional
        Places whose level the user knows.
    gaps : collection of int
        Places right below which linking saw room for another vertebra.
    dark : collection of int
        Places at which the scan has no signal: that one was found there tells nothing, and its distances little.

    Raises
    ------
    ValueError
        If the pins contradict each other.
    """
    pins = {place: levels.level(name).name for place, name in (pins or {}).items()}
    evidence = np.where(np.isin(np.arange(len(evidence)), list(dark))[:, None], 0.0, evidence)
    chains = [_Chain(order, evidence, distances, pins, gaps, dark) for order in _orders(pins)]
    weights = np.array([chain.log_weight for chain in chains])
    if weights.max() < IMPOSSIBLE:
        raise ValueError(f"{_spoken(pins)} cannot be true together; leave one of them out.")
    shares = np.exp(weights - np.logaddexp.reduce(weights))
    posterior: list[dict[str, float]] = [{} for _ in evidence]
    for chain, share in zip(chains, shares):
        if share > 0:
            for place, odds in enumerate(chain.posterior()):
                for name, p in odds.items():
                    posterior[place][name] = posterior[place].get(name, 0.0) + float(share) * p
    paths = [chain.best_path() for chain in chains]
    _, best, missed = max(paths, key=lambda path: path[0])
    probability = np.array([posterior[i].get(name, 0.0) for i, name in enumerate(best)])
    return Names(best, probability, tuple(posterior), _counts(best, posterior), missed)


def _orders(pins: Mapping[int, str]) -> tuple[_Order, ...]:
    """Return the orders of names that people have, as far as they hold the pinned ones."""
    usual = list(levels.COMMON)
    named = set(pins.values())
    if "C1" in named:
        usual = [*usual, "C1"]
    if "L6" in named:
        usual = _with(usual, "L6", "S1")
    more = _with(usual, EXTRA, "L1")
    fewer = [name for name in usual if name != LEFT_OUT]
    orders = [
        _Order(tuple(usual), 1 - ONE_MORE - ONE_FEWER), _Order(tuple(more), ONE_MORE), _Order(tuple(fewer), ONE_FEWER),
    ]  # fmt: skip
    return tuple(order for order in orders if named <= set(order.names)) or (orders[0],)


def _with(names: list[str], name: str, below: str) -> list[str]:
    place = names.index(below) + 1
    return [*names[:place], name, *names[place:]]


class _Chain:
    """The chain of one order of names, all logarithms: states are the sacrum (0), the names from S1 (1) upwards, and a
    dens apart from its C2 (-1)."""

    def __init__(
        self,
        order: _Order,
        evidence: np.ndarray,
        distances: np.ndarray,
        pins: Mapping[int, str],
        gaps: Collection[int],
        dark: Collection[int],
    ) -> None:
        self.states = (SACRUM_NAME, *order.names, DENS_NAME)
        k, n = len(evidence), len(self.states)
        classes = np.zeros((n, N_CLASSES))
        classes[0, SACRUM] = 1
        classes[1:-1] = place_classes(n - 2)
        classes[-1] = classes[self.states.index("C2")]
        with np.errstate(divide="ignore"):
            self._seen = np.logaddexp.reduce(evidence[:, None] + np.log(classes), axis=2)
        self._false = np.log(FALSE_PLACE) + evidence[:, NOTHING]
        for place, name in pins.items():
            known = self.states.index(name) if name in self.states else -1
            self._seen[place, [s for s in range(n) if s != known]] = -np.inf
            self._false[place] = -np.inf
        self._distances, self._gaps, self._dark = distances, frozenset(gaps), frozenset(dark)
        between = np.arange(n)[None] - np.arange(n)[:, None] - 1
        self._missed = np.where((between < 0) | (between > MOST_MISSED), MOST_MISSED + 1, between)
        self._steps = {(j, i): self._odds(j, i) for i in range(k) for j in range(max(0, i - 1 - MOST_FALSE), i)}
        self._skips = np.concatenate([[0.0], np.cumsum(np.maximum(self._false, 10 * IMPOSSIBLE))])
        starts = np.array([LOWEST.get(name, 1.0) for name in self.states[:-1]] + [0.0])
        with np.errstate(divide="ignore"):
            self._first = np.log(order.share * starts / starts.sum())
        self._forward = self._run(np.logaddexp.reduce)[0]
        ends = [self._forward[i] + self._skip(i + 1, k) for i in range(k)]
        self.log_weight = float(np.logaddexp.reduce(np.concatenate(ends)))

    def _skip(self, start: int, stop: int) -> float:
        """What it costs that the places from `start` up to, but without, `stop` are no vertebrae."""
        return float(self._skips[stop] - self._skips[start])

    def _odds(self, low: int, high: int) -> np.ndarray:
        """Return the odds of each state at place `high` after each at place `low`, shape (states, states)."""
        missed = np.arange(MOST_MISSED + 1)
        off = self._distances[low, high] - STEP_SIZES * (missed + 1)
        off[0] = max(off[0], 0.0)  # collapsed discs bring neighbours close
        gap = high in self._gaps and high - low == 1
        share = IN_A_GAP if gap else MISSED
        odds = np.where(missed > 0, np.log(share) + (missed - 1) * np.log(MISSED_AGAIN), np.log(1 - share))
        odds -= 0.5 * (off / (STEP_SD + STEP_SD_MISSED * missed)) ** 2
        if gap or self._dark & {low, high}:
            odds = np.logaddexp(np.log(1 - UNSURE_STEP) + odds, np.log(UNSURE_STEP / len(odds)))
        out = np.append(odds, -np.inf)[self._missed]
        out[0, 0] = np.log(SACRUM_AGAIN)
        out[:, -1] = -np.inf
        out[self.states.index("C2"), -1] = np.log(DENS_APART)
        return out

    def _run(self, add: Any) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the forward table, (places, states), and where each best step came from."""
        k, n = self._seen.shape
        table = np.full((k, n), -np.inf)
        came: list[np.ndarray] = []
        for i in range(k):
            ways = [self._first + self._skip(0, i)]
            sources = [(-1, np.zeros(n, int))]
            for j in range(max(0, i - 1 - MOST_FALSE), i):
                steps = table[j][:, None] + self._steps[j, i] + self._skip(j + 1, i)
                ways.append(add(steps, axis=0))
                sources.append((j, steps.argmax(0)))
            stacked = np.array(ways)
            table[i] = add(stacked, axis=0) + self._seen[i]
            chosen = stacked.argmax(0)
            came.append(np.array([[sources[c][0], sources[c][1][s]] for s, c in enumerate(chosen)]))
        return table, came

    def posterior(self) -> list[dict[str, float]]:
        """Return the probability of each name at each place."""
        k, n = self._seen.shape
        backward = np.full((k, n), -np.inf)
        for i in reversed(range(k)):
            ways = [np.full(n, self._skip(i + 1, k))]
            for j in range(i + 1, min(i + 2 + MOST_FALSE, k)):
                ahead = self._steps[i, j] + (self._seen[j] + backward[j])[None] + self._skip(i + 1, j)
                ways.append(np.logaddexp.reduce(ahead, axis=1))
            backward[i] = np.logaddexp.reduce(np.array(ways), axis=0)
        odds = np.exp(self._forward + backward - self.log_weight)
        out = []
        for row in odds:
            names = {name: float(p) for name, p in zip(self.states, row) if p > 1e-6}
            out.append({**names, "": max(1.0 - float(row.sum()), 0.0)})
        return out

    def best_path(self) -> tuple[float, tuple[str, ...], dict[int, int]]:
        """Return the score of the most probable path, its names, and how many vertebrae it misses below which place."""
        k = len(self._seen)
        table, came = self._run(np.max)
        ends = np.array([table[i] + self._skip(i + 1, k) for i in range(k)])
        place, state = (int(i) for i in np.unravel_index(int(ends.argmax()), ends.shape))
        score, names, missed = float(ends.max()), [""] * k, {}
        while place >= 0:
            names[place] = self.states[state]
            before, from_state = (int(v) for v in came[place][state])
            if before >= 0 and state - from_state > 1 and self.states[state] != DENS_NAME:
                missed[int(place)] = int(state - from_state - 1)
            place, state = before, from_state
        return score, tuple(names), missed


def _counts(best: Sequence[str], posterior: Sequence[Mapping[str, float]]) -> tuple[Count, ...]:
    """Return the probable counts, told by what the lowest named place would be, or by where S1 would be instead."""
    named = [i for i, name in enumerate(best) if is_level(name)] or [0]
    lowest = named[0]
    counts = []
    for name, p in posterior[lowest].items():
        if p >= LEAST_ALTERNATIVE and is_level(name):
            counts.append(Count(lowest, name, float(p)))
    for place in named[1:]:
        p = float(posterior[place].get("S1", 0.0))
        if p >= LEAST_ALTERNATIVE:
            counts.append(Count(place, "S1", p))
    return tuple(sorted(counts, key=lambda count: -count.probability))


def _spoken(pins: Mapping[int, str]) -> str:
    names = [f"{name} at vertebra {place + 1}" for place, name in sorted(pins.items())]
    return " and ".join(names) or "These levels"
