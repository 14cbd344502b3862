"""Check the headers of NRRD and MetaImage files before ITK reads them, and read what ITK ignores."""

from __future__ import annotations

import re
from pathlib import Path

_MM = {"mm": 1.0, "millimeter": 1.0, "um": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "micrometer": 1e-3, "microns": 1e-3,
       "nm": 1e-6, "cm": 10.0, "m": 1e3}  # fmt: skip
"""Millimetres per unit, by its name in ``space units`` (https://teem.sourceforge.net/nrrd/format.html)."""
_HEADER_BYTES = 1 << 16
_LONGEST_FIELD = 500
"""Longest value of a field, characters. ITK's reader crashes at a thousand; three directions have less than 300."""
_FREE_TEXT = "content"
"""Field that may be longer."""


def check_metaimage_header(path: Path) -> None:
    """Refuse a header that would crash ITK's reader.

    Raises
    ------
    ValueError
        If the number of dimensions is not a number from 1 to 9.
    """
    with path.open("rb") as file:
        found = re.search(rb"(?m)^\s*NDims\s*=(.*)$", file.read(_HEADER_BYTES))
    value = found[1].decode("utf-8", "replace").strip() if found else ""
    if found and re.fullmatch("[1-9]", value) is None:
        raise ValueError(
            f"{path} claims to have {value[:40]!r} dimensions, so it is damaged; copy or convert it again."
        )


def check_nrrd_header(path: Path) -> None:
    """Refuse a header that would crash ITK's reader.

    Raises
    ------
    ValueError
        If the value of a field, or a line that is none, is longer than `_LONGEST_FIELD`.
    """
    for line in _header(path).splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            value = line
        is_free = value.startswith("=") or line.startswith("#")  # ":=" is a key with any text, "#" a comment
        if not is_free and len(value) > _LONGEST_FIELD and name.lower() != _FREE_TEXT:
            raise ValueError(
                f"{path} has a header field of {len(value)} characters ({name[:40]}), so it is damaged; copy or "
                "convert it again."
            )


def nrrd_unit_mm(path: Path) -> float:
    """Return the millimetres per unit of an NRRD file's positions; 1 if the file does not state a unit.

    Raises
    ------
    ValueError
        If the unit is unknown, or the axes have different units.
    """
    line = re.search(r"(?mi)^space units:(.*)$", _header(path))
    units = {unit.strip().lower() for unit in re.findall(r'"([^"]*)"', line[1])} if line else set()
    units -= {""}
    if not units:
        return 1.0
    if len(units) > 1 or not units <= _MM.keys():
        raise ValueError(
            f"{path} gives its positions in {' and '.join(sorted(units))}, but only one known unit of length, such as "
            "mm or um, can be read; convert its header to mm."
        )
    return _MM[units.pop()]


def _header(path: Path) -> str:
    """Return the text before the first empty line."""
    with path.open("rb") as file:
        return re.split(rb"\r?\n\r?\n", file.read(_HEADER_BYTES))[0].decode("utf-8", "replace")
