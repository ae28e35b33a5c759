"""Officers watch a broadcast, stop and resume it, and read what became of it: /v1/staff/broadcasts/..."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from handlers.streaming import Pace, StreamHandler
from server.services.control import Control
from server.services.reports import MAX_LIST, Wanted

CSV = "text/csv"


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


class EventsHandler(StreamHandler):
    """The standing of a broadcast as server-sent events."""

    def initialize(self, control: Control, pace: Pace) -> None:
        """`control` asks the policy."""
        self.control = control
        self.pace = pace

    async def get(self, identifier: str) -> None:
        """Stream until the broadcast is over and quiet; 204 tells a reader that has seen the end not to come again."""
        async with self.control.reading(self.officer, identifier) as feed:
            first = await feed.newer(-1, self.pace.heartbeat_s)
            if first is not None and first.is_over and first.version <= self.last_seen:
                self.set_status(204)
                return
            await self.stream(feed, "standing")


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
