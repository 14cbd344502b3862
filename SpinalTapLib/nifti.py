"""What ITK repairs or overlooks without a word in a NIfTI file: sizes, spacings and transforms that can't be.

Offsets are those of nifti1.h and nifti2.h (https://nifti.nimh.nih.gov).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .grid import ORTHONORMAL_TOLERANCE

NO_ORIENTATION = "The file does not say how the image lies in the body; its first axis was taken to run to the left."
"""Warning about a file without a patient coordinate system, which ITK reads as LPS."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 540


@dataclass(frozen=True)
class _Layout:
    """Where the fields of one version of the header lie: `struct` formats and byte offsets."""

    header_bytes: int
    magic: int
    bits: int
    sizes: tuple[str, int]
    pixel_sizes: tuple[str, int]
    data_offset: tuple[str, int]
    codes: tuple[str, int]
    rows: tuple[str, int]


_VERSIONS = (
    _Layout(348, 344, 72, ("8h", 40), ("8f", 76), ("f", 108), ("2h", 252), ("12f", 280)),
    _Layout(540, 4, 14, ("8q", 16), ("8d", 104), ("q", 168), ("2i", 344), ("12d", 400)),
)


def stored_bytes(path: Path) -> int:
    """Return how many bytes a file holds, once decompressed if it is gzipped.

    Raises
    ------
    ValueError
        If the gzip stream is cut short or damaged. (ITK fills what is missing with zeros.)
    """
    with path.open("rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            return path.stat().st_size
        file.seek(0)
        total, stream = 0, zlib.decompressobj(wbits=31)
        try:
            while chunk := stream.unused_data or file.read(_CHUNK_BYTES):
                if stream.eof:
                    if not chunk.startswith(_GZIP_MAGIC):  # padding after the end
                        return total
                    stream = zlib.decompressobj(wbits=31)
                total += len(stream.decompress(chunk))
        except zlib.error as error:
            raise ValueError(f"{path} is a damaged gzip file; copy or download it again.") from error
    if not stream.eof:
        raise ValueError(f"{path} is cut short: its gzip data end too early; copy or download it again.")
    return total


def check_nifti(path: Path, total_bytes: int) -> list[str]:
    """Check a NIfTI file's header, and that the file is as long as the header says.

    Parameters
    ----------
    path : Path
        A file that ITK takes for NIfTI: ``.nii``, ``.nii.gz`` or the ``.hdr`` or ``.img`` of a pair.
    total_bytes : int
        `stored_bytes` of the file that holds the voxels.

    Returns
    -------
    list of str
        Warnings for the user.

    Raises
    ------
    ValueError
        If the file is Analyze 7.5, is shorter than promised, or has spacings or axes that can't be.
    """
    header = _read_header(path)
    for layout in _VERSIONS:
        for order in "<>":
            if len(header) >= layout.header_bytes and struct.unpack_from(f"{order}i", header)[0] == layout.header_bytes:
                return _check_header(path, header, layout, order, total_bytes)
    raise ValueError(f"{path} has no complete NIfTI header; copy or download it again.")


def voxel_file(path: Path) -> Path:
    """Return the file that holds the voxels: `path`, or the ``.img`` that goes with a ``.hdr``."""
    return _partner(path, ".hdr", ".img")


def _partner(path: Path, have: str, want: str) -> Path:
    for tail in (have, have + ".gz"):
        if path.name.lower().endswith(tail):
            stem = path.name[: -len(tail)]
            found = [path.with_name(stem + want + end) for end in ("", ".gz")]
            return next((file for file in found if file.is_file()), path)
    return path


def _read_header(path: Path) -> bytes:
    with _partner(path, ".img", ".hdr").open("rb") as file:
        start = file.read(_HEADER_BYTES)
        if not start.startswith(_GZIP_MAGIC):
            return start
        file.seek(0)
        with gzip.open(file) as unzipped:
            return unzipped.read(_HEADER_BYTES)


def _check_header(path: Path, header: bytes, layout: _Layout, order: str, total_bytes: int) -> list[str]:
    def numbers(field: tuple[str, int]) -> tuple:
        return struct.unpack_from(order + field[0], header, field[1])

    magic = header[layout.magic : layout.magic + 3]
    if magic not in (b"n+1", b"ni1", b"n+2", b"ni2"):
        raise ValueError(f"{path} is an Analyze 7.5 file, which does not say which side is left; convert it to NIfTI.")
    sizes = numbers(layout.sizes)
    count = min(max(int(sizes[0]), 1), 7)
    bits = struct.unpack_from(f"{order}h", header, layout.bits)[0]
    # In Python's own integers: the product of a damaged header's sizes would overflow.
    promised = bits // 8
    for extent in sizes[1 : 1 + count]:
        promised *= max(int(extent), 1)
    offset = float(numbers(layout.data_offset)[0])
    if not 0 <= offset <= total_bytes or int(offset) + promised > total_bytes:
        raise ValueError(
            f"{path} is cut short: its header promises {promised} bytes of voxels, and the file holds {total_bytes} "
            "bytes in all; copy or download it again."
        )
    pixel_sizes = numbers(layout.pixel_sizes)[1:4]
    _check_spacing(path, pixel_sizes[:count])
    return _check_axes(path, numbers(layout.codes), np.reshape(numbers(layout.rows), (3, 4)), pixel_sizes)


def _check_spacing(path: Path, pixel_sizes: tuple[float, ...]) -> None:
    if not all(np.isfinite(size) and size > 0 for size in pixel_sizes):
        numbers = " x ".join(f"{size:g}" for size in pixel_sizes)
        raise ValueError(
            f"{path} has a voxel spacing of {numbers} mm, and every spacing must be above zero; repair its header."
        )


def _check_axes(path: Path, codes: tuple[int, int], rows: np.ndarray, pixel_sizes: tuple[float, ...]) -> list[str]:
    qform, sform = (code > 0 for code in codes)
    if not (qform or sform):
        return [NO_ORIENTATION]
    if not sform:
        return []
    lengths = np.linalg.norm(rows[:, :3], axis=0)
    axes = rows[:, :3] / np.where(lengths > 0, lengths, 1)
    sound = np.isfinite(rows).all() and np.abs(axes.T @ axes - np.eye(3)).max() <= ORTHONORMAL_TOLERANCE
    if not sound and not qform:
        raise ValueError(
            f"{path} has a direction matrix that is not orthonormal (its sform is sheared, singular or not a number); "
            "resample it onto a grid with perpendicular axes first."
        )
    if not sound:
        return ["The file's sform is sheared or singular; its qform was used instead."]
    if np.abs(lengths / np.asarray(pixel_sizes) - 1).max() > ORTHONORMAL_TOLERANCE:
        return ["The file's sform scales the voxels differently from its pixdim; the spacing was taken from pixdim."]
    return []
