"""Check that the value lengths in a DICOM file are possible.

GDCM, and pydicom inside sequences, allocate as much memory as a length field asks for before they check whether the
file is that long: one wrong bit in a header can ask for 4 GB. The layout of elements follows DICOM PS3.5, chapter 7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MARK_ENDS = 132
_UNDEFINED = 0xFFFFFFFF
_META_GROUP = b"\x02\x00"
_FIRST_GROUP = b"\x08\x00"
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_PIXELS = (0x7FE0, 0x0010)
_ITEM_GROUP = 0xFFFE
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
"""Value representations whose length takes four bytes, after two that are reserved."""
_IMPLICIT, _BIG_ENDIAN, _DEFLATED = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99"
_MOST_ELEMENTS = 5000
"""Most elements that are read; the attributes of one image come long before."""


def has_possible_lengths(path: Path) -> bool:
    """Return whether every value in a DICOM file's header claims at most the length of the whole file.

    The header is read up to the pixel data, or up to the first element that cannot be parsed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(_MARK_ENDS)[128:] != b"DICM":  # left out by some old writers
            file.seek(0)
        if _peek(file, 2) not in (_META_GROUP, _FIRST_GROUP):
            return False
        return all(length <= size for length in _lengths(file))


def _lengths(file: BinaryIO) -> Iterator[int]:
    """Yield the length of each value up to the pixel data, except undefined lengths.

    If the file meta information cannot be parsed, yield one undefined length, which is never possible.
    """
    syntax = b""
    while _peek(file, 2) == _META_GROUP:  # always little-endian, and explicit
        element = _read_element(file, "<", explicit=True)
        if element is None:
            yield _UNDEFINED  # GDCM would misread the rest, and take text for lengths
            return
        tag, _, length = element
        yield length
        value = file.read(length)
        if tag == _TRANSFER_SYNTAX:
            syntax = value.rstrip(b"\0 ")
    if syntax == _DEFLATED:
        return
    order = ">" if syntax == _BIG_ENDIAN else "<"
    explicit = syntax != _IMPLICIT if syntax else _peek(file, 6)[4:].isupper()
    for _ in range(_MOST_ELEMENTS):
        element = _read_element(file, order, explicit)
        if element is None:
            return
        tag, kind, length = element
        if tag == _PIXELS or (kind == b"UN" and length == _UNDEFINED):
            return
        place = file.tell()
        if length != _UNDEFINED:
            yield length
        # Descend into sequences and items; skip all other values.
        inside = tag[0] == _ITEM_GROUP or kind == b"SQ" or length == _UNDEFINED
        file.seek(place if inside else place + length)


def _peek(file: BinaryIO, count: int) -> bytes:
    start = file.read(count)
    file.seek(-len(start), 1)
    return start


def _read_element(file: BinaryIO, order: str, explicit: bool) -> tuple[tuple[int, int], bytes, int] | None:
    """Return tag, value representation (empty if implicit) and length of an element; None if it is not valid."""
    head = file.read(8)
    if len(head) < 8:
        return None
    group, element = struct.unpack_from(f"{order}HH", head)
    if not explicit or group == _ITEM_GROUP:
        return (group, element), b"", struct.unpack_from(f"{order}I", head, 4)[0]
    kind = head[4:6]
    if not (kind.isalpha() and kind.isupper()):
        return None
    if kind not in _LONG:
        return (group, element), kind, struct.unpack_from(f"{order}H", head, 6)[0]
    long = file.read(4)
    return ((group, element), kind, struct.unpack(f"{order}I", long)[0]) if len(long) == 4 else None
