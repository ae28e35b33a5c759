"""The steps of standing orders in the audit log, as those of alerts get there: see `steps`."""

from __future__ import annotations

from server.domain.audit import SYSTEM, Detail, Event
from server.domain.standing_orders import OrderStep, StandingOrder
from server.services.audit import Audit
from server.storage.standing_orders import OrderStore


class OrderLog:
    """Carries steps from the orders into the log."""

    def __init__(self, store: OrderStore, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def record(self, order: StandingOrder) -> None:
        """Record what the log may not have yet of this order, which is as it was just written or read."""
        missing = order.steps[order.logged :]
        if missing:
            await self._audit.record(*(_event(order.id, step) for step in missing))
            await self._store.mark_logged(order)

    async def finish(self) -> None:
        """Record the steps of processes that died before they could."""
        for order in await self._store.find_unlogged():
            await self.record(order)


def _event(order: str, step: OrderStep) -> Event:
    details: dict[str, Detail] = {"step": step.seq, "version": step.version, "digest": step.digest}
    return Event(
        step.officer or SYSTEM, f"order.{step.action}", order, details=details, key=f"order/{order}/{step.seq}"
    )
