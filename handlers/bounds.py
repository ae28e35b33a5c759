"""In front of the application: what no handler should have to wait for or hold.

A body longer than any operation takes is read past, not kept, so that its sender hears a 413 instead of a broken
connection. A client that is slower than `Limits` allows, with its headers or its body, is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.netutil import bind_sockets

from handlers.routing import ATTACHMENT_BYTES, DOCUMENT_BYTES

LARGE = re.compile(
    r"/v1/(applications/[0-9a-f]{32}/attachments|partners/facts)(\?.*)?", re.ASCII
)  # the paths that take large bodies


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost. `header_timeout_s` is also how long an idle connection is kept."""

    header_timeout_s: float = 30.0
    body_timeout_s: float = 10.0
    max_header_bytes: int = 16_384
    max_body_bytes: int = DOCUMENT_BYTES  # the largest that an operation takes
    max_large_bytes: int = ATTACHMENT_BYTES  # where files go, and somebody says who they are
    max_drained_bytes: int = 64 * DOCUMENT_BYTES  # beyond it the connection is closed at once


class Bounded(HTTPServerConnectionDelegate):
    """Hands on at most one byte more than may be kept; the handler sees that it is too many."""

    def __init__(self, inner: HTTPServerConnectionDelegate, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """One request of a connection."""
        return _Message(self._inner.start_request(server_conn, request_conn), self._limits)

    def on_close(self, server_conn: object) -> None:
        """The connection is gone."""
        self._inner.on_close(server_conn)


class _Message(HTTPMessageDelegate):
    def __init__(self, inner: HTTPMessageDelegate, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits
        self._room = limits.max_body_bytes + 1

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        path = start_line.path if isinstance(start_line, RequestStartLine) else ""
        if "Authorization" in headers and LARGE.fullmatch(path):
            self._room = self._limits.max_large_bytes + 1
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        kept = chunk[: self._room]
        self._room -= len(kept)
        return self._inner.data_received(kept) if kept else None

    def finish(self) -> None:
        self._inner.finish()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()


def listen(
    delegate: HTTPServerConnectionDelegate, port: int, address: str, limits: Limits | None = None
) -> tuple[HTTPServer, int]:
    """Serve on a port (0 = any free one); several processes may share one. The server, and the port it has."""
    limits = limits or Limits()
    server = HTTPServer(
        Bounded(delegate, limits),
        max_header_size=limits.max_header_bytes,
        max_body_size=limits.max_drained_bytes,
        max_buffer_size=2 * limits.max_body_bytes,
        idle_connection_timeout=limits.header_timeout_s,
        body_timeout=limits.body_timeout_s,
    )
    sockets = bind_sockets(port, address, reuse_port=bool(port))
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]
