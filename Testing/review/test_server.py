"""The review's server: what it answers, what it refuses, and that nothing is lost or let out."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

TOKEN = "the-token"
HOST = "127.0.0.1:8123"


class Page:
    """A browser's page: one client of the application."""

    def __init__(self, results: Path):
        from starlette.testclient import TestClient

        from SpinalTapLib.review.app import Review, make_app

        self.review = Review(results, "Dr Reader")
        self.app = make_app(self.review, TOKEN, (HOST,))
        self.client = TestClient(self.app, base_url=f"http://{HOST}", raise_server_exceptions=False)

    def get(self, address, **more):
        return self.client.get(f"/{TOKEN}/{address}", **more)

    def post(self, address, body, **more):
        return self.client.post(f"/{TOKEN}/{address}", json=body, **more)

    def entries(self):
        return {entry["name"]: entry for entry in self.get("api/sheet").json()["entries"]}

    def scan(self, name="one"):
        return self.get(f"api/results/{self.entries()[name]['id']}").json()

    def correct(self, scan, **correction):
        return self.post(f"api/results/{scan['id']}/correction", {"version": scan["version"], **correction})

    def judge(self, scan, verdict="accepted", note=""):
        body = {"version": scan["version"], "verdict": verdict, "note": note}
        return self.post(f"api/results/{scan['id']}/judgement", body)


@pytest.fixture
def page(results):
    page = Page(results)
    yield page
    page.review.bench.close()


@pytest.fixture
def unwritten(monkeypatch):
    """Leave out the writing of corrections, for tests of what is answered before it."""
    from SpinalTapLib.result_folder import StoredResult

    monkeypatch.setattr(StoredResult, "written", lambda *_: None)


def levels(folder: Path) -> list[str]:
    return [v["level"] for v in json.loads((folder / "spine.json").read_text())["vertebrae"]]


# --- who may ask -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"host": "evil.example"}, "is not the one that spinaltap review serves"),
        ({"host": "evil.example:8123"}, "is not the one that spinaltap review serves"),
        ({"origin": "https://evil.example"}, "Another website"),
        ({"origin": "null"}, "Another website"),
        ({"sec-fetch-site": "cross-site"}, "Another website"),
    ],
)
def test_a_foreign_host_or_origin_gets_a_sentence_and_nothing_else(page, headers, words):
    scan = page.scan()
    for answer in (
        page.get("api/sheet", headers=headers),
        page.get("", headers=headers),
        page.post(f"api/results/{scan['id']}/judgement", {"verdict": "accepted"}, headers=headers),
    ):
        assert answer.status_code == 403
        assert words in answer.text
        assert len(answer.text) < 120 and "blocks" not in answer.text
    assert page.entries()["one"]["verdict"] == "open"


@pytest.mark.parametrize("address", ["/", "/api/sheet", "/wrong/api/sheet", "/the-toke/api/sheet", "/the-token2/"])
def test_a_wrong_token_gets_a_sentence_and_nothing_else(page, address):
    answer = page.client.get(address)
    assert answer.status_code == 403
    assert "key in this address is missing or wrong" in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "static/%2e%2e/app.py", "static/..%2fapp.py", "static/niivue/%2e%2e/%2e%2e/app.py", "static/%2fetc/passwd",
        "api/results/%2e%2e/report.png", "api/results/..%2f..%2fone/report.png", "api/results/one/..%2fspine.json",
        "%2e%2e/%2e%2e/etc/passwd", "static/main.js/..", "nothing",
    ],
)  # fmt: skip
def test_no_address_leads_out_of_the_page_or_the_results(page, address):
    answer = page.get(address)
    assert answer.status_code in (400, 403, 404)
    assert len(answer.text) < 200


def test_a_result_outside_the_folder_is_not_shown_though_a_link_leads_to_it(results, made, tmp_path):
    (results / "link").symlink_to(made / "result", target_is_directory=True)
    assert set(Page(results).entries()) == {"one", "two"}


