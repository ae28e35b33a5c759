"""Accounts over HTTP, for administrators: /v1/staff/officers. Who may manage whom is the services' to say."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.office_views import AccountsView, AccountView, Ended, Invitation, Recovery, RolesForm
from server.domain.officers import NewOfficer
from server.services.officers import Officers


class _AccountHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, officers: Officers) -> None:
        """`officers` holds the verbs."""
        self.officers = officers


class OfficersHandler(_AccountHandler):
    """All accounts within reach."""

    async def get(self) -> None:
        """Oldest first."""
        found = await self.officers.accounts(self.officer)
        self.respond(AccountsView(officers=tuple(map(AccountView.about, found))))

    async def post(self) -> None:
        """Invite an officer."""
        account, link = await self.officers.create(self.officer, self.given(NewOfficer))
        self.respond(Invitation(officer=AccountView.about(account), link=link), 201)


class OfficerRolesHandler(_AccountHandler):
    """The roles of an account."""

    async def put(self, officer: str) -> None:
        """Give others."""
        account = await self.officers.change(self.officer, officer, self.given(RolesForm).roles)
        self.respond(AccountView.about(account))


class OfficerLockHandler(_AccountHandler):
    """The lock on an account."""

    async def put(self, officer: str) -> None:
        """Keep the officer out, at once."""
        self.respond(AccountView.about(await self.officers.lock(self.officer, officer)))

    async def delete(self, officer: str) -> None:
        """Let the officer in again."""
        self.respond(AccountView.about(await self.officers.unlock(self.officer, officer)))


class OfficerRecoveryHandler(_AccountHandler):
    """A lost password or authenticator."""

    async def post(self, officer: str) -> None:
        """A new one-time link; what was known before is void."""
        self.respond(Recovery(link=await self.officers.recover(self.officer, officer)), 201)


class OfficerSessionsHandler(_AccountHandler):
    """The sessions of an account."""

    async def delete(self, officer: str) -> None:
        """End all of them."""
        self.respond(Ended(ended=await self.officers.end_all(self.officer, officer)))
