"""Officers watch a broadcast, stop and resume it, and read what became of it: /v1/staff/broadcasts/..."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import structlog
from pydantic import BaseModel, ConfigDict, Field
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from handlers.base import ApiHandler
from handlers.routing import EVENT_STREAM
from server.services.control import Control
from server.services.reports import MAX_LIST, Wanted
from server.services.watching import Feed

CSV = "text/csv"
SEND_BUFFER_BYTES = 65_536  # several states of a city

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of an event stream, in seconds."""

    heartbeat_s: float = 15.0  # a comment line: proxies and readers see that the stream lives
    stuck_s: float = 20.0  # a reader who takes nothing for so long is cut off
    quiet_s: float = 10.0  # after the end of a broadcast, without news, the stream ends too
    longest_s: float = 600.0  # then the reader comes again and is asked for its session


class UnreachedQuery(BaseModel):
    """Which part of the list of those who were not reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    division: str = Field(pattern=r"^\d{6}(\d{3}){0,2}$", description="a division of your own", examples=["440305"])
    purpose: str = Field(
        min_length=4,
        max_length=200,
        description="what the numbers are for; it is logged",
        examples=["电话通知未送达居民"],
    )
    after: str = Field(default="", max_length=200, description="`next` of the part before", examples=[""])
    limit: int = Field(default=100, ge=1, le=MAX_LIST, description="people at most", examples=[100])
    unconfirmed: bool = Field(
        default=False, description="also those of whom no receipt says that it arrived", examples=[False]
    )


class BroadcastHandler(ApiHandler):
    """One broadcast."""

    def initialize(self, control: Control) -> None:
        """`control` asks the policy."""
        self.control = control

    async def get(self, identifier: str) -> None:
        """Where it stands."""
        self.respond(await self.control.standing(self.officer, identifier))


class PauseHandler(ApiHandler):
    """A live broadcast to be stopped for now."""

    def initialize(self, control: Control) -> None:
        """`control` asks the policy."""
        self.control = control

    async def post(self, identifier: str) -> None:
        """Pause it."""
        self.respond(await self.control.pause(self.officer, identifier))


class ResumeHandler(ApiHandler):
    """A paused broadcast to go on."""

    def initialize(self, control: Control) -> None:
        """`control` asks the policy."""
        self.control = control

    async def post(self, identifier: str) -> None:
        """Resume it."""
        self.respond(await self.control.resume(self.officer, identifier))


class EventsHandler(ApiHandler):
    """The standing of a broadcast as server-sent events (WHATWG HTML, 9.2).

    Each event is the whole standing, its id the version. So a reader that comes back with Last-Event-ID gets the newest
    one if it is newer, and a slow one skips to it: what waits for a reader is never more than one event.
    """

    def initialize(self, control: Control, pace: Pace) -> None:
        """`control` asks the policy."""
        self.control = control
        self.pace = pace

    async def get(self, identifier: str) -> None:
        """Stream until the broadcast is over and quiet; 204 tells a reader that has seen the end not to come again."""
        given = self.request.headers.get("Last-Event-ID", "").strip()
        seen = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else -1
        async with self.control.reading(self.officer, identifier) as feed:
            first = await feed.newer(-1, self.pace.heartbeat_s)
            if first is not None and first.is_over and first.version <= seen:
                self.set_status(204)
                return
            self._bound_kernel_buffer()
            self.set_header("Content-Type", f"{EVENT_STREAM}; charset=utf-8")
            self.set_header("X-Accel-Buffering", "no")  # nginx: hand on at once
            try:
                await self._stream(feed, seen)
            except StreamClosedError:
                return
            except TimeoutError:
                log.info("event_reader_cut_off", broadcast=identifier, request_id=self.request_id)
                self.detach().close()

    def _bound_kernel_buffer(self) -> None:
        """The kernel would keep megabytes for each stuck reader: thousands of them must not cost the machine."""
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    async def _stream(self, feed: Feed, seen: int) -> None:
        await self._send(b"retry: 2000\n\n")
        clock = asyncio.get_running_loop().time
        until, is_over = clock() + self.pace.longest_s, False
        while clock() < until:
            frame = await feed.newer(seen, self.pace.quiet_s if is_over else self.pace.heartbeat_s)
            if frame is None and is_over:
                return
            if frame is None:
                await self._send(b": still here\n\n")
            else:
                seen, is_over = frame.version, frame.is_over
                await self._send(b"id: %d\nevent: standing\ndata: %b\n\n" % (frame.version, frame.body))

    async def _send(self, data: bytes) -> None:
        """Write, and wait until the network has taken it: what comes meanwhile is skipped. TimeoutError: stuck."""
        self.write(data)
        await asyncio.wait_for(self.flush(), self.pace.stuck_s)


class ReportHandler(ApiHandler):
    """What became of it."""

    def initialize(self, control: Control) -> None:
        """`control` asks the policy."""
        self.control = control

    async def get(self, identifier: str) -> None:
        """All figures."""
        self.respond(await self.control.report(self.officer, identifier))


class ReportTableHandler(ApiHandler):
    """The same for spreadsheets."""

    def initialize(self, control: Control) -> None:
        """`control` asks the policy."""
        self.control = control

    async def get(self, identifier: str) -> None:
        """A line per district and channel, a column per status."""
        table = await self.control.table(self.officer, identifier)
        self.set_header("Content-Type", f"{CSV}; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{identifier}.csv"')
        self.finish(table)


class UnreachedHandler(ApiHandler):
    """Whom to telephone."""

    def initialize(self, control: Control) -> None:
        """`control` asks the policy, and writes the look into the audit log."""
        self.control = control

    async def get(self, identifier: str) -> None:
        """Part of the list."""
        query = self.asked(UnreachedQuery)
        wanted = Wanted(query.division, query.purpose, query.after, query.limit, query.unconfirmed)
        part = await self.control.unreached(self.officer, identifier, wanted)
        self.link_next({"after": part.next})
        self.respond(part)
