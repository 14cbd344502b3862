"""Check NIfTI headers, and repair what ITK refuses, changes or ignores silently.

This covers NIfTI-2, rounded axes, a qform and an sform that differ, and NaN. Header offsets are those of nifti1.h and
nifti2.h (https://nifti.nimh.nih.gov/pub/dist/src/).
"""

from __future__ import annotations

import gzip
import shutil
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
_HEADER_BYTES, _HEADER_2_BYTES = 348, 540
_MAGIC, _MAGIC_2 = (b"n+1", b"ni1"), (b"n+2", b"ni2")
_LABEL_INTENT = 1002
"""NIFTI_INTENT_LABEL: the values are labels of structures."""
ROUNDED_TOLERANCE = 0.035
"""Largest cosine between two axes of an sform (2 degrees off perpendicular) that is attributed to rounding."""
ROUNDED_DEGREES = 0.5
"""Rotation to the nearest perpendicular axes above which a warning is given."""
SAME_POSITION_MM = 1.0
"""Largest distance between a corner of the volume by qform and by sform at which the two count as equal."""
_FLOATS = {16: "f4", 64: "f8"}
"""Data types that can hold NaN or infinity, by their NIfTI code."""


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI header that matter here, as stored in the file.

    Attributes
    ----------
    path : Path
        The file that was requested.
    voxel_file : Path
        The file that holds the voxels: the same file, or the ``.img`` file of a pair.
    order : str
        Byte order, ``"<"`` or ``">"``.
    magic : bytes
        ``n+1`` or ``n+2`` for one file, ``ni1`` or ``ni2`` for a pair; empty for Analyze 7.5.
    intent : int
        Intent code: the meaning of the values.
    type_code, bits : int
        Data type of a voxel, and its size in bits.
    sizes : tuple of int
        Number of dimensions, then seven sizes.
    pixel_sizes : tuple of float
        Distance between voxels along the first three axes, in the file's unit.
    offset : float
        Position of the first voxel in `voxel_file`, bytes.
    codes : tuple of int
        Codes of the qform and of the sform; 0 for none.
    sform : ndarray, shape (3, 4)
        Voxel index (i, j, k, 1) to RAS.
    quaternion, shift : tuple of float
        b, c, d of the qform's rotation, and the position of the first voxel, RAS.
    handedness : float
        ``pixdim[0]``: negative if the qform's third axis is mirrored.
    scale : tuple of float
        Slope and intercept from stored to real values.
    units : int
        Code of the units of space and time.
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
    intent: int
    quaternion: tuple[float, float, float]
    shift: tuple[float, float, float]
    handedness: float
    scale: tuple[float, float]
    units: int

    @property
    def is_second(self) -> bool:
        """Whether the file is NIfTI-2, which ITK does not support."""
        return self.magic in _MAGIC_2

    @property
    def is_label_map(self) -> bool:
        """Whether the file declares its values to be labels of structures."""
        return self.intent == _LABEL_INTENT

    @property
    def qform(self) -> np.ndarray:
        """The qform's matrix from voxel index (i, j, k, 1) to RAS, shape (3, 4)."""
        b, c, d = self.quaternion
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        steps = turn * np.array(self.pixel_sizes) * [1, 1, -1 if self.handedness < 0 else 1]
        return np.column_stack([steps, self.shift])


