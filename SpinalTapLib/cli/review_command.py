"""The command that shows results in the browser: review."""

from __future__ import annotations

import argparse
import contextlib
import getpass
from pathlib import Path
from typing import Any

from .console import Console


def add_commands(commands: Any) -> None:
    """Add the command of this file to the parser's sub-commands."""
    text = "look at results in the browser, judge and correct them (needs the extra [review])"
    review = commands.add_parser("review", help=text)
    review.add_argument("folder", metavar="RESULTS", help="a result folder, or the output folder of batch")
    review.add_argument("--reader", metavar="NAME", help="name stored with each judgement (default: your login)")
    review.add_argument("--port", type=int, default=0, metavar="N", help="port on this computer (default: a free one)")
    review.add_argument("--no-browser", action="store_true", help="only print the address")
    review.set_defaults(run=run_review)


def run_review(arguments: argparse.Namespace) -> int:
    """Serve the review until Ctrl+C."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ValueError(
            f'The review needs the package {error.name}: pip install "SpinalTapLib[review]".'
        ) from None
    from ..review.serve import Server, open_browser

    console = Console()
    server = Server(Path(arguments.folder), arguments.reader or _login(), arguments.port)
    print(server.address, flush=True)
    console.line("Open this address in a browser on this computer. Ctrl+C ends the review.")
    if not arguments.no_browser:
        open_browser(server.address)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    console.line("The review has ended; all judgements and corrections are saved.")
    return 0


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no login name on this computer
        return "reader"