def test_a_file_that_is_a_link_out_of_the_results_is_not_let_out(page, results, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for name in ("report.png", "measurements.csv"):
        (results / "one" / name).unlink()
        (results / "one" / name).symlink_to(tmp_path / "secret")
        answer = page.get(f"api/results/{page.scan()['id']}/{name}")
        assert answer.status_code == 400 and "leads out of the results" in answer.json()["error"]


def test_every_answer_forbids_other_sources_and_is_not_kept(page):
    for address in ("", "static/main.js", "api/sheet"):
        headers = page.get(address).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"


def test_every_file_of_the_page_is_served(page):
    from SpinalTapLib.review.app import STATIC, static_files

    assert {"index.html", "main.js", "style.css", "niivue/niivue.umd.js", "niivue/LICENSE"} <= static_files()
    assert page.get("").text == (STATIC / "index.html").read_text()
    assert page.get("static/main.js").headers["content-type"].startswith("text/javascript")


def test_a_websocket_is_refused(page):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), page.client.websocket_connect(f"/{TOKEN}/api/sheet"):
        pass


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b'{"kind": "undo"}', "text/plain"), (b"[]", "application/json"), (b"{", "application/json"),
     (b'{"note": "' + b"x" * 70_000 + b'"}', "application/json")],
)  # fmt: skip
def test_a_request_that_is_not_the_page_s_own_is_refused(page, content, kind):
    address = f"/{TOKEN}/api/results/{page.scan()['id']}/correction"
    answer = page.client.post(address, content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["error"]


# --- the sheet -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_folder_without_results_is_refused_with_a_sentence(tmp_path, kind):
    from SpinalTapLib.review.app import Review

    folder = tmp_path / kind
    if kind == "empty":
        folder.mkdir()
    elif kind == "file":
        folder.write_text("")
    with pytest.raises(ValueError, match=r"There is no (folder|result).*give a result folder"):
        Review(folder, "reader")


def test_a_single_result_folder_can_be_reviewed(results):
    assert set(Page(results / "one").entries()) == {"one"}


def test_the_most_doubtful_result_comes_first(page, results):
    path = results / "two" / "spine.json"
    content = json.loads(path.read_text())
    content["vertebrae"][0]["level_probability"] = 0.6
    path.write_text(json.dumps(content))
    (results / "bad").mkdir()
    (results / "bad" / "spine.json").write_text("{")
    (results / "a_new" / "x").mkdir(parents=True)
    shutil.copy(results / "one" / "spine.json", results / "a_new" / "x")
    unnamed = {**content, "anchor": "none"}
    (results / "a_new" / "x" / "spine.json").write_text(json.dumps(unnamed))
    names = [entry["name"] for entry in page.get("api/sheet").json()["entries"]]
    assert names == ["bad", "a_new/x", "two", "one"]


def test_a_result_of_another_version_is_listed_with_its_reason(page, results):
    path = results / "two" / "spine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    entry = page.entries()["two"]
    assert "is of schema 99" in entry["problem"] and entry["doubtWords"] == "no result"
    assert "is of schema 99" in page.get(f"api/results/{entry['id']}").json()["problem"]
    assert page.entries()["one"]["problem"] == ""


def test_a_scan_that_failed_in_a_batch_is_listed_with_its_reason(page, results):
    from SpinalTapLib.batch.state import EMPTY, FAILED, State

    State("a.nii", FAILED, message="The scan is a label map.").write(results / "failed")
    State("b.nii", EMPTY).write(results / "empty")
    problems = {name: entry["problem"] for name, entry in page.entries().items()}
    assert problems["failed"] == "The scan is a label map."
    assert problems["empty"] == "No vertebra was found in this scan."
    assert page.scan("failed")["problem"] == problems["failed"]


def test_the_thumbnail_is_the_side_view_of_the_report(page):
    from PIL import Image

    scan = page.scan()
    small, large = (page.get(f"api/results/{scan['id']}/{name}.jpg") for name in ("thumbnail", "picture"))
    sizes = [Image.open(io.BytesIO(answer.content)).size for answer in (small, large)]
    assert sizes[0][1] <= 340 < sizes[1][1]


# --- judging ---------------------------------------------------------------------------------------------------


def test_a_judgement_is_in_its_file_at_once(page, results):
    answer = page.judge(page.scan(), "rejected", " L5 is wrong ").json()
    assert (answer["verdict"], answer["note"], answer["who"]) == ("rejected", "L5 is wrong", "Dr Reader")
    stored = json.loads((results / "one" / "review.json").read_text())["judgements"]
    assert [(each["verdict"], each["note"]) for each in stored] == [("rejected", "L5 is wrong")]
    assert Page(results).entries()["one"]["verdict"] == "rejected"
    assert page.entries()["two"]["verdict"] == "open"


def test_judgements_are_added_never_replaced(page, results):
    for verdict in ("accepted", "rejected", "open"):
        page.judge(page.scan(), verdict)
    stored = json.loads((results / "one" / "review.json").read_text())["judgements"]
    assert [each["verdict"] for each in stored] == ["accepted", "rejected", "open"]


def test_a_judgement_of_a_result_that_has_changed_since_is_refused(page):
    old = page.scan()
    assert page.correct(old, kind="shift", steps=1).status_code == 200
    answer = page.judge(old)
    assert answer.status_code == 409 and "look at it again" in answer.json()["error"]


def test_a_verdict_on_an_earlier_state_does_not_count_but_stays(page, results):
    page.judge(page.scan())
    page.correct(page.scan(), kind="shift", steps=1)
    page.get(f"api/results/{page.scan()['id']}/saved")
    entry = page.entries()["one"]
    assert entry["verdict"] == "open" and entry["changed"]
    assert len(json.loads((results / "one" / "review.json").read_text())["judgements"]) == 1


def test_a_damaged_review_file_is_not_replaced(page, results):
    (results / "one" / "review.json").write_text("{ my notes")
    assert "damaged" in page.entries()["one"]["hints"][0]
    answer = page.judge(page.scan())
    assert answer.status_code == 400 and "damaged" in answer.json()["error"]
    assert (results / "one" / "review.json").read_text() == "{ my notes"


def test_an_unknown_verdict_is_refused(page, results):
    assert "A verdict is one of" in page.judge(page.scan(), "maybe").json()["error"]
    assert not (results / "one" / "review.json").exists()


def test_a_folder_that_cannot_be_written_loses_nothing(page, results, monkeypatch):
    """As root, no mode of a folder forbids writing: the file system says it here."""
    import errno

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    as_ever = Path.open

    def open_to_read(path, mode="r", *more, **named):
        return refuse() if set(mode) & set("wax+") else as_ever(path, mode, *more, **named)

    before = {path.name: path.read_bytes() for path in (results / "one").iterdir() if path.is_file()}
    scan = page.scan()
    monkeypatch.setattr(Path, "open", open_to_read)
    monkeypatch.setattr(Path, "mkdir", refuse)
    answers = page.judge(scan), page.correct(scan, kind="shift", steps=1)
    monkeypatch.undo()
    for answer in answers:
        assert answer.status_code == 400 and "read-only" in answer.json()["error"]
    assert {path.name: path.read_bytes() for path in (results / "one").iterdir() if path.is_file()} == before
    assert page.scan()["version"] == scan["version"]


# --- corrections -----------------------------------------------------------------------------------------------


def test_a_correction_is_answered_at_once_and_then_written_whole(page, results):
    first = page.scan()
    assert [row["level"] for row in first["rows"]] == ["L3", "L4", "L5", "S1"]
    now = page.correct(first, kind="shift", steps=1).json()
    assert [row["level"] for row in now["rows"]] == ["L2", "L3", "L4", "L5"]
    saved = page.get(f"api/results/{first['id']}/saved").json()
    assert saved["version"] == now["version"] != first["version"]
    assert levels(results / "one") == ["L5", "L4", "L3", "L2"]
    assert {path.stem for path in (results / "one" / "surfaces").iterdir()} == {"L5", "L4", "L3", "L2"}
    assert len(json.loads((results / "one" / "changes.json").read_text())["counts"]) == 2
    assert saved["history"] == ["Segmented", "Counted from the vertebra marked as L5"]
    assert levels(results / "two") == ["S1", "L5", "L4", "L3"]
    back = page.correct(now, kind="undo").json()
    assert [row["level"] for row in back["rows"]] == ["L3", "L4", "L5", "S1"] and not back["canUndo"]


def test_the_box_a_name_and_a_drop_are_corrections_too(page, unwritten):
    scan = page.scan()
    box = {**scan["box"], "center": scan["rows"][-2]["center"]}
    scan = page.correct(scan, kind="box", box=box).json()
    assert scan["boxByUser"] and [row["level"] for row in scan["rows"]] == ["L4", "L5", "S1"]
    scan = page.correct(scan, kind="reset").json()
    assert not scan["boxByUser"] and scan["rows"][-1]["level"] == "S1"
    scan = page.correct(scan, kind="pin", index=1, level="L4").json()
    assert scan["rows"][-2]["level"] == "L4"
    scan = page.correct(scan, kind="drop", index=3).json()
    assert len(scan["rows"]) == 3
    assert scan["history"][1:] == [
        "Counted from the vertebra marked as S1", "Counted from the image", "Counted from the vertebra marked as L4",
        "A false detection dropped",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        ({"kind": "undo"}, "nothing to undo"),
        ({"kind": "alternative", "number": 1}, "no other count number 1"),
        ({"kind": "pin", "index": 99, "level": "L5"}, "no vertebra number 99"),
        ({"kind": "pin", "index": 0, "level": "L9"}, "no vertebral level"),
        ({"kind": "pin", "index": "../..", "level": "L5"}, "is not complete"),
        ({"kind": "shift"}, "is not complete"),
        ({"kind": "box", "box": {"center": [0, 0], "size": [1, 1, 1], "axes": [[1]]}}, "The centre of the box"),
        ({"kind": "box", "box": {"center": "x"}}, "is not complete"),
        ({"kind": "box", "box": {"center": "x", "size": 1, "axes": 1}}, "is not complete"),
        ({"kind": "explode"}, "There is no correction"),
    ],
)
def test_a_correction_that_does_not_apply_is_refused_with_a_sentence(page, correction, words):
    answer = page.correct(page.scan(), **correction)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_the_second_of_two_tabs_is_told_and_nothing_is_lost(results, page):
    seen = page.scan()
    page.correct(seen, kind="shift", steps=1)
    answer = page.correct(seen, kind="shift", steps=1)
    assert answer.status_code == 409 and "another window" in answer.json()["error"]
    page.get(f"api/results/{seen['id']}/saved")
    assert levels(results / "one") == ["L5", "L4", "L3", "L2"]


