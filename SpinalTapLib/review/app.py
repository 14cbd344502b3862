"""The web application: its addresses, and who may ask for them.

Every address begins with a secret token. A request from another origin, for another host or without the token gets a
sentence and nothing else. Addresses name results by an identifier, never by a path.
"""

from __future__ import annotations

import gzip
import json
import logging
import secrets
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import sentence_for
from ..files.result_names import CSV_NAME, REPORT_NAME
from ..files.review_file import Judgement, add_judgement
from .cohort import Cohort, Entry
from .exports import cohort_csv, download_name, surfaces_zip
from .images import side_jpeg
from .pages import correction_of, entry_json, scan_json
from .workbench import Conflict, Workbench

STATIC = Path(__file__).resolve().parent / "static"
THUMBNAIL_PX = 340
MOST_BODY_BYTES = 64 * 1024
"""Longest request: a note of a few thousand characters."""

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS = {
    # Scripts and pictures come from this server alone; WebGL's textures and NiiVue's font are data and blobs.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_WRONG_HOST = "This address is not the one that spinaltap review serves; open the address that it printed."
_WRONG_ORIGIN = "Another website asked for this page, which is refused."
_WRONG_TOKEN = "The key in this address is missing or wrong; open the address that spinaltap review printed."
_NO_PAGE = "There is no such page."
_NOT_JSON = "The request cannot be read; reload the page."
_FAULT = "Something went wrong inside SpinalTap; the terminal has the details. Nothing was changed."
_STALE = "This result was changed after you looked at it; look at it again before you judge it."

_log = logging.getLogger(__name__)


class Review:
    """One review of the results below a folder.

    Parameters
    ----------
    root : Path
        A result folder, or a folder with result folders below it.
    reader : str
        Name that is stored with each judgement.

    Raises
    ------
    ValueError
        If there is no such folder, or no result in it.
    """

    def __init__(self, root: Path, reader: str) -> None:
        if not Path(root).is_dir():
            raise ValueError(f"There is no folder {root}; give a result folder, or the output folder of a batch.")
        self.cohort = Cohort(root)
        if not self.cohort.entries():
            raise ValueError(
                f"There is no result (spine.json) in {root}; give a result folder, or the output folder of a batch."
            )
        self.reader = reader
        self.bench = Workbench()


def make_app(review: Review, token: str, hosts: tuple[str, ...]) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    review : Review
        What it shows.
    token : str
        First part of every address.
    hosts : tuple of str
        Values of the header ``Host`` that are served, such as ``"127.0.0.1:8123"``.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> Any:
        yield
        await run_in_threadpool(review.bench.close)

    one = "/{token}/api/results/{id}"
    routes = [
        Route("/{token}/", _static),
        Route("/{token}/static/{path:path}", _static),
        Route("/{token}/api/sheet", _sheet),
        Route("/{token}/api/judgements.csv", _judgements_csv),
        Route(one, _scan),
        Route(f"{one}/judgement", _judge, methods=["POST"]),
        Route(f"{one}/correction", _correct, methods=["POST"]),
        Route(f"{one}/saved", _saved),
        Route(f"{one}/{{file}}", _file),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: _not_found, 405: _not_found, ValueError: _refused, Exception: _fault},
    )
    app.state.review = review
    return Guard(app, token, hosts)


