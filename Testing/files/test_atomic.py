"""All or nothing: what a failed, cancelled or killed run leaves behind is nothing."""

from __future__ import annotations

import errno
import os
import platform
import time
from pathlib import Path

import pytest

from SpinalTapLib.files import atomic
from SpinalTapLib.files.atomic import check_writable, staged_folder, write_whole


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden files too: relative path to content (None for folders)."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def fill(stage: Path, **files: str) -> None:
    for name, words in files.items():
        path = stage / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(words)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_new_folder_appears_with_its_parents(tmp_path):
    with staged_folder(tmp_path / "a" / "b") as stage:
        fill(stage, one="1", sub__two="2")
        assert not (tmp_path / "a" / "b").exists()
    assert tree(tmp_path) == {"a": None, "a/b": None, "a/b/one": b"1", "a/b/sub": None, "a/b/sub/two": b"2"}


def test_old_files_are_replaced_and_foreign_ones_stay(tmp_path):
    target = tmp_path / "out"
    fill(tmp_path, out__one="old", out__mine="keep")
    with staged_folder(target) as stage:
        fill(stage, one="new")
        assert (target / "one").read_text() == "old"
    assert tree(tmp_path) == {"out": None, "out/mine": b"keep", "out/one": b"new"}


@pytest.mark.parametrize("possible", [True, False])
def test_all_that_is_the_users_stays_as_it_was(tmp_path, monkeypatch, possible):
    if not possible:
        monkeypatch.setattr(atomic, "exchange", lambda *_: False)
    target = tmp_path / "out"
    fill(target.parent, out__one="old")
    (target / "mine" / "empty").mkdir(parents=True)
    (target / "mine" / "notes").write_text("keep")
    (target / "mine").chmod(0o750)
    (target / "link").symlink_to("nowhere")
    target.chmod(0o710)
    inode = (target / "mine" / "notes").stat().st_ino
    with staged_folder(target) as stage:
        fill(stage, one="new")
    assert set(tree(tmp_path)) == {f"out{n}" for n in ("", "/one", "/link", "/mine", "/mine/empty", "/mine/notes")}
    assert (target / "link").readlink() == Path("nowhere") and (target / "mine" / "notes").stat().st_ino == inode
    assert [oct(p.stat().st_mode)[-3:] for p in (target, target / "mine")] == ["710", "750"]


def test_what_another_program_writes_while_the_folders_are_exchanged_is_kept(tmp_path, monkeypatch):
    real = atomic.exchange

    def late(one, other):
        (other / "late").write_text("keep")
        return real(one, other)

    monkeypatch.setattr(atomic, "exchange", late)
    fill(tmp_path, out__one="old")
    with staged_folder(tmp_path / "out") as stage:
        fill(stage, one="new")
    assert tree(tmp_path / "out") == {"late": b"keep", "one": b"new"}


def test_the_working_directory_stays_the_folder_that_it_was(tmp_path, monkeypatch):
    fill(tmp_path, out__one="old")
    monkeypatch.chdir(tmp_path / "out")
    with staged_folder(tmp_path / "out") as stage:
        fill(stage, one="new")
    assert Path("one").read_text() == "new"


def test_a_file_left_by_a_killed_run_is_removed_by_the_next(tmp_path):
    left = tmp_path / f".a.spinaltap-{platform.node()}-4194999-00000000"
    left.write_text("half")
    write_whole(tmp_path / "a", b"whole")
    assert tree(tmp_path) == {"a": b"whole"}


def test_outdated_files_go_with_their_empty_folder_and_foreign_ones_keep_theirs(tmp_path):
    target = tmp_path / "out"
    for name in ("surfaces/L6.stl", "markups/L6.mrk.json", "markups/notes.txt", "new"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("old")
    with staged_folder(target, ["surfaces/L6.stl", "markups/L6.mrk.json", "never/was"]) as stage:
        fill(stage, new="new")
    assert set(tree(target)) == {"markups", "markups/notes.txt", "new"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, ValueError])
def test_after_any_exception_everything_is_as_before(tmp_path, error):
    fill(tmp_path, out__one="old", out__sub="x")
    before = tree(tmp_path)
    with pytest.raises(error), staged_folder(tmp_path / "out", ["sub"]) as stage:
        fill(stage, one="new", two="new")
        raise error
    assert tree(tmp_path) == before


def test_a_failed_run_leaves_no_new_folder_and_no_new_parents(tmp_path):
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "a" / "b" / "c") as stage:
        fill(stage, one="1")
        raise RuntimeError
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("failing", range(7))
def test_if_moving_one_by_one_fails_half_way_all_files_move_back(tmp_path, monkeypatch, failing):
    monkeypatch.setattr(atomic, "exchange", lambda *_: False)
    fill(tmp_path, out__a="old", out__b="old", out__gone="old", out__mine="keep")
    before = tree(tmp_path)
    calls = []
    rename = Path.rename

    def rename_until_full(self, target):
        calls.append(self)
        if len(calls) == failing + 1:
            full_disk()
        return rename(self, target)

    with pytest.raises(ValueError, match="disk is full"), staged_folder(tmp_path / "out", ["gone"]) as stage:
        fill(stage, a="new", b="new", sub__c="new", d="new")
        monkeypatch.setattr(Path, "rename", rename_until_full)
    monkeypatch.undo()
    assert len(calls) > failing
    assert tree(tmp_path) == before


