"""Bookings for people's own calendars: a file, a feed under an unguessable address, and that address itself."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handlers.base import LANGUAGES, ApiHandler
from server.domain.calendar import TYPE, etag_of
from server.services.calendars import Calendars, File

_MADE_AT = "2026-11-24T09:30:00+08:00"
_SECRET = "p2Zr0mTq8Jc4Xv1Lk9Wb6Nf3Hs7Dy5Ga0Ue2Io4Pr6Q"  # noqa: S105 - an example


class CalendarView(BaseModel):
    """Whether the caller has a feed."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": {"made_at": _MADE_AT}})

    made_at: AwareDatetime | None = Field(description="since when it has its address; null = there is no feed")


class CalendarMade(BaseModel):
    """A feed with a new address."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"made_at": _MADE_AT, "path": f"/v1/calendars/{_SECRET}.ics", "url": ""}},
    )

    made_at: AwareDatetime
    path: str = Field(description="under the address of this server; shown once, and whoever has it may read the feed")
    url: str = Field(description='the whole address for a calendar to subscribe to; "" = this server has no public one')


class CalendarHandler(ApiHandler):
    """What the handlers of calendars share: an iCalendar object as an answer that only its asker may keep."""

    def initialize(self, calendars: Calendars) -> None:
        """`calendars` writes them."""
        self.calendars = calendars

    def hand_out(self, file: File) -> None:
        """Answer with it, or 304 if the caller has it."""
        self.mark(etag_of(file.body))
        self.set_header("Content-Type", f"{TYPE}; charset=utf-8; method={file.method}")
        self.set_header("Content-Language", LANGUAGES[self.language])
        self.set_header("Content-Disposition", 'attachment; filename="huimin.ics"')
        self.set_header("Cache-Control", "private, no-cache")
        self.finish(file.body)


class BookingFileHandler(CalendarHandler):
    """/v1/bookings/{booking}.ics."""

    async def get(self, booking: str) -> None:
        """One booking."""
        self.hand_out(await self.calendars.file(booking, self.caller.id, self.language))


class CalendarFeedHandler(CalendarHandler):
    """/v1/calendars/{secret}.ics."""

    async def get(self, secret: str) -> None:
        """All bookings of whoever has this address."""
        self.hand_out(await self.calendars.feed(secret, self.language))


class OwnCalendarHandler(ApiHandler):
    """/v1/me/calendar."""

    def initialize(self, calendars: Calendars, base: str) -> None:
        """`base` is the origin that addresses begin with; "" = nobody knows it."""
        self.calendars = calendars
        self.base = base

    async def get(self) -> None:
        """Whether there is a feed; its address is told to nobody again."""
        self.respond(CalendarView(made_at=await self.calendars.made_at(self.caller.id)))

    async def post(self) -> None:
        """A feed with a new address; the old one leads nowhere any more."""
        made = await self.calendars.make(self.caller.id)
        path = f"/v1/calendars/{made.secret}.ics"
        url = f"{self.base}{path}" if self.base else ""
        self.respond(CalendarMade(made_at=made.made_at, path=path, url=url), 201)

    async def delete(self) -> None:
        """No feed any more; a second call changes nothing."""
        await self.calendars.remove(self.caller.id)
        self.set_status(204)
