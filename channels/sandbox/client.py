"""A keep-alive HTTP/1.1 client for receipts and control: one request at a time, bounded, with a deadline."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urlsplit

_MAX_ANSWER_BYTES = 65_536


class PostFailedError(Exception):
    """No answer: refused, reset, too slow, or not HTTP."""


class Poster(asyncio.Protocol):
    """One connection to one http:// origin, opened when needed and again after a failure."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._origin = ("", 0)
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def post(self, url: str, body: bytes, content_type: str, timeout_s: float) -> tuple[int, bytes]:
        """(status, body) of the answer; raises PostFailedError. Never two at once on one poster."""
        return await self.request("POST", url, body, content_type, timeout_s)

    async def request(
        self, method: str, url: str, body: bytes, content_type: str, timeout_s: float
    ) -> tuple[int, bytes]:
        """The same with any method."""
        parts = urlsplit(url)
        origin = (parts.hostname or "", parts.port or 80)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(timeout_s):
                if self._transport is None or origin != self._origin:
                    self.close()
                    await self._loop.create_connection(lambda: self, *origin)
                    self._origin = origin
                if self._transport is None:
                    raise ConnectionResetError("closed at once")
                self._answer = self._loop.create_future()
                self._transport.write(head.encode("latin-1") + body)
                return await self._answer
        except (OSError, TimeoutError) as error:
            self.close()
            raise PostFailedError(str(error)) from error
        finally:
            self._answer = None

    def close(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()
        self._transport = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._data = b""

    def connection_lost(self, _exc: Exception | None) -> None:
        """The other side left; a waiting post fails."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        """Collect the answer; only Content-Length bodies are understood."""
        self._data += data
        if self._answer is None or self._answer.done():
            self.close()  # bytes nobody asked for
            return
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > _MAX_ANSWER_BYTES:
                self._answer.set_exception(ConnectionResetError("not an HTTP answer"))
            return
        lower = self._data[:end].lower() + b"\r\n"
        at = lower.find(b"\r\ncontent-length:")
        length = lower[at + 17 : lower.find(b"\r\n", at + 17)].strip() if at >= 0 else b"0"
        status = lower[9:12]
        if not (length.isdigit() and status.isdigit() and int(length) <= _MAX_ANSWER_BYTES):
            self._answer.set_exception(ConnectionResetError("not an HTTP answer"))
            return
        if len(self._data) >= end + 4 + int(length):
            body = self._data[end + 4 : end + 4 + int(length)]
            self._data = b""
            self._answer.set_result((int(status), body))
            if b"\r\nconnection: close" in lower:
                self.close()