def test_a_full_disk_is_told_in_one_sentence(tmp_path):
    sentence = r"Could not write the output folder .*out: the disk is full\.$"
    with pytest.raises(ValueError, match=sentence), staged_folder(tmp_path / "out"):
        full_disk()
    assert tree(tmp_path) == {}


def test_a_file_that_could_not_be_written_is_named_as_the_user_knows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ValueError) as error, staged_folder(tmp_path / "out") as stage:
        write_whole(stage / "one", b"1")
    assert str(error.value) == f"Could not write {(tmp_path / 'out').resolve() / 'one'}: the disk is full."


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        with pytest.raises(ValueError, match="file is a file, not a folder"), staged_folder(target):
            pytest.fail("the block must not run")
        with pytest.raises(ValueError, match="file is a file, not a folder"):
            check_writable(target)
    assert tree(tmp_path) == {"file": b"x"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o555)
    try:
        with pytest.raises(ValueError, match="not writable"), staged_folder(tmp_path / "out") as stage:
            fill(stage, one="1")
        with pytest.raises(ValueError, match="not writable"):
            check_writable(tmp_path / "out")
    finally:
        (tmp_path / "out").chmod(0o755)


def test_where_the_parent_is_walled_in_staging_happens_inside(tmp_path, monkeypatch):
    target = tmp_path / "out"
    target.mkdir()
    mkdir = Path.mkdir

    def walled(self, *args, **kwargs):
        if self.parent == tmp_path:
            raise PermissionError(errno.EACCES, "no")
        return mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", walled)
    with staged_folder(target) as stage:
        assert stage.parent == target
        fill(stage, one="1")
    assert tree(target) == {"one": b"1"}


def test_checking_leaves_nothing(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert tree(tmp_path) == {}


def test_folders_left_by_a_killed_run_are_removed_and_those_of_a_living_one_are_not(tmp_path):
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "out") as stage:
        name = stage.name
        raise KeyboardInterrupt
    pid = f"-{os.getpid()}-"
    living, dead, foreign = tmp_path / name, tmp_path / name.replace(pid, "-4194999-"), tmp_path / f"{name}x"
    other = tmp_path / name.replace(".out.", ".other.").replace(pid, "-4194999-")
    ancient = tmp_path / (name[:-8] + "f" * 8)
    for folder in (living, dead, foreign, other, ancient):
        folder.mkdir(exist_ok=True)
    os.utime(ancient, (time.time() - 1e6,) * 2)
    with staged_folder(tmp_path / "out") as stage:
        fill(stage, one="1")
    assert {p.name for p in tmp_path.iterdir()} == {living.name, foreign.name, other.name, "out"}


def test_a_folder_name_with_wildcards_is_no_wildcard(tmp_path):
    stranger = tmp_path / ".output.spinaltap-host-4194999-00000000"
    stranger.mkdir()
    with staged_folder(tmp_path / "o*") as stage:
        fill(stage, one="1")
    assert stranger.is_dir()


def test_one_file_is_written_whole(tmp_path):
    write_whole(tmp_path / "a", b"first")
    write_whole(tmp_path / "a", b"second")
    assert tree(tmp_path) == {"a": b"second"}


def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", b"first")
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ValueError, match=r"Could not write .*a: the disk is full\."):
        write_whole(tmp_path / "a", b"second")
    assert tree(tmp_path) == {"a": b"first"}


def test_a_new_parent_that_another_run_uses_by_now_is_left_to_it(tmp_path, monkeypatch):
    real = atomic._new_stage

    def beside_another(target):
        (target.parent / "another").mkdir()
        return real(target)

    monkeypatch.setattr(atomic, "_new_stage", beside_another)
    check_writable(tmp_path / "new" / "out")
    assert tree(tmp_path) == {"new": None, "new/another": None}


def test_a_parent_that_another_run_removes_is_made_again(tmp_path, monkeypatch):
    real, calls = atomic._new_stage, []

    def removed_first(target):
        calls.append(target)
        if len(calls) == 1:
            target.parent.rmdir()
        return real(target)

    monkeypatch.setattr(atomic, "_new_stage", removed_first)
    with staged_folder(tmp_path / "new" / "out") as stage:
        fill(stage, one="1")
    assert (tmp_path / "new" / "out" / "one").read_text() == "1"


def test_a_staging_folder_that_goes_while_it_is_looked_at_is_not_stale(tmp_path):
    assert not atomic._is_stale(tmp_path / ".out.spinaltap-host-1-00000000")
