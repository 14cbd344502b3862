"""A bench of faults: end a command, or fail it, at each of its file operations in turn, and look at what is left.

``python faults.py COMMAND ... [--every N]`` runs commands of `COMMANDS` on two small scans of blocks and prints one
line for each fault after which a folder was neither as before nor as after, then one JSON line with the counts.

An audit hook counts the operations of Python (open to write, mkdir, rename, link, remove) in the bench's own folder.
Each case runs in a forked child, in which the hook has one of these faults at operation number `at`:

* ``kill``: signal 9. Then the command is run again without a fault; it must succeed and leave no temporary file.
* ``full``: from there on, everything that needs room on the disk raises ENOSPC.
* ``denied``: this one operation raises PermissionError.

Libraries in C write without Python's knowledge: ``small`` limits the size of a file to `at` bytes instead.

Only files matter here, so the network, the surfaces and the picture are computed once, or are stand-ins.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # a forked child has no thread pool
os.environ["OMP_NUM_THREADS"] = "1"

import SimpleITK as sitk
import torch
import worker_road
from batch_stand_in import Here
from block_spine import BlockSpine

from SpinalTapLib import result_folder
from SpinalTapLib.batch import engines
from SpinalTapLib.batch.locks import LOCKS_FOLDER
from SpinalTapLib.batch.state import STATE_NAME
from SpinalTapLib.batch.work import segment_job
from SpinalTapLib.bodies.surfaces import surface_of
from SpinalTapLib.cli.main import main
from SpinalTapLib.files import result_files
from SpinalTapLib.files.evidence_file import evidence_bytes
from SpinalTapLib.worker import exchange
from SpinalTapLib.worker.server import Worker

NEEDS_ROOM = ("open", "os.mkdir", "os.link", "os.symlink", "shutil.copyfile")
OPERATIONS = (*NEEDS_ROOM, "os.rename", "os.remove", "os.rmdir", "os.truncate")
EXCHANGE = ("renameat2", "renamex_np")
"""Names of the system's functions that exchange two folders, which Python does not know."""
SIZES = (0, 50, 200, 500, 1000, 3000, 10_000, 30_000)
"""Limits for the size of a file, bytes; the largest file of a result here has more."""
WAIT_S = 600
"""A child that hangs is ended after this time; only a test that fails waits so long."""


