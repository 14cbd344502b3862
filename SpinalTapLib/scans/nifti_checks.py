"""What ITK repairs or overlooks without a word in a NIfTI file: sizes, spacings and transforms that can't be, NaN.

Offsets are those of nifti1.h (https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .orientation import ORTHONORMAL_TOLERANCE

NO_ORIENTATION = "The file does not say how the image lies in the body; its first axis was taken to run to the left."
"""Warning about a file without a patient coordinate system, which ITK reads as LPS."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 348
_FLOATS = {16: "f4", 64: "f8"}
"""Data types that can hold what is not a number, by their code."""


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 header that matter here, as they stand in the file.

    Attributes
    ----------
    path : Path
        The file that was asked for.
    voxel_file : Path
        The file that holds the voxels: the same, or the ``.img`` of a pair.
    order : str
        Byte order, ``"<"`` or ``">"``.
    magic : bytes
        ``n+1`` for one file, ``ni1`` for a pair; empty for Analyze 7.5.
    type_code, bits : int
        Data type of a voxel, and its size.
    sizes : tuple of int
        Number of dimensions, then seven sizes.
    pixel_sizes : tuple of float
        Distance between voxels along the first three axes.
    offset : float
        Where the voxels start, bytes.
    codes : tuple of int
        Kind of the qform and of the sform; 0 for none.
    sform : ndarray, shape (3, 4)
        Voxel index to RAS.
    """

    path: Path
    voxel_file: Path
    order: str
    magic: bytes
    type_code: int
    bits: int
    sizes: tuple[int, ...]
    pixel_sizes: tuple[float, float, float]
    offset: float
    codes: tuple[int, int]
    sform: np.ndarray


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


def is_nifti2(path: Path) -> bool:
    """Return whether a file is NIfTI-2, which ITK does not know."""
    return _start(path)[4:7] in (b"n+2", b"ni2")


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a file that ITK takes for NIfTI: ``.nii``, or either file of a pair; gzipped or not.

    Raises
    ------
    ValueError
        If the header is cut short.
    """
    content = _start(_partner(path, ".img", ".hdr"))
    order = next((order for order in "<>" if struct.pack(f"{order}i", _HEADER_BYTES) == content[:4]), "")
    if len(content) < _HEADER_BYTES or not order:
        raise ValueError(f"{path} has no complete NIfTI header; copy or download it again.")

    def field(kind: str, offset: int) -> tuple:
        return struct.unpack_from(order + kind, content, offset)

    magic = content[344:347]
    # nifti_io never takes voxels from inside the header, whatever the offset says.
    offset = field("f", 108)[0]
    return NiftiHeader(
        path=path,
        voxel_file=_partner(path, ".hdr", ".img"),
        order=order,
        magic=magic if magic in (b"n+1", b"ni1") else b"",
        type_code=field("h", 70)[0],
        bits=field("h", 72)[0],
        sizes=field("8h", 40),
        pixel_sizes=field("3f", 80),
        offset=max(offset, _HEADER_BYTES) if magic == b"n+1" and offset >= 0 else offset,
        codes=field("2h", 252),
        sform=np.reshape(field("12f", 280), (3, 4)),
    )


def check_header(header: NiftiHeader, total_bytes: int) -> list[str]:
    """Check a header, and that the file is as long as the header says.

    Parameters
    ----------
    header : NiftiHeader
        From `read_header`.
    total_bytes : int
        `stored_bytes` of its `voxel_file`.

    Returns
    -------
    list of str
        Warnings for the user.

    Raises
    ------
    ValueError
        If the file is Analyze 7.5, is shorter than promised, or has spacings or axes that can't be.
    """
    path = header.path
    if not header.magic:
        raise ValueError(f"{path} is an Analyze 7.5 file, which does not say which side is left; convert it to NIfTI.")
    dimensions = min(max(header.sizes[0], 1), 7)
    promised = header.bits // 8
    for extent in header.sizes[1 : 1 + dimensions]:  # in Python's own integers, which don't overflow
        promised *= max(extent, 1)
    if not 0 <= header.offset <= total_bytes or int(header.offset) + promised > total_bytes:
        raise ValueError(
            f"{path} is cut short: its header promises {promised} bytes of voxels, and the file holds {total_bytes} "
            "bytes in all; copy or download it again."
        )
    if not all(np.isfinite(size) and size > 0 for size in header.pixel_sizes[:dimensions]):
        numbers = " x ".join(f"{size:g}" for size in header.pixel_sizes[:dimensions])
        raise ValueError(
            f"{path} has a voxel spacing of {numbers} mm, and every spacing must be above zero; repair its header."
        )
    return _check_axes(header)


def _check_axes(header: NiftiHeader) -> list[str]:
    qform, sform = (code > 0 for code in header.codes)
    if not (qform or sform):
        return [NO_ORIENTATION]
    if not sform:
        return []
    steps = header.sform[:, :3].astype(float)  # wide enough for the square of any number in the file
    lengths = np.linalg.norm(steps, axis=0)
    axes = steps / np.where(np.isfinite(lengths) & (lengths > 0), lengths, 1)
    sound = np.isfinite(header.sform).all() and np.abs(axes.T @ axes - np.eye(3)).max() <= ORTHONORMAL_TOLERANCE
    if not sound and not qform:
        raise ValueError(
            f"{header.path} has a direction matrix that is not orthonormal (its sform is sheared, singular or not a "
            "number); resample it onto a grid with perpendicular axes first."
        )
    if not sound:
        return ["The file's sform is sheared or singular; its qform was used instead."]
    if not np.allclose(lengths, header.pixel_sizes, rtol=ORTHONORMAL_TOLERANCE, atol=0):
        return ["The file's sform scales the voxels differently from its pixdim; the spacing was taken from pixdim."]
    return []


def numberless_voxels(header: NiftiHeader) -> np.ndarray:
    """Find the voxels that are NaN or infinite, for which nifti_io puts zero.

    Parameters
    ----------
    header : NiftiHeader
        A header that `check_header` has let pass.

    Returns
    -------
    ndarray, bool, shape (k, j, i)
        True where there is no number; of size 0 if the data type can't hold such.
    """
    if header.type_code not in _FLOATS:
        return np.zeros(0, bool)
    kind = np.dtype(header.order + _FLOATS[header.type_code])
    sizes = header.sizes[1:4]
    mask = np.zeros(sizes[0] * sizes[1] * sizes[2], bool)
    with _opened(header.voxel_file) as file:
        file.read(int(header.offset))
        for start in range(0, len(mask), _CHUNK_BYTES):
            values = np.frombuffer(file.read(len(mask[start : start + _CHUNK_BYTES]) * kind.itemsize), kind)
            mask[start : start + len(values)] = ~np.isfinite(values)
    return mask.reshape(sizes[::-1])


def _partner(path: Path, have: str, want: str) -> Path:
    """Return the other file of a ``.hdr`` and ``.img`` pair, or the path itself."""
    for tail in (have, have + ".gz"):
        if path.name.lower().endswith(tail):
            stem = path.name[: -len(tail)]
            found = [path.with_name(stem + want + end) for end in ("", ".gz")]
            return next((file for file in found if file.is_file()), path)
    return path


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
    return gzip.open(path) if zipped else path.open("rb")  # type: ignore[return-value]


def _start(path: Path) -> bytes:
    try:
        with _opened(path) as file:
            return file.read(_HEADER_BYTES)
    except (EOFError, OSError, zlib.error):  # not a whole gzip file
        return b""
