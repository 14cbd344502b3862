"""Lengths of DICOM values, in files built byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from SpinalTapLib.scans.dicom_elements import has_possible_lengths


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big-endian", "no mark"])
def test_the_lengths_of_every_encoding_are_followed(tmp_path, syntax):
    order = ">" if syntax == "big-endian" else "<"

    def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
        count = len(value) if length is None else length
        if syntax == "implicit" and group != 2:
            return struct.pack("<HHI", group, number, count) + value
        way = "<" if group == 2 else order
        if kind in (b"SQ", b"OB"):
            return struct.pack(f"{way}HH2s2xI", group, number, kind, count) + value
        return struct.pack(f"{way}HH2sH", group, number, kind, count) + value

    item = struct.pack(f"{order}HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack(f"{order}HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    uid = {"implicit": b"1.2.840.10008.1.2\0", "big-endian": b"1.2.840.10008.1.2.2\0"}.get(
        syntax, b"1.2.840.10008.1.2.1\0"
    )
    meta = b"" if syntax == "no mark" else b"\0" * 128 + b"DICM" + element(2, 0x10, b"UI", uid)

    def file(length: int | None) -> Path:
        inside = item + element(8, 0x1155, b"OB", b"1234", length) + ends
        path = tmp_path / "file"
        path.write_bytes(meta + element(8, 0x60, b"CS", b"MR") + element(8, 0x1140, b"SQ", b"", 0xFFFFFFFF) + inside)
        return path

    assert has_possible_lengths(file(None))
    assert not has_possible_lengths(file(100_000))


def test_a_meta_header_that_makes_no_sense_is_not_possible(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\x12\x006I\4\x001234")
    assert not has_possible_lengths(path)
