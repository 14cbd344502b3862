"""One direction of imports: a room imports only from rooms below it, and no files import each other in a circle."""

from __future__ import annotations

from import_graph import ORDER, circles, imports, library_files, room_of

KNOWN_UPWARD: set[tuple[str, str]] = set()
"""Upward imports that are still there. The list only shrinks: one that has gone must leave it."""

KNOWN_CIRCLES: set[frozenset[str]] = set()
"""The same for circles."""


def test_every_file_stands_in_a_room_of_the_order():
    assert {room_of(name) for name in library_files()} - {"__init__"} <= set(ORDER)


def test_a_room_imports_only_from_rooms_below_it():
    rank = {room: place for place, room in enumerate(ORDER)}
    upward = {pair for pair in imports() if rank[room_of(pair[1])] > rank[room_of(pair[0])]}
    assert upward == KNOWN_UPWARD


def test_no_files_import_each_other_in_a_circle():
    assert circles(imports() - KNOWN_UPWARD) == KNOWN_CIRCLES


def test_an_upward_import_and_a_circle_are_seen_wherever_they_are_written(tmp_path):
    (tmp_path / "spine").mkdir()
    (tmp_path / "scans").mkdir()
    (tmp_path / "__init__.py").write_text("from .scans import a\n")
    (tmp_path / "scans" / "__init__.py").write_text("")
    (tmp_path / "scans" / "a.py").write_text("def f():\n    from ..spine.b import B\n")
    text = "if TYPE_CHECKING:\n    from ..scans import a\nfrom .. import __version__\n"
    (tmp_path / "spine" / "b.py").write_text(text)
    (tmp_path / "spine" / "c.py").write_text("import SpinalTapLib.scans.a\nfrom SpinalTapLib.spine.b import x\n")
    found = imports(tmp_path)
    assert found == {
        ("scans.a", "spine.b"), ("spine.b", "scans.a"), ("spine.c", "scans.a"), ("spine.c", "spine.b")
    }  # fmt: skip
    assert circles(found) == {frozenset({"scans.a", "spine.b"})}
