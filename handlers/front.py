"""In front of the application: hot public answers, kept as ready bytes and given out before a handler is even made.

Promises. An answer is kept under the exact target it was asked by and the caller's language, only if a handler put it
there; it is forgotten as a whole when anything public changes (`Shelf.clear`), and by itself the moment something in it
expires. What is not kept, or asked in an unusual way, goes on to the application, which answers the same. An answer
made of older facts than the last change is not taken in.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)

from handlers.base import REQUEST_ID
from handlers.problems import language_of

MAX_KEPT = 4_096  # answers; and
MAX_KEPT_BYTES = 64 << 20  # when either is full, what comes later is made anew each time
MAX_TARGET = 200

_OK = ResponseStartLine("HTTP/1.1", 200, "OK")
_UNCHANGED = ResponseStartLine("HTTP/1.1", 304, "Not Modified")
_language_of = lru_cache(maxsize=1_024)(language_of)


@dataclass(frozen=True, slots=True)
class Ready:
    """One answer. `headers` are all but Date, X-Request-Id and Content-Length; `until` is when it becomes wrong."""

    body: bytes
    etag: str
    headers: Sequence[tuple[str, str]]
    until: datetime | None

    @property
    def length(self) -> str:
        """Content-Length."""
        return str(len(self.body))


class Shelf:
    """The kept answers of one process. `generation` counts how often all of them were forgotten."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.generation = 0
        self.hits = 0
        self._now = now
        self._kept: dict[tuple[str, str], Ready] = {}
        self._bytes = 0

    def clear(self) -> None:
        """Forget everything: something public has changed."""
        self.generation += 1
        self._kept.clear()
        self._bytes = 0

    def put(self, target: str, language: str, ready: Ready, generation: int) -> None:
        """Keep an answer that was made of the facts of `generation`; a later change means it is not kept."""
        size = self._bytes + len(ready.body)
        if generation == self.generation and len(self._kept) < MAX_KEPT and size <= MAX_KEPT_BYTES:
            self._kept[target, language] = ready
            self._bytes = size

    def find(self, target: str, accept_language: str) -> Ready | None:
        """The kept answer of a target, if it is still right."""
        ready = self._kept.get((target, _language_of(accept_language)))
        if ready is None or (ready.until is not None and ready.until <= self._now()):
            return None
        self.hits += 1
        return ready


class Front(HTTPServerConnectionDelegate):
    """Serves from the shelf, and from the application what is not on it."""

    def __init__(self, inner: HTTPServerConnectionDelegate, shelf: Shelf) -> None:
        self._inner = inner
        self._shelf = shelf

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """One request of a connection."""
        return _Message(self._inner, self._shelf, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """The connection is gone."""
        self._inner.on_close(server_conn)


class _Message(HTTPMessageDelegate):
    """One request: answered from the shelf, or handed on as if nobody had looked at it."""

    __slots__ = ("_connection", "_given", "_inner", "_inner_app", "_ready", "_server", "_shelf")

    def __init__(
        self, inner: HTTPServerConnectionDelegate, shelf: Shelf, server_conn: object, connection: HTTPConnection
    ) -> None:
        self._inner_app = inner
        self._shelf = shelf
        self._server = server_conn
        self._connection = connection
        self._inner: HTTPMessageDelegate | None = None
        self._ready: Ready | None = None
        self._given = HTTPHeaders()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Look on the shelf for a plain GET."""
        assert isinstance(start_line, RequestStartLine)
        has_body = "Content-Length" in headers or "Transfer-Encoding" in headers
        if start_line.method == "GET" and not has_body and len(start_line.path) < MAX_TARGET:
            self._ready = self._shelf.find(start_line.path, headers.get("Accept-Language", ""))
        if self._ready is not None:
            self._given = headers
            return None
        self._inner = self._inner_app.start_request(self._server, self._connection)
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """A body."""
        return self._inner.data_received(chunk) if self._inner else None

    def finish(self) -> None:
        """The request is whole."""
        if self._inner is not None:
            self._inner.finish()
            return
        assert self._ready is not None
        given = self._given.get("X-Request-Id", "")
        name = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        answer = ReadyHeaders(self._ready.headers, _date(int(time.time())), name)
        if _names(self._given.get("If-None-Match", ""), self._ready.etag):
            self._connection.write_headers(_UNCHANGED, answer)
        else:
            answer["Content-Length"] = self._ready.length
            self._connection.write_headers(_OK, answer, self._ready.body)
        self._connection.finish()

    def on_connection_close(self) -> None:
        """The client has gone away."""
        if self._inner is not None:
            self._inner.on_connection_close()


class ReadyHeaders(HTTPHeaders):
    """Prepared headers and the two that differ from answer to answer, without taking any of them apart again."""

    def __init__(self, prepared: Sequence[tuple[str, str]], date: str, request_id: str) -> None:
        super().__init__()
        self._prepared = prepared
        self._own = (("Date", date), ("X-Request-Id", request_id))

    def get_all(self) -> Iterator[tuple[str, str]]:
        """All of them."""
        yield from self._prepared
        yield from self._own
        yield from super().get_all()


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return format_timestamp(second)


def _names(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names this ETag (weak comparison, RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    return any(word.strip().removeprefix("W/") in (etag, "*") for word in if_none_match.split(","))