def stored_bytes(path: Path) -> int:
    """Return the size of a file, bytes, after decompression if it is gzipped.

    Raises
    ------
    ValueError
        If the gzip stream is cut short or damaged (ITK would fill the missing part with zeros).
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


def is_nifti(path: Path) -> bool:
    """Return whether a file is NIfTI, gzipped or not, judging by its header and not by its name."""
    start = _start(path)
    return start[344:347] in _MAGIC or start[4:7] in _MAGIC_2


def read_header(path: Path) -> NiftiHeader:
    """Read the header of a NIfTI-1 or NIfTI-2 file: ``.nii``, or either file of a pair; gzipped or not.

    Raises
    ------
    ValueError
        If the header is cut short.
    """
    content = _start(_partner(path, ".img", ".hdr"))
    second = content[4:7] in _MAGIC_2
    length = _HEADER_2_BYTES if second else _HEADER_BYTES
    order = next((order for order in "<>" if struct.pack(f"{order}i", length) == content[:4]), "")
    if len(content) < length or not order:
        raise ValueError(f"{path} has no complete NIfTI header; copy or download it again.")

    def field(first: tuple[str, int], other: tuple[str, int]) -> tuple:
        kind, offset = other if second else first
        return struct.unpack_from(order + kind, content, offset)

    magic = content[4:7] if second else content[344:347]
    # Like nifti_io, never take voxels from inside the header, whatever the offset says.
    offset = field(("f", 108), ("q", 168))[0]
    handedness, *pixel_sizes = field(("4f", 76), ("4d", 104))
    return NiftiHeader(
        path=path,
        voxel_file=_partner(path, ".hdr", ".img"),
        order=order,
        magic=magic if magic in (*_MAGIC, *_MAGIC_2) else b"",
        type_code=field(("h", 70), ("h", 12))[0],
        bits=field(("h", 72), ("h", 14))[0],
        sizes=field(("8h", 40), ("8q", 16)),
        pixel_sizes=tuple(pixel_sizes),  # type: ignore[arg-type]
        offset=max(offset, length) if magic in (b"n+1", b"n+2") and offset >= 0 else offset,
        codes=field(("2h", 252), ("2i", 344)),  # type: ignore[arg-type]
        sform=np.reshape(field(("12f", 280), ("12d", 400)), (3, 4)),
        intent=field(("h", 68), ("i", 504))[0],
        quaternion=field(("3f", 256), ("3d", 352)),  # type: ignore[arg-type]
        shift=field(("3f", 268), ("3d", 376)),  # type: ignore[arg-type]
        handedness=handedness,
        scale=field(("2f", 112), ("2d", 176)),  # type: ignore[arg-type]
        units=field(("b", 123), ("i", 500))[0],
    )


def check_header(header: NiftiHeader, total_bytes: int) -> list[str]:
    """Check a header, and check that the file is as long as the header says.

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
        If the file is Analyze 7.5, is shorter than the header says, or has invalid spacings or axes.
    """
    path = header.path
    if not header.magic:
        raise ValueError(f"{path} is an Analyze 7.5 file, which does not say which side is left; convert it to NIfTI.")
    dimensions = min(max(header.sizes[0], 1), 7)
    promised = header.bits // 8
    for extent in header.sizes[1 : 1 + dimensions]:  # Python integers do not overflow
        promised *= max(extent, 1)
    if not 0 <= header.offset <= total_bytes or int(header.offset) + promised > total_bytes:
        raise ValueError(
            f"{path} is cut short: its header promises {promised} bytes of voxels, but the file holds {total_bytes} "
            "bytes in all; copy or download it again."
        )
    if not all(np.isfinite(size) and size > 0 for size in header.pixel_sizes[:dimensions]):
        numbers = " x ".join(f"{size:g}" for size in header.pixel_sizes[:dimensions])
        raise ValueError(
            f"{path} has a voxel spacing of {numbers} mm, but every spacing must be above zero; repair its header."
        )
    return _check_axes(header)


def _check_axes(header: NiftiHeader) -> list[str]:
    qform, sform = (code > 0 for code in header.codes)
    if not (qform or sform):
        return [NO_ORIENTATION]
    if not sform:
        return []
    axes, lengths = _sform_axes(header)
    cosine = np.abs(axes.T @ axes - np.eye(3)).max() if np.isfinite(header.sform).all() else np.inf
    if cosine > ROUNDED_TOLERANCE and not qform:
        raise ValueError(
            f"{header.path} has a direction matrix that is not orthonormal (its sform is sheared, singular or not a "
            "number); resample it onto a grid with perpendicular axes first."
        )
    if qform:
        _check_sides(header)
    if cosine > ORTHONORMAL_TOLERANCE and qform:
        return ["The file's sform is sheared or singular; its qform was used instead."]
    warnings = []
    if not np.allclose(lengths, header.pixel_sizes, rtol=ORTHONORMAL_TOLERANCE, atol=0):
        warnings.append(
            "The file's sform scales the voxels differently from its pixdim; the spacing was taken from pixdim."
        )
    if not qform:
        turn = float(np.degrees(np.arccos(np.clip((axes * nearest_axes(axes)).sum(0), -1, 1))).max())
        if turn > ROUNDED_DEGREES:
            warnings.append(
                f"The file's axes are up to {turn:.1f} degrees off right angles; the nearest perpendicular axes were "
                "used, so positions may be off towards the edges of the image."
            )
    else:
        warnings += _compare_positions(header)
    return warnings


def _sform_axes(header: NiftiHeader) -> tuple[np.ndarray, np.ndarray]:
    """Return the sform's unit axes as columns, RAS, and their lengths, mm."""
    steps = header.sform[:, :3].astype(float)  # float64, in which the square of any float32 is finite
    lengths = np.linalg.norm(steps, axis=0)
    return steps / np.where(np.isfinite(lengths) & (lengths > 0), lengths, 1), lengths


def _sform_with_pixdim(header: NiftiHeader) -> np.ndarray:
    """Return the sform with the spacing of pixdim, which readers prefer, as a matrix like `NiftiHeader.sform`."""
    return np.column_stack([_sform_axes(header)[0] * header.pixel_sizes, header.sform[:, 3]])


def nearest_axes(axes: np.ndarray) -> np.ndarray:
    """Return the perpendicular unit axes nearest to `axes`, as columns, shape (3, 3) (polar decomposition)."""
    u, _, v = np.linalg.svd(axes)
    return u @ v


def _check_sides(header: NiftiHeader) -> None:
    """Raise ValueError if qform or sform mirrors the other."""
    forms = header.qform[:, :3], header.sform[:, :3].astype(float)
    if all(np.isfinite(form).all() for form in forms) and np.prod(list(map(np.linalg.det, forms))) < 0:
        raise ValueError(
            f"{header.path} gives two positions of which one mirrors the other (its qform and its sform), so left and "
            "right cannot be told apart; repair its header."
        )


