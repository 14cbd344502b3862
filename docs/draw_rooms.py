"""Draw the rooms of the library and which imports which, read from the code: docs/pictures/rooms.svg.

    python docs/draw_rooms.py

A test compares the picture with the code; run this when it fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Testing" / "support"))

from import_graph import ORDER, PACKAGE, imports, room_of  # noqa: E402

PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"

SCAN_ROAD = ("scans", "detection", "bodies", "counting", "spine", "report", "files")
BOX_ROAD = ("scene", "session", "worker")

ROW_PX, COLUMN_PX, LEFT_PX, NAMES_PX, TOP_PX = 25, 25, 24, 180, 96
INK, PALE, BAND = "#1d2430", "#68727f", "#f3f5f8"
FILLS = {"scan": "#2f7ebc", "box": "#c96a1d", "door": "#8c96a3", "room": "#3f8f5f"}
LEGEND = (("scan", "room on the road of a scan"), ("box", "room on the road of a dragged box"),
          ("room", "other room"), ("door", "file at the top of the library"))  # fmt: skip
FONT = "font-family='Helvetica, Arial, sans-serif'"


def kind_of(name: str) -> str:
    """Return the kind of a room or a top-level file, a key of `FILLS`."""
    if name in SCAN_ROAD:
        return "scan"
    if name in BOX_ROAD:
        return "box"
    return "room" if (ROOT / PACKAGE / name).is_dir() else "door"


def edges() -> set[tuple[str, str]]:
    """Return all pairs of rooms in which the first imports the second."""
    rooms = {(room_of(importer), room_of(imported)) for importer, imported in imports()}
    return {pair for pair in rooms if pair[0] != pair[1]}


def text(x: float, y: float, words: str, size: int = 13, colour: str = INK, more: str = "") -> str:
    """Return a line of text as SVG."""
    return f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{colour}' {FONT} {more}>{escape(words)}</text>"


def picture() -> str:
    """Return the picture as SVG: a row per room, the highest first, and a dot for each room that it imports."""
    names = [name for name in reversed(ORDER) if name != "__main__"]
    left = LEFT_PX + NAMES_PX
    width, bottom = left + COLUMN_PX * len(names) + 30, TOP_PX + ROW_PX * len(names)
    height = bottom + 186
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
        text(LEFT_PX, 34, "The rooms of SpinalTapLib", 19, more="font-weight='bold'"),
        text(LEFT_PX, 56, "A dot in a row: this room imports that one.", 13, PALE),
        text(LEFT_PX, 74, "Every dot lies right of the diagonal: a room imports only from rooms below it.", 13, PALE),
    ]
    pairs = edges()
    for row, name in enumerate(names):
        top, fill = TOP_PX + row * ROW_PX, FILLS[kind_of(name)]
        middle = top + ROW_PX / 2
        if row % 2 == 0:
            lines.append(f"<rect x='0' y='{top}' width='{width}' height='{ROW_PX}' fill='{BAND}'/>")
        lines.append(f"<rect x='{LEFT_PX}' y='{top + 3}' width='150' height='{ROW_PX - 6}' rx='4' fill='{fill}'/>")
        lines.append(text(LEFT_PX + 9, middle + 4.5, name, 13, "white", "font-weight='bold'"))
        for column, other in enumerate(names):
            x = left + COLUMN_PX * (column + 0.5)
            if column == row:
                lines.append(f"<rect x='{x - 4:g}' y='{middle - 4:g}' width='8' height='8' fill='#c9d0d9'/>")
            elif (name, other) in pairs:
                shade = "#c0182b" if column < row else INK
                lines.append(f"<circle cx='{x:g}' cy='{middle:g}' r='5' fill='{shade}'/>")
    for column, name in enumerate(names):
        x, y = left + COLUMN_PX * (column + 0.5) + 4, bottom + 12
        lines.append(text(x, y, name, 12, PALE, f"text-anchor='end' transform='rotate(-60 {x:g} {y:g})'"))
    for place, (kind, words) in enumerate(LEGEND):
        y = bottom + 96 + 20 * place
        lines.append(f"<rect x='{LEFT_PX}' y='{y}' width='12' height='12' rx='2' fill='{FILLS[kind]}'/>")
        lines.append(text(LEFT_PX + 19, y + 10.5, words, 11, PALE))
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE)
