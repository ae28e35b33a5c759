"""Who applies together with somebody, over HTTP: to name, to take back, to confirm, to decline."""

from __future__ import annotations

from handlers.application_views import ApplicationView, InvitationForm
from handlers.base import ApiHandler
from server.services.applications import Seen
from server.services.co_applicants import CoApplicants


class _TogetherHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, together: CoApplicants) -> None:
        """`together` holds the verbs."""
        self.together = together

    def show(self, seen: Seen) -> None:
        """The application as it is now."""
        self.mark(f'"v{seen.application.version}"')
        self.respond(ApplicationView.of_seen(seen, self.language))


class InviteHandler(_TogetherHandler):
    """Who has to confirm."""

    async def post(self, application: str) -> None:
        """Name somebody."""
        form = self.given(InvitationForm)
        self.show(await self.together.invite(self.caller, application, self.version, form.account, form.role))


class InvitationHandler(_TogetherHandler):
    """One of those who were named."""

    async def delete(self, application: str, invitation: str) -> None:
        """Take it back."""
        self.show(await self.together.take_back(self.caller, application, invitation))


class AgreeHandler(_TogetherHandler):
    """Confirming."""

    async def post(self, application: str) -> None:
        """As the one who was named, to the version that was seen."""
        self.show(await self.together.agree(self.caller, application, self.version))


class DeclineHandler(_TogetherHandler):
    """Declining."""

    async def post(self, application: str) -> None:
        """As the one who was named."""
        await self.together.decline(self.caller, application)
        self.set_status(204)
