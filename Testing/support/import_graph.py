"""Which file of the library imports which, read from the code, and the order of the rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from paths import ROOT

PACKAGE = "SpinalTapLib"

ORDER = (
    "errors", "options", "progress", "resources", "installation", "machine",
    "spine", "scans", "detection", "bodies", "evidence", "counting", "pipeline", "corrections", "report", "files",
    "result_folder", "study", "compare", "batch", "worker", "workerlink", "session", "review", "values", "scene",
    "training", "cli", "__main__",
)  # fmt: skip
"""The rooms (folders) and doors (files beside them), from the bottom up: each imports only from those before it."""


def library_files(root: Path = ROOT / PACKAGE) -> dict[str, Path]:
    """Return the library's files by their dotted names, without the package's: ``"scans.volume"``."""
    return {_name(path.relative_to(root)): path for path in sorted(root.rglob("*.py"))}


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def room_of(name: str) -> str:
    """Return the room or the door that a file belongs to."""
    return name.split(".")[0]


def imports(root: Path = ROOT / PACKAGE) -> set[tuple[str, str]]:
    """Return every pair of files of which the first imports the second, anywhere and for any reason.

    The package's own ``__init__`` is left out: it holds the version, and the public names that load when first used.
    """
    files = library_files(root)
    pairs = set()
    for name, path in files.items():
        if name == "__init__":
            continue
        folder = path.relative_to(root).parts[:-1]
        for wanted in _wanted(ast.parse(path.read_text(encoding="utf-8")), folder):
            known = next((part for part in wanted if part in files), None)
            if known not in (None, name, "__init__"):
                pairs.add((name, known))
    return pairs


def _wanted(tree: ast.AST, folder: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield, for every name that a file in `folder` imports from the package, the two files where it may be.

    ``from .scans import volume`` names a file, ``from .scans import something`` what stands in the room's ``__init__``.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            base = (node.module or "").split(".")[1:]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield (".".join(alias.name.split(".")[1:]),) * 2
            continue
        else:
            continue
        inside = ".".join(part for part in base if part)
        for alias in node.names:
            yield f"{inside}.{alias.name}".lstrip("."), inside


def circles(pairs: set[tuple[str, str]]) -> set[frozenset[str]]:
    """Return the groups of files that import each other, directly or through others."""
    after: dict[str, set[str]] = {}
    for importer, imported in pairs:
        after.setdefault(importer, set()).add(imported)
    reached = {name: _reached(name, after) for name in after}
    groups = {frozenset(n for n in found if name in reached.get(n, ())) for name, found in reached.items()}
    return {group for group in groups if group}


def _reached(start: str, after: dict[str, set[str]]) -> set[str]:
    """Return every file that `start` imports, directly or through others; itself too, where a circle leads back."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in after.get(waiting.pop(), set()) - found:
            found.add(name)
            waiting.append(name)
    return found
