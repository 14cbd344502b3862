"""The review in a real browser: a reader opens, judges, corrects, drags, saves and comes back.

One browser and one server for the file. The tests follow each other on the same results, as a reader's day does.
"""

from __future__ import annotations

import io
import json
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from chromium import launch
from PIL import Image

HANGING_MS = 240_000
SIZE = {"width": 900, "height": 560}
# Keeps every sentence of the page: on a busy machine one may fade before the test has looked.
LISTENER = """
  window.said = [];
  new MutationObserver((changes) => changes.filter((change) => change.target.id === 'message')
    .forEach((change) => change.addedNodes.forEach((node) => said.push(node.textContent))))
    .observe(document, { childList: true, subtree: true });
"""


@pytest.fixture(scope="module")
def results(made, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser") / "cohort"
    for name in ("one", "two"):
        shutil.copytree(made / "result", folder / name)
    path = folder / "two" / "spine.json"
    content = json.loads(path.read_text())
    content["vertebrae"][0]["level_probability"] = 0.6
    path.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser's tests need playwright")
    with playwright.sync_playwright() as driver:
        try:
            browser = launch(driver)
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(results, browser):
    from SpinalTapLib.review.serve import Server

    server = Server(results, "Dr Reader")
    thread = threading.Thread(target=server.run)
    thread.start()
    page = browser.new_page(viewport=SIZE, accept_downloads=True)
    page.set_default_timeout(HANGING_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url) if is_foreign(request, server) else None)
    page.add_init_script(LISTENER)
    page.goto(server.address)
    yield page
    page.close()
    server.stop()
    thread.join()


def is_foreign(request, server) -> bool:
    return not request.url.startswith((server.address, "data:", "blob:"))


def cards(page) -> list[tuple[str, str]]:
    found = page.query_selector_all(".card")
    return [(c.get_attribute("aria-label").split(",")[0], c.get_attribute("data-verdict")) for c in found]


def open_scan(page, name: str) -> None:
    page.locator(".card", has_text=name).click()
    page.keyboard.press("o")
    shown = "document.getElementById('scan').dataset.surfaces === location.hash.slice(6)"
    page.wait_for_function(f"() => location.hash && {shown}")


def levels(page) -> list[str]:
    return [cell.inner_text() for cell in page.query_selector_all("#scan .level")]


def stored_levels(folder: Path) -> list[str]:
    return [v["level"] for v in reversed(json.loads((folder / "spine.json").read_text())["vertebrae"])]


def wait_until_said(page, words: str) -> None:
    page.wait_for_function("(words) => said.some((sentence) => sentence.includes(words))", arg=words)
    page.evaluate("async () => { said.length = 0; (await import('./static/dom.js')).say(''); }")


def wait_until_saved(page) -> None:
    wait_until_said(page, "counted again and saved")


def test_the_sheet_shows_the_most_doubtful_first_and_one_key_judges(page, results):
    page.wait_for_selector(".card")
    assert cards(page) == [("two", "open"), ("one", "open")]
    page.wait_for_function("() => [...document.querySelectorAll('.card img')].every((i) => i.naturalWidth > 50)")
    page.keyboard.press("a")
    page.wait_for_selector(".card[data-verdict=accepted]")
    assert page.locator(".left").inner_text() == "1 of 2 judged, 1 left"
    assert json.loads((results / "two" / "review.json").read_text())["judgements"][-1]["who"] == "Dr Reader"
    assert page.locator(".card[aria-selected=true] strong").inner_text() == "one"  # the next one
    page.keyboard.press("n")
    page.keyboard.type("look at L5")
    page.keyboard.press("Escape")
    wait_until_said(page, "note saved")
    page.reload()
    page.wait_for_selector(".card[data-verdict=accepted]")
    page.locator(".card", has_text="one").click()
    assert page.locator("#sheet textarea").input_value() == "look at L5"


def test_filters_leave_what_they_say(page):
    page.get_by_label("Not judged yet").check()
    assert cards(page) == [("one", "open")]
    page.get_by_label("Not judged yet").uncheck()
    page.get_by_label("Part of a name").fill("tw")
    assert cards(page) == [("two", "accepted")]
    page.get_by_label("Part of a name").fill("")


def test_a_level_is_corrected_and_the_correction_undone(page, results):
    open_scan(page, "one")
    assert levels(page) == ["L3", "L4", "L5", "S1"]
    page.locator("#scan .level", has_text="L5").click()
    page.get_by_label("Level of the chosen vertebra").select_option("L4")
    wait_until_saved(page)
    assert levels(page) == ["L2", "L3", "L4", "L5"] == stored_levels(results / "one")
    page.locator("#scan h1").click()
    page.keyboard.press("z")
    wait_until_saved(page)
    assert levels(page) == ["L3", "L4", "L5", "S1"] == stored_levels(results / "one")


