"""Write a file or a result folder completely, or leave no trace of it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import platform
import re
import shutil
import sys
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import check_name, reason

_log = logging.getLogger(__name__)

_MARK = ".spinaltap-"
_TRIES = 20  # two runs in one new parent folder may each remove it while the other uses it
_MAX_AGE_S = 24 * 3600.0  # no run takes a day: an older staging folder belongs to a run that was killed
_MOST_OTHERS = 1000  # with more files of the user's in the folder, linking them takes longer than moving the new ones


def write_whole(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary name, so that no reader sees a partial file.

    Raises
    ------
    ValueError
        If the file cannot be written; no partial file remains, and an older file of that name is unchanged.
    """
    with whole_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the name `path` if the block succeeds, so that no reader sees a partial file.

    Raises
    ------
    ValueError
        As `write_whole`. As after any other exception, no partial file remains, and an older file is unchanged.
    """
    path = Path(path)
    temporary = path.parent / _hidden_name(path)
    try:
        _remove_stale(path, [path.parent])
        with temporary.open("wb") as file:
            yield file
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
        If the folder cannot be made or written, or the disk is full. As after any other exception, `target` is
        then unchanged.
    """
    target = Path(target).expanduser().resolve()
    made: list[Path] = []
    stage: Path | None = None
    try:
        try:
            _remove_stale(target, _stage_parents(target))
            stage = _make_stage(target, made)
            yield stage
            _move_in(stage, target, outdated)
        except OSError as error:
            raise ValueError(f"Could not write the output folder {target}: {reason(error)}.") from error
        except ValueError as error:
            raise ValueError(str(error).replace(str(stage), str(target))) from error  # the user knows only the target
    except BaseException:
        if stage is not None:
            _discard(stage)
        _remove_empty(reversed(made))
        raise
    _discard(stage)


def check_writable(target: str | Path) -> None:
    """Raise ValueError now, before minutes of work, if a result could not be written to the folder `target`."""
    check_name(target)
    target = Path(target).expanduser().resolve()
    made: list[Path] = []
    stage: Path | None = None
    try:
        _remove_stale(target, _stage_parents(target))
        stage = _make_stage(target, made)
        stage.rmdir()
    except OSError as error:
        raise ValueError(f"Could not write the output folder {target}: {reason(error)}.") from error
    finally:
        if stage is not None:
            _discard(stage)
        _remove_empty(reversed(made))  # another run may have begun to use them


def remove_leftovers(target: str | Path) -> None:
    """Remove the hidden folders in which processes that were killed have prepared a result for the folder `target`."""
    target = Path(target).expanduser().resolve()
    _remove_stale(target, _stage_parents(target))


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
    name = _hidden_name(target)
    failure: OSError | None = None
    for home in _stage_parents(target):
        try:
            (home / name).mkdir()
            return home / name
        except OSError as error:
            failure = error
    raise failure or OSError("no place for temporary files")


def _discard(folder: Path) -> None:
    """Remove a hidden folder of this run as far as possible.

    It is tried twice, as a file may be refused for a moment, such as by a virus scanner. What stays is removed by the
    next run.
    """
    for _ in range(2):
        shutil.rmtree(folder, ignore_errors=True)


def _hidden_name(path: Path) -> str:
    """Return a temporary name beside `path`, which tells the machine and the process that use it."""
    return f".{path.name}{_MARK}{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _remove_stale(target: Path, homes: Iterable[Path]) -> None:
    """Remove what killed runs have left in the folders `homes` while they wrote `target`."""
    for home in homes:
        if not home.is_dir():
            continue
        for left in home.glob(f".{_escaped(target.name)}{_MARK}*"):
            if not _is_stale(left):
                continue
            _log.info("Removing %s, left by an earlier run that was interrupted.", left)
            if left.is_dir():
                _discard(left)
            else:
                with contextlib.suppress(OSError):
                    left.unlink()


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _is_stale(path: Path) -> bool:
    try:
        if time.time() - path.stat().st_mtime > _MAX_AGE_S:
            return True
    except FileNotFoundError:  # its own run has just cleaned up
        return False
    found = re.search(re.escape(_MARK) + r"(.*)-(\d+)-[0-9a-f]{8}$", path.name)
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
    """Put the files of `stage` in `target`: in one step if the system can, else one by one."""
    new = _files_in(stage)
    if not target.exists():
        stage.rename(target)
    elif not _exchange_in(stage, target, {*new, *outdated}):
        _move_one_by_one(stage, target, new, outdated)


def _files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def _exchange_in(stage: Path, target: Path, replaced: Collection[str]) -> bool:
    """Complete `stage` with links to the other files of `target` and exchange the two folders in one step.

    A process that is killed leaves the old folder or the new one, never a mixture. Return False, with `target`
    unchanged, if this is not possible: on Windows, across disks, in a folder that belongs to another user or holds
    very many other files, and in the working directory, in which the user's terminal would lose its files.
    """
    try:
        if stage.parent != target.parent or not _is_exchangeable(target):
            return False
        others = _others_in(target, replaced)
        if others is None:
            return False
        for name in others:
            _link(target / name, stage / name)
        shutil.copystat(target, stage)
        if not exchange(stage, target):
            return False
    except OSError:
        return False
    for name in _files_in(stage):  # what another program has written in the meantime
        if name not in replaced and not os.path.lexists(target / name):
            with contextlib.suppress(OSError):
                (stage / name).rename(target / name)
    return True


def _is_exchangeable(target: Path) -> bool:
    here = Path.cwd()
    is_used = target == here or target in here.parents
    return not is_used and hasattr(os, "getuid") and target.stat().st_uid == os.getuid()


def _others_in(target: Path, replaced: Collection[str]) -> list[str] | None:
    """Return the files and empty folders of `target` that stay, or None if there are very many."""
    others: list[str] = []
    for root, folders, files in os.walk(target):
        here = Path(root)
        links = [name for name in folders if (here / name).is_symlink()]
        found = [str((here / name).relative_to(target)) for name in (*files, *links)]
        if here != target and not folders and not files:
            found.append(str(here.relative_to(target)))
        others += [name for name in found if name not in replaced]
        if len(others) > _MOST_OTHERS:
            return None
    return others


def _link(source: Path, place: Path) -> None:
    """Make `place` another name of the file `source`, or a copy of the empty folder."""
    folder = source if source.is_dir() and not source.is_symlink() else source.parent
    made = place if folder == source else place.parent
    if not made.exists():
        made.mkdir(parents=True)
        shutil.copystat(folder, made)
    if source.is_symlink():
        place.symlink_to(source.readlink())
    elif folder != source:
        os.link(source, place)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders on one disk in a single step; return False if the system cannot."""
    library: Any = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE: from linux/fcntl.h and linux/fs.h
        return library.renameat2(here, first, here, second, swap) == 0
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return library.renamex_np(first, second, 2) == 0  # RENAME_SWAP: from sys/stdio.h
    return False


def _move_one_by_one(stage: Path, target: Path, new: Collection[str], outdated: Collection[str]) -> None:
    """Move the files `new` of `stage` to `target`; on failure, restore the original state."""
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
