"""Releases what a standing order covers, on behalf of the two persons who signed it.

There is no way around the desk here: an alert is drafted, handed in and released by the desk's own verbs, for the
order's author and its releaser (`Mandated`), so role, division, event, second person and chief are asked again for
every message, and every step of the log says under which order it was taken.

Promises. One message makes one alert at most, whoever tries how often: the alert bears the message's key, which is
unique. A process that dies anywhere leaves the message marked, and `finish` goes on where it stopped. The order is
asked again right before the release: one that was stopped meanwhile releases nothing. What cannot be released is taken
off the desk and waits for an officer, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.states import Action
from server.domain.alerts.states import State as DeskState
from server.domain.alerts.vocabulary import MsgType
from server.domain.audit import SYSTEM, Detail, Event
from server.domain.broadcasts import State as RunState
from server.domain.divisions import Divisions
from server.domain.errors import HuiminError, TooManyError, UnavailableError
from server.domain.intake import Received, State, following, proposal
from server.domain.standing_order_reasons import Miss, WhyNot
from server.domain.standing_orders import (
    StandingOrder,
    admitted,
    covers,
    covers_chain,
    reach_of,
    sourced,
    sourced_change,
)
from server.domain.standing_orders import State as OrderState
from server.services.alerts import Alerts
from server.services.audit import Audit
from server.services.intake_chains import IntakeChains
from server.services.order_log import OrderLog
from server.storage.alerts import AlertStore
from server.storage.broadcasts import Broadcasts
from server.storage.intake import IntakeStore
from server.storage.partners import PartnerStore
from server.storage.standing_orders import OrderStore

TRIES = 10

log = structlog.get_logger()
_FOLLOWING = (MsgType.UPDATE, MsgType.CANCEL)


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where it reads and writes."""

    orders: OrderStore
    intake: IntakeStore
    chains: IntakeChains
    partners: PartnerStore
    alerts: AlertStore
    broadcasts: Broadcasts


