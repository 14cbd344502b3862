"""Read tables from CSV files, and write them as Markdown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ...errors import reason


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file that must have these columns (at least two).

    Raises
    ------
    ValueError
        If it cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = reason(error) if isinstance(error, OSError) else error
        raise ValueError(f"The table {path} cannot be read: {why}.") from error
    if not rows or not set(columns) <= set(rows[0]):
        named = f"{', '.join(columns[:-1])} and {columns[-1]}"
        raise ValueError(f"The table {path} needs a heading with the columns {named}.")
    return rows


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the heading first, as a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths))} |" for row in rows]
    rule = f"| {' | '.join('-' * max(width, 3) for width in widths)} |"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
