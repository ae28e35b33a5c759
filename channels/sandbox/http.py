"""The least HTTP/1.1 a provider needs: bounded, keep-alive and pipelining safe, a few microseconds a request.

A connection cuts its bytes into requests and hands each to the service together with a `Reply`. Replies may become
ready in any order and at any later time; they leave in the order of their requests (RFC 9112, 9.3.2). What is malformed
or too large is answered with 400, 411, 413 or 431 and the connection is closed: nothing after it can be trusted.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

MAX_HEAD_BYTES = 32_768
MAX_BODY_BYTES = 1_048_576
MAX_WAITING = 1_024  # unanswered requests of one connection; beyond that its bytes stay in the kernel

REASONS = {
    200: "OK",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


def response(status: int, body: bytes, *, headers: str = "", content_type: str = "application/json") -> bytes:
    """One whole HTTP/1.1 response; `headers` are extra lines, each with its CRLF."""
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{headers}\r\n".encode("latin-1") + body


class Request:
    """One request. `lower` is `head` in lower case, so that header names can be found without parsing all of them."""

    __slots__ = ("body", "head", "lower", "method", "path", "query")

    def __init__(self, method: bytes, target: bytes, head: bytes, lower: bytes, body: bytes) -> None:
        self.method = method
        self.path, _, self.query = target.partition(b"?")
        self.head = head
        self.lower = lower
        self.body = body

    def header(self, name: bytes) -> bytes:
        """The value of the first header of this lower-case name, or b""."""
        at = self.lower.find(b"\r\n" + name + b":")
        if at < 0:
            return b""
        start = at + len(name) + 3
        end = self.head.find(b"\r\n", start)
        return (self.head[start:] if end < 0 else self.head[start:end]).strip()


class Reply:
    """The place of one answer in its connection's order."""

    __slots__ = ("_connection", "data", "is_last", "is_ready")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.data = b""
        self.is_ready = False
        self.is_last = False  # close the connection after this answer

    def send(self, data: bytes) -> None:
        """Answer; leaves once every earlier answer of the connection has left."""
        self.data = data
        self.is_ready = True
        self._connection.flush()

    def release(self) -> None:
        """Answer with `data` as it stands."""
        self.is_ready = True
        self._connection.flush()

    def reset(self) -> None:
        """Break the connection with a TCP reset: the caller cannot know what became of its request."""
        self._connection.reset()


Service = Callable[[Request, Reply], None]


class Connection(asyncio.Protocol):
    """One client. `peers` is the set of open connections, kept for a clean stop."""

    def __init__(self, service: Service, peers: set[Connection]) -> None:
        self._service = service
        self._peers = peers
        self._transport: asyncio.Transport | None = None
        self._replies: deque[Reply] = deque()
        self._chunks: list[bytes] = []  # the beginning of a request that is not complete yet
        self._have = 0
        self._need = 0  # bytes without which looking again is useless
        self._is_over = False  # no request after this point is read
        self._is_paused = False
        self._is_continued = False  # a "100 Continue" went out for the request that is coming in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._peers.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client left; answers that are still due have nowhere to go."""
        self._transport = None
        self._replies.clear()
        self._peers.discard(self)

    def data_received(self, data: bytes) -> None:
        """Cut the bytes into requests and serve each."""
        if self._is_over:
            return
        if self._chunks:
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
        at = 0
        size = len(data)
        while at < size and not self._is_over:
            used = self._take(data, at)
            if used == 0:
                self._chunks.append(data[at:])
                self._have = size - at
                break
            at += used
        if len(self._replies) > MAX_WAITING and self._transport is not None and not self._is_paused:
            self._transport.pause_reading()
            self._is_paused = True

    def _take(self, data: bytes, at: int) -> int:
        """Serve the request that begins at `at`; how many bytes it took, 0 = it is not complete."""
        end = data.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES)
        if end < 0:
            self._need = 0
            return self._refuse(431) if len(data) - at >= MAX_HEAD_BYTES else 0
        head = data[at:end]
        lower = head.lower()
        length = _content_length(lower)
        if length < 0 or length > MAX_BODY_BYTES:
            return self._refuse(413 if length > 0 else -length)
        start = end + 4
        stop = start + length
        if len(data) < stop:
            self._need = stop - at
            if b"\r\nexpect: 100-continue" in lower and not self._is_continued and self._transport is not None:
                self._is_continued = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return 0
        self._is_continued = False
        words = head.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or words[2] != b"HTTP/1.1":
            return self._refuse(400)
        reply = Reply(self)
        self._replies.append(reply)
        if b"\r\nconnection: close" in lower:
            reply.is_last = self._is_over = True
        self._service(Request(words[0], words[1], head, lower, data[start:stop]), reply)
        return stop - at

    def _refuse(self, status: int) -> int:
        self._is_over = True
        reply = Reply(self)
        reply.is_last = True
        self._replies.append(reply)
        reply.send(response(status, b"", headers="Connection: close\r\n"))
        return 1

    def flush(self) -> None:
        """Write the answers that are ready, in order."""
        replies = self._replies
        transport = self._transport
        if not replies or transport is None or not replies[0].is_ready:
            return
        first = replies.popleft()
        if not replies or not replies[0].is_ready:
            transport.write(first.data)
        else:
            parts = [first.data]
            while replies and replies[0].is_ready:
                first = replies.popleft()
                parts.append(first.data)
            transport.write(b"".join(parts))
        if first.is_last:
            transport.close()
        elif self._is_paused and len(replies) < MAX_WAITING // 2:
            self._is_paused = False
            transport.resume_reading()

    def reset(self) -> None:
        """Close with RST, dropping what was not sent."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self) -> None:
        """Close after what is already written."""
        if self._transport is not None:
            self._transport.close()


def _content_length(lower: bytes) -> int:
    """The body's length in bytes; a negative value is the HTTP status to refuse with."""
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        return -411 if b"\r\ntransfer-encoding:" in lower else 0
    end = lower.find(b"\r\n", at + 17)
    value = (lower[at + 17 :] if end < 0 else lower[at + 17 : end]).strip()
    if not value.isdigit() or len(value) > 18:
        return -400
    return int(value)
