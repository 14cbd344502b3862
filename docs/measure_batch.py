"""Measure the batch: rate of two processes against one, cost of a Dask cluster, memory of the parent.

    python docs/measure_batch.py rate [scans]       # on phantoms with the real networks; needs an idle machine
    python docs/measure_batch.py cluster [scans]    # a scheduler and three workers on this machine against processes
    python docs/measure_batch.py memory [scans]     # many tiny scans with a stand-in for the segmentation

Needs the test environment (``make test`` makes it). The rate is wall-clock time and means nothing while other programs
run; processor time and memory hardly depend on them.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing" / "support"), str(ROOT)]

import batch_stand_in  # noqa: E402
from dask_on_loopback import cluster  # noqa: E402

from SpinalTapLib.batch import engines  # noqa: E402
from SpinalTapLib.batch.run import Plan, run_jobs  # noqa: E402
from SpinalTapLib.batch.scans_in_folder import find_scans  # noqa: E402
from SpinalTapLib.batch.tables import write_tables  # noqa: E402
from SpinalTapLib.batch.work import segment_job  # noqa: E402
from SpinalTapLib.options import Options  # noqa: E402

COUNTS = {"rate": 40, "cluster": 12, "memory": 1000}
WORKERS = 3


def draw(folder: Path, count: int) -> Path:
    """Write lumbar phantoms."""
    from SpinalTapLib.training.synthetic.phantom import draw_phantom, write_phantom

    for seed in range(count):
        write_phantom(draw_phantom(seed, region="lumbar"), folder)
    for labels in folder.glob("*_labels*"):
        labels.unlink()
    return folder


def run(scans: Path, output: Path, engine) -> list:
    """Run a batch; return what the caller sees while it goes on, the parent's memory in MB after each scan."""
    memory = []
    for row in run_jobs(Plan(output, Options(device="cpu")).jobs(find_scans(scans, output)), engine):
        if row is not None:
            memory.append(memory_mb())
    write_tables(output)
    return memory


def memory_mb() -> float:
    """Return the memory that this process holds at present, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children_s() -> float:
    """Return the processor time of the child processes that have ended, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rate(folder: Path, count: int) -> None:
    """Compare the rates of one and of two processes."""
    scans, seconds = draw(folder / "scans", count), {}
    for jobs in (1, 2):
        began = time.perf_counter()
        run(scans, folder / f"jobs-{jobs}", engines.Processes(jobs))
        seconds[jobs] = time.perf_counter() - began
        print(f"{jobs} process(es): {60 * count / seconds[jobs]:.2f} scans a minute")
    print(f"two against one: {seconds[1] / seconds[2]:.2f} times")


def compare_cluster(folder: Path, count: int) -> None:
    """Compare the processor time of a cluster with that of processes, both with one thread a worker."""
    os.environ["OMP_NUM_THREADS"] = "1"
    scans, used = draw(folder / "scans", count), {}
    began = children_s()
    run(scans, folder / "processes", engines.Processes(WORKERS, segment_job))
    used["processes"] = children_s() - began
    began = children_s()
    with cluster(folder, WORKERS) as scheduler:
        run(scans, folder / "cluster", engines.Cluster(str(scheduler), work=segment_job))
    used["cluster"] = children_s() - began
    for name, seconds in used.items():
        print(f"{name}: {seconds:.1f} s of processor time for {count} scans")
    print(f"cluster against processes: {100 * (used['cluster'] / used['processes'] - 1):+.1f} %")


def memory(folder: Path, count: int) -> None:
    """Follow the memory of the parent over many tiny scans, and count the rows."""
    scans = batch_stand_in.scans(folder / "scans", **{f"s{i:05d}": "done" for i in range(count)})
    used = run(scans, folder / "out", engines.Processes(2, batch_stand_in.work))
    rows = len((folder / "out" / "batch.csv").read_text().splitlines()) - 1
    tenth = max(1, count // 10)
    print(f"{count} scans, {rows} rows; memory of the parent after {tenth}: {used[tenth - 1]:.1f} MB, "
          f"at the end {used[-1]:.1f} MB ({used[-1] - used[tenth - 1]:+.1f} MB)")  # fmt: skip


def main() -> None:
    """Run one of the measurements."""
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what not in COUNTS:
        raise SystemExit(__doc__)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else COUNTS[what]
    with tempfile.TemporaryDirectory(prefix="spinaltap-batch-") as folder:
        {"rate": rate, "cluster": compare_cluster, "memory": memory}[what](Path(folder), count)


if __name__ == "__main__":
    main()
