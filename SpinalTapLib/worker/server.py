"""The worker: the library's road in a child process that stays warm, spoken to in JSON lines.

``python -m SpinalTapLib.worker`` reads one request a line from standard input and writes one message a line to
standard output; everything that anybody prints goes to standard error, which is the log. A request has an ``id`` and

    {"command": "segment", "folder": F, "answer": NAME, "settings": {...}, "seed": {...} or null}
    {"command": "reseed",  "folder": F, "answer": NAME, "settings": {...}, "seed": {...} or null}
    {"command": "drop",    "folder": F, "answer": NAME, "settings": {...}, "from": F0, "spine": {...}, "index": 2}
    {"command": "add",     "folder": F, "answer": NAME, "settings": {...}, "from": F0, "spine": {...}, "box": {...}}
    {"command": "warm",    "folder": F or null}

Messages: ``progress`` (stage, fraction, sentence), ``done``, ``failed`` (sentence). Scans and results lie in the
exchange folder F (see `exchange`). The process ends with its parent, however that ends, and takes its own children
along.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from ..errors import sentence_for
from ..files.spine_codec import box_in, seed_in, spine_of
from ..spine.vertebra import SeedBox, Spine
from . import exchange
from .processes import end_group, end_with_parent

_SURFACE_SHARE = 0.12  # of the time of a whole run, measured on a whole spine on two cores

_log = logging.getLogger(__name__)


class Worker:
    """Works on one request at a time.

    Parameters
    ----------
    road : str
        Name of the module with `segment_spine`, `reseed_spine` and `Options`.
    out : text file
        Where the messages go.
    """

    def __init__(self, road: str, out: TextIO) -> None:
        self._road_name = road
        self._out = out
        self._lock = threading.Lock()
        self._spine: Any = None
        self._folder: Path | None = None

    def work(self, request: Mapping[str, Any]) -> None:
        """Do what a request asks for; whatever goes wrong becomes a message."""
        number = request.get("id")
        commands = {
            "segment": self._segment, "reseed": self._reseed, "drop": self._edit, "add": self._edit, "warm": self._warm,
        }  # fmt: skip
        try:
            commands[request["command"]](request)
            self._say(number, "done", answer=request.get("answer"))
        except Exception as error:
            _log.exception("%s failed", request.get("command"))
            self._say(number, "failed", sentence=sentence_for(error))
            if not isinstance(error, ValueError):
                self._spine = self._folder = None  # whatever is left of it is not to be trusted, and memory is wanted

    def _segment(self, request: Mapping[str, Any]) -> None:
        folder = Path(request["folder"])
        report = self._reporter(request, 1 - _SURFACE_SHARE)
        report("start", 0.0, "Starting the network")
        road = self._road()
        volume = exchange.read_volume(folder)
        options = road.Options(**request["settings"])
        spine = road.segment_spine(volume, options=options, progress=report)
        if not spine.vertebrae:
            raise ValueError(
                f"No vertebra was found in {volume.name!r}. SpinalTap looks for the spine in sagittal MRI scans; "
                "check that this is one, and that its orientation is right."
            )
        seed = seed_in(request["seed"])
        self._write(request, folder, spine if seed is None else _counted_from(seed, spine, road, options))

    def _reseed(self, request: Mapping[str, Any]) -> None:
        folder = Path(request["folder"])
        road = self._road()
        spine = self._take_up(folder)
        options = road.Options(**request["settings"])
        report = self._reporter(request, 1.0)
        spine = road.reseed_spine(spine, seed_in(request["seed"]), options=options, progress=report)
        if not exchange.has_shapes(folder):
            self._shapes(request, folder, spine)
        exchange.write_answer(folder, request["answer"], spine)
        self._keep(spine, folder)

    def _edit(self, request: Mapping[str, Any]) -> None:
        """Drop or add a vertebra; the answer has a folder of its own, so that undo finds the one before unchanged."""
        before, folder = Path(request["from"]), Path(request["folder"])
        report = self._reporter(request, 1.0)
        report("edit", 0.0, "Counting again" if request["command"] == "drop" else "Drawing the new body")
        options = self._road().Options(**request["settings"])
        from .. import corrections as editing

        spine = replace(spine_of(request["spine"]), evidence=self._take_up(before).evidence)
        if request["command"] == "drop":
            spine = editing.drop_vertebra(spine, request["index"], options=options)
        else:
            spine = editing.add_vertebra(spine, box_in(request["box"]), options=options)
        exchange.carry_over(before, folder, shapes=request["command"] == "drop")
        self._write(request, folder, spine)

    def _write(self, request: Mapping[str, Any], folder: Path, spine: Any) -> None:
        """Write all that a new folder holds beside the scan."""
        from ..files.evidence_file import evidence_bytes

        (folder / exchange.EVIDENCE).write_bytes(evidence_bytes(spine.evidence))
        if not exchange.has_shapes(folder):
            self._shapes(request, folder, spine)
        exchange.write_answer(folder, request["answer"], spine)
        self._keep(spine, folder)

    def _warm(self, request: Mapping[str, Any]) -> None:
        self._road()
        if request.get("folder"):
            self._take_up(Path(request["folder"]))

    def _take_up(self, folder: Path) -> Any:
        """Return the last spine of that folder, from memory or from its evidence."""
        if self._spine is None or self._folder != folder:
            from ..files.evidence_file import read_evidence
            from ..spine.vertebra import Spine

            evidence = read_evidence(folder / exchange.EVIDENCE, exchange.read_volume(folder))
            self._spine, self._folder = Spine((), evidence=evidence), folder
        return self._spine

    def _keep(self, spine: Any, folder: Path) -> None:
        """Keep what the next recount needs; label maps of earlier answers would pile up."""
        self._spine, self._folder = replace(spine, label_map=None, earlier=None), folder

    def _shapes(self, request: Mapping[str, Any], folder: Path, spine: Any) -> None:
        report = self._reporter(request, 1.0)

        def progress(number: int, whole: int) -> None:
            fraction = 1 - _SURFACE_SHARE * (1 - (number - 1) / whole)
            report("surfaces", fraction, f"Making surface {number} of {whole}")

        exchange.write_shapes(folder, spine.evidence, progress)

    def _road(self) -> Any:
        return importlib.import_module(self._road_name)

    def _reporter(self, request: Mapping[str, Any], share: float) -> Callable[[str, float, str], None]:
        def report(stage: str, fraction: float, sentence: str) -> None:
            self._say(request.get("id"), "progress", stage=stage, fraction=fraction * share, sentence=sentence)

        return report

    def _say(self, number: Any, event: str, **more: Any) -> None:
        line = json.dumps({"id": number, "event": event, **more})
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):  # nobody listens: the end is near
            self._out.write(line + "\n")
            self._out.flush()


def _counted_from(seed: SeedBox, spine: Spine, road: Any, options: Any) -> Spine:
    """Return a new result counted from the user's box, or, if that lies on no vertebra, as it is with a warning.

    The box may be left over from before the patient moved, or from another scan: no reason to lose the segmentation.
    """
    try:
        return road.reseed_spine(spine, seed, options=options)
    except ValueError as error:
        return replace(spine, warnings=(*spine.warnings, f"The levels were counted without the box. {error}"))


def _private_stdout() -> TextIO:
    """Return a file on the real standard output, and lead everything else that is printed to the log."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _requests() -> Iterator[dict[str, Any]]:
    """Yield requests; when standard input ends, the parent is gone, and so is this process, even in mid-request."""
    waiting: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            if line.strip():
                waiting.put(json.loads(line))
        end_group()

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def main() -> None:
    """Work until the parent ends."""
    parser = argparse.ArgumentParser(description="Works for SpinalTap's panel; not meant to be started by hand.")
    parser.add_argument("--road", default="SpinalTapLib.pipeline")
    road = parser.parse_args().road
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    worker = Worker(road, _private_stdout())
    end_with_parent()
    for request in _requests():
        worker.work(request)