def test_a_correction_by_another_program_is_noticed(results, page):
    from SpinalTapLib.corrections import Shift
    from SpinalTapLib.result_folder import reseed_folder

    seen = page.correct(page.scan(), kind="shift", steps=1).json()
    page.get(f"api/results/{seen['id']}/saved")
    reseed_folder(results / "one", correction=Shift(1))
    assert page.correct(seen, kind="shift", steps=1).status_code == 409
    assert page.scan()["rows"][-1]["level"] == "L4" and len(page.scan()["history"]) == 3


def test_a_correction_that_cannot_be_written_is_taken_back(page, results, monkeypatch):
    from SpinalTapLib.result_folder import StoredResult

    def full(*_, **__):
        raise ValueError("Could not write the output folder: the disk is full.")

    scan = page.scan()
    monkeypatch.setattr(StoredResult, "written", full)
    assert page.correct(scan, kind="shift", steps=1).status_code == 200
    answer = page.get(f"api/results/{scan['id']}/saved")
    assert answer.status_code == 400 and "the disk is full" in answer.json()["error"]
    assert page.scan()["version"] == scan["version"]
    assert levels(results / "one") == ["S1", "L5", "L4", "L3"]


def test_a_result_that_vanishes_meanwhile_gets_a_sentence(page, results):
    scan = page.scan()
    shutil.rmtree(results / "one")
    answers = [page.get(f"api/results/{scan['id']}{end}") for end in ("", "/saved", "/scan.nii.gz", "/report.png")]
    answers += [page.judge(scan), page.correct(scan, kind="shift", steps=1)]
    for answer in answers:
        assert answer.status_code == 400 and "no longer there" in answer.json()["error"]
    assert set(page.entries()) == {"two"}
    assert not (results / "one").exists()


