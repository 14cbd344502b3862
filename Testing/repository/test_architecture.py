"""The picture of the rooms in docs/architecture.md, and the places that it names, are those of the code."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ElementTree

from paths import ROOT

DOCUMENTS = [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]


def drawer():
    spec = importlib.util.spec_from_file_location("draw_rooms", ROOT / "docs" / "draw_rooms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_rooms_is_up_to_date():
    module = drawer()
    drawn = module.picture()
    ElementTree.fromstring(drawn)
    assert module.PICTURE.read_text(encoding="utf-8") == drawn, "run: python docs/draw_rooms.py"


def test_every_file_that_a_document_names_is_there():
    """Names such as `counting/ladder.py` are looked up from the repository, the library and its training."""
    roots = [ROOT, *(ROOT / part for part in ("SpinalTapLib", "SpinalTapLib/training", "SpinalTap", "Testing"))]
    missing = []
    for document in DOCUMENTS:
        for name in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|json|ui|md|svg|pt))`", document.read_text(encoding="utf-8")):
            if not any((root / name).is_file() for root in roots):
                missing.append(f"{document.name}: {name}")
    assert not missing
