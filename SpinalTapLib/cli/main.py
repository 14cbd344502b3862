"""Entry point of the command line: the parser, and the exit code of every outcome."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import is_memory, sentence_for
from ..progress import Cancelled
from . import batch_commands as many
from . import compare_command as comparing
from . import export_commands as exporting
from . import installation_commands as checking
from . import research_commands as evaluating
from . import review_command as reviewing
from . import segment_commands as segmenting
from . import training_commands as synthetic

DONE, FAILED, BAD_INPUT, NOTHING_FOUND, CANCELLED = 0, 1, 2, 3, 130
"""Exit codes; FAILED means a fault of the program itself."""

EXAMPLE = "spinaltap segment scan.nii.gz --output result"

_VALUES_WITH_MINUS = ("--seed-box", "--add-box", "--shift", "--steps")
"""Options whose value may begin with a minus sign, which argparse would take for an option."""


_PACKAGE = Path(__file__).resolve().parents[1]


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with code 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="spinaltap",
        description="Find, name and model every vertebra in a spine MRI.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"Example: {EXAMPLE}\n"
        "Exit codes: 0 done, 1 internal error, 2 bad input or usage, 3 no vertebra found, 130 cancelled.",
    )
    parser.add_argument("--version", action="version", version=f"spinaltap {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (segmenting, many, reviewing, comparing, exporting, synthetic, evaluating, checking):
        group.add_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process if not given.
    """
    given = _join_values(sys.argv[1:] if arguments is None else arguments)
    # Before PyTorch is loaded: idle threads must sleep instead of spinning, which is very slow on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not given:
        return _end(f"name a command, such as: {EXAMPLE} (all commands: spinaltap --help)", BAD_INPUT)
    try:
        with _terminate_as_interrupt():
            options = make_parser().parse_args(given)
            _set_up_logging(getattr(options, "verbose", False))
            return int(options.run(options))
    except SystemExit as done:  # argparse: --help, --version, bad usage
        return done.code if isinstance(done.code, int) else BAD_INPUT
    except (KeyboardInterrupt, Cancelled):
        return _end("Cancelled; nothing was written.", CANCELLED)
    except BrokenPipeError:  # the reader of our output has closed it, such as `| head`
        sys.stdout = None  # type: ignore[assignment]  # or the interpreter complains when it flushes at exit
        return DONE
    except Exception as error:
        logging.getLogger(__name__).debug("The run has failed", exc_info=True)
        if is_memory(error):
            return _end(sentence_for(error), FAILED)
        if isinstance(error, (OSError, ImportError)) or (isinstance(error, ValueError) and _is_ours(error)):
            return _end(sentence_for(error), BAD_INPUT)
        return _end(_fault_sentence(error, given), FAILED)


def _end(sentence: str, code: int) -> int:
    wipe = "\r\x1b[K" if sys.stderr.isatty() else ""  # the progress line may still be shown
    sys.stderr.write(f"{wipe}{'' if code == CANCELLED else 'spinaltap: '}{' '.join(sentence.split())}\n")
    return code


def _is_ours(error: ValueError) -> bool:
    """Return True if SpinalTap raised the error for the user; other errors are program faults."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).resolve().is_relative_to(_PACKAGE)


def _fault_sentence(error: Exception, arguments: Sequence[str]) -> str:
    """Write the log of an unexpected error, and return a sentence with its path."""
    text = f"spinaltap {__version__}\n{' '.join(arguments)}\n\n{traceback.format_exc()}"
    summary = f"Something went wrong inside SpinalTap ({type(error).__name__})"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="spinaltap-", suffix=".log", delete=False) as log:
            log.write(text)
    except OSError:
        return f"{summary}: {error}."
    return f"{summary}; please report it with the log {Path(log.name)}."


def _join_values(arguments: Sequence[str]) -> list[str]:
    """Join ``--seed-box -1,2,3,...`` to ``--seed-box=-1,2,3,...``."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in _VALUES_WITH_MINUS:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _set_up_logging(verbose: bool) -> None:
    level = logging.DEBUG if verbose else logging.ERROR
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s", level=level, force=True)
    for name in ("matplotlib", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Make SIGTERM end a run like Ctrl+C, with clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
