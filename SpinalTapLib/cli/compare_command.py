"""The command compare: what has changed between two results of one person."""

from __future__ import annotations

import argparse
from typing import Any


def add_commands(commands: Any) -> None:
    """Add the command of this file to the parser's sub-commands."""
    compare = commands.add_parser("compare", help="show what has changed between two results of one person")
    compare.add_argument("earlier", metavar="EARLIER", help="result folder of the earlier scan")
    compare.add_argument("later", metavar="LATER", help="result folder of the later scan")
    compare.add_argument("--output", metavar="DIR", help="folder for changes.csv and changes.png")
    compare.set_defaults(run=run_compare)


def run_compare(arguments: argparse.Namespace) -> int:
    """Compare two results and print a table, vertebrae from the top down."""
    from ..compare import compare_folders
    from .console import Console

    found = compare_folders(arguments.earlier, arguments.later, arguments.output)
    console = Console()
    print(f"{'level':<6} {'measurement':<26} {'earlier':>8} {'later':>8} {'change':>8} {'error':>7}  verdict")
    for item in found.from_the_top:
        values = f"{item.earlier:>8.1f} {item.later:>8.1f} {item.change:>+8.1f} {item.limit:>7.1f}"
        print(f"{item.level:<6} {item.name:<26} {values}  {item.verdict}")
    print(found.summary)
    for loss in found.losses:
        print(loss.sentence)
    for note in found.notes:
        console.warn(note)
    if arguments.output:
        print(f"Written: {arguments.output}")
    return 0
