"""Takes what partners hand in, and hands it to officers as proposals.

Promises. Acknowledged means stored. The same message again gets the same answer (with what became of it) and is stored
once; the same identifier with other content is quarantined, also if both arrive at once. XML is read off the loop. Only
an officer who may draft makes a draft of a proposal, once; two persons release it like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.access import Deed, may, refuse
from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.finding import Finding
from server.domain.alerts.reading import read
from server.domain.alerts.vocabulary import MsgType
from server.domain.audit import Detail, Event
from server.domain.divisions import Divisions
from server.domain.errors import ConflictError, HuiminError, InvalidInputError, NotFoundError, TooManyError
from server.domain.intake import Received, State, following, key_of, proposal, received
from server.domain.officers import Officer
from server.domain.partners import Partner
from server.services.alerts import Alerts
from server.services.audit import Audit
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore
from server.storage.partners import PartnerStore

MAX_PER_MINUTE = 60  # new messages of one partner
REMEMBERED = timedelta(hours=24)  # how long a message may be repeated as a new one without being noticed
TRIES = 5


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no alert; nothing is stored."""

    findings: Sequence[Finding]


class Intake:
    """The counter for messages of partners."""

    def __init__(
        self,
        stores: tuple[IntakeStore, PartnerStore, PublicStore],
        desk: Alerts,
        divisions: Divisions,
        audit: Audit,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._intake, self._partners, self._public = stores
        self._audit = audit
        self._desk = desk
        self._divisions = divisions
        self._now = now

    async def take(self, partner: Partner, data: bytes) -> Received | Unreadable:
        """Read, check and store one message. TooManyError for a partner that sends without end."""
        reading = await asyncio.to_thread(read, data)
        alert = reading.alert
        if alert is None:
            return Unreadable(reading.findings)
        names = [alert.identifier, *(entry.identifier for entry in alert.referenced)]
        for _ in range(TRIES):
            if known := await self._intake.find(key_of(partner.id, alert)):
                return known
            at = self._now()
            at = at.replace(microsecond=at.microsecond // 1000 * 1000)  # as the database keeps it
            if await self._intake.count_since(partner.id, at - timedelta(minutes=1)) >= MAX_PER_MINUTE:
                raise TooManyError("intake_flood", zh="来报过于频繁", en="too many new messages in a minute")
            history = await self._intake.find_history(alert.sender, names, at - REMEMBERED)
            found = await asyncio.to_thread(received, reading, data, partner, history, self._divisions, at)
            if await self._intake.insert(found):
                return found
        raise TooManyError(
            "intake_busy", zh="同一编号的来报过多，请稍后", en="this identifier is being sent elsewhere too"
        )

    async def page(
        self, officer: Officer, states: Sequence[State], before: datetime | None, limit: int
    ) -> list[Received]:
        """The newest messages within an officer's reach."""
        upto = before or self._now() + timedelta(days=1)
        found = await self._intake.find_page(officer.division, states, upto, limit)
        return [each for each in found if may(officer, Deed.INTAKE_READ, each.divisions)]

    async def get(self, officer: Officer, key: str) -> Received:
        """One message within reach; NotFoundError."""
        found = await self._intake.get(key)
        if not may(officer, Deed.INTAKE_READ, found.divisions):
            raise NotFoundError("proposal_unknown", zh="没有这条来报", en="no such proposal", field="proposal")
        return found

    async def adopt(self, officer: Officer, key: str) -> DeskAlert:
        """Make a draft of it: a first message, or what follows the alert that an earlier message became.

        The desk refuses what the officer may not draft; then the message stays undecided.
        """
        await self.get(officer, key)
        found = await self._intake.claim(key, officer.id, self._now())
        try:
            desk = await self._draft(officer, found)
        except HuiminError:
            await self._intake.give_back(key)
            raise
        await self._intake.decide(key, State.ADOPTED, officer.id, {"draft": desk.identifier})
        await self._record(officer, "adopt", found, {"draft": desk.identifier})
        return desk

    async def dismiss(self, officer: Officer, key: str, reason: str) -> Received:
        """Say no, with a reason."""
        if not reason.strip():
            raise InvalidInputError("reason_missing", zh="请说明理由", en="give a reason", field="reason")
        found = await self.get(officer, key)
        refuse(officer, Deed.INTAKE_DECIDE, found.divisions)
        done = await self._intake.decide(key, State.DISMISSED, officer.id, {"reason": reason[:500]})
        await self._record(officer, "dismiss", found, {})
        return done

    async def _record(self, officer: Officer, verb: str, found: Received, details: dict[str, Detail]) -> None:
        told = {"partner": found.partner, **details}
        key = f"intake/{found.key}/{verb}"
        await self._audit.record(Event(officer.id, f"intake.{verb}", found.key, details=told, key=key))

    async def _draft(self, officer: Officer, found: Received) -> DeskAlert:
        if found.alert.msg_type in (MsgType.UPDATE, MsgType.CANCEL):
            if head := await self._ours(found):
                kind, change = following(found, head.colour)
                return await self._desk.follow(officer, head.identifier, kind, change)
            if found.alert.msg_type == MsgType.CANCEL:
                raise ConflictError(
                    "intake_nothing_released",
                    zh="它所解除的预警未经本台发布",
                    en="what it cancels was never released here",
                )
        name = (await self._partners.get(found.partner)).name
        return await self._desk.draft(officer, proposal(found, name))

    async def _ours(self, found: Received) -> DeskAlert | None:
        """The newest released alert of ours that earlier messages of the same chain became."""
        at = self._now()
        names = [entry.identifier for entry in found.alert.referenced]
        history = await self._intake.find_history(found.alert.sender, names, at)
        drafts = [each.draft for each in history if each.draft and each.chain == found.chain]
        for message in await self._public.find(drafts):
            chain = await self._public.find_chain(message.chain)
            return await self._desk.get(chain[-1].identifier)
        return None
