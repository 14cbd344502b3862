"""Make the README's pictures of the review in the browser: sheet and scan, light and dark, on synthetic scans.

    python docs/make_review_pictures.py [folder]

Needs the test environment (``make test`` makes it), the weights, and Chromium or Chrome. With a folder of results,
their pictures are drawn, into that folder; without one, five phantoms are drawn and segmented (a few minutes), and
the pictures go to docs/pictures. No real scan is shown.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "Testing" / "support"), str(ROOT)]

from chromium import launch  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from SpinalTapLib.cli.main import main as spinaltap  # noqa: E402
from SpinalTapLib.review.serve import Server  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
PHANTOMS = (
    ("3", "lumbar", "t2"), ("4", "lumbar", "t2"), ("7", "whole", "t2"), ("9", "thoracic", "stir"),
    ("12", "lumbar", "t1"),
)  # fmt: skip
SIZE = {"width": 1440, "height": 900}
HANGING_MS = 600_000


def make_results(folder: Path) -> Path:
    """Draw and segment the phantoms; return the folder of their results."""
    for seed, region, sequence in PHANTOMS:
        name = f"phantom-{seed}-{region}-{sequence}"
        pathology = ["--pathology"] if region == "thoracic" or sequence == "t1" else []
        where = ["--output", str(folder / "scans")]
        spinaltap(["phantom", *where, "--seed", seed, "--region", region, "--sequence", sequence, *pathology])
        scan = folder / "scans" / f"{name}.nii.gz"
        spinaltap(["segment", str(scan), "--output", str(folder / "results" / name), "--quiet"])
    return folder / "results"


def take(page: Page, address: str, scheme: str, folder: Path) -> None:
    """Take the pictures of sheet and scan."""
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    page.wait_for_selector(".card")
    drawn = "[...document.querySelectorAll('#sheet img')].every((image) => image.naturalWidth)"
    page.wait_for_function(f"() => {drawn}")
    page.screenshot(path=folder / f"review-sheet-{scheme}.png", timeout=HANGING_MS)
    page.keyboard.press("o")
    shown = "document.getElementById('scan').dataset.surfaces === location.hash.slice(6)"
    page.wait_for_function(f"() => location.hash && {shown}")
    page.screenshot(path=folder / f"review-scan-{scheme}.png", timeout=HANGING_MS)
    print(folder / f"review-scan-{scheme}.png")


def main(arguments: list[str]) -> None:
    """Make the four pictures."""
    with tempfile.TemporaryDirectory() as place:
        results = Path(arguments[0]) if arguments else make_results(Path(place))
        server = Server(results, "Reader")
        thread = threading.Thread(target=server.run)
        thread.start()
        with sync_playwright() as driver:
            browser = launch(driver)
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport=SIZE)
                page.set_default_timeout(HANGING_MS)
                take(page, server.address, scheme, results if arguments else PICTURES)
                page.close()
            browser.close()
        server.stop()
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
