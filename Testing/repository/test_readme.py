"""The README says what the program says: its messages, the names of its buttons and keys, its pictures."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree

import pytest
from paths import ROOT

from SpinalTapLib.spine.confidence import WORDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
SLICERS_OWN = {"Sample Data"}


def section(title):
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## )", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found.group(1)


def italics(text):
    return re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", text)


def sentences():
    """Every text in the source that a user may see, with dots for what is put in when it runs."""
    for folder in ("SpinalTapLib", "SpinalTap"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield re.sub(r"\{\w+\}", "...", node.value)
                elif isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
                    yield "".join(parts)


def messages():
    rows = [line.split("|")[1] for line in section("If something goes wrong").splitlines() if line.startswith("| *")]
    return [message for cell in rows for message in italics(cell)]


SENTENCES = tuple(sentences())


@pytest.mark.parametrize("message", messages())
def test_every_message_of_the_troubleshooting_is_one_that_the_program_prints(message):
    core = message.strip(". ")
    assert len(core) > 8
    assert any(core in sentence for sentence in SENTENCES)


def test_every_note_that_the_readme_explains_is_one_of_the_table():
    rows = [line.split("|")[1] for line in section("What the notes mean").splitlines() if line.startswith("| *")]
    notes = [note for cell in rows for note in italics(cell)]
    assert len(notes) > 10
    assert not [note for note in notes if not any(note in sentence for sentence in SENTENCES)]


def ui_texts():
    tree = ElementTree.parse(ROOT / "Resources" / "UI" / "SpinalTap.ui")
    strings = (p.findtext("string") for p in tree.iter("property") if p.get("name") in ("text", "title"))
    return {text.replace("&", "").rstrip(":") for text in strings if text}


@pytest.mark.parametrize("title", ["First use, step by step", "If something goes wrong"])
def test_every_button_that_the_readme_names_is_in_the_panel(title):
    text = section(title)
    named = [italic for italic in italics(text) if italic not in messages()]
    parts = {part for italic in named for part in italic.split(" > ")}
    known = ui_texts() | set(WORDS) | SLICERS_OWN
    choices = (ROOT / "SpinalTap" / "SpinalTapPanel" / "choices.py").read_text(encoding="utf-8")
    unknown = {p for p in parts if p not in known and f'_("{p}")' not in choices and not any(p in k for k in known)}
    assert not unknown


def test_every_key_of_the_readme_is_one_of_the_panel():
    tree = ElementTree.parse(ROOT / "Resources" / "UI" / "SpinalTap.ui")
    keys = {p.findtext("string") for p in tree.iter("property") if p.get("name") == "shortcut"}
    named = set(re.findall(r"Ctrl\+[\w+.]*[\w.]", section("First use, step by step")))
    assert named and {key.rstrip(".") if key not in keys else key for key in named} <= keys


def test_every_picture_and_file_that_the_readme_links_is_there():
    links = re.findall(r"\]\(((?!https?:|#)[^)]+)\)", README)
    assert len(links) > 8
    assert not [link for link in links if not (ROOT / link).is_file()]