class Guard:
    """Refuses what does not come from the page itself, before anything else looks at it.

    Parameters
    ----------
    app : ASGIApp
        What it guards.
    token, hosts
        As for `make_app`.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or refuse it."""
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        problem = self._problem(scope)
        if problem:
            return await PlainTextResponse(problem, 403, _HEADERS)(scope, receive, send)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                extra = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [*message["headers"], *(pair for pair in extra if pair[0] not in known)]
            await send(message)

        return await self._app(scope, receive, send_with_headers)

    def _problem(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return _WRONG_HOST
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return _WRONG_ORIGIN
        # A link in a mail or a document may open the page ("none"); no other site may.
        if site not in ("none", "same-origin"):
            return _WRONG_ORIGIN
        first = scope["path"].lstrip("/").split("/")[0]
        return "" if secrets.compare_digest(first.encode(), self._token.encode()) else _WRONG_TOKEN


async def _static(request: Request) -> Response:
    name = request.path_params.get("path", "index.html")
    if name not in static_files():
        return PlainTextResponse(_NO_PAGE, 404)
    kind = _TYPES.get(Path(name).suffix, "text/plain")
    packed = await run_in_threadpool(_packed, name)
    return Response(packed, media_type=kind, headers={"Content-Encoding": "gzip"})


@lru_cache(maxsize=1)
def static_files() -> frozenset[str]:
    """Return the names of the files that travel with the package, relative to `STATIC`."""
    return frozenset(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())


@lru_cache(maxsize=32)
def _packed(name: str) -> bytes:
    return gzip.compress((STATIC / name).read_bytes(), compresslevel=6, mtime=0)


async def _sheet(request: Request) -> Response:
    review = _review(request)
    entries = await run_in_threadpool(review.cohort.entries)
    content = {"title": review.cohort.root.name, "reader": review.reader, "entries": list(map(entry_json, entries))}
    return JSONResponse(content)


async def _scan(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(_scan_content, request))


def _scan_content(request: Request) -> dict[str, Any]:
    review, entry = _review(request), _entry(request)
    if entry.problem:
        return entry_json(entry)
    content = scan_json(entry, review.bench.present(entry.folder))
    if "open" in request.query_params and not content["noScan"]:
        review.bench.prepare(entry.folder)
    return content


async def _judge(request: Request) -> Response:
    body = await _body(request)
    return JSONResponse(await run_in_threadpool(_judged, request, body))


def _judged(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    review, entry = _review(request), _entry(request)
    failure = review.bench.saved(entry.folder)
    if failure:
        raise ValueError(failure)
    entry = _entry(request)
    if entry.problem:
        raise ValueError(entry.problem)
    if body.get("version") != entry.version:
        raise Conflict(_STALE)
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    verdict, note = str(body.get("verdict", "")), str(body.get("note", "")).strip()
    add_judgement(entry.folder, Judgement(verdict, note, review.reader, when, entry.version))
    return entry_json(_entry(request))


async def _correct(request: Request) -> Response:
    body = await _body(request)
    return JSONResponse(await run_in_threadpool(_corrected, request, body))


def _corrected(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    entry, correction = _entry(request), correction_of(body)
    present = _review(request).bench.correct(entry.folder, str(body.get("version", "")), correction)
    return scan_json(entry, present)


async def _saved(request: Request) -> Response:
    def wait() -> dict[str, Any]:
        review, entry = _review(request), _entry(request)
        failure = review.bench.saved(entry.folder)
        if failure:
            raise ValueError(failure)
        return scan_json(_entry(request), review.bench.present(entry.folder))

    return JSONResponse(await run_in_threadpool(wait))


async def _file(request: Request) -> Response:
    """Serve one of the files of `_FILES`."""
    made = _FILES.get(request.path_params["file"])
    if made is None:
        return PlainTextResponse(_NO_PAGE, 404)
    make, kind, end = made

    def content() -> tuple[bytes, Entry]:
        entry = _entry(request)
        return make(request, entry), entry

    data, entry = await run_in_threadpool(content)
    headers = {}
    if end:
        name = download_name(entry, end.format(request.query_params.get("format", "")))
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(data, media_type=kind, headers=headers)


def _stored(name: str) -> Callable[[Request, Entry], bytes]:
    def read(request: Request, entry: Entry) -> bytes:
        _review(request).bench.saved(entry.folder)
        path = (entry.folder / name).resolve()
        if not path.is_relative_to(_review(request).cohort.root):
            raise ValueError(f"The {name} of this result is a link that leads out of the results; it is not shown.")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ValueError(f"There is no {name} in this result; segment the scan again.") from None

    return read


_FILES: dict[str, tuple[Callable[[Request, Entry], bytes], str, str]] = {
    "thumbnail.jpg": (lambda request, entry: side_jpeg(entry.folder, THUMBNAIL_PX), "image/jpeg", ""),
    "picture.jpg": (lambda request, entry: side_jpeg(entry.folder), "image/jpeg", ""),
    "scan.nii.gz": (
        lambda request, entry: _review(request).bench.scan(entry.folder), "application/gzip", ""
    ),
    "labels.nii.gz": (
        lambda request, entry: _review(request).bench.labels(entry.folder), "application/gzip", ""
    ),
    "surfaces.mz3": (
        lambda request, entry: _review(request).bench.surfaces(entry.folder), "application/gzip", ""
    ),
    "report.png": (_stored(REPORT_NAME), "image/png", "_report.png"),
    "measurements.csv": (_stored(CSV_NAME), "text/csv", "_measurements.csv"),
    "surfaces.zip": (
        lambda request, entry: surfaces_zip(entry.folder, request.query_params.get("format", "")),
        "application/zip",
        "_surfaces_{}.zip",
    ),
}  # fmt: skip
"""Files of a result by name: a function that makes the content, its type, and the end of its name as a download."""


async def _judgements_csv(request: Request) -> Response:
    review = _review(request)
    entries = await run_in_threadpool(review.cohort.entries)
    headers = {"Content-Disposition": 'attachment; filename="judgements.csv"'}
    return Response(cohort_csv(entries), media_type="text/csv; charset=utf-8", headers=headers)


def _review(request: Request) -> Review:
    return request.app.state.review


def _entry(request: Request) -> Entry:
    return _review(request).cohort.entry(request.path_params["id"])


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON of a request; a form of another website cannot send this type."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MOST_BODY_BYTES:
            raise ValueError(_NOT_JSON)
    try:
        content = json.loads(data)
    except (UnicodeDecodeError, json.JSONDecodeError):
        content = None
    if request.headers.get("content-type", "").split(";")[0] != "application/json" or not isinstance(content, dict):
        raise ValueError(_NOT_JSON)
    return content


def _not_found(request: Request, error: Exception) -> Response:
    return PlainTextResponse(_NO_PAGE, 404)


def _refused(request: Request, error: Exception) -> Response:
    code = 409 if isinstance(error, Conflict) else 400
    return JSONResponse({"error": sentence_for(error)}, code)


def _fault(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError):
        return JSONResponse({"error": sentence_for(error)}, 400)
    _log.error("A request has failed", exc_info=error)
    return JSONResponse({"error": _FAULT}, 500)