@dataclass
class Hook:
    """Counts the operations in a folder, and has the fault."""

    home: str
    fault: str = ""
    at: int = 0
    count: int = 0

    def __call__(self, event: str, arguments: tuple) -> None:
        """Is told of every audit event (`sys.addaudithook`)."""
        if not self.fault or not self._is_operation(event, arguments):
            return
        self.count += 1
        if self.fault == "kill" and self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "denied" and self.count == self.at:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(arguments[0]))
        if self.fault == "full" and self.count >= self.at and event in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))

    def _is_operation(self, event: str, arguments: tuple) -> bool:
        if event == "ctypes.dlsym":
            return self.fault == "kill" and arguments[1] in EXCHANGE
        if event not in OPERATIONS or (event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            return False
        places = [os.fsdecode(a) for a in arguments[:2] if isinstance(a, (str, bytes, os.PathLike))]
        return any(place.startswith(self.home) for place in places)


@dataclass(frozen=True)
class Command:
    """A command of the bench.

    Attributes
    ----------
    run : callable
        Is given the bench's folder; returns the exit code, 0 for success.
    units : tuple of str
        Files and folders that must each be as before or as after.
    prepare : callable, optional
        Fills the bench's folder beforehand.
    whole : callable, optional
        Is given the bench's folder and returns a complaint about the files that have more states than two.
    """

    run: Callable[[Path], int]
    units: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda home: None
    whole: Callable[[Path], str] = lambda home: ""


@dataclass
class Count:
    """What a command's faults have shown."""

    operations: int = 0
    cases: int = 0
    before: int = 0
    after: int = 0
    complaints: list[str] = field(default_factory=list)


# --- commands ----------------------------------------------------------------------------------------------------


def _segment(home: Path) -> int:
    return main(["segment", str(home / "scans/a.nii.gz"), "--output", str(home / "out"), "--quiet"])


def _reseed(home: Path) -> int:
    return main(["reseed", str(home / "out"), "--shift", "1", "--quiet"])


def _reseed_elsewhere(home: Path) -> int:
    return main(["reseed", str(home / "out"), "--output", str(home / "new/there"), "--shift", "1", "--quiet"])


def _batch(home: Path) -> int:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(["batch", str(home / "scans"), "--output", str(home / "all"), "--quiet", "--strict"])
    if code in (1, 2):  # a batch has a line for each scan, and ends with 1 if one has failed
        print("Traceback" if "Traceback" in said.getvalue() else "A scan has failed, or the tables.")
        return 2
    return code


def _with_result(home: Path) -> None:
    assert _segment(home) == 0
    (home / "out/notes.txt").write_text("the user's own")


def _with_another_result(home: Path) -> None:
    _with_result(home)
    assert _reseed(home) == 0


def _half_of_the_batch(home: Path) -> None:
    assert main(["segment", str(home / "scans/a.nii.gz"), "--output", str(home / "all/a"), "--quiet"]) == 0


def _is_a_table(home: Path) -> str:
    """Complain about a table that is cut short or names a scan without a result."""
    table = home / "all/batch.csv"
    if not table.exists():
        return ""
    lines = table.read_bytes().split(b"\r\n")
    complete = lines[-1] == b"" and lines[0].startswith(b"scan,folder,outcome,") and len(lines) > 1
    done = [line.split(b",")[1].decode() for line in lines[1:-1] if b",done," in line]
    lost = [folder for folder in done if not (Path(folder) / "spine.json").is_file()]
    return "" if complete and not lost else f"batch.csv is not whole: {lines}, without a result: {lost}"


def _asked(home: Path, request: dict) -> int:
    """Put one request to a worker in this process."""
    out = io.StringIO()
    Worker("worker_road", out).work({"id": 1, "settings": {}, "seed": None, **request})
    last = json.loads(out.getvalue().splitlines()[-1])
    if last["event"] == "failed":
        sys.stderr.write(f"{last['sentence']}\n")
    return 0 if last["event"] == "done" else 2


def _worker_segment(home: Path) -> int:
    return _asked(home, {"command": "segment", "folder": str(home / "run"), "answer": "one"})


def _worker_recount(home: Path) -> int:
    spine = json.loads((home / "run/one.json").read_text())
    edits = [{"dropped_lps_mm": spine["vertebrae"][1]["centroid"]}]
    request = {"command": "recount", "folder": str(home / "next"), "from": str(home / "run"), "answer": "two"}
    return _asked(home, {**request, "spine": spine, "edits": edits})


def _with_scan(home: Path) -> None:
    (home / "run").mkdir()
    exchange.write_volume(home / "run", BlockSpine(count=2).volume())


def _with_answer(home: Path) -> None:
    _with_scan(home)
    assert _worker_segment(home) == 0
    (home / "next").mkdir()


def _answer_is_readable(folder: str, name: str) -> Callable[[Path], str]:
    def whole(home: Path) -> str:
        if (home / folder / f"{name}.json").exists():
            try:
                exchange.read_answer(exchange.read_shapes(home / folder), name)
            except ValueError as error:
                return str(error)
        return ""

    return whole


def _naive(home: Path) -> int:
    """Write two files where they are read, as a program does that has not thought of faults."""
    for name in ("one", "two"):
        (home / "out" / name).write_text("new")
    return 0


def _with_old_files(home: Path) -> None:
    (home / "out").mkdir()
    for name in ("one", "two"):
        (home / "out" / name).write_text("old")


NAIVE = Command(_naive, ("out",), _with_old_files)
"""What the bench must complain about, or it would see nothing."""

COMMANDS = {
    "segment": Command(_segment, ("out",)),
    "segment again": Command(_segment, ("out",), _with_another_result),
    "reseed": Command(_reseed_elsewhere, ("out", "new"), _with_result),
    "reseed in place": Command(_reseed, ("out",), _with_result),
    "batch": Command(_batch, ("all/a", "all/b"), whole=_is_a_table),
    "batch goes on": Command(_batch, ("all/a", "all/b"), _half_of_the_batch, _is_a_table),
    "worker segment": Command(_worker_segment, ("run/one.json",), _with_scan, _answer_is_readable("run", "one")),
    "worker recount": Command(
        _worker_recount, ("run", "next/two.json"), _with_answer, _answer_is_readable("next", "two")
    ),
}  # fmt: skip


# --- the bench ---------------------------------------------------------------------------------------------------


def stand_ins() -> None:
    """Put stand-ins in place of everything that takes time and touches no file."""
    torch.set_num_threads(1)
    spines = {}
    for name in ("a", "b"):
        volume = _scan(name)
        spines[volume.array.shape] = worker_road.segment_spine(volume, progress=lambda *_: None)
    contents = {shape: evidence_bytes(spine.evidence) for shape, spine in spines.items()}
    surface = surface_of(next(iter(spines.values())).evidence.bodies.solids[0])
    result_folder.segment_spine = lambda volume, *_, **__: spines[volume.array.shape]
    result_folder.evidence_bytes = lambda evidence: contents[evidence.volume.array.shape]
    result_folder.read_evidence = lambda path, volume, *_: _read(path) and spines[volume.array.shape].evidence
    result_folder.part_surface = lambda bodies, position: surface
    result_folder.render_surfaces = lambda *_, **__: None
    result_files.report_png = lambda *_: b"a picture"
    engines.Processes = lambda jobs: Here(jobs, segment_job)
    time.perf_counter = lambda: 0.0  # a result's seconds, the only thing that differs from run to run
    worker_road.detector_in_place().__enter__()


def _read(path: Path) -> bytes:
    return Path(path).read_bytes()


def _scan(name: str):
    return BlockSpine(count=2 if name == "a" else 3).volume()


def _fill(home: Path, command: Command) -> None:
    (home / "scans").mkdir(parents=True)
    for name in ("a", "b"):
        volume = _scan(name)
        sitk.WriteImage(volume.to_source(volume.array), str(home / f"scans/{name}.nii.gz"))
    (home / "tmp").mkdir()
    command.prepare(home)


def signature(path: Path) -> str:
    """Return a word for the state of a file or a folder with all that is in it; hidden names are left out."""
    if path.is_file():
        return hashlib.sha1(path.read_bytes()).hexdigest()
    if not path.is_dir():
        return "none"
    inside = sorted(p for p in path.iterdir() if not p.name.startswith(".") and p.name != STATE_NAME)
    if not inside:  # a scan that has failed has a state, and no result
        return "none"
    return hashlib.sha1("".join(f"{p.name}:{signature(p)}," for p in inside).encode()).hexdigest()


def in_child(home: Path, work: Callable[[], int]) -> tuple[int, str]:
    """Run in a forked child; return its exit code, or minus the signal that ended it, and what it said."""
    reader, writer = os.pipe()  # a file would be under the limit of `small` too
    pid = os.fork()
    if pid == 0:
        code = 99
        with contextlib.suppress(BaseException):
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            signal.alarm(WAIT_S)
            tempfile.tempdir = str(home / "tmp")
            try:
                code = work()
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as said:
        words = said.read().strip()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), words


