"""Applications at the counter over HTTP: /v1/staff/applications. Every rule is the services'."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from handlers.application_views import ListPage, SummaryView
from handlers.base import ApiHandler
from handlers.staff_application_views import (
    ApplicationStepForm,
    AskAgainForm,
    FiledView,
    InboxQuery,
    ReasonsView,
    ReasonView,
    TransferForm,
)
from server.domain.applications import Application
from server.domain.errors import InvalidInputError
from server.domain.reasons import Reason
from server.services.deciding import Deciding, Filed, Sought


class _StaffHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, deciding: Deciding) -> None:
        """`deciding` holds the verbs."""
        self.deciding = deciding

    def show(self, filed: Filed) -> None:
        """An application as the office sees it."""
        self.mark(f'"v{filed.application.version}"')
        self.respond(FiledView.of_filed(filed, self.language))


class StaffApplicationsHandler(_StaffHandler):
    """The inbox of the officer's unit."""

    async def get(self) -> None:
        """A page, nearest deadline first."""
        asked = self.asked(InboxQuery)
        owner = {"me": self.officer.id, "nobody": ""}.get(asked.owner or "")
        sought = Sought(owner, asked.state, asked.card, position_of(asked.after), asked.limit)
        found, following_at = await self.deciding.inbox(self.officer, sought)
        following = cursor_of(found[-1], following_at) if following_at else None
        self.link_next({"after": following})
        views = tuple(SummaryView.of(e, self.language, self.deciding.state_words(e)) for e in found)
        self.respond(ListPage(applications=views, next=following))


class StaffApplicationHandler(_StaffHandler):
    """One of them."""

    async def get(self, application: str) -> None:
        """It, whole; the applicant reads that it was looked at."""
        self.show(await self.deciding.get(self.officer, application))


class ClaimHandler(_StaffHandler):
    """Taking it on."""

    async def post(self, application: str) -> None:
        """Of two one wins."""
        self.show(await self.deciding.claim(self.officer, application))


class TransferHandler(_StaffHandler):
    """Handing it on."""

    async def post(self, application: str) -> None:
        """To a colleague, or back to all."""
        self.show(await self.deciding.transfer(self.officer, application, self.given(TransferForm).to))


class StepHandler(_StaffHandler):
    """A step of the workflow."""

    async def post(self, application: str) -> None:
        """Take it, decide it, ask for more."""
        decision = self.given(ApplicationStepForm).decision(self.idempotency_key or secrets.token_hex(8))
        self.show(await self.deciding.decide(self.officer, application, decision))


class AskAgainHandler(_StaffHandler):
    """补正 a second time."""

    async def post(self, application: str) -> None:
        """By a supervisor, with the reason."""
        decision = self.given(AskAgainForm).decision(self.idempotency_key or secrets.token_hex(8))
        self.show(await self.deciding.ask_again(self.officer, application, decision))


class ReasonsHandler(ApiHandler):
    """Templates of reasons."""

    def initialize(self, reasons: Mapping[str, Reason]) -> None:
        """All of them, by id."""
        self.reasons = reasons

    def get(self) -> None:
        """The list."""
        views = [ReasonView(id=r.id, actions=tuple(sorted(r.actions)), zh=r.zh, en=r.en) for r in self.reasons.values()]
        self.respond(ReasonsView(reasons=tuple(views)))


def cursor_of(application: Application, at: datetime) -> str:
    """Where a page ended."""
    return f"{int(at.timestamp() * 1000):x}-{application.id}"


def position_of(cursor: str) -> tuple[datetime, str] | None:
    """What `cursor_of` gave; InvalidInputError `cursor_invalid`."""
    if not cursor:
        return None
    at, _, id_ = cursor.partition("-")
    try:
        moment = datetime.fromtimestamp(int(at, 16) / 1000, UTC)
        is_ours = len(bytes.fromhex(id_)) == 16
    except (ValueError, OverflowError, OSError):
        is_ours = False
    if not is_ours:
        raise InvalidInputError("cursor_invalid", zh="续页标记无效", en="this cursor is not one of ours", field="after")
    return moment, id_