def test_a_result_whose_scan_has_moved_shows_its_picture_and_says_why_it_cannot_be_corrected(page, results):
    path = results / "one" / "spine.json"
    content = json.loads(path.read_text())
    content["input"]["path"] = "/nowhere/scan.nii.gz"
    path.write_text(json.dumps(content))
    scan = page.scan()
    assert "no longer at /nowhere/scan.nii.gz" in scan["noScan"] and len(scan["rows"]) == 4
    assert page.get(f"api/results/{scan['id']}/picture.jpg").status_code == 200
    for answer in (page.get(f"api/results/{scan['id']}/scan.nii.gz"), page.correct(scan, kind="shift", steps=1)):
        assert answer.status_code == 400 and "no longer at /nowhere" in answer.json()["error"]
    assert page.judge(scan).status_code == 200


# --- what the viewer and the downloads get ---------------------------------------------------------------------


def read_nifti(data: bytes, tmp_path: Path) -> sitk.Image:
    (tmp_path / "image.nii.gz").write_bytes(data)
    return sitk.ReadImage(str(tmp_path / "image.nii.gz"))


def test_scan_and_labels_lie_where_the_result_s_own_files_do(page, results, tmp_path):
    scan = page.scan()
    sent = read_nifti(page.get(f"api/results/{scan['id']}/labels.nii.gz").content, tmp_path)
    stored = sitk.ReadImage(str(results / "one" / "vertebrae.nii.gz"))
    again = sitk.GetArrayFromImage(sitk.Resample(stored, sent, sitk.Transform(), sitk.sitkNearestNeighbor))
    values = [0, *(v["label_value"] for v in json.loads((results / "one" / "spine.json").read_text())["vertebrae"])]
    assert np.array_equal(np.array(values)[sitk.GetArrayFromImage(sent)], again) and again.any()
    grey = sitk.GetArrayFromImage(read_nifti(page.get(f"api/results/{scan['id']}/scan.nii.gz").content, tmp_path))
    assert grey[again > 0].mean() > grey[again == 0].mean() + 30


