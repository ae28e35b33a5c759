"""Logging in over HTTP: /v1/staff/session, /v1/staff/sessions, /v1/staff/activation."""

from __future__ import annotations

from dataclasses import asdict

from handlers.base import ApiHandler
from handlers.office_views import (
    ActivationForm,
    ActivationView,
    CodeForm,
    Ended,
    LoggedIn,
    LogInForm,
    SessionsView,
    SessionView,
)
from server.services.officers import LogIn, Officers


class _OfficeHandler(ApiHandler):
    """What the handlers of the office share."""

    def initialize(self, officers: Officers) -> None:
        """`officers` holds the verbs."""
        self.officers = officers


class SessionHandler(_OfficeHandler):
    """The session of the one who asks."""

    async def post(self) -> None:
        """Log in."""
        form = self.given(LogInForm)
        session, token = await self.officers.log_in(LogIn(form.name, form.password, form.code, self.origin))
        self.respond(LoggedIn(token=token, session=SessionView.of(session)), 201)

    async def get(self) -> None:
        """Who one is, and until when."""
        self.respond(SessionView.of(self.session))

    async def delete(self) -> None:
        """Log out."""
        await self.officers.end(self.session, self.session.id)
        self.set_status(204)
        self.finish()


class TotpHandler(_OfficeHandler):
    """The second factor, shown again."""

    async def post(self) -> None:
        """Make it fresh for the next five minutes."""
        self.respond(SessionView.of(await self.officers.confirm_totp(self.session, self.given(CodeForm).code)))


class SessionsHandler(_OfficeHandler):
    """All sessions of the one who asks."""

    async def get(self) -> None:
        """The live ones, newest first."""
        live = await self.officers.sessions(self.officer.id)
        self.respond(SessionsView(sessions=tuple(map(SessionView.of, live))))

    async def delete(self) -> None:
        """Log out everywhere."""
        self.respond(Ended(ended=await self.officers.end_all(self.officer, self.officer.id)))


class OneSessionHandler(_OfficeHandler):
    """One of the own sessions."""

    async def delete(self, session: str) -> None:
        """End it, wherever it is."""
        await self.officers.end(self.session, session)
        self.set_status(204)
        self.finish()


class ActivationHandler(_OfficeHandler):
    """A one-time link."""

    async def post(self) -> None:
        """Use it up: set the password, get the second factor."""
        form = self.given(ActivationForm)
        self.respond(ActivationView(**asdict(await self.officers.activate(form.link, form.password))))
