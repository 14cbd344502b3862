"""Options that change a result: seed box, shift, pin, other counts, drop, add, undo."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..spine.vertebra import SeedBox

if TYPE_CHECKING:
    from ..corrections import Correction


class Once(argparse.Action):
    """An option that may be given only once, because with two boxes the choice would be unclear."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Store the value; refuse a second one."""
        if getattr(namespace, self.dest, None) is not None:
            parser.error(f"{option_string} was given twice; give it once")
        setattr(namespace, self.dest, values)


def add_seed(parser: argparse.ArgumentParser) -> Any:
    """Add the options of the seed; return the group of those that exclude each other."""
    text = "box around one vertebra to count from: centre and size, mm, LPS"
    box = parser.add_mutually_exclusive_group()
    box.add_argument("--seed-box", action=Once, metavar="X,Y,Z,SX,SY,SZ", help=text)
    box.add_argument("--seed-roi", action=Once, metavar="ROI.mrk.json", help="the same box, saved by 3D Slicer")
    parser.add_argument("--seed-level", metavar="LEVEL", help="level of the vertebra in the box (default: S1)")
    return box


def add_edits(group: Any) -> None:
    """Add the options that change a result, to the group of those that exclude each other."""
    group.add_argument("--shift", action=Once, metavar="N", help="shift all names: 1 makes L5 L4, -1 makes L5 S1")
    group.add_argument("--pin", action=Once, metavar="NAME=LEVEL", help="rename a vertebra (L5=L4) and count from it")
    text = "take the N-th other count of spine.json; 1 is the most probable"
    group.add_argument("--alternative", action=Once, metavar="N", help=text)
    group.add_argument("--drop", action=Once, metavar="NAME", help="remove a false detection")
    text = "add a missed vertebra, from a box around its body"
    group.add_argument("--add-box", action=Once, metavar="X,Y,Z,SX,SY,SZ", help=text)
    group.add_argument("--undo", action="store_true", help="undo the last change")


def seed_of(arguments: argparse.Namespace) -> SeedBox | None:
    """Return the seed box from the command line, or None."""
    level = arguments.seed_level or "S1"
    if arguments.seed_box:
        return parse_seed_box(arguments.seed_box, level)
    if arguments.seed_roi:
        from ..files.markups import read_seed_roi
        from ..spine.levels import level as known

        return read_seed_roi(arguments.seed_roi, known(level).name)
    if arguments.seed_level:
        raise ValueError("--seed-level names the vertebra in a box: give the box too, with --seed-box or --seed-roi.")
    return None


def correction_of(arguments: argparse.Namespace) -> Correction:
    """Return the correction from the command line."""
    from .. import corrections

    seed = seed_of(arguments)  # also refuses a level without a box
    if arguments.undo:
        return corrections.Undo()
    if arguments.shift is not None:
        return corrections.Shift(_whole_number("--shift", arguments.shift, "such as 1 or -1"))
    if arguments.alternative is not None:
        number = _whole_number("--alternative", arguments.alternative, "from 1 up")
        return corrections.TakeAlternative(number)
    if arguments.pin is not None:
        name, equals, level = arguments.pin.partition("=")
        if not (name.strip() and equals and level.strip()):
            raise ValueError(f"--pin takes NAME=LEVEL, such as L5=L4 or 103=L3; got {arguments.pin!r}.")
        return corrections.Pin(name, level)
    if arguments.drop is not None:
        return corrections.Drop(arguments.drop)
    if arguments.add_box is not None:
        return corrections.Add(parse_seed_box(arguments.add_box))
    return corrections.Seed(seed)


def _whole_number(option: str, text: str, which: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{option} takes a whole number {which}; got {text!r}.") from None


def parse_seed_box(text: str, level: str = "S1") -> SeedBox:
    """Read a box from ``"X,Y,Z,SX,SY,SZ"``: centre and full size, LPS, mm.

    Raises
    ------
    ValueError
        If these are not six numbers, a size is not above zero, or there is no such level.

    Examples
    --------
    >>> parse_seed_box("1,-20,-300,40,40,36").center_lps_mm.tolist()
    [1.0, -20.0, -300.0]
    """
    import numpy as np

    from ..spine.levels import level as known

    try:
        numbers = np.array([float(part) for part in text.split(",")])
    except ValueError:
        numbers = np.empty(0)
    if numbers.shape != (6,):
        raise ValueError(
            f"The box {text!r} cannot be read; give six numbers X,Y,Z,SX,SY,SZ without spaces: "
            "its centre and its size in millimetres, LPS."
        )
    return SeedBox(numbers[:3], numbers[3:], level=known(level).name)
