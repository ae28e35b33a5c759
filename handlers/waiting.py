"""The waiting list (/v1/waiting) and visits of several seats (/v1/visits)."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.booking import booking_key
from handlers.booking_views import BookingView
from handlers.waiting_views import (
    StepsForm,
    VisitForm,
    VisitsView,
    VisitView,
    WaitingForm,
    WaitingListView,
    WaitingView,
)
from server.domain.schedules import Quota
from server.services.own_visits import OwnVisits, Wish
from server.services.own_waiting import OwnWaiting


class _WaitingHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, waiting: OwnWaiting) -> None:
        """`waiting` holds the verbs of citizens."""
        self.waiting = waiting


class WaitingHandler(_WaitingHandler):
    """/v1/waiting."""

    async def get(self) -> None:
        """Own entries and those for others."""
        found = await self.waiting.all(self.caller.id)
        self.respond(WaitingListView(entries=tuple(map(WaitingView.of, found))))

    async def post(self) -> None:
        """Wait. The Idempotency-Key names the entry too: it is made once, whoever dies in between."""
        form = self.given(WaitingForm)
        made = WaitingView.of(await self.waiting.join(self.caller.id, form.wish(booking_key(self.idempotency_key))))
        self.set_header("Location", f"/v1/waiting/{made.id}")
        self.respond(made, 201)


class WaitingEntryHandler(_WaitingHandler):
    """/v1/waiting/{entry}."""

    async def get(self, entry: str) -> None:
        """One of them."""
        self.respond(WaitingView.of(await self.waiting.get(self.caller.id, entry)))

    async def delete(self, entry: str) -> None:
        """Wait no more."""
        await self.waiting.leave(self.caller.id, entry)
        self.set_status(204)


class AcceptHandler(_WaitingHandler):
    """/v1/waiting/{entry}/accept."""

    async def post(self, entry: str) -> None:
        """Book what is offered."""
        self.respond(BookingView.of(await self.waiting.accept(self.caller.id, entry)))


class DeclineHandler(_WaitingHandler):
    """/v1/waiting/{entry}/decline."""

    async def post(self, entry: str) -> None:
        """Not this one; the next may fit."""
        self.respond(WaitingView.of(await self.waiting.decline(self.caller.id, entry)))


class _VisitHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, visits: OwnVisits) -> None:
        """`visits` holds the verbs of citizens."""
        self.visits = visits


class VisitsHandler(_VisitHandler):
    """/v1/visits."""

    async def get(self) -> None:
        """Own ones and those for others."""
        found = await self.visits.all(self.caller.id)
        self.respond(VisitsView(visits=tuple(map(VisitView.of, found))))

    async def post(self) -> None:
        """Hold all of a visit. The Idempotency-Key names it too."""
        form = self.given(VisitForm)
        wish = Wish(form.errands, Quota(form.quota), booking_key(self.idempotency_key), form.for_)
        held = VisitView.of(await self.visits.hold(self.caller.id, wish))
        self.set_header("Location", f"/v1/visits/{held.id}")
        self.respond(held, 201)


class VisitHandler(_VisitHandler):
    """/v1/visits/{visit}."""

    async def get(self, visit: str) -> None:
        """One of them."""
        self.respond(VisitView.of(await self.visits.get(self.caller.id, visit)))


class VisitConfirmHandler(_VisitHandler):
    """/v1/visits/{visit}/confirm."""

    async def post(self, visit: str) -> None:
        """Book all of it."""
        self.respond(VisitView.of(await self.visits.confirm(self.caller.id, visit)))


class VisitMoveHandler(_VisitHandler):
    """/v1/visits/{visit}/move."""

    async def post(self, visit: str) -> None:
        """To other times; if one of them cannot be had, all stays."""
        errands = self.given(StepsForm).errands
        self.respond(VisitView.of(await self.visits.move(self.caller.id, visit, errands)))


class VisitCancelHandler(_VisitHandler):
    """/v1/visits/{visit}/cancel."""

    async def post(self, visit: str) -> None:
        """Give all of it back."""
        self.respond(VisitView.of(await self.visits.cancel(self.caller.id, visit)))
