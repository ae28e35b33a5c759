"""The counter for standing orders: write one, release it as a second person, stop it.

Promises. An author writes, within the own divisions and events; a second person who had no hand in these terms releases
them, a chief if they name red, and exactly those the digest names. Either stops it at once. Every step is in the audit
log before it is answered. What an order then does is another matter: see `order_releases`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from server.domain.access import Deed, may, refuse
from server.domain.alerts.refusals import forbidden
from server.domain.alerts.states import Why
from server.domain.divisions import Divisions
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.domain.standing_orders import (
    MAX_STEPS,
    StandingOrder,
    State,
    Terms,
    beyond,
    drafted,
    lacks_chief,
    refuse_unsound_time,
    released,
    stopped,
    written,
)
from server.services.audit import Audit
from server.services.order_log import OrderLog
from server.storage.partners import PartnerStore
from server.storage.standing_orders import OrderStore

TRIES = 20  # against messages that are let through at the same moment


class StandingOrders:
    """The verbs of an order."""

    def __init__(
        self,
        stores: tuple[OrderStore, PartnerStore],
        divisions: Divisions,
        audit: Audit,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._orders, self._partners = stores
        self._divisions = divisions
        self._log = OrderLog(self._orders, audit)
        self._clock = now
        self._new_id = new_id

    async def page(self, officer: Officer, after: str, limit: int) -> list[StandingOrder]:
        """Orders within reach, by id."""
        found = await self._orders.find_page(officer.division, after, limit)
        return [order for order in found if may(officer, Deed.ORDER_READ, order.terms.divisions)]

    async def get(self, officer: Officer, name: str) -> StandingOrder:
        """One order within reach; NotFoundError."""
        order = await self._orders.get(name)
        if not may(officer, Deed.ORDER_READ, order.terms.divisions):
            raise NotFoundError("order_unknown", zh="没有这条指令", en="no such standing order", field="order")
        return order

    async def draft(self, officer: Officer, terms: Terms) -> StandingOrder:
        """A new order, void until a second person releases it."""
        terms = await self._checked(officer, terms)
        order = drafted(self._new_id(), terms, officer, self._now())
        await self._orders.insert(order)
        await self._log.record(order)
        return order

    async def write(self, officer: Officer, name: str, terms: Terms, seen: int) -> StandingOrder:
        """Other terms; the order is void from now on. ConflictError `order_changed` if `seen` is not its newest `rev`.

        What it lets through counts too: who changes an order has seen what it did.
        """
        order = await self.get(officer, name)
        refuse(officer, Deed.ORDER_WRITE, order.terms.divisions)
        terms = await self._checked(officer, terms)
        if terms.partner != order.terms.partner:
            raise InvalidInputError(
                "partner_fixed", zh="不能更换来源，请另立指令", en="another partner is another order", field="partner"
            )
        if len(order.steps) >= MAX_STEPS:
            raise ConflictError("order_worn", zh="修改次数过多，请另立指令", en="changed too often: draft a new one")

        def change(current: StandingOrder) -> StandingOrder:
            if current.rev != seen:
                raise _changed()
            return written(current, terms, officer, self._now())

        return await self._swap(order, change)

    async def release(self, officer: Officer, name: str, digest: str) -> StandingOrder:
        """Put it in force. `digest` is what the officer saw; a second call with it changes nothing."""
        order = await self.get(officer, name)

        def change(current: StandingOrder) -> StandingOrder:
            if current.digest != digest:
                raise ConflictError(
                    "digest_changed", zh="指令内容已变更，请重新核对", en="the terms have changed", field="digest"
                )
            self._refuse_release(officer, current)
            return current if current.state is State.IN_FORCE else released(current, officer, self._now())

        return await self._swap(order, change)

    async def stop(self, officer: Officer, name: str, reason: str) -> StandingOrder:
        """End it at once; what it is about to release is not released any more. Needs a reason."""
        if not reason.strip():
            raise InvalidInputError("reason_missing", zh="请说明理由", en="give a reason", field="reason")
        order = await self.get(officer, name)
        refuse(officer, Deed.ORDER_STOP, order.terms.divisions)

        def change(current: StandingOrder) -> StandingOrder:
            if current.state is State.STOPPED:
                return current
            return stopped(current, officer, self._now(), reason[:500])

        return await self._swap(order, change)

    async def _swap(self, order: StandingOrder, change: Callable[[StandingOrder], StandingOrder]) -> StandingOrder:
        for _ in range(TRIES):
            after = change(order)
            if after is order or await self._orders.swap(order, after):
                await self._log.record(after)
                return after
            order = await self._orders.get(order.id)
        raise _changed()

    def _refuse_release(self, officer: Officer, order: StandingOrder) -> None:
        refuse(officer, Deed.ORDER_RELEASE, order.terms.divisions)
        if officer.person in {*order.writers, order.author.person}:
            raise forbidden(Why.SAME_PERSON)
        if not may(officer, Deed.ORDER_RELEASE, [order.author.unit.division]):
            raise forbidden(Why.DIVISION)
        if beyond(officer, order.terms):
            raise forbidden(Why.EVENT)
        if lacks_chief(officer, order.terms):
            raise forbidden(Why.CHIEF)
        if order.state is State.STOPPED:
            raise ConflictError(
                "order_stopped", zh="指令已停止，请修改后重新提交", en="it was stopped: write it again first"
            )
        refuse_unsound_time(order.terms, self._now())

    async def _checked(self, officer: Officer, terms: Terms) -> Terms:
        """The terms with plain codes of divisions; ForbiddenError or InvalidInputError if the officer may not."""
        codes = tuple(dict.fromkeys(self._divisions.get(code).code for code in terms.divisions))
        refuse(officer, Deed.ORDER_WRITE, codes)
        if beyond(officer, terms):
            raise forbidden(Why.EVENT)
        refuse_unsound_time(terms, self._now())
        partner = await self._partners.get(terms.partner)
        if not {*terms.senders} <= {*partner.senders}:
            raise InvalidInputError(
                "sender_foreign", zh="该来源未登记此发送方", en="not a sender of this partner", field="senders"
            )
        return terms.model_copy(update={"divisions": codes})

    def _now(self) -> datetime:
        """To the millisecond."""
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _changed() -> ConflictError:
    return ConflictError("order_changed", zh="指令刚被他人改动，请刷新", en="someone changed the order; load it again")
