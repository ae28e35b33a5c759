"""Takes what partners hand in, and hands it to officers as proposals.

Promises. Acknowledged means stored. The same message again gets the same answer (with what became of it) and is stored
once; the same identifier with other content is quarantined, also if both arrive at once. XML is read off the loop. A
message is released under a standing order that covers it (`order_releases`), or waits for officers: only one who may
draft makes a draft of it, once; two persons release it like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

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
from server.services.intake_chains import IntakeChains
from server.services.order_releases import OrderReleases
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore
from server.storage.partners import PartnerStore

MAX_PER_MINUTE = 60  # new messages of one partner
REMEMBERED = timedelta(hours=24)  # how long a message may be repeated as a new one without being noticed
ORDERS_FIRST = timedelta(seconds=60)  # how long a message belongs to the standing orders before an officer may take it
TRIES = 5

log = structlog.get_logger()


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
        orders: OrderReleases | None = None,
    ) -> None:
        self._intake, self._partners, public = stores
        self._chains = IntakeChains(self._intake, public)
        self._orders = orders
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
            found = replace(found, awaits_order=self._orders is not None)
            if await self._intake.insert(found):
                return await self._ask_orders(found)
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
        self._refuse_hasty(await self.get(officer, key))
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
        self._refuse_hasty(found)
        done = await self._intake.decide(key, State.DISMISSED, officer.id, {"reason": reason[:500]})
        await self._record(officer, "dismiss", found, {})
        return done

    async def _ask_orders(self, found: Received) -> Received:
        """What the standing orders make of a stored message; what they cannot finish now they finish later."""
        if self._orders is None:
            return found
        try:
            return await self._orders.settle(found)
        except HuiminError as error:
            log.warning("order_unfinished", message=found.key, code=error.code)
            return found

    def _refuse_hasty(self, found: Received) -> None:
        """ConflictError `intake_decided` while a standing order may be releasing it; it does not take a minute."""
        if found.awaits_order and self._now() - found.received_at < ORDERS_FIRST:
            raise ConflictError("intake_decided", zh="来报正在处理", en="a standing order is at it")

    async def _record(self, officer: Officer, verb: str, found: Received, details: dict[str, Detail]) -> None:
        told = {"partner": found.partner, **details}
        key = f"intake/{found.key}/{verb}"
        await self._audit.record(Event(officer.id, f"intake.{verb}", found.key, details=told, key=key))

    async def _draft(self, officer: Officer, found: Received) -> DeskAlert:
        if found.alert.msg_type in (MsgType.UPDATE, MsgType.CANCEL):
            if name := await self._chains.head(found, self._now()):
                head = await self._desk.get(name)
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
