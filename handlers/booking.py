"""Booking for citizens, and what everybody may look up: /v1/resources, /v1/slots, /v1/bookings."""

from __future__ import annotations

import hashlib
import secrets

import orjson

from handlers.base import ApiHandler
from handlers.booking_views import (
    BookingForm,
    BookingsQuery,
    BookingsView,
    BookingView,
    MoveForm,
    OffersView,
    ResourcesQuery,
    ResourcesView,
    ResourceView,
    ScanForm,
    SlotsQuery,
    TicketView,
)
from server.domain.china import china_day
from server.domain.schedules import Quota
from server.services.booking_search import Search
from server.services.own_bookings import OwnBookings, Wish

MAX_KEY = 64  # of the booking counter; a longer one is hashed


def booking_key(given: str | None) -> str:
    """What the booking counter knows a request by: the caller's Idempotency-Key, or a new name."""
    key = given or secrets.token_urlsafe(16)
    return key if len(key) <= MAX_KEY else hashlib.sha256(key.encode()).hexdigest()


class _SearchHandler(ApiHandler):
    """What anybody may ask."""

    def initialize(self, search: Search) -> None:
        """`search` reads resources and free seats."""
        self.search = search


class ResourcesHandler(_SearchHandler):
    """/v1/resources."""

    async def get(self) -> None:
        """Those that can be booked, by id or nearest first."""
        query = self.asked(ResourcesQuery)
        found, following = await self.search.resources(query.wanted, query.point, query.after, query.limit)
        self.link_next({"after": following})
        self.respond(ResourcesView.of(found, following))


class ResourceHandler(_SearchHandler):
    """/v1/resources/{resource}."""

    async def get(self, resource: str) -> None:
        """One of them."""
        self.respond(ResourceView.of(await self.search.resource(resource)))


class SlotsHandler(_SearchHandler):
    """/v1/slots."""

    async def get(self) -> None:
        """Free seats; 304 if nothing but the time of counting has changed."""
        query = self.asked(SlotsQuery)
        days = query.dates(china_day(self.search.now()))
        view = OffersView.of(await self.search.offers(query.wanted, query.resource, days, query.after, query.limit))
        told = orjson.dumps(view.model_dump(mode="json", exclude={"as_of"}))
        self.mark(f'W/"{hashlib.sha256(told).hexdigest()[:32]}"')
        self.set_header("Cache-Control", "no-cache")
        self.link_next({"after": view.next})
        self.respond(view)


class _BookingHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, bookings: OwnBookings) -> None:
        """`bookings` holds the verbs of citizens."""
        self.bookings = bookings


class BookingsHandler(_BookingHandler):
    """/v1/bookings."""

    async def get(self) -> None:
        """Own ones and those made for others."""
        query = self.asked(BookingsQuery)
        found, following = await self.bookings.page(self.caller.id, query.when, query.after, query.limit)
        self.link_next({"after": following})
        self.respond(BookingsView(bookings=tuple(map(BookingView.of, found)), next=following))

    async def post(self) -> None:
        """Hold a seat. The Idempotency-Key names the booking too: it is made once, whoever dies in between."""
        form = self.given(BookingForm)
        wish = Wish(form.slot, booking_key(self.idempotency_key), form.for_, form.service, Quota(form.quota))
        held = BookingView.of(await self.bookings.hold(self.caller.id, wish))
        self.set_header("Location", f"/v1/bookings/{held.id}")
        self.respond(held, 201)


class BookingHandler(_BookingHandler):
    """/v1/bookings/{booking}."""

    async def get(self, booking: str) -> None:
        """One of them."""
        self.respond(BookingView.of(await self.bookings.get(self.caller.id, booking)))


class ConfirmHandler(_BookingHandler):
    """/v1/bookings/{booking}/confirm."""

    async def post(self, booking: str) -> None:
        """Book what is held."""
        self.respond(BookingView.of(await self.bookings.confirm(self.caller.id, booking)))


class RenewHandler(_BookingHandler):
    """/v1/bookings/{booking}/renew."""

    async def post(self, booking: str) -> None:
        """Hold it longer."""
        self.respond(BookingView.of(await self.bookings.renew(self.caller.id, booking)))


class MoveHandler(_BookingHandler):
    """/v1/bookings/{booking}/move."""

    async def post(self, booking: str) -> None:
        """To another time of the same business; if that cannot be, it stays."""
        form = self.given(MoveForm)
        moved = await self.bookings.move(self.caller.id, booking, form.slot, Quota(form.quota))
        self.respond(BookingView.of(moved))


class CancelHandler(_BookingHandler):
    """/v1/bookings/{booking}/cancel."""

    async def post(self, booking: str) -> None:
        """Give it back; a hold leaves no trace."""
        self.respond(BookingView.of(await self.bookings.cancel(self.caller.id, booking)))


class TicketHandler(_BookingHandler):
    """/v1/bookings/{booking}/ticket."""

    async def get(self, booking: str) -> None:
        """What to show at the counter, good for some seconds."""
        self.respond(TicketView.of(await self.bookings.ticket(self.caller.id, booking)))


class CheckInHandler(_BookingHandler):
    """/v1/bookings/{booking}/check-in."""

    async def post(self, booking: str) -> None:
        """By the code that hangs at the counter."""
        ticket = self.given(ScanForm).ticket
        self.respond(BookingView.of(await self.bookings.check_in(self.caller.id, booking, ticket)))
