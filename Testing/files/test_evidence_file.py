"""Damaged evidence."""

import io
import zipfile

import numpy as np
import pytest

from SpinalTapLib.files.evidence_file import read_scores


def with_header(header: bytes) -> bytes:
    """Return an archive with one array, whose header is replaced by another text of the same length."""
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    content = array.getvalue()
    content = content[:10] + header.ljust(118)[:117] + b"\n" + content[128:]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("centroid.npy", content)
    return out.getvalue()


def encrypted() -> bytes:
    """Return an archive that says of its array that it is encrypted."""
    content = bytearray(with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content", [b"", b"no archive", with_header(b"{'descr': '<f8', 'shape': (3,"), encrypted()],
    ids=["empty", "text", "torn header", "encrypted"],
)  # fmt: skip
def test_damaged_evidence_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "evidence.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"evidence.npz is damaged; segment the scan again\.$"):
        read_scores(path)
