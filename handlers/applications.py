"""A citizen's applications over HTTP, and the public's look at one by number and code."""

from __future__ import annotations

import secrets

from handlers.application_views import (
    ApplicationView,
    DraftForm,
    FormForm,
    OwnPage,
    OwnQuery,
    SeatForm,
    SummaryView,
    TrackForm,
    TrackView,
)
from handlers.base import ApiHandler
from server.domain.origins import counted
from server.services.application_seats import ApplicationSeats, HandingIn
from server.services.applications import Applications, Seen
from server.services.inbox import Wanted
from server.services.sources import Sources
from server.services.tracking import Tracking


class _OwnHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, applications: Applications) -> None:
        """`applications` holds the verbs."""
        self.applications = applications

    def show(self, seen: Seen, status: int = 200) -> None:
        """An application, with its version as ETag; a new one with its place."""
        self.mark(f'"v{seen.application.version}"')
        if status == 201:
            self.set_header("Location", f"/v1/applications/{seen.application.id}")
        self.respond(ApplicationView.of_seen(seen, self.language), status)

    @property
    def key(self) -> str:
        """The caller's name for this request; without one it is another request each time."""
        return self.idempotency_key or secrets.token_hex(8)


class ApplicationsHandler(_OwnHandler):
    """All of the caller's."""

    async def get(self) -> None:
        """A page, newest change first; the Link header leads on."""
        asked = self.asked(OwnQuery)
        page = await self.applications.page(self.caller, Wanted(asked.since, asked.after, asked.limit))
        self.link_next({"after": page.next})
        views = tuple(SummaryView.of(e, self.language, self.applications.state_words(e)) for e in page.applications)
        self.respond(OwnPage(applications=views, sync=page.sync, next=page.next))

    async def post(self) -> None:
        """Begin a draft."""
        self.show(await self.applications.begin(self.caller, self.given(DraftForm).draft()), 201)


class ApplicationHandler(_OwnHandler):
    """One of them."""

    async def get(self, application: str) -> None:
        """It, whole."""
        self.show(await self.applications.get(self.caller, application))

    async def put(self, application: str) -> None:
        """Write over the form."""
        form = self.given(FormForm).form
        self.show(await self.applications.save(self.caller, application, self.version, form))

    async def delete(self, application: str) -> None:
        """Delete a draft."""
        await self.applications.drop(self.caller, application, self.version)
        self.set_status(204)


class SubmitHandler(_OwnHandler):
    """Handing in."""

    async def post(self, application: str) -> None:
        """The version that was seen."""
        self.show(await self.applications.submit(self.caller, application, self.version, self.key))


class SupplyHandler(_OwnHandler):
    """Completing."""

    async def post(self, application: str) -> None:
        """The version that was seen."""
        self.show(await self.applications.supply(self.caller, application, self.version, self.key))


class WithdrawHandler(_OwnHandler):
    """Taking back."""

    async def post(self, application: str) -> None:
        """Whatever version it is."""
        self.show(await self.applications.withdraw(self.caller, application, self.key))


class UrgeHandler(_OwnHandler):
    """催办."""

    async def post(self, application: str) -> None:
        """Once a day."""
        self.show(await self.applications.urge(self.caller, application, self.key))


class SeatHandler(ApiHandler):
    """Handing in together with a seat."""

    def initialize(self, seats: ApplicationSeats) -> None:
        """`seats` holds the verb."""
        self.seats = seats

    async def post(self, application: str) -> None:
        """Both or neither."""
        key = self.idempotency_key or secrets.token_hex(8)
        handing = HandingIn(application, self.version, key, self.given(SeatForm).booking)
        seen = await self.seats.submit(self.caller, handing)
        self.mark(f'"v{seen.application.version}"')
        self.respond(ApplicationView.of_seen(seen, self.language))


class SourceHandler(ApiHandler):
    """免提交: a source instead of a paper."""

    def initialize(self, sources: Sources) -> None:
        """`sources` holds the verb."""
        self.sources = sources

    async def post(self, application: str, source: str) -> None:
        """Ask it."""
        seen = await self.sources.bring(self.caller, application, source)
        self.mark(f'"v{seen.application.version}"')
        self.respond(ApplicationView.of_seen(seen, self.language))


class TrackHandler(ApiHandler):
    """By number and code, without a log-in."""

    def initialize(self, tracking: Tracking) -> None:
        """`tracking` holds the verb."""
        self.tracking = tracking

    async def post(self) -> None:
        """Where it stands. By POST: a code in an address would stand in logs."""
        form = self.given(TrackForm)
        found = await self.tracking.follow(form.number.strip(), form.code.strip(), counted(self.origin))
        self.respond(TrackView.of(*found, self.language))
