"""Convert exceptions to one plain sentence that says what to do."""

from __future__ import annotations

import errno
import os
import sys
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "it is not writable",
    errno.EPERM: "it is not writable",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "the file would be larger than the file system allows",
}
DAMAGE = (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)
"""What Python and NumPy raise when they are given a value of the wrong kind, shape or size, from a damaged file."""
ARRAY_DAMAGE = (
    *DAMAGE, OSError, EOFError, SyntaxError, TokenError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy raises when it reads a damaged ``.npy`` or ``.npz`` file; a RuntimeError for one that seems encrypted."""

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")

NO_MEMORY = (
    "There is not enough memory for this scan: close other programs, or choose the processor (cpu) as the device, "
    "and run it again."
)


def sentence_for(error: BaseException) -> str:
    """Return one sentence for an exception; for a ValueError of the library, its own message."""
    if is_memory(error):
        return NO_MEMORY
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, ImportError):
        return f"A library that the network needs cannot be loaded ({error}); install it again."
    if isinstance(error, OSError):
        return _file_sentence(error)
    if isinstance(error, ValueError) and str(error):
        return " ".join(str(error).split())
    return f"Something went wrong inside SpinalTap ({type(error).__name__}: {error}); the log has the details."


def reason(error: OSError) -> str:
    """Return the reason why a file could not be read or written, as part of a sentence."""
    return _REASONS.get(error.errno or 0, (error.strerror or str(error)).strip().rstrip(".").lower())


def check_name(path: str | Path) -> None:
    """Raise ValueError if the name of a file or folder is not valid UTF-8, for which ITK would end the process."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fspath(path).encode("utf-8", "replace").decode("utf-8")
        raise ValueError(f"The name {shown} has characters that are not valid UTF-8; rename it.") from None


def is_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, on the processor or on a graphics card."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _MEMORY_WORDS)
    )


def sentence_for_exit(code: int) -> str:
    """Return one sentence for a worker process that ended unexpectedly, from its return code."""
    if code == -9:
        return (
            "The segmentation process was killed (signal 9), most likely because the computer ran out of memory: "
            "close other programs and run it again."
        )
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"The segmentation process ended unexpectedly ({how}); run it again, and see the log if it happens again."


def _missing(error: ModuleNotFoundError) -> str:
    name = (error.name or str(error)).split(".")[0]
    if name == "torch":
        return (
            "PyTorch, which runs the network, is not installed in the Python that SpinalTap uses "
            f"({sys.executable}); install it with the PyTorch extension of 3D Slicer, or with pip."
        )
    return f"The Python package {name} is not installed ({sys.executable}); install it in the panel's Setup section."


def _file_sentence(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and run it again; nothing was left behind."
    why = "permission denied" if isinstance(error, PermissionError) else reason(error)
    return f"The file system refused{where}: {why}."
