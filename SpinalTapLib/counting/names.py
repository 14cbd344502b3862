"""Counting: a row of vertebrae and one that is known become level names, numeric variants included.

About 8 % of people have one presacral vertebra more or fewer than 23 and 3 % a transitional one (Tins and Balain,
Insights Imaging 2016), so 24 levels are never forced on a spine.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..spine import levels

EXTRA = "T13"
"""Name of a supernumerary vertebra between T12 and L1; without ribs in view it may as well be L6."""

FLAG_EXTRA = "one vertebra more than usual: T13, or five lumbar levels and an L6"
FLAG_FEWER = "one vertebra fewer than usual above or below"


@dataclass(frozen=True)
class Count:
    """The names of a row of vertebrae.

    Attributes
    ----------
    names : tuple of str or None
        One a vertebra, from the bottom up; None where the count leaves the spine (below S1, above C2).
    flags : mapping of int to str
        Notes on single vertebrae.
    warnings : tuple of str
        Plain sentences.
    certain : bool
        False where the two ends contradict each other.
    """

    names: tuple[str | None, ...]
    flags: dict[int, str]
    warnings: tuple[str, ...] = ()
    certain: bool = True


def count_levels(total: int, known: int, name: str, top_is_c2: bool = False) -> Count:
    """Name `total` vertebrae, counted from the one at position `known`, whose level is `name`.

    Parameters
    ----------
    total : int
        Number of vertebrae in the row, from the bottom up.
    known, name : int, str
        Position and level of the one that the count starts from.
    top_is_c2 : bool
        Whether the highest one surely is C2: then the count from below must end there.

    Raises
    ------
    ValueError
        If there is no such level or position.
    """
    if not 0 <= known < total:
        raise ValueError(f"The count of {total} vertebrae cannot start at position {known}.")
    order = list(levels.COMMON)
    name = levels.level(name).name
    if name not in order:  # the user says that this is L6, T13 or C1
        order = _with_level(order, name)
    zero = order.index(name) - known
    names = [order[zero + i] if 0 <= zero + i < len(order) else None for i in range(total)]
    if not top_is_c2 or total - 1 == known or names[-1] == "C2":
        return Count(tuple(names), {})
    expected = len(order) - zero
    if total - expected == 1 and name in order[:6]:
        return _one_more(total, known, name, order)
    if total - expected == -1 and name in order[:6]:
        return _one_fewer(total, known, name, order)
    return Count(
        tuple(names), {}, (f"The uppermost vertebra looks like C2 but is {names[-1] or 'above C2'} by the count from "
                           f"{name}: vertebrae were missed or counted twice; check the levels.",), False,
    )  # fmt: skip


def _with_level(order: list[str], name: str) -> list[str]:
    after = {"L6": "S1", "T13": "L1", "C1": "C2"}[name]
    place = order.index(after) + 1
    return [*order[:place], name, *order[place:]]


def _one_more(total: int, known: int, name: str, usual: list[str]) -> Count:
    """Lumbar levels from below, the rest from C2 downwards, and the one left over between them."""
    order = _with_level(usual, EXTRA)
    zero = order.index(name) - known
    names = tuple(order[zero + i] if 0 <= zero + i < len(order) else None for i in range(total))
    warning = (
        f"{len(order)} levels were counted from S1 to C2, one more than {_expected(usual)}; the extra one is called "
        "T13, but it may as well be a sixth lumbar vertebra (L6): check the ribs."
    )
    return Count(names, {names.index(EXTRA): FLAG_EXTRA} if EXTRA in names else {}, (warning,))


def _one_fewer(total: int, known: int, name: str, usual: list[str]) -> Count:
    order = [n for n in usual if n != "T12"]
    zero = order.index(name) - known
    names = tuple(order[zero + i] if 0 <= zero + i < len(order) else None for i in range(total))
    warning = (
        f"{len(order)} levels were counted from S1 to C2, one fewer than {_expected(usual)}; T12 is left out here, but "
        "L5 may be the missing one (sacralised): check the ribs."
    )
    beside = {i: FLAG_FEWER for i, n in enumerate(names) if n in ("L1", "T11")}
    return Count(names, beside, (warning,))


def _expected(usual: list[str]) -> str:
    return "usual with an L6" if "L6" in usual else "usual"
