"""The counter of bookings, for officers: /v1/staff/resources/{resource}/... and /v1/staff/bookings/... ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from handlers.base import ApiHandler
from handlers.booking import booking_key
from handlers.booking_office_views import (
    BanView,
    CalledView,
    ClosedView,
    DayQuery,
    ErrandForm,
    LiftForm,
    PersonForm,
    ReasonForm,
    ReopenedView,
    StopForm,
)
from handlers.booking_views import ScanForm, TicketView
from handlers.streaming import Pace, StreamHandler
from server.domain.booking_day import DayEntry
from server.domain.officers import Officer
from server.domain.schedules import Quota
from server.services.booking_office import BookingOffice, Errand


class _OfficeHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, office: BookingOffice) -> None:
        """`office` asks the policy."""
        self.office = office


class DayHandler(_OfficeHandler):
    """The day's list."""

    async def get(self, resource: str) -> None:
        """Of today, or of the day that is asked for."""
        self.respond(await self.office.day(self.officer, resource, self.asked(DayQuery).day))


class DayEventsHandler(StreamHandler):
    """The same, live."""

    def initialize(self, office: BookingOffice, pace: Pace) -> None:
        """`office` asks the policy."""
        self.office = office
        self.pace = pace

    async def get(self, resource: str) -> None:
        """The whole list with each change."""
        async with self.office.reading(self.officer, resource, self.asked(DayQuery).day) as feed:
            await self.stream(feed, "day")


class PosterHandler(_OfficeHandler):
    """The code of the day."""

    async def get(self, resource: str) -> None:
        """To hang up: who scans it checks in."""
        self.respond(TicketView.of(await self.office.poster(self.officer, resource)))


class CallNextHandler(_OfficeHandler):
    """The queue."""

    async def post(self, resource: str) -> None:
        """Call who waits longest."""
        self.respond(CalledView(called=await self.office.call_next(self.officer, resource)))


class ScanHandler(_OfficeHandler):
    """A scanned ticket."""

    async def post(self) -> None:
        """Check in who shows it."""
        self.respond(await self.office.scan(self.officer, self.given(ScanForm).ticket))


Step = Callable[[BookingOffice, Officer, str], Awaitable[DayEntry]]


class StepHandler(ApiHandler):
    """One booking, one step."""

    def initialize(self, office: BookingOffice, step: Step) -> None:
        """`step` is a verb of the office."""
        self.office = office
        self.step = step

    async def post(self, booking: str) -> None:
        """Do it."""
        self.respond(await self.step(self.office, self.officer, booking))


class OfficeBookingsHandler(_OfficeHandler):
    """Bookings made at the counter or on the telephone."""

    async def post(self, resource: str) -> None:
        """Book at once, for somebody who is known."""
        form = self.given(ErrandForm)
        errand = Errand(form.slot, Quota(form.quota), booking_key(self.idempotency_key), form.service)
        self.respond(await self.office.book(self.officer, resource, form.person, errand), 201)


class OfficeCancelHandler(_OfficeHandler):
    """A booking that the office ends."""

    async def post(self, booking: str) -> None:
        """Without a strike."""
        await self.office.cancel(self.officer, booking, self.given(ReasonForm).reason)
        self.set_status(204)


class ExcuseHandler(_OfficeHandler):
    """A strike."""

    async def post(self, booking: str) -> None:
        """Take it back."""
        await self.office.excuse(self.officer, booking, self.given(ReasonForm).reason)
        self.set_status(204)


class BanHandler(_OfficeHandler):
    """Whether somebody may book at this unit. A POST: a number has no place in an address."""

    async def post(self, resource: str) -> None:
        """And if not, why and until when."""
        self.respond(BanView.of(await self.office.ban(self.officer, resource, self.given(PersonForm).person)))


class LiftHandler(_OfficeHandler):
    """A ban."""

    async def post(self, resource: str) -> None:
        """Lift it; the one that it was."""
        form = self.given(LiftForm)
        self.respond(BanView.of(await self.office.lift(self.officer, resource, form.person, form.reason)))


class CloseHandler(_OfficeHandler):
    """停诊."""

    async def post(self, resource: str) -> None:
        """Close a time, a day, or all that lies ahead."""
        closed = await self.office.close(self.officer, resource, self.given(StopForm).stop)
        self.respond(ClosedView(seats=closed.seats, bookings=closed.bookings))


class ReopenHandler(_OfficeHandler):
    """复诊."""

    async def post(self, resource: str) -> None:
        """Open it again; who had a booking has lost it."""
        self.respond(ReopenedView(seats=await self.office.reopen(self.officer, resource, self.given(StopForm).stop)))
