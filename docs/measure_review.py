"""Measure how long a reader waits in the browser: the sheet of a cohort, the next scan, a recount; and a page's size.

    python docs/measure_review.py RESULT [copies]

RESULT is one result folder, of which the cohort is made (500 copies). Needs the test environment (``make test`` makes
it) and Chromium. The times are wall-clock times, without a graphics card, and mean nothing while other programs run.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing" / "support"), str(ROOT)]

from chromium import launch  # noqa: E402

from SpinalTapLib.review.serve import Server  # noqa: E402

COPIES, NEXT_SCANS, RECOUNTS = 500, 8, 6
IN_VIEW = """() => document.querySelectorAll('.card').length === %d && [...document.querySelectorAll('.card img')]
  .filter((i) => i.getBoundingClientRect().top < innerHeight).every((i) => i.complete && i.naturalWidth)"""


def timed(action, wait) -> float:
    """Return the seconds from an action of the reader until the page shows what was asked for."""
    began = time.perf_counter()
    action()
    wait()
    return time.perf_counter() - began


def show(what: str, wanted: str, seconds: list[float]) -> None:
    """Print one row of the table."""
    print(f"| {what} | {wanted} | {min(seconds):.2f} | {median(seconds):.2f} | {max(seconds):.2f} |", flush=True)


def measure(page, address: str, copies: int) -> None:
    """Print the table of times, s, and the size of a page, MB."""
    print("| what | wanted, s | least | median | most |\n| --- | --- | --- | --- | --- |")
    sheets = [timed(lambda: page.goto(address), lambda: page.wait_for_function(IN_VIEW % copies)) for _ in range(3)]
    show(f"sheet of {copies} results, with the thumbnails in view", "2", sheets)

    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    page.locator(".card").first.click()
    page.keyboard.press("o")
    shown = "() => document.getElementById('scan').dataset.%s === location.hash.slice(6)"
    page.wait_for_function("() => location.hash && document.getElementById('scan').dataset.surfaces")
    page_mb = sum(sizes) / 1e6

    def next_scan() -> float:
        before = page.evaluate("location.hash")
        page.wait_for_timeout(5000)  # the reader looks; the next scan is fetched meanwhile

        def wait() -> None:
            page.wait_for_function("(before) => location.hash !== before", arg=before)
            page.wait_for_function(shown % "ready")

        return timed(lambda: page.keyboard.press("j"), wait)

    show("next scan, with its slices", "0.5", [next_scan() for _ in range(NEXT_SCANS)])

    def recount(up: bool) -> float:
        names = page.locator("#scan .level").all_inner_texts()
        button = page.get_by_role("button", name="Up" if up else "Down", exact=False).first
        changed = "(n) => [...document.querySelectorAll('#scan .level')].map((c) => c.innerText).join() !== n.join()"
        seconds = timed(button.click, lambda: page.wait_for_function(changed, arg=names))
        page.wait_for_timeout(3000)  # the files are written
        return seconds

    show("recount after a shift", "1", [recount(i % 2 == 0) for i in range(RECOUNTS)])
    print(f"\nOne result's page: {page_mb:.1f} MB (wanted: below 5 MB).")


def main(result: Path, copies: int) -> None:
    """Make the cohort, serve it, and measure."""
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        for number in range(copies):
            shutil.copytree(result, Path(place) / "cohort" / f"scan-{number:04d}")
        server = Server(Path(place) / "cohort", "Reader")
        thread = threading.Thread(target=server.run)
        thread.start()
        browser = launch(driver)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        try:
            measure(page, server.address, copies)
        finally:
            browser.close()
            server.stop()
            thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else COPIES)
