"""Markdown: tables that read well as they stand, too."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the heading first, as a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths))} |" for row in rows]
    rule = f"| {' | '.join('-' * max(width, 3) for width in widths)} |"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"
