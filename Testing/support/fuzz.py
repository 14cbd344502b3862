"""Damaged copies of every kind of file that SpinalTap reads, and what reading one may do: succeed, or one sentence.

A kind of file has a valid example, written once, and a way to read it. Hypothesis draws edits: of the bytes of a
binary file, of the words of a text header, of the values in a JSON file or in an archive of arrays.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import worker_road
from block_spine import BlockSpine
from dicom_series import write_series
from hypothesis import strategies as st
from paths import ROOT
from scan_files import sagittal_image

from SpinalTapLib import pipeline
from SpinalTapLib.detection.networks import LevelNetwork
from SpinalTapLib.detection.weights import load_network, save_network
from SpinalTapLib.files.changes_file import changes_bytes, read_changes
from SpinalTapLib.files.evidence_file import evidence_bytes, read_evidence
from SpinalTapLib.files.markups import read_seed_roi
from SpinalTapLib.files.spine_json import read_spine_json, spine_from_json, spine_json
from SpinalTapLib.scans.volume import load_volume
from SpinalTapLib.spine.vertebra import SeedBox
from SpinalTapLib.worker import exchange
from SpinalTapLib.worker.server import Worker, parsed

LIMIT_S, LIMIT_BYTES = 20, 3 * 2**30
"""What reading one file may take: processor time and memory of the whole process."""

NUMBERS = (0, -1, 1, 3, 127, 255, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**63 - 1, 2**64, 10**400)
FLOATS = (0.0, -0.0, 1e-38, 1e38, -1e300, 1e308, float("nan"), float("inf"), -float("inf"), 0.5)
WORDS = ("", "0", "-1", "nan", "inf", "1e999", "99999999999", "1 2", "(0,0,0)", "none", "raw", "gzip", "LOCAL", "short",
         "../../../etc/passwd", "\x00", "\u2028", "\U0001f9b4", "a" * 3000)  # fmt: skip
VALUES = (None, True, "", "S1", "X9", [], {}, [[]], [None], {"": None}, *WORDS, *NUMBERS, *FLOATS)
ARRAYS = (np.zeros(0), np.zeros((0, 3)), np.array(7), np.array("text"), np.full((2, 2), np.nan), np.zeros(9, complex),
          np.array([10**9]), np.array([-1]), np.zeros((1, 1, 1, 1), np.uint8))  # fmt: skip


# --- edits -------------------------------------------------------------------------------------------------------


def _words_of_bytes() -> st.SearchStrategy[bytes]:
    small = [np.array(n).astype(kind).tobytes() for n in NUMBERS[:9] for kind in ("<i2", ">i2", "<i4", ">i4")]
    real = [np.array(x).astype(kind).tobytes() for x in FLOATS for kind in ("<f4", ">f4")]
    return st.one_of(st.sampled_from(small + real), st.binary(min_size=1, max_size=8))


def damaged_bytes(data: bytes, head: int = 400) -> st.SearchStrategy[bytes]:
    """Return damaged copies of binary data; most edits are in its first bytes."""
    places = st.one_of(st.integers(0, min(head, len(data)) - 1), st.integers(0, len(data) - 1))
    edit = st.one_of(
        st.tuples(st.just("set"), places, _words_of_bytes()),
        st.tuples(st.just("set"), places, _words_of_bytes()),
        st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("cut"), places, st.just(b"")),
    )

    def apply(edits: list[tuple[str, int, bytes]]) -> bytes:
        out = bytearray(data)
        for how, place, new in edits:
            end = {"set": place + len(new), "insert": place, "cut": len(out)}[how]
            out[place:end] = new
        return bytes(out)

    return st.lists(edit, min_size=1, max_size=4).map(apply)


def damaged_header(data: bytes) -> st.SearchStrategy[bytes]:
    """Return copies of a file with a text header, some of whose values are others, or missing, or there twice."""
    lines = data.split(b"\n")
    count = next((i for i, line in enumerate(lines) if not line.strip() or b"LOCAL" in line), len(lines)) or 1
    edit = st.tuples(st.integers(0, count - 1), st.sampled_from(("value", "word", "drop", "twice")), st.integers(0, 20),
                     st.sampled_from(WORDS))  # fmt: skip

    def apply(edits: list[tuple[int, str, int, str]]) -> bytes:
        out = list(lines)
        for place, how, number, word in edits:
            line = out[place]
            key, mark, value = line.partition(b"=" if b"=" in line else b":")
            words = value.split(b" ")
            words[number % len(words)] = word.encode()
            new = {"value": b" " + word.encode(), "word": b" ".join(words), "drop": value, "twice": value}[how]
            out[place] = b"" if how == "drop" else key + mark + new + (b"\n" + line if how == "twice" else b"")
        return b"\n".join(out)

    return st.one_of(st.lists(edit, min_size=1, max_size=3).map(apply), damaged_bytes(data))


def _places(value: Any, here: tuple = ()) -> Iterator[tuple]:
    yield here
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from _places(item, (*here, key))


def _changed(value: Any, place: tuple, new: Any) -> Any:
    """Return a JSON value with the one at a place replaced; a place that an earlier edit took away stays away."""
    if not place:
        return new
    try:
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[place[0]] = _changed(copy[place[0]], place[1:], new)
    except (TypeError, KeyError, IndexError):
        return value
    return copy


def damaged_json(value: Any) -> st.SearchStrategy[bytes]:
    """Return JSON texts with other values in some places, missing entries, too deep, or cut short."""
    places = list(_places(value))
    edits = st.lists(st.tuples(st.sampled_from(places), st.sampled_from(VALUES)), min_size=1, max_size=3)

    def apply(edits: list[tuple[tuple, Any]]) -> bytes:
        out = value
        for place, new in edits:
            out = _changed(out, place, new)
        return json.dumps(out).encode()

    def without(place: tuple) -> bytes:
        out = json.loads(json.dumps(value))
        owner = out
        for key in place[:-1]:
            owner = owner[key]
        if place:
            del owner[place[-1]]
        return json.dumps(out).encode()

    text = json.dumps(value).encode()
    deep = st.just(text[:-1] + b', "deep": ' + b"[" * 100_000)
    return st.one_of(st.builds(apply, edits), st.sampled_from(places).map(without), damaged_bytes(text), deep)


def damaged_archive(data: bytes) -> st.SearchStrategy[bytes]:
    """Return copies of an ``.npz`` file with other arrays, or missing ones, or damaged bytes."""
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}

    def written(change: dict[str, Any]) -> bytes:
        content = io.BytesIO()
        np.savez_compressed(content, **{k: v for k, v in {**arrays, **change}.items() if v is not None})
        return content.getvalue()

    def turned(name: str, how: str) -> bytes:
        array = arrays[name]
        numbers = array if array.dtype.kind in "biuf" else np.zeros(3)
        out = {
            "short": array[:-1] if array.ndim else array.reshape(1), "long": np.concatenate([numbers, numbers]) if
            array.ndim else array, "flat": array.ravel(), "wild": numbers * 10.0**9, "down": -1 - numbers.astype(float),
        }[how]  # fmt: skip
        return written({name: out})

    names = st.sampled_from(sorted(arrays))
    return st.one_of(
        st.builds(lambda name, new: written({name: new}), names, st.sampled_from([None, *ARRAYS])),
        st.builds(turned, names, st.sampled_from(("short", "long", "flat", "wild", "down"))),
        damaged_bytes(data),
    )


# --- kinds -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of file: damaged contents, and how to read one that was written into an empty folder."""

    contents: st.SearchStrategy[bytes]
    name: str
    read: Callable[[Path], Any]

    def try_one(self, content: bytes, folder: Path) -> str:
        """Return what is wrong with how a content was received, or an empty string."""
        path = folder / self.name
        path.write_bytes(content)
        try:
            self.read(path)
        except ValueError as error:
            return _complaint(error)
        except Exception:
            return traceback.format_exc()
        return ""