def test_the_labels_follow_a_correction_before_it_is_written(page, results, unwritten, tmp_path):
    scan = page.correct(page.scan(), kind="drop", index=3).json()
    sent = read_nifti(page.get(f"api/results/{scan['id']}/labels.nii.gz").content, tmp_path)
    assert sitk.GetArrayFromImage(sent).max() == 3


@pytest.mark.parametrize("kind", ["stl", "obj", "ply"])
def test_the_surfaces_can_be_saved_in_every_format(page, kind):
    answer = page.get(f"api/results/{page.scan()['id']}/surfaces.zip?format={kind}")
    assert f'filename="blocks_surfaces_{kind}.zip"' in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert sorted(archive.namelist()) == sorted(f"{name}.{kind}" for name in ("L3", "L4", "L5", "S1"))
    assert all(len(archive.read(name)) > 1000 for name in archive.namelist())


def test_an_unknown_format_is_refused(page):
    answer = page.get(f"api/results/{page.scan()['id']}/surfaces.zip?format=../x")
    assert answer.status_code == 400 and "Surfaces can be written as" in answer.json()["error"]


def test_table_and_picture_are_those_of_the_result(page, results):
    scan = page.scan()
    for name in ("report.png", "measurements.csv"):
        answer = page.get(f"api/results/{scan['id']}/{name}")
        assert answer.content == (results / "one" / name).read_bytes()
        assert f'filename="blocks_{name}"' in answer.headers["content-disposition"]


def test_the_judged_list_is_a_table_without_formulas(page):
    page.judge(page.scan(), "rejected", "=HYPERLINK(1)")
    rows = list(csv.DictReader(io.StringIO(page.get("api/judgements.csv").text)))
    assert [(row["result"], row["verdict"]) for row in rows] == [("one", "rejected"), ("two", "open")]
    assert rows[0]["note"] == "'=HYPERLINK(1)" and rows[0]["levels"] == "L3 to S1"
