"""The worker process: runs the pipeline, stays loaded between requests, and communicates in JSON lines.

``python -m SpinalTapLib.worker`` reads one request per line from standard input and writes one message per line to
standard output. All other output goes to standard error, which is the log. A request has an ``id`` and one of

    {"command": "segment", "folder": F, "answer": NAME, "settings": {...}, "seed": {...} or null}
    {"command": "recount", "folder": F, "answer": NAME, "settings": {...}, "seed": {...} or null,
                           "spine": {...}, "from": F0, "edits": [...]}
    {"command": "warm",    "folder": F or null}

Scans and results lie in the exchange folder F (see `exchange`). A recount starts from the spine, the evidence in F0
and the edits to be made to that evidence (see `corrections.Edit`); with edits, F is a new folder, so that undo finds
F0 unchanged. ``warm`` loads the libraries and a folder's evidence ahead of a recount.

Messages are ``progress`` (stage, fraction, sentence), ``done`` and ``failed`` (sentence). The process ends with its
parent, however the parent ends, and ends its own children too.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import sentence_for
from ..files.atomic import write_whole
from ..files.changes_file import edit_in
from ..files.spine_codec import seed_in, spine_of
from . import exchange
from .processes import end_group, end_with_parent

if TYPE_CHECKING:
    from ..evidence import Evidence
    from ..spine.vertebra import SeedBox, Spine

_SURFACE_SHARE = 0.12  # share of the time of a run, measured on a whole spine on two cores

_log = logging.getLogger(__name__)


class Worker:
    """Works on one request at a time.

    Parameters
    ----------
    road : str
        Name of the module with `segment_spine`, `reseed_spine` and `Options`; tests use a stand-in.
    out : text file
        Stream for the messages.

    Attributes
    ----------
    evidence : Evidence or None
        Evidence of `folder`, kept because the next recount most likely needs it.
    folder : Path or None
        The exchange folder used last.
    """

    def __init__(self, road: str, out: TextIO) -> None:
        self._road = road
        self._out = out
        self._lock = threading.Lock()
        self.evidence: Evidence | None = None
        self.folder: Path | None = None

    def work(self, request: Mapping[str, Any]) -> None:
        """Handle a request; any error becomes a message."""
        number = request.get("id")
        commands = {"segment": self._segment, "recount": self._recount, "warm": self._warm}
        try:
            commands[request["command"]](request)
            self._say(number, "done", answer=request.get("answer"))
        except Exception as error:
            _log.exception("%s failed", request.get("command"))
            self._say(number, "failed", sentence=sentence_for(error))
            if not isinstance(error, ValueError):
                self.evidence = self.folder = None  # the file may be damaged, or memory may run out

    def _segment(self, request: Mapping[str, Any]) -> None:
        folder = Path(request["folder"])
        report = self._reporter(request, 1 - _SURFACE_SHARE)
        report("start", 0.0, "Starting the network")
        pipeline = self._pipeline()
        volume = exchange.read_volume(folder)
        options = pipeline.Options(**request["settings"])
        spine = pipeline.segment_spine(volume, options=options, progress=report)
        if not spine.vertebrae:
            raise ValueError(
                f"No vertebra was found in {volume.name!r}. SpinalTap looks for the spine in sagittal MRI scans; "
                "check that this is one, and that its orientation is right."
            )
        seed = seed_in(request["seed"])
        self._write(request, folder, spine if seed is None else _counted_from(seed, spine, pipeline, options))

    def _recount(self, request: Mapping[str, Any]) -> None:
        folder, before = Path(request["folder"]), Path(request["from"])
        edits = [edit_in(edit) for edit in request["edits"]]
        is_drawn = any(edit.added is not None for edit in edits)
        report = self._reporter(request, 1.0)
        report("edit", 0.0, "Outlining the new body" if is_drawn else "Counting again")
        pipeline = self._pipeline()
        evidence = self._evidence_of(before)
        for edit in edits:
            evidence = edit.applied(evidence)
        spine = replace(spine_of(request["spine"]), evidence=evidence)
        options = pipeline.Options(**request["settings"])
        spine = pipeline.reseed_spine(spine, seed_in(request["seed"]), options=options, progress=report)
        if folder != before:
            exchange.carry_over(before, folder, shapes=not is_drawn)
        self._write(request, folder, spine)

    def _write(self, request: Mapping[str, Any], folder: Path, spine: Spine) -> None:
        """Write the answer and any missing shapes; keep the evidence for the next recount."""
        from ..files.evidence_file import evidence_bytes

        evidence: Any = spine.evidence
        if not (folder / exchange.EVIDENCE).is_file():
            write_whole(folder / exchange.EVIDENCE, evidence_bytes(evidence))
        if not exchange.has_shapes(folder):
            self._shapes(request, folder, evidence)
        exchange.write_answer(folder, request["answer"], spine)
        self.evidence, self.folder = evidence, folder

    def _warm(self, request: Mapping[str, Any]) -> None:
        self._pipeline()
        if request.get("folder"):
            self._evidence_of(Path(request["folder"]))

    def _evidence_of(self, folder: Path) -> Evidence:
        """Return the evidence of a folder, from memory if it was used last."""
        if self.evidence is None or self.folder != folder:
            from ..files.evidence_file import read_evidence

            self.evidence = read_evidence(folder / exchange.EVIDENCE, exchange.read_volume(folder))
            self.folder = folder
        return self.evidence

    def _shapes(self, request: Mapping[str, Any], folder: Path, evidence: Evidence) -> None:
        report = self._reporter(request, 1.0)

        def progress(number: int, whole: int) -> None:
            fraction = 1 - _SURFACE_SHARE * (1 - (number - 1) / whole)
            report("surfaces", fraction, f"Making surface {number} of {whole}")

        exchange.write_shapes(folder, evidence, progress)

    def _pipeline(self) -> Any:
        return importlib.import_module(self._road)

    def _reporter(self, request: Mapping[str, Any], share: float) -> Callable[[str, float, str], None]:
        def report(stage: str, fraction: float, sentence: str) -> None:
            self._say(request.get("id"), "progress", stage=stage, fraction=fraction * share, sentence=sentence)

        return report

    def _say(self, number: Any, event: str, **more: Any) -> None:
        line = json.dumps({"id": number, "event": event, **more})
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):  # the parent is gone
            self._out.write(line + "\n")
            self._out.flush()


def _counted_from(seed: SeedBox, spine: Spine, pipeline: Any, options: Any) -> Spine:
    """Recount from the user's box; if no vertebra lies in it, keep the spine and add a warning.

    The box may be left over from before the patient moved, or from another scan; the segmentation is kept then.
    """
    try:
        return pipeline.reseed_spine(spine, seed, options=options)
    except ValueError as error:
        return replace(spine, warnings=(*spine.warnings, f"The levels were counted without the box. {error}"))


def _private_stdout() -> TextIO:
    """Return a stream to the real standard output, and redirect everything else that is printed to the log."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _requests() -> Iterator[dict[str, Any]]:
    """Yield requests; when standard input ends, the parent is gone and this process ends, even during a request."""
    waiting: queue.Queue[dict[str, Any]] = queue.Queue()

    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]

    def read() -> None:
        try:
            for request in parsed(sys.stdin):
                waiting.put(request)
        finally:
            end_group()

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def parsed(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the request of each line; lines that are not requests are logged and skipped."""
    for line in lines:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if isinstance(request, dict):
            yield request
        elif line.strip():
            _log.warning("Skipped a line that is not a request: %.100r", line)


def main() -> None:
    """Handle requests until the parent ends."""
    parser = argparse.ArgumentParser(description="Started by SpinalTap's panel; not meant to be run by hand.")
    parser.add_argument("--road", default="SpinalTapLib.pipeline", help="module with the pipeline; tests use another")
    road = parser.parse_args().road
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    worker = Worker(road, _private_stdout())
    end_with_parent()
    for request in _requests():
        worker.work(request)