def cases(operations: int, every: int) -> Iterator[tuple[str, int]]:
    """Yield every fault and where it happens."""
    for fault in ("kill", "full", "denied"):
        for at in range(1, operations + 1, every):
            yield fault, at
    for size in SIZES[::every]:
        yield "small", size


def bench(name: str, command: Command, folder: Path, hook: Hook, every: int) -> Count:
    """Have every fault of one command."""
    home, model = folder / "home", folder / "model"
    hook.home = str(home)
    count = Count()

    def fresh() -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(model, home, symlinks=True)

    def work(fault: str, at: int) -> int:
        if fault == "small":
            resource.setrlimit(resource.RLIMIT_FSIZE, (at, at))
        hook.fault, hook.at, hook.count = fault, at, 0
        code = command.run(home)
        hook.fault = ""
        if fault == "count":
            (folder / "operations").write_text(str(hook.count))
        return code

    def state() -> dict[str, str]:
        return {unit: signature(home / unit) for unit in command.units}

    def hidden() -> set[str]:
        return {str(p.relative_to(home)) for p in home.rglob(".*") if p.name != LOCKS_FOLDER}

    home.mkdir()
    code, words = in_child(home, lambda: _fill(home, command) or 0)
    assert code == 0, words
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(home, model)
    before = state()
    code, words = in_child(home, lambda: work("count", 0))
    assert code == 0, words
    after = state()
    assert before != after
    count.operations = int((folder / "operations").read_text())
    assert not hidden(), hidden()

    for fault, at in cases(count.operations, every):
        fresh()
        code, words = in_child(home, lambda: work(fault, at))  # noqa: B023 - it runs at once
        now = state()
        wrong = [unit for unit in command.units if now[unit] not in (before[unit], after[unit])]
        whole = command.whole(home)
        complaint = f"{wrong[0]} is between" if wrong else whole
        if fault != "kill" and not complaint:
            if code not in (0, 2) or "Traceback" in words:
                complaint = f"exit {code}"
            elif code == 2 and len(words.splitlines()) != 1:
                complaint = "more than one line"
            elif code == 0 and now != after and fault != "small":
                complaint = "exit 0, but not as after"
            elif hidden():
                complaint = f"left {sorted(hidden())[0]}"
        if fault == "kill" and not complaint:
            again, _ = in_child(home, lambda: command.run(home))
            done = state()
            if again != 0 or hidden() or any(done[unit] != after[unit] for unit in command.units):
                complaint = f"the next run ended with {again} and left {sorted(hidden())}"
        if complaint:
            count.complaints.append(f"{name}: {fault} at {at}: {complaint}; exit {code}: {words[-300:]}")
        count.cases += 1
        count.before += now == before
        count.after += now == after
    shutil.rmtree(home)
    return count


def run(commands: Mapping[str, Command], every: int) -> dict[str, Count]:
    """Run the bench and return what it has counted, by command."""
    stand_ins()
    counts = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        hook = Hook(folder)
        sys.addaudithook(hook)
        for name, command in commands.items():
            counts[name] = bench(name, command, Path(folder), hook, 1 if command is NAIVE else every)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", default=list(COMMANDS))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th operation")
    parser.add_argument("--naive", action="store_true", help="also a command that the bench must complain about")
    given = parser.parse_args()
    counts = run({n: COMMANDS[n] for n in given.commands} | ({"naive": NAIVE} if given.naive else {}), given.every)
    for found in counts.values():
        for complaint in found.complaints:
            print(" ".join(complaint.split()))
    numbers = {name: [c.operations, c.cases, c.before, c.after, len(c.complaints)] for name, c in counts.items()}
    print(json.dumps(numbers))
    sys.exit(0 if given.naive else int(any(count.complaints for count in counts.values())))
