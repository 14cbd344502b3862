"""A real browser for the review page: a Chromium that is installed, without a screen or graphics card."""

from __future__ import annotations

import shutil
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
"""No graphics card, no screen, and a root user in continuous integration."""


def launch(driver: Any) -> Any:
    """Start the browser with Playwright's driver; raise FileNotFoundError if none is installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise FileNotFoundError(f"No browser is installed: {', '.join(NAMES)}.")
    return driver.chromium.launch(executable_path=program, args=FLAGS)
