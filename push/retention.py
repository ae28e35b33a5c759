"""What is kept of a broadcast in the long run: sums per division, and nobody's id.

A broadcast that ended is bared some time after its release, range by range: the sums are computed once more and sealed,
so that no late recount can change them, and only then the pages go. Any number of workers may do it at once, and a
killed one leaves nothing half-done that the next would not finish.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from push.parts import Parts
from push.totals import Totals
from server.storage.mongo import MongoError

KEEP = timedelta(
    days=30
)  # to answer "did you warn me?", to settle a complaint and a provider's bill; then ids are a risk
EVERY_S = 60.0
PAGES_PER_ROUND = 2_000  # a broadcast to ten million is gone within the hour, and no round holds the database up
BROADCASTS_PER_ROUND = 20


class Retention:
    """Runs beside the reconciler in every worker."""

    def __init__(self, parts: Parts, totals: Totals) -> None:
        self._parts = parts
        self._totals = totals

    async def run(self, stop: asyncio.Event) -> None:
        """Bare what is old, a little at a time, until told to stop."""
        while not stop.is_set():
            try:
                await self.bare_some()
            except MongoError:
                self._parts.counters.event("retention_failed")
            try:
                await asyncio.wait_for(stop.wait(), EVERY_S)
            except TimeoutError:
                continue

    async def bare_some(self, limit: int = PAGES_PER_ROUND) -> int:
        """One round: delete at most `limit` pages of broadcasts released longer ago than `KEEP`; returns how many."""
        parts = self._parts
        left, now = limit, parts.now()
        for id_ in await parts.broadcasts.find_old(now - KEEP, now, limit=BROADCASTS_PER_ROUND):
            left -= await self._bare(id_, left)
            if left <= 0:
                break
        parts.counters.event("pages_forgotten", limit - left)
        return limit - left

    async def _bare(self, broadcast: str, limit: int) -> int:
        """Bare one broadcast; it is marked when nothing is left, and the people that it named are forgotten too."""
        parts = self._parts
        deleted = 0
        async for range_ in parts.broadcasts.ranges(broadcast):
            if not range_.is_sealed:
                await self._totals.recompute(range_.id)
                await parts.broadcasts.seal(range_.id)
            deleted += await parts.pages.delete_some(broadcast, range_.number, limit - deleted)
            if deleted >= limit:
                return deleted
        await parts.broadcasts.set_bare(broadcast)
        return deleted