def test_the_s1_box_is_dragged_in_the_picture(page, results):
    """From S1 to L5, 36 mm higher: the distance on the screen is that of the two names."""
    names = {n.text_content(): n.bounding_box() for n in page.query_selector_all(".overlay .name")}
    box = page.locator(".s1-box").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + names["L5"]["y"] - names["S1"]["y"], steps=3)
    assert page.locator("#scan .status").inner_text() == "Let go to make L5 S1"
    page.mouse.up()
    wait_until_saved(page)
    assert levels(page) == ["L4", "L5", "S1"] == stored_levels(results / "one")  # what lies below S1 is not counted
    assert json.loads((results / "one" / "spine.json").read_text())["seed"]["level"] == "S1"
    page.locator(".s1-box").focus()
    page.keyboard.press("Shift+ArrowUp")
    assert "Let go" in page.locator("#scan .status").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#scan .status").is_visible()


def test_the_slices_show_the_scan_and_the_names_can_be_hidden(page):
    picture = np.asarray(Image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("L"), float)
    sagittal = picture[:, : picture.shape[1] // 2]
    assert np.percentile(sagittal, 99) - np.percentile(sagittal, 5) > 60
    page.keyboard.press("l")
    assert page.locator(".overlay .name").count() == 0
    page.keyboard.press("l")
    assert page.locator(".overlay .name").count() == 3


def test_surfaces_table_and_list_are_saved(page, tmp_path):
    ends = {"Surfaces (STL)": "_surfaces_stl.zip", "Table (CSV)": "_measurements.csv", "Report (PNG)": "_report.png"}
    for words, end in ends.items():
        with page.expect_download() as download:
            page.get_by_role("link", name=words, exact=True).click()
        assert download.value.suggested_filename == f"blocks{end}"
        download.value.save_as(tmp_path / end)
    assert len(zipfile.ZipFile(tmp_path / "_surfaces_stl.zip").namelist()) == 3


def test_keys_alone_lead_back_and_everything_has_a_name(page):
    unnamed = """() => [...document.querySelectorAll('button, a, input, select, textarea, img, [role]')]
      .filter((e) => e.checkVisibility({ visibilityProperty: true }))
      .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()
        || e.hasAttribute('alt'))).map((e) => e.outerHTML)"""
    assert page.evaluate(unnamed) == []
    page.keyboard.press("Escape")
    page.wait_for_selector("#sheet:not([hidden])")
    assert page.evaluate(unnamed) == []
    assert page.locator(".card[aria-selected=true] strong").inner_text() == "one"
    page.keyboard.press("ArrowLeft")
    assert page.locator(".card[aria-selected=true] strong").inner_text() == "two"
    page.reload()
    page.wait_for_selector(".card")
    assert cards(page) == [("two", "accepted"), ("one", "open")]


def test_the_modules_count_and_place_as_they_say(page):
    done = page.evaluate(
        """async () => {
          const s = await import('./static/selection.js');
          const g = await import('./static/geometry.js');
          const entries = [
            { id: 'a', name: 'Anna', scan: '', verdict: 'open', unnamed: true, problem: '' },
            { id: 'b', name: 'Bo', scan: 'x', verdict: 'accepted', close: true, problem: '' },
            { id: 'c', name: 'Cy', scan: '', verdict: 'open', problem: 'broken' },
          ];
          const ids = (choice) => s.chosen(entries, choice).map((e) => e.id).join('');
          const axes = [[1, 0, 0], [0, 0, -1], [0, 1, 0]];
          const box = { center: [0, 10, 20], size: [40, 30, 20], axes };
          const rows = [{ center: [0, 12, 20] }, { center: [0, 10, 60] }];
          return {
            all: ids({}), open: ids({ openOnly: true }), failed: ids({ filter: 'failed' }), words: ids({ words: 'X' }),
            kept: ids({ openOnly: true, kept: 'b' }), counts: s.counts(entries),
            next: [s.neighbour(entries, 'a', 1), s.neighbour(entries, 'c', 1), s.neighbour(entries, 'z', 1)],
            left: [s.progressWords(1, 3), s.progressWords(3, 3)],
            corners: g.boxCorners(box), moved: g.movedBox(box, 1, 2).center,
            inside: rows.indexOf(g.rowInBox(rows, box)),
            near: [g.rowNear(rows, [0, 10, 58]) === rows[1], g.rowNear(rows, [0, 0, 200])],
            mm: g.millimetresOf([2, 0], [0, -2])([4, 6]),
          };
        }"""
    )
    assert done["all"] == "abc" and done["open"] == "a" and done["failed"] == "c" and done["words"] == "b"
    assert done["kept"] == "ab"
    assert [done["counts"][name] for name in ("all", "readable", "judged", "unnamed")] == [3, 2, 1, 1]
    assert done["next"] == ["b", "c", "a"] and done["left"] == ["1 of 3 judged, 2 left", "All 3 judged"]
    # The box's third axis points forward, its second one up: 20 mm deep, 30 mm high.
    assert done["corners"] == [[0, 0, 35], [0, 20, 35], [0, 20, 5], [0, 0, 5]]
    assert done["moved"] == [0, 11, 22] and done["inside"] == 0 and done["near"] == [True, None]
    assert done["mm"] == [2, -3]


def test_nothing_was_asked_from_elsewhere_and_nothing_went_wrong(page):
    assert page.problems == []
