"""A batch with a stand-in for the segmentation: what is done, left alone, tried again, and how the tables tell it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from batch_stand_in import Here, scans, segment, spine_content, work

from SpinalTapLib.batch.locks import locked
from SpinalTapLib.batch.run import Part, Plan, run_jobs, split
from SpinalTapLib.batch.scans_in_folder import find_scans
from SpinalTapLib.batch.state import read_state
from SpinalTapLib.batch.tables import write_tables
from SpinalTapLib.batch.work import UnfitWorker, segment_job
from SpinalTapLib.options import Options


def run(folder, output, options=None, engine=None, **more):
    """Run a batch and return the outcome of each scan by its name."""
    jobs, done = split(Plan(output, options or Options(), **more).jobs(find_scans(folder, output)))
    rows = [*done, *(row for row in run_jobs(jobs, engine or Here()) if row is not None)]
    return {row.scan.rsplit("/", 1)[1].removesuffix(".nii"): row.outcome for row in rows}


def table(output, name="batch.csv"):
    write_tables(output)
    with (output / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def runs(folder, name):
    """Return how often the segmentation of a scan has begun."""
    log = folder / f"{name}.log"
    return len(log.read_text().split()) if log.is_file() else 0


@pytest.fixture
def folder(tmp_path):
    return scans(tmp_path / "in", a="done", b="fail", c="empty", d="done")


def test_every_scan_has_a_row_and_a_bad_one_stops_nothing(folder, tmp_path):
    output = tmp_path / "out"
    assert run(folder, output) == {"a": "done", "b": "failed", "c": "no vertebra found", "d": "done"}
    rows = table(output)
    assert [row["outcome"] for row in rows] == ["done", "failed", "no vertebra found", "done"]
    assert "b.nii is damaged; copy it again." in rows[1]["message"]
    assert rows[0]["levels"] == "S1 L5" and rows[0]["alternatives"] == "S1 is L5: 0.05"
    vertebrae = table(output, "vertebrae.csv")
    assert [(row["scan"][-5:], row["level"]) for row in vertebrae] == [
        ("a.nii", "S1"), ("a.nii", "L5"), ("d.nii", "S1"), ("d.nii", "L5"),
    ]  # fmt: skip
    assert (vertebrae[1]["confidence"], vertebrae[1]["level_probability"]) == ("0.97", "0.99")
    assert vertebrae[1]["height_anterior_mm"] == "25.5" and vertebrae[1]["wedge_ratio"] == ""


def test_a_second_run_does_only_what_failed_and_the_tables_stay_complete(folder, tmp_path):
    output = tmp_path / "out"
    run(folder, output)
    before = table(output)
    (folder / "b.nii").write_text("done")
    assert run(folder, output) == {"a": "already done", "b": "done", "c": "already done", "d": "already done"}
    after = table(output)
    assert [row for row in after if "b.nii" not in row["scan"]] == [row for row in before if "b.nii" not in row["scan"]]
    assert after[1]["outcome"] == "done"
    assert [runs(folder, name) for name in "abcd"] == [1, 2, 1, 1]


def test_again_does_all_anew(folder, tmp_path):
    run(folder, tmp_path / "out")
    run(folder, tmp_path / "out", again=True)
    assert [runs(folder, name) for name in "abcd"] == [2, 2, 2, 2]


@pytest.mark.parametrize("more", [{"options": Options(steps=3)}, {"surface_format": "ply"}])
def test_other_options_are_not_the_same_result(folder, tmp_path, more):
    run(folder, tmp_path / "out")
    run(folder, tmp_path / "out", **more)
    assert runs(folder, "a") == 2


def test_the_device_does_not_matter_and_a_replaced_scan_does(folder, tmp_path):
    run(folder, tmp_path / "out")
    (folder / "d.nii").write_text("done now")
    run(folder, tmp_path / "out", Options(device="cpu"))
    assert (runs(folder, "a"), runs(folder, "d")) == (1, 2)


def test_other_weights_are_not_the_same_result(folder, tmp_path, tiny_weights):
    run(folder, tmp_path / "out")
    assert run(folder, tmp_path / "out", Options(model=str(tiny_weights)))["a"] == "done"
    with pytest.raises(ValueError, match=r"none\.pt is missing"):
        run(folder, tmp_path / "out", Options(model=str(tmp_path / "none.pt")))


def test_a_result_that_was_removed_is_made_again(folder, tmp_path):
    run(folder, tmp_path / "out")
    (tmp_path / "out" / "a" / "spine.json").unlink()
    assert "There is no spine.json" in table(tmp_path / "out")[0]["message"]
    assert run(folder, tmp_path / "out")["a"] == "done"


def test_the_tables_follow_a_correction(folder, tmp_path):
    run(folder, tmp_path / "out")
    (tmp_path / "out" / "a" / "spine.json").write_text(json.dumps(spine_content(("L5",))))
    assert table(tmp_path / "out")[0]["levels"] == "L5"


def test_a_result_that_was_corrected_by_hand_is_kept_unless_the_user_says_otherwise(folder, tmp_path):
    output = tmp_path / "out"
    run(folder, output)
    (output / "a" / "changes.json").write_text('{"format": 1, "counts": [{}, {}]}')
    assert run(folder, output)["a"] == "already done"
    assert run(folder, output, Options(steps=3)) == {
        "a": "corrected by hand, kept", "b": "failed", "c": "no vertebra found", "d": "done"
    }  # fmt: skip
    assert run(folder, output, Options(steps=3), again=True)["a"] == "done"


def test_a_failure_leaves_the_earlier_result_but_not_in_the_tables(folder, tmp_path):
    run(folder, tmp_path / "out")
    (folder / "a.nii").write_text("fail now")
    assert run(folder, tmp_path / "out")["a"] == "failed"
    assert (tmp_path / "out" / "a" / "spine.json").is_file()
    assert not [row for row in table(tmp_path / "out", "vertebrae.csv") if "a.nii" in row["scan"]]


def test_parts_share_nothing_and_together_do_all(tmp_path):
    folder, output = scans(tmp_path / "in", **{f"s{i}": "done" for i in range(7)}), tmp_path / "out"
    done = [run(folder, output, part=Part(k, 3)) for k in (1, 2, 3)]
    assert [len(part) for part in done] == [3, 2, 2]
    assert len(table(output)) == 7 and all(runs(folder, f"s{i}") == 1 for i in range(7))


@pytest.mark.parametrize(("number", "count"), [(0, 3), (4, 3), (1, 0), (-1, 2)])
def test_a_part_that_is_none_is_refused(number, count):
    with pytest.raises(ValueError, match="K from 1 to N"):
        Part(number, count)


def test_a_scan_that_another_run_works_on_is_left_to_it(folder, tmp_path):
    output = tmp_path / "out"
    with locked(output, "a", wait=False) as free:
        assert free
        assert run(folder, output)["a"] == "another run works on it"
    assert runs(folder, "a") == 0 and run(folder, output)["a"] == "done"


def test_what_another_run_has_finished_in_the_meantime_is_not_done_twice(folder, tmp_path):
    output = tmp_path / "out"
    jobs = Plan(output, Options()).jobs(find_scans(folder, output))
    run(folder, output)
    assert segment_job(jobs[0], segment).outcome == "done" and runs(folder, "a") == 1


def test_a_scan_that_this_run_has_finished_is_not_done_twice_even_if_its_answer_was_lost(folder, tmp_path):
    output = tmp_path / "out"
    jobs = Plan(output, Options(), again=True).jobs(find_scans(folder, output))
    for job in jobs[:2]:
        assert segment_job(job, segment) == segment_job(job, segment)
    assert (runs(folder, "a"), runs(folder, "b")) == (1, 1)


def test_a_full_disk_is_a_row_with_a_sentence(tmp_path):
    folder = scans(tmp_path / "in", a="full", b="done")
    assert run(folder, tmp_path / "out") == {"a": "failed", "b": "done"}
    assert "The disk is full" in table(tmp_path / "out")[0]["message"]


def test_a_failure_that_can_not_even_be_stored_is_a_row_all_the_same(folder, tmp_path, monkeypatch):
    def full(*_):
        raise ValueError("Could not write batch.json: the disk is full.")

    monkeypatch.setattr("SpinalTapLib.batch.state.write_whole", full)
    assert run(folder, tmp_path / "out")["b"] == "failed"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"version": "0.0.1"}, "the run was started with 0.0.1"), ({"weights": {"model": "12"}}, "other weights")],
)
def test_a_worker_with_another_installation_refuses_the_work(folder, tmp_path, change, words):
    (job, *_) = Plan(tmp_path / "out", Options()).jobs(find_scans(folder))
    other = replace(job, conditions={**job.conditions, **change})
    with pytest.raises(UnfitWorker, match=words):
        work(other)
    rows = [row for row in run_jobs([other, job], Here()) if row is not None]
    assert [row.outcome for row in rows] == ["failed", "done"] and words in rows[0].message


def test_a_worker_without_weights_refuses_the_work(folder, tmp_path, monkeypatch):
    (job, *_) = Plan(tmp_path / "out", Options()).jobs(find_scans(folder))
    monkeypatch.setattr("SpinalTapLib.installation.resource_path", lambda *parts: tmp_path.joinpath(*parts))
    with pytest.raises(UnfitWorker, match=r"parts\.pt is missing"):
        work(job)


def test_results_among_the_scans_or_in_a_folder_of_theirs(folder):
    for output in (folder / "results", folder):
        assert len(run(folder, output)) == 4
        assert run(folder, output)["a"] == "already done"
        assert len(table(output)) == 4 + 4 * (output == folder)  # those in `results` lie below


def test_a_cancelled_run_closes_the_engine_at_once_and_keeps_what_is_done(folder, tmp_path):
    engine = Here()
    rows = run_jobs(Plan(tmp_path / "out", Options()).jobs(find_scans(folder)), engine)
    assert next(rows).outcome == "done"
    rows.close()
    assert engine.closed == "now" and read_state(tmp_path / "out" / "a").outcome == "done"


def test_a_table_of_something_else_is_not_replaced(folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "vertebrae.csv").write_text("name,age\n")
    with pytest.raises(ValueError, match=r"vertebrae\.csv was not written by SpinalTap"):
        run(folder, output)
    assert (output / "vertebrae.csv").read_text() == "name,age\n"
