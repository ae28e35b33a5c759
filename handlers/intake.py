"""Messages of partners: handed in with a key at /v1/intake, decided by officers at /v1/staff/intake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handlers.alert_views import AlertView, Decision, FindingView
from handlers.base import ApiHandler
from server.domain.alerts.vocabulary import Dialect
from server.domain.faults import Fault, FaultyInputError
from server.domain.intake import Received, State
from server.domain.standing_order_reasons import Miss, WhyNot
from server.services.intake import Intake, Unreadable

XML_TYPES = ("application/xml", "text/xml", "application/cap+xml")
_TAKEN = {
    "id": "5f2b6c0d9e8a7f6b5c4d3e2f",
    "state": "proposed",
    "identifier": "44030041600000_20261124093000",
    "sender": "weather@sz.example",
    "dialect": "cap-1.2",
    "received_at": "2026-11-24T01:30:05Z",
    "findings": [],
}
_PROPOSAL = _TAKEN | {
    "partner": "weather-bureau",
    "msg_type": "Alert",
    "headline": "深圳市气象台发布暴雨橙色预警",
    "divisions": ["440305"],
    "draft": None,
    "officer": None,
    "reason": "",
    "order": None,
    "missed": [
        {
            "order": "7c1e0f9d2b7a48d6a3c5e8f10b6d7a92",
            "why": "colour_unnamed",
            "text": "级别不在指令内",
            "text_en": "the order does not name this colour",
            "code": "",
        }
    ],
}


def _like(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class Taken(BaseModel):
    """The answer to a partner: stored, and released under a standing order or waiting for an officer.

    A repeat tells what became of it.
    """

    model_config = _like(_TAKEN)

    id: str
    state: State
    identifier: str
    sender: str
    dialect: Dialect
    received_at: AwareDatetime
    findings: tuple[FindingView, ...]

    @classmethod
    def of(cls, found: Received) -> Taken:
        """Of a stored message."""
        return cls(**_taken(found))


class MissView(BaseModel):
    """A standing order of this partner that did not release the message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str
    why: WhyNot
    text: str = Field(description="in Chinese")
    text_en: str = Field(description="in English")
    code: str = Field(description="what the desk said, if it refused")

    @classmethod
    def of(cls, miss: Miss) -> MissView:
        """Of a miss."""
        return cls(order=miss.order, why=miss.why, text=miss.words.zh, text_en=miss.words.en, code=miss.code)


class ProposalView(Taken):
    """What an officer sees of it."""

    model_config = _like(_PROPOSAL)

    partner: str
    msg_type: str
    headline: str
    divisions: tuple[str, ...]
    draft: str | None = Field(description="the alert on the desk that it became")
    officer: str | None = Field(description="who decided, or is deciding")
    reason: str
    order: str | None = Field(description="the standing order that released it")
    missed: tuple[MissView, ...] = Field(description="the partner's standing orders that did not, and why")

    @classmethod
    def of(cls, found: Received) -> ProposalView:
        """Of a stored message."""
        return cls(**_taken(found), **_seen(found))


class ProposalWhole(ProposalView):
    """The same with the message itself."""

    model_config = _like(
        _PROPOSAL | {"alert": {"identifier": "44030041600000_20261124093000"}, "xml": "<alert>...</alert>"}
    )

    alert: dict[str, Any] = Field(description="the message as it was read")
    xml: str = Field(description="as it was received")

    @classmethod
    def of(cls, found: Received) -> ProposalWhole:
        """Of a stored message."""
        alert = found.alert.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return cls(**_taken(found), **_seen(found), alert=alert, xml=found.data.decode("utf-8", "replace"))


class ProposalPage(BaseModel):
    """Newest first; ask again with `before=next`."""

    model_config = _like({"proposals": [_PROPOSAL], "next": None})

    proposals: tuple[ProposalView, ...]
    next: AwareDatetime | None


class ProposalsQuery(BaseModel):
    """Which proposals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: tuple[State, ...] = Field(default=(), max_length=5, examples=["proposed"], description="none = all")
    before: AwareDatetime | None = Field(default=None, examples=["2026-11-24T01:30:05Z"])
    limit: int = Field(default=50, ge=1, le=200, examples=[50])


class IntakeHandler(ApiHandler):
    """/v1/intake."""

    def initialize(self, intake: Intake) -> None:
        """`intake` checks and stores."""
        self.intake = intake

    async def post(self) -> None:
        """CAP 1.2, CAP 1.1 or 国突 XML; 202 with all findings once it is stored."""
        found = await self.intake.take(self.partner, self.request.body)
        if isinstance(found, Unreadable):
            raise FaultyInputError(
                "message_unreadable", [Fault(f"{f.code} {f.path}", f.zh, f.en) for f in found.findings]
            )
        self.respond(Taken.of(found), 202)


class _StaffHandler(ApiHandler):
    def initialize(self, intake: Intake) -> None:
        """`intake` knows what waits."""
        self.intake = intake


class ProposalsHandler(_StaffHandler):
    """/v1/staff/intake."""

    async def get(self) -> None:
        """What partners handed in, within the officer's reach."""
        asked = self.asked(ProposalsQuery)
        found = await self.intake.page(self.officer, asked.state, asked.before, asked.limit)
        more = found[-1].received_at if len(found) == asked.limit else None
        self.link_next({"before": more.isoformat() if more else None})
        self.respond(ProposalPage(proposals=tuple(map(ProposalView.of, found)), next=more))


class ProposalHandler(_StaffHandler):
    """/v1/staff/intake/{proposal}."""

    async def get(self, proposal: str) -> None:
        """The message and what was found."""
        self.respond(ProposalWhole.of(await self.intake.get(self.officer, proposal)))


class AdoptHandler(_StaffHandler):
    """/v1/staff/intake/{proposal}/adopt."""

    async def post(self, proposal: str) -> None:
        """A draft of the officer's own, marked with its source."""
        desk = await self.intake.adopt(self.officer, proposal)
        self.mark(f'"v{desk.version}"')
        self.set_header("Location", f"/v1/staff/alerts/{desk.identifier}")
        self.respond(AlertView.of(desk), 201)


class DismissHandler(_StaffHandler):
    """/v1/staff/intake/{proposal}/dismiss."""

    async def post(self, proposal: str) -> None:
        """No, with a reason."""
        found = await self.intake.dismiss(self.officer, proposal, self.given(Decision).reason)
        self.respond(ProposalView.of(found))


def _taken(found: Received) -> dict[str, Any]:
    findings: Sequence[FindingView] = tuple(map(FindingView.of, found.findings))
    return {
        "id": found.key,
        "state": found.state,
        "identifier": found.alert.identifier,
        "sender": found.alert.sender,
        "dialect": found.dialect,
        "received_at": found.received_at,
        "findings": findings,
    }


def _seen(found: Received) -> dict[str, Any]:
    headline = next((info.headline or info.event for info in found.alert.infos), "")
    return {
        "partner": found.partner,
        "msg_type": found.alert.msg_type,
        "headline": headline,
        "divisions": found.divisions,
        "draft": found.draft,
        "officer": found.officer,
        "reason": found.reason,
        "order": found.order,
        "missed": tuple(map(MissView.of, found.missed)),
    }
