"""Results that are open in the browser: shown, corrected, and written back.

A correction is counted in memory and answered at once; its files are written behind it, in order, by one thread.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..corrections import Correction, History
from ..errors import sentence_for
from ..files.atomic import check_writable
from ..files.changes_file import read_changes
from ..files.result_files import read_result
from ..files.result_names import CHANGES_NAME, JSON_NAME, SURFACES_FOLDER
from ..files.review_file import fingerprint
from ..files.spine_json import read_spine_json, spine_from_json, spine_json
from ..options import SURFACE_FORMATS
from ..result_folder import StoredResult, open_result, scan_of
from ..spine.vertebra import Spine
from .images import labels_nifti, scan_nifti, stored_surfaces, surfaces_mz3

MOST_OPEN = 3
"""Results that are kept in memory with their evidence: the present one and its neighbours."""
MOST_IMAGES = 24
"""Images that are kept in memory, a few MB each."""

_CHANGED_ELSEWHERE = "This result was changed meanwhile, in another window or program; here it is as it is now."
_NOTHING_LEFT = "After this change no vertebra would be left, so nothing was changed."

_log = logging.getLogger(__name__)


class Conflict(ValueError):
    """A request that refers to an earlier state of a result."""


@dataclass(frozen=True)
class Present:
    """The present state of a result, without its images.

    Attributes
    ----------
    spine : Spine
        From spine.json, or from memory while the files are being written.
    content : mapping
        Its spine.json.
    history : tuple of Count
        Its counts.
    version : str
        `fingerprint` of it.
    """

    spine: Spine
    content: dict[str, Any]
    history: History
    version: str


@dataclass
class _Bench:
    """One result on the workbench. `work` is held while it is opened or corrected, `lock` while its state is read."""

    work: threading.Lock = field(default_factory=threading.Lock)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stored: StoredResult | None = None
    stamp: int = 0  # time of the spine.json that `stored` was read from or written to
    pending: Future[None] | None = None
    failure: str = ""

    def present(self, folder: Path) -> StoredResult | None:
        """Return the state in memory, unless another program has written the files since."""
        with self.lock:
            writing = self.pending is not None and not self.pending.done()
            if not writing and self.stamp != _stamp(folder):
                self.stored = None
            return self.stored

    def opened(self, folder: Path) -> StoredResult:
        """Return the state in memory, read from the files if necessary; needs `work`."""
        stored = self.present(folder)
        if stored is None:
            stamp = _stamp(folder)
            stored = open_result(folder)
            with self.lock:
                self.stored, self.stamp = stored, stamp
        return stored


class Workbench:
    """The open results. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._benches: OrderedDict[Path, _Bench] = OrderedDict()
        self._images: OrderedDict[tuple[Path, str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._writer = ThreadPoolExecutor(1, "review-writer")
        self._opener = ThreadPoolExecutor(1, "review-opener")

    def close(self) -> None:
        """Wait until everything is written."""
        self._opener.shutdown(cancel_futures=True)
        self._writer.shutdown()

    def present(self, folder: Path) -> Present:
        """Return the present state of a result; raise ValueError if it cannot be read."""
        stored = self._bench(folder).present(folder)
        if stored is not None:
            return _present(stored)
        content = read_spine_json(folder / JSON_NAME)
        spine = spine_from_json(content, None)
        return Present(spine, content, read_changes(folder / CHANGES_NAME, spine.seed), fingerprint(content))

    def prepare(self, folder: Path) -> None:
        """Begin to read what corrections need, so that the first one is quick; `correct` tells what is wrong."""
        self._opener.submit(self._prepare, folder)

    def _prepare(self, folder: Path) -> None:
        bench = self._bench(folder)
        try:
            with bench.work:
                bench.opened(folder)
        except (ValueError, OSError) as error:
            _log.debug("%s cannot be corrected: %s", folder, error)

    def correct(self, folder: Path, version: str, correction: Correction) -> Present:
        """Apply a correction, begin to write it, and return the new state.

        Raises
        ------
        Conflict
            If the result is not the one of `version` any more.
        ValueError
            If the correction does not apply, the folder cannot be written, or scan or evidence are not there; nothing
            is changed then.
        """
        bench = self._bench(folder)
        with bench.work:
            check_writable(folder)
            stored = bench.opened(folder)
            if _present(stored).version != version:
                raise Conflict(_CHANGED_ELSEWHERE)
            changed = stored.corrected(correction)
            if not changed.spine.vertebrae:
                raise ValueError(_NOTHING_LEFT)
            with bench.lock:
                bench.stored, bench.failure = changed, ""
                bench.pending = self._writer.submit(self._write, bench, folder, changed)
            return _present(changed)

    def saved(self, folder: Path) -> str:
        """Wait until the last correction is written; return an empty text, or the sentence why it could not be."""
        bench = self._bench(folder)
        pending = bench.pending
        if pending is not None:
            pending.result()
        return bench.failure

    def _write(self, bench: _Bench, folder: Path, changed: StoredResult) -> None:
        failure = ""
        try:
            changed.written(folder, surface_format_of(folder))
        except Exception as error:  # the sentence goes to the user, who waits for it in `saved`
            _log.debug("A correction could not be written", exc_info=True)
            failure = sentence_for(error)
        with bench.lock:
            bench.failure, bench.stamp = failure, _stamp(folder)
            if failure and bench.stored is changed:
                bench.stored = None  # what is on the disk counts

    def scan(self, folder: Path) -> bytes:
        """Return the scan as NIfTI; raise ValueError if it has moved."""

        def make() -> bytes:
            stored = self._bench(folder).present(folder)
            if stored is not None:
                return scan_nifti(stored.volume, stored.spine)
            content = read_spine_json(folder / JSON_NAME)
            return scan_nifti(scan_of(content["input"]), spine_from_json(content, None))

        return self._image(folder, "", "scan", make)  # no correction changes it

    def labels(self, folder: Path) -> bytes:
        """Return the label map as NIfTI, with the vertebrae numbered from 1, from the bottom up."""

        def make() -> bytes:
            stored = self._bench(folder).present(folder)
            if stored is not None:
                spine, matrix = stored.spine, stored.volume.matrix
            else:
                spine, matrix = read_result(folder), scan_of(read_spine_json(folder / JSON_NAME)["input"]).matrix
            assert spine.label_map is not None
            return labels_nifti(spine.label_map, matrix, [v.label_value for v in spine.vertebrae])

        return self._image(folder, self.present(folder).version, "labels", make)

    def surfaces(self, folder: Path) -> bytes:
        """Return the surfaces as one mesh; raise ValueError if there are none."""

        def make() -> bytes:
            failure = self.saved(folder)
            if failure:
                raise ValueError(failure)
            return surfaces_mz3(stored_surfaces(folder, spine_from_json(read_spine_json(folder / JSON_NAME), None)))

        return self._image(folder, self.present(folder).version, "surfaces", make)

    def _image(self, folder: Path, version: str, kind: str, make: Callable[[], bytes]) -> bytes:
        key = (folder, version, kind)
        with self._lock:
            known = self._images.get(key)
        made = make() if known is None else known
        with self._lock:
            self._images[key] = made
            self._images.move_to_end(key)
            while len(self._images) > MOST_IMAGES:
                self._images.popitem(last=False)
        return made

    def _bench(self, folder: Path) -> _Bench:
        with self._lock:
            bench = self._benches.setdefault(folder, _Bench())
            self._benches.move_to_end(folder)
            for path, other in list(self._benches.items())[:-MOST_OPEN]:
                if not other.work.locked() and (other.pending is None or other.pending.done()):
                    del self._benches[path]
            return bench


def _present(stored: StoredResult) -> Present:
    content = json.loads(spine_json(stored.spine, stored.volume, stored.source))
    return Present(stored.spine, content, stored.history, fingerprint(content))


def surface_format_of(folder: Path) -> str:
    """Return the format of the surfaces in a result folder, to write the next ones in the same."""
    kinds = {path.suffix.lstrip(".") for path in (folder / SURFACES_FOLDER).glob("*")}
    return next((kind for kind in SURFACE_FORMATS if kind in kinds), SURFACE_FORMATS[0])


def _stamp(folder: Path) -> int:
    try:
        return (folder / JSON_NAME).stat().st_mtime_ns
    except OSError:
        return 0