def _complaint(error: ValueError) -> str:
    """Return what is wrong with a refusal: it must be a sentence of SpinalTap's own."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    sentence = str(error)
    if not Path(frame.filename).is_relative_to(ROOT / "SpinalTapLib") or "\n" in sentence or not sentence.endswith("."):
        return "".join(traceback.format_exception(error))
    return ""


def _spine():
    volume = replace(BlockSpine(count=2).volume(), warnings=())
    return worker_road.segment_spine(volume, options=pipeline.Options(), progress=lambda *_: None), volume


def _image(folder: Path, name: str) -> bytes:
    sitk.WriteImage(sagittal_image(), str(folder / name), useCompression=name.endswith(".gz"))
    return (folder / name).read_bytes()


def _request(path: Path) -> None:
    """Put damaged requests to a worker; whatever they ask, it answers with a sentence and goes on."""
    out = io.StringIO()
    worker = Worker("worker_road", out)
    for request in parsed(path.read_bytes().decode("utf-8", "replace").splitlines()):
        worker.work(request)
        last = json.loads(out.getvalue().splitlines()[-1])
        if last["event"] == "failed" and "\n" in last["sentence"]:
            raise AssertionError(last["sentence"])


def _card(folder: Path) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        path.with_suffix(".pt").write_bytes((folder / "levels.pt").read_bytes())
        load_network(path.with_suffix(".pt"))

    return read


def kinds(folder: Path) -> dict[str, Kind]:
    """Return every kind of file; valid examples are made in an empty folder."""
    spine, volume = _spine()
    seed = SeedBox(np.zeros(3), np.full(3, 30.0))
    changes = changes_bytes((pipeline_count(None), pipeline_count(seed)))
    roi = {"markups": [{"type": "ROI", "coordinateSystem": "LPS", "center": [0, 1, 2], "size": [30, 30, 30],
                        "orientation": [1, 0, 0, 0, 1, 0, 0, 0, 1], "controlPoints": []}]}  # fmt: skip
    save_network(folder / "levels.pt", LevelNetwork((2, 2), 8, 8))
    values = list(spine.evidence.bodies.values(spine.evidence.values(spine.vertebrae)))
    exchange.write_shapes(folder, spine.evidence, lambda *_: None)
    answer = exchange.memory_of(exchange.Result(spine, volume.matrix, {}, folder, tuple(values)))
    request = {"id": 1, "command": "recount", "folder": str(folder / "none"), "from": str(folder / "none"),
               "answer": "a", "settings": {"steps": None}, "seed": None, "spine": answer, "edits": []}  # fmt: skip
    nifti = _image(folder, "a.nii")
    dicom = write_series(folder / "dicom", BlockSpine(count=1).volume().array[:3].astype(np.int16))[0].read_bytes()
    scan = load_volume
    return {
        "nifti": Kind(damaged_bytes(nifti), "a.nii", scan),
        "nifti, compressed": Kind(
            st.one_of(damaged_bytes(nifti).map(gzip.compress), damaged_bytes(gzip.compress(nifti))), "a.nii.gz", scan
        ),
        "nrrd": Kind(damaged_header(_image(folder, "a.nrrd")), "a.nrrd", scan),
        "metaimage": Kind(damaged_header(_image(folder, "a.mha")), "a.mha", scan),
        "dicom": Kind(damaged_bytes(dicom, head=1500), "a.dcm", scan),
        "evidence.npz": Kind(
            damaged_archive(evidence_bytes(spine.evidence)), "evidence.npz", lambda path: read_evidence(path, volume)
        ),
        "changes.json": Kind(
            damaged_json(json.loads(changes)), "changes.json", lambda path: read_changes(path, None)
        ),
        "spine.json": Kind(
            damaged_json(json.loads(spine_json(spine, volume, {"path": "a"}))), "spine.json",
            lambda path: spine_from_json(read_spine_json(path), volume.source),
        ),
        "roi": Kind(damaged_json(roi), "a.mrk.json", read_seed_roi),
        "model card": Kind(
            damaged_json(json.loads((folder / "levels.json").read_text())), "card.json", _card(folder)
        ),
        "request": Kind(damaged_json(request), "requests", _request),
        "stored scene": Kind(
            damaged_json(answer), "answer.json",
            lambda path: exchange.result_of(_parsed(path), spine.label_map, folder),
        ),
        "surfaces": Kind(
            damaged_archive((folder / exchange.SURFACES).read_bytes()), exchange.SURFACES, exchange.read_meshes
        ),
    }  # fmt: skip


def pipeline_count(seed: SeedBox | None):
    """Return a count with one edit."""
    from SpinalTapLib.corrections import Count, Edit

    return Count(seed, 6, "fused", (Edit(dropped_lps_mm=np.zeros(3)),))


def _parsed(path: Path) -> Any:
    """Return a JSON text as `scene.memory` does; its own error is one of SpinalTap's sentences there."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}


# --- limits ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Limit the time of the block, and check its memory."""

    def late(*_: object) -> None:
        raise TimeoutError(f"reading took more than {LIMIT_S} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)  # processor time: a busy machine is no failure
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert used < LIMIT_BYTES, f"reading took {used} bytes"