def _compare_positions(header: NiftiHeader) -> list[str]:
    """Return a warning if qform and sform differ by more than the scale, which has a warning of its own."""
    qform = header.qform
    if not np.isfinite(qform).all():
        return []
    sform = _sform_with_pixdim(header)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.maximum(header.sizes[1:4], 1) - np.ones(3))
    apart = np.linalg.norm(corners @ (qform - sform)[:, :3].T + (qform - sform)[:, 3], axis=1).max()
    if apart <= SAME_POSITION_MM:
        return []
    cosine = (np.trace(qform[:, :3].T @ sform[:, :3] / np.square(header.pixel_sizes)) - 1) / 2
    turn = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return [
        f"The file gives two positions, qform and sform, that differ by {turn:.0f} degrees and by up to {apart:.0f} "
        f"mm; {{taken}} was used, as 3D Slicer does, and programs that use the other one show the result elsewhere."
    ]


def position_taken(header: NiftiHeader, last: np.ndarray) -> str:
    """Return which of qform and sform a reader used, from the position of the last voxel, shape (3,), LPS, mm."""
    index = np.append(np.maximum(header.sizes[1:4], 1) - np.ones(3), 1)
    forms = header.qform, _sform_with_pixdim(header)
    apart = [np.linalg.norm(form @ index - np.asarray(last) * [-1, -1, 1]) for form in forms]
    return "the qform" if apart[0] < apart[1] else "the sform"


def readable_copy(header: NiftiHeader, folder: Path) -> Path | None:
    """Write a plain NIfTI-1 copy of a file that ITK cannot read; return its path, or None if no copy is needed.

    A copy is needed if the file is NIfTI-2, if it is gzipped but its name does not say so, or the reverse, or if it has
    only an sform whose axes are not exactly perpendicular; these are replaced by the nearest perpendicular axes.
    """
    axes, _ = _sform_axes(header)
    rounded = header.codes[0] <= 0 < header.codes[1] and np.abs(axes.T @ axes - np.eye(3)).max() > 1e-6
    zipped = _is_zipped(header.voxel_file) != header.voxel_file.name.lower().endswith(".gz")
    if not (header.is_second or rounded or zipped):
        return None
    if max(header.sizes) > np.iinfo(np.int16).max:
        raise ValueError(
            f"{header.path} is too large along one axis ({max(header.sizes)} voxels) for a spine scan; crop it, or "
            "check its header."
        )
    copy = folder / "copy.nii"
    with copy.open("wb") as file, _opened(header.voxel_file) as voxels:
        file.write(_plain_header(header, nearest_axes(axes) * header.pixel_sizes if rounded else header.sform[:, :3]))
        voxels.read(int(header.offset))
        shutil.copyfileobj(voxels, file, _CHUNK_BYTES)
    return copy


def _plain_header(header: NiftiHeader, steps: np.ndarray) -> bytes:
    """Return the bytes of a NIfTI-1 header whose sform has the columns `steps`, shape (3, 3), RAS."""
    content = bytearray(_HEADER_BYTES + 4)
    sform = np.column_stack([steps, header.sform[:, 3]]).ravel()
    for offset, kind, values in (
        (0, "i", (_HEADER_BYTES,)),
        (40, "8h", header.sizes),
        (68, "3h", (header.intent, header.type_code, header.bits)),
        (76, "8f", (header.handedness, *header.pixel_sizes, 1, 1, 1, 1)),
        (108, "3f", (len(content), *header.scale)),
        (123, "b", (header.units,)),
        (252, "2h", header.codes),
        (256, "6f", (*header.quaternion, *header.shift)),
        (280, "12f", sform),
        (344, "4s", (b"n+1\0",)),
    ):
        struct.pack_into(header.order + kind, content, offset, *values)
    return bytes(content)


def numberless_voxels(header: NiftiHeader) -> np.ndarray:
    """Find the voxels that are NaN or infinite, which nifti_io replaces by zero.

    Parameters
    ----------
    header : NiftiHeader
        A header accepted by `check_header`.

    Returns
    -------
    ndarray, bool, shape (k, j, i)
        True where the value is NaN or infinite; of size 0 if the data type cannot hold such values.
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
    """Return the file with ending `want` that forms a pair with `path`, which ends in `have`, or the path itself."""
    for tail in (have, have + ".gz"):
        if path.name.lower().endswith(tail):
            stem = path.name[: -len(tail)]
            found = [path.with_name(stem + want + end) for end in ("", ".gz")]
            return next((file for file in found if file.is_file()), path)
    return path


def _is_zipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path) if _is_zipped(path) else path.open("rb")  # type: ignore[return-value]


def _start(path: Path) -> bytes:
    try:
        with _opened(path) as file:
            return file.read(_HEADER_2_BYTES)
    except (EOFError, OSError, zlib.error):  # not a whole gzip file
        return b""