class OrderReleases:
    """Standing orders at work."""

    def __init__(
        self, shelves: Shelves, desk: Alerts, divisions: Divisions, audit: Audit, *, now: Callable[[], datetime]
    ) -> None:
        self._shelves = shelves
        self._desk = desk
        self._divisions = divisions
        self._audit = audit
        self._log = OrderLog(shelves.orders, audit)
        self._clock = now

    async def finish(self) -> list[str]:
        """Go on with what processes left that died, oldest message first; the keys of those that were looked at."""
        await self._log.finish()
        seen = []
        for found in await self._shelves.intake.find_awaiting():
            try:
                await self.settle(found)
            except HuiminError as error:  # one that cannot be finished must not keep back the others
                log.warning("order_unfinished", message=found.key, code=error.code)
            else:
                seen.append(found.key)
        return seen

    async def settle(self, found: Received) -> Received:
        """Release a stored message under the order that covers it, or leave it to officers; as it is then.

        Earlier messages of its chain come first. UnavailableError, TooManyError: not now, `finish` tries again.
        """
        at = self._now()
        if not found.awaits_order:
            return found
        for earlier in await self._shelves.chains.awaiting(found, at):
            is_earlier = (earlier.received_at, earlier.key) < (found.received_at, found.key)
            if is_earlier and (await self.settle(earlier)).awaits_order:
                raise UnavailableError("order_waits", zh="前一报文处理中", en="the message before it comes first")
        if not await self._shelves.intake.claim_for_orders(found.key, at):
            return await self._shelves.intake.get(found.key)
        begun = await self._shelves.alerts.find_origin(found.key)
        if begun is not None:  # by a process that died
            return await self._go_on(found, begun.order)
        missed = []
        for order in await self._shelves.orders.find_of(found.partner):
            if miss := await self._admit(order, found):
                missed.append(miss)
            else:
                return await self._go_on(found, order.id)
        return await self._leave(found, missed)

    async def _admit(self, order: StandingOrder, found: Received) -> Miss | None:
        """Let a message through an order, once, and count it; or say why not. The brake may stop the order here."""
        for _ in range(TRIES):
            if why := await self._why_not(order, found):
                return Miss(order.id, why)
            if found.alert.msg_type == MsgType.CANCEL:  # lifts what has been counted
                return None
            after = admitted(order, found.key, self._now())
            if after is order or await self._shelves.orders.swap(order, after):
                await self._log.record(after)
                return Miss(order.id, WhyNot.BRAKE) if after.state is OrderState.STOPPED else None
            order = await self._shelves.orders.get(order.id)
        raise UnavailableError("order_busy", zh="指令正被频繁改动", en="others keep changing this order")

    async def _why_not(self, order: StandingOrder, found: Received) -> WhyNot | None:
        if why := covers(order, found, reach_of(found.alert, self._divisions), self._now()):
            return why
        if found.alert.msg_type not in _FOLLOWING:
            return None
        chain = await self._chain(found)
        held = await self._shelves.broadcasts.states([desk.identifier for desk in chain])
        reach = reach_of(chain[-1].alert, self._divisions) if chain else ()
        return covers_chain(order, chain, reach, is_held=RunState.PAUSED in held.values())

    async def _chain(self, found: Received) -> list[DeskAlert]:
        """What of the message's chain was released here, oldest first."""
        name = await self._shelves.chains.head(found, self._now())
        if name is None:
            return []
        return await self._shelves.alerts.find_chain((await self._desk.get(name)).chain)

    async def _go_on(self, found: Received, name: str) -> Received:
        """Draft, hand in and release, wherever it stands; or leave it, if the order or the desk no longer allows it."""
        for _ in range(TRIES):
            order = await self._shelves.orders.get(name)
            begun = await self._shelves.alerts.find_origin(found.key)
            if begun is not None and begun.released_at is not None:
                return await self._done(found, order, begun)
            if begun is not None and _is_taken_over(begun):
                return await self._handed(found, begun, Miss(name, WhyNot.IN_PERSON))
            if why := await self._why_not(order, found):
                return await self._withdraw(found, order, begun, Miss(name, why))
            try:
                await self._step(found, order, begun)
            except (TooManyError, UnavailableError):  # not now: `finish` tries again
                raise
            except HuiminError as error:
                if error.code == "alert_changed":  # another process is at it, or an officer
                    continue
                return await self._withdraw(found, order, begun, Miss(name, WhyNot.DESK, error.code))
        raise UnavailableError("order_busy", zh="预警正被频繁改动", en="others keep changing this alert")

    async def _step(self, found: Received, order: StandingOrder, begun: DeskAlert | None) -> None:
        """The next verb of the desk."""
        author, releaser = order.hands(found.key)
        if begun is None:
            await self._tell("order.use", found, order.id, (author.id, releaser.id))
            name = (await self._shelves.partners.get(found.partner)).name
            if found.alert.msg_type not in _FOLLOWING:
                await self._desk.draft(author, sourced(proposal(found, name), name))
                return
            head = (await self._chain(found))[-1]
            kind, change = following(found, head.colour)
            await self._desk.follow(author, head.identifier, kind, sourced_change(change, name))
        elif begun.state is DeskState.DRAFT:
            warnings = frozenset(each.code for each in await self._desk.check(begun.identifier))
            await self._desk.submit(author, begun.identifier, begun.version, warnings)
        else:
            await self._desk.release(releaser, begun.identifier, begun.digest)

    async def _done(self, found: Received, order: StandingOrder, alert: DeskAlert) -> Received:
        """Say that it was released: in the log, then to who asks for the message. The desk sees to its publication."""
        by = next(step.officer for step in alert.steps if step.action == Action.RELEASE)
        await self._tell("intake.release", found, order.id, (alert.author.officer, by))
        changed = replace(found, state=State.RELEASED, draft=alert.identifier, order=order.id)
        return await self._shelves.intake.close_to_orders(changed)

    async def _withdraw(self, found: Received, order: StandingOrder, begun: DeskAlert | None, miss: Miss) -> Received:
        """Take off the desk what the order began, and leave the message to officers."""
        fresh = await self._shelves.alerts.find_origin(found.key) if begun is None else begun
        if fresh is None:
            return await self._leave(found, [miss])
        author, releaser = order.hands(found.key)
        hand = author if fresh.state is DeskState.DRAFT else releaser
        try:
            await self._desk.reject(hand, fresh.identifier, f"{miss.why} {miss.code}".strip())
        except UnavailableError:
            raise
        except HuiminError:
            now = await self._desk.get(fresh.identifier)
            if now.released_at is not None:
                return await self._done(found, order, now)
            return await self._handed(found, now, miss)
        return await self._leave(found, [miss])

    async def _handed(self, found: Received, alert: DeskAlert, miss: Miss) -> Received:
        """The order's draft is in an officer's hands: the message counts as adopted."""
        changed = replace(found, state=State.ADOPTED, draft=alert.identifier, missed=(miss,))
        return await self._shelves.intake.close_to_orders(changed)

    async def _leave(self, found: Received, missed: Sequence[Miss]) -> Received:
        return await self._shelves.intake.close_to_orders(replace(found, missed=tuple(missed)))

    async def _tell(self, action: str, found: Received, order: str, persons: tuple[str, str]) -> None:
        """One entry of the audit log, once: the order, its author and releaser, the partner, the message."""
        author, releaser = persons
        details: dict[str, Detail] = {
            "order": order,
            "author": author,
            "releaser": releaser,
            "partner": found.partner,
            "identifier": found.alert.identifier,
        }
        await self._audit.record(Event(SYSTEM, action, found.key, details=details, key=f"{action}/{order}/{found.key}"))

    def _now(self) -> datetime:
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _is_taken_over(alert: DeskAlert) -> bool:
    """Whether an officer has touched it in person, or ended it."""
    return alert.state not in (DeskState.DRAFT, DeskState.SUBMITTED) or any(
        step.officer and not step.order for step in alert.steps
    )
