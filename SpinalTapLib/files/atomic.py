"""Write a file or a result folder completely, or leave no trace of it."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ..errors import check_name, reason

_log = logging.getLogger(__name__)

_MARK = ".spinaltap-"
_TRIES = 20  # two runs in one new parent folder may each remove it while the other uses it
_MAX_AGE_S = 24 * 3600.0  # no run takes a day: an older staging folder belongs to a run that was killed


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary name, so that no reader sees a partial file.

    Raises
    ------
    ValueError
        If the file can't be written; no partial file remains, and an older file of that name is unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}{_MARK}{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise ValueError(f"Could not write {path}: {reason(error)}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def staged_folder(target: str | Path, outdated: Collection[str] = ()) -> Iterator[Path]:
    """Yield a hidden, empty folder whose files move to `target` if the block succeeds.

    Parameters
    ----------
    target : path
        The folder to fill; made if it does not exist, its parents too. Files in it that the block does not
        write again stay untouched, save those in `outdated`.
    outdated : collection of str
        Relative paths (``"surfaces/L6.stl"``) of an earlier result's files, removed when the new ones move in.

    Yields
    ------
    Path
        The staging folder, on the same file system as `target`.

    Raises
    ------
    ValueError
        If the folder can't be made or written, or the disk is full. As after any other exception, `target` is
        then unchanged.
    """
    target = Path(target).expanduser().resolve()
    made: list[Path] = []
    stage: Path | None = None
    try:
        try:
            _remove_stale(target)
            stage = _make_stage(target, made)
            yield stage
            _move_in(stage, target, outdated)
        except OSError as error:
            raise ValueError(f"Could not write the output folder {target}: {reason(error)}.") from error
        except ValueError as error:
            raise ValueError(str(error).replace(str(stage), str(target))) from error  # the user knows only the target
    except BaseException:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        _remove_empty(reversed(made))
        raise
    shutil.rmtree(stage, ignore_errors=True)


def check_writable(target: str | Path) -> None:
    """Raise ValueError now, before minutes of work, if a result could not be written to the folder `target`."""
    check_name(target)
    target = Path(target).expanduser().resolve()
    made: list[Path] = []
    try:
        _make_stage(target, made).rmdir()
    except OSError as error:
        raise ValueError(f"Could not write the output folder {target}: {reason(error)}.") from error
    finally:
        _remove_empty(reversed(made))  # another run may have begun to use them


def remove_leftovers(target: str | Path) -> None:
    """Remove the hidden folders in which processes that were killed have prepared a result for the folder `target`."""
    target = Path(target).expanduser().resolve()
    if target.parent.is_dir():
        _remove_stale(target)


def _make_parents(target: Path) -> list[Path]:
    """Make the folders above `target`; return those that were missing, outermost first."""
    blocked = next((p for p in (target, *target.parents) if p.exists() and not p.is_dir()), None)
    if blocked is not None:
        raise ValueError(f"Could not write the output folder {target}: {blocked} is a file, not a folder.")
    missing = [parent for parent in reversed(target.parents) if not parent.exists()]
    made: list[Path] = []
    try:
        for folder in missing:
            with contextlib.suppress(FileExistsError):  # another run was faster
                folder.mkdir()
                made.append(folder)
    except OSError:
        _remove_empty(reversed(made))
        raise
    return made


def _stage_parents(target: Path) -> tuple[Path, ...]:
    """Return the possible parents of a staging folder: the target's parent, if not on another disk, and the target."""
    if target.exists() and target.stat().st_dev != target.parent.stat().st_dev:
        return (target,)
    return (target.parent, target) if target.exists() else (target.parent,)


def _make_stage(target: Path, made: list[Path]) -> Path:
    """Make a staging folder; add the folders above `target` that were made for it to `made`."""
    for _ in range(_TRIES):
        made += _make_parents(target)
        try:
            return _new_stage(target)
        except FileNotFoundError:  # another run has just removed a parent that it had made
            continue
    return _new_stage(target)


def _new_stage(target: Path) -> Path:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "not writable")
    name = f".{target.name}{_MARK}{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    failure: OSError | None = None
    for home in _stage_parents(target):
        try:
            (home / name).mkdir()
            return home / name
        except OSError as error:
            failure = error
    raise failure or OSError("no place for temporary files")


def _remove_stale(target: Path) -> None:
    """Remove staging folders left by killed runs with the same target."""
    for home in _stage_parents(target):
        if not home.is_dir():
            continue
        for folder in home.glob(f".{_escaped(target.name)}{_MARK}*"):
            if folder.is_dir() and _is_stale(folder):
                _log.info("Removing %s, left by an earlier run that was interrupted.", folder)
                shutil.rmtree(folder, ignore_errors=True)


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _is_stale(folder: Path) -> bool:
    try:
        if time.time() - folder.stat().st_mtime > _MAX_AGE_S:
            return True
    except FileNotFoundError:  # its own run has just cleaned up
        return False
    found = re.search(re.escape(_MARK) + r"(.*)-(\d+)-[0-9a-f]{8}$", folder.name)
    # Windows has no safe way to ask whether a process runs (signal 0 would end it), so only the age counts there.
    if found is None or found.group(1) != platform.node() or os.name == "nt":
        return False
    try:
        os.kill(int(found.group(2)), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


def _move_in(stage: Path, target: Path, outdated: Collection[str]) -> None:
    """Move every file of `stage` to `target`; on failure, restore the original state."""
    new = sorted(str(p.relative_to(stage)) for p in stage.rglob("*") if p.is_file())
    if not target.exists():
        stage.rename(target)
        return
    attic = stage / ".replaced"
    moves: list[tuple[Path, Path]] = []
    made: list[Path] = []
    try:
        for name in sorted({*new, *outdated}):
            if (target / name).is_file():
                _move(target / name, attic / name, moves, made)
        for name in new:
            _move(stage / name, target / name, moves, made)
    except BaseException:
        for source, place in reversed(moves):
            place.rename(source)
        _remove_empty(reversed(made))
        raise
    _remove_empty({(target / name).parent for name in outdated} - {target})


def _move(source: Path, place: Path, moves: list[tuple[Path, Path]], made: list[Path]) -> None:
    """Rename `source` to `place`, recording the move and the folders created for it."""
    for folder in reversed([p for p in place.parents if not p.exists()]):
        folder.mkdir()
        made.append(folder)
    source.rename(place)
    moves.append((source, place))


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove the folders that are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
