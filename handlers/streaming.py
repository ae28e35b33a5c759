"""Event streams: the newest state of a thing as server-sent events (WHATWG HTML, 9.2).

Each event is the whole state, its id the version. So a reader that comes back with Last-Event-ID gets the newest one if
it is newer, and a slow one skips to it: what waits for a reader is never more than one event.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import structlog
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from handlers.base import ApiHandler
from handlers.routing import EVENT_STREAM
from server.services.watching import Feed

SEND_BUFFER_BYTES = 65_536  # several states of a city

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of an event stream, in seconds."""

    heartbeat_s: float = 15.0  # a comment line: proxies and readers see that the stream lives
    stuck_s: float = 20.0  # a reader who takes nothing for so long is cut off
    quiet_s: float = 10.0  # after the end of the thing, without news, the stream ends too
    longest_s: float = 600.0  # then the reader comes again and is asked for its session


class StreamHandler(ApiHandler):
    """What streams share."""

    pace: Pace

    @property
    def last_seen(self) -> int:
        """The version that a reader who comes again has seen; -1: none."""
        given = self.request.headers.get("Last-Event-ID", "").strip()
        return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else -1

    async def stream(self, feed: Feed, name: str) -> None:
        """Send events of this name until the thing is over and quiet, the reader leaves, or is stuck."""
        self._bound_kernel_buffer()
        self.set_header("Content-Type", f"{EVENT_STREAM}; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")  # nginx: hand on at once
        try:
            await self._stream(feed, name.encode())
        except StreamClosedError:
            return
        except TimeoutError:
            log.info("event_reader_cut_off", path=self.path, request_id=self.request_id)
            self.detach().close()

    def _bound_kernel_buffer(self) -> None:
        """The kernel would keep megabytes for each stuck reader: thousands of them must not cost the machine."""
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    async def _stream(self, feed: Feed, name: bytes) -> None:
        await self._send(b"retry: 2000\n\n")
        clock = asyncio.get_running_loop().time
        until, seen, is_over = clock() + self.pace.longest_s, self.last_seen, False
        while clock() < until:
            frame = await feed.newer(seen, self.pace.quiet_s if is_over else self.pace.heartbeat_s)
            if frame is None and is_over:
                return
            if frame is None:
                await self._send(b": still here\n\n")
            else:
                seen, is_over = frame.version, frame.is_over
                await self._send(b"id: %d\nevent: %b\ndata: %b\n\n" % (frame.version, name, frame.body))

    async def _send(self, data: bytes) -> None:
        """Write, and wait until the network has taken it: what comes meanwhile is skipped. TimeoutError: stuck."""
        self.write(data)
        await asyncio.wait_for(self.flush(), self.pace.stuck_s)
