"""The engines: real processes and a real Dask cluster, with workers that are killed, hang or are not there."""

from __future__ import annotations

import csv
import os
from dataclasses import replace

import pytest
from batch_stand_in import Here, scans, work

from SpinalTapLib import machine
from SpinalTapLib.batch import engines
from SpinalTapLib.batch.run import Plan, run_jobs
from SpinalTapLib.batch.scans_in_folder import find_scans
from SpinalTapLib.batch.tables import write_tables
from SpinalTapLib.options import Options

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")

WHAT = {"a": "done", "b": "fail", "c": "once", "d": "done", "e": "empty"}


def run(folder, output, engine, limits_s=None):
    """Run a batch; `limits_s` has the time limits of scans by their names."""
    jobs = Plan(output, Options()).jobs(find_scans(folder, output))
    jobs = [replace(job, limit_s=(limits_s or {}).get(job.scan.name)) for job in jobs]
    rows = [row for row in run_jobs(jobs, engine) if row is not None]
    assert len(rows) == len(jobs)
    write_tables(output)
    return rows


def contents(output):
    """Return the table without the times, and the files of the results."""
    with (output / "batch.csv").open(newline="") as file:
        rows = [{**row, "seconds": "", "folder": ""} for row in csv.DictReader(file)]
    files = {path.relative_to(output): path.read_bytes() for path in sorted(output.glob("[!.]*/spine.json"))}
    return rows, files


def attempts(folder):
    return {log.stem: log.read_text().split() for log in sorted(folder.glob("*.log"))}


def test_processes_do_what_one_process_does_though_one_is_killed_and_one_hangs(tmp_path):
    folder = scans(tmp_path / "in", **WHAT, f="killed", g="hang", h="done")
    before = dict(os.environ)
    run(folder, tmp_path / "out", engines.Processes(2, work), {"g": 0.5})
    assert dict(os.environ) == before
    tries = attempts(folder)
    assert {name: len(set(pids)) for name, pids in tries.items()} == {**dict.fromkeys("abdegh", 1), "c": 2, "f": 3}
    rows, files = contents(tmp_path / "out")
    messages = {row["scan"][-5]: row["message"] for row in rows}
    assert "signal 9" in messages["f"] and "longer than its time limit of 0.5 seconds" in messages["g"]
    assert not list((tmp_path / "out").glob(".*.spinaltap-*"))
    for name in "fg":
        (folder / f"{name}.nii").unlink()
    run(folder, tmp_path / "here", Here())
    expected_rows, expected_files = contents(tmp_path / "here")
    assert [row for row in rows if row["scan"][-5] not in "fg"] == expected_rows and files == expected_files


def test_a_cluster_does_what_one_process_does_though_a_worker_is_killed(tmp_path):
    pytest.importorskip("distributed", reason="needs Dask")
    from dask_on_loopback import cluster

    folder = scans(tmp_path / "in", **WHAT)
    with cluster(tmp_path, workers=2) as scheduler:
        run(folder, tmp_path / "out", engines.Cluster(str(scheduler), work=work))
    tries = attempts(folder)
    assert {name: len(set(pids)) for name, pids in tries.items()} == {**dict.fromkeys("abde", 1), "c": 2}
    run(folder, tmp_path / "here", Here())
    assert contents(tmp_path / "out") == contents(tmp_path / "here")


def test_a_scheduler_that_is_not_there_is_said_in_one_sentence(monkeypatch):
    pytest.importorskip("distributed", reason="needs Dask")
    monkeypatch.setattr(engines, "CONNECT_S", 0.2)
    with pytest.raises(ValueError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9 .*dask scheduler"):
        engines.Cluster("tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    ("cores", "free", "jobs"), [(8, 100e9, 8), (8, 5e9, 4), (8, 1e8, 1), (8, None, 8), (1, 100e9, 1)]
)
def test_as_many_processes_as_cores_and_memory_allow(monkeypatch, cores, free, jobs):
    monkeypatch.setattr(engines, "processor_count", lambda: cores)
    monkeypatch.setattr(engines, "free_memory_bytes", lambda: free)
    assert engines.jobs_for() == jobs
    assert engines.jobs_for(3) == 3
    with pytest.raises(ValueError, match="got 0"):
        engines.jobs_for(0)


def test_the_limits_of_a_container_count(tmp_path, monkeypatch):
    group = tmp_path / "cgroup" / "job" / "step"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1\n")
    (group.parent / "memory.max").write_text("4000\n")
    (group.parent / "memory.current").write_text("3000\n")
    (group.parent / "memory.stat").write_text("anon 2500\ninactive_file 500\n")
    (group.parent / "cpu.max").write_text("100000 100000\n")
    own = tmp_path / "own"
    own.write_text("5:memory:/other\n0::/job/step\n")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    assert machine.free_memory_bytes() == 1500 and machine.processor_count() == 1
